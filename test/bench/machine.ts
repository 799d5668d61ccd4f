// Where and with what a run was made.
import { execFileSync } from "node:child_process";
import { cpus, loadavg } from "node:os";
import { findHttpd } from "../harness/machine.ts";

export interface MachineFacts {
  /** YYYY-MM-DD. */
  readonly date: string;
  readonly processor: string;
  readonly processors: number;
  /** Processes that wanted to run during the minute before: 0 on a quiet machine. */
  readonly load: number;
  readonly versions: readonly { readonly name: string; readonly version: string }[];
}

/** What a command says of its version; undefined when it is not there. */
function versionOf(pattern: RegExp, command: string, ...args: readonly string[]): string | undefined {
  try {
    const output = execFileSync(command, args, { encoding: "utf8", stdio: ["ignore", "pipe", "ignore"] });
    return pattern.exec(output)?.[1];
  } catch {
    return undefined;
  }
}

const debianPackages = [
  "libapache2-mod-wsgi-py3",
  "libapache2-mod-fcgid",
  "php-fpm",
  "passenger",
  "libfcgi-dev",
  "wrk",
];

export function machineFacts(): MachineFacts {
  const found: [string, string | undefined][] = [
    ["Apache", versionOf(/Apache\/(\S+)/u, findHttpd().file, "-v")],
    ["Node", process.versions.node],
    ["Linux", versionOf(/(\S+)/u, "uname", "-r")],
    ...debianPackages.map((name): [string, string | undefined] => [
      name,
      versionOf(/^ii (\S+)/mu, "dpkg-query", "-W", "-f", "${db:Status-Abbrev}${Version}\n", name),
    ]),
  ];
  return {
    date: new Date().toISOString().slice(0, 10),
    processor: cpus()[0]?.model.trim() ?? "unknown processor",
    processors: cpus().length,
    load: loadavg()[0] ?? 0,
    versions: found.flatMap(([name, version]) => (version === undefined ? [] : [{ name, version }])),
  };
}
