// Which transport an account's folder gets when nobody has chosen one: what the Apache of this machine has loaded.
// Rules: only what can be seen counts, and nothing is started or changed; a host that shows nothing gets CGI, which needs the
// least of it. A daemon is never chosen: somebody has to keep it running.

import { execFile } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";
import type { Transport } from "../apache/account.ts";

/** Apache's modules by the names that it lists, as in "proxy_fcgi", and how they came to be known. */
export interface KnownModules {
  readonly names: ReadonlySet<string>;
  readonly source: string;
}

export interface ChosenTransport {
  readonly transport: Transport;
  readonly why: string;
  /** What will keep it from working, as far as that can be seen. */
  readonly warnings: readonly string[];
}

const run = promisify(execFile);
const probeMs = 10_000;
const programs = ["apache2ctl", "apachectl", "httpd"];
/** Folders of LoadModule lines, of Debian and Red Hat. */
const configFolders = ["/etc/apache2/mods-enabled", "/etc/httpd/conf.modules.d"];

async function askApache(path: string): Promise<KnownModules | undefined> {
  for (const program of programs) {
    try {
      const env = { PATH: `${path}:/usr/sbin:/usr/local/sbin`, LANG: "C" };
      const { stdout } = await run(program, ["-M"], { timeout: probeMs, env });
      const names = [...stdout.matchAll(/^\s+(\w+)_module \((?:static|shared)\)/gm)].map(([, name = ""]) => name);
      if (names.length > 0) return { names: new Set(names), source: `${program} -M` };
    } catch {
      // Not there, or not for us: the next one.
    }
  }
  return undefined;
}

function readConfiguration(): KnownModules | undefined {
  for (const folder of configFolders) {
    try {
      const files = readdirSync(folder).filter((name) => /\.(load|conf)$/.test(name));
      const text = files.map((name) => readFileSync(join(folder, name), "latin1")).join("\n");
      const names = [...text.matchAll(/^\s*LoadModule\s+(\w+)_module\s/gim)].map(([, name = ""]) => name);
      if (names.length > 0) return { names: new Set(names), source: folder };
    } catch {
      // No such folder, or not for us: the next one.
    }
  }
  return undefined;
}

/** What can be learned of this machine's Apache; `path` is the PATH to look for it on. */
export async function knownModules(path: string): Promise<KnownModules | undefined> {
  return (await askApache(path)) ?? readConfiguration();
}

const needed: Readonly<Record<Transport, readonly string[]>> = {
  cgi: ["cgi", "cgid"],
  fcgid: ["fcgid"],
  proxy: ["proxy_fcgi"],
};

/** Chooses, or says what is known of a choice. */
export function chooseTransport(wanted: Transport | "auto", known: KnownModules | undefined): ChosenTransport {
  const { transport, why } = wanted === "auto" ? choose(known) : { transport: wanted, why: "it was chosen" };
  return { transport, why, warnings: known === undefined ? [] : missing(transport, known) };
}

function choose(known: KnownModules | undefined): Pick<ChosenTransport, "transport" | "why"> {
  if (known === undefined) {
    return { transport: "cgi", why: "nothing of an Apache can be seen here, and CGI works on most hosts" };
  }
  const { names, source } = known;
  if (names.has("fcgid")) {
    return { transport: "fcgid", why: `${source} lists mod_fcgid, which keeps processes for the next request` };
  }
  return { transport: "cgi", why: `${source} does not list mod_fcgid, and CGI needs the least` };
}

function missing(transport: Transport, { names, source }: KnownModules): string[] {
  const groups = transport === "proxy" ? [needed[transport]] : [needed[transport], ["rewrite"]];
  return groups
    .filter((group) => !group.some((name) => names.has(name)))
    .map((group) => `${source} does not list ${group.map((name) => `mod_${name}`).join(" or ")}: it has to be enabled`);
}
