// Finding the installed Apache: its program, its folder of modules, and what is compiled in.
// Rules: the usual places of Debian, Red Hat, Alpine, the official image, macOS and Homebrew, in that order after PATH;
// an explicit --httpd or --modules-dir is never second-guessed; what is missing is one sentence that says what to install.

import { execFile } from "node:child_process";
import { accessSync, constants, existsSync, readFileSync, realpathSync, statSync } from "node:fs";
import { delimiter, dirname, join } from "node:path";
import { promisify } from "node:util";
import { BootError, messageOf } from "../../errors.ts";

export interface Httpd {
  /** Absolute. */
  readonly program: string;
  /** As in "2.4.62". */
  readonly version: string;
  readonly modulesDir: string;
  /** Modules that are compiled in and need no LoadModule, as in "unixd". */
  readonly builtIn: ReadonlySet<string>;
  /** The program's default folder, whose conf/mime.types may be the only table of media types. */
  readonly root: string;
}

export interface FindHttpdOptions {
  /** From --httpd and --modules-dir. */
  readonly httpd: string | undefined;
  readonly modulesDir: string | undefined;
  readonly path: string;
}

const programNames = ["apache2", "httpd"];
const programFolders = [
  "/usr/sbin",
  "/usr/local/sbin",
  "/usr/local/apache2/bin",
  "/opt/homebrew/bin",
  "/opt/homebrew/opt/httpd/bin",
  "/usr/local/opt/httpd/bin",
  "/usr/local/bin",
];

const moduleFolders = [
  "/usr/lib/apache2/modules",
  "/usr/lib64/httpd/modules",
  "/usr/lib/httpd/modules",
  "/usr/lib64/apache2",
  "/usr/lib/apache2",
  "/usr/local/apache2/modules",
  "/opt/homebrew/lib/httpd/modules",
  "/usr/local/lib/httpd/modules",
  "/usr/libexec/apache2",
];

const run = promisify(execFile);
const probeMs = 10_000;

/** What to type to get Apache with all its modules, for the system that this is. */
export function installAdvice(): string {
  if (existsSync("/usr/bin/apt-get")) return "apt-get install apache2 libapache2-mod-fcgid";
  if (existsSync("/usr/bin/dnf")) return "dnf install httpd mod_fcgid";
  if (existsSync("/sbin/apk")) return "apk add apache2 apache2-proxy apache-mod-fcgid";
  if (process.platform === "darwin") return "brew install httpd";
  return "install Apache httpd 2.4 with mod_proxy_fcgi and mod_fcgid";
}

function isExecutable(file: string): boolean {
  try {
    accessSync(file, constants.X_OK);
    return statSync(file).isFile();
  } catch {
    return false; // not there, or not ours to run
  }
}

function findProgram({ httpd, path }: FindHttpdOptions): string {
  if (httpd !== undefined) {
    if (!isExecutable(httpd)) throw new BootError(`--httpd: ${httpd} is not a program that can be run`);
    return realpathSync(httpd);
  }
  const folders = [...path.split(delimiter).filter((folder) => folder.startsWith("/")), ...programFolders];
  for (const folder of folders) {
    const program = programNames.map((name) => join(folder, name)).find(isExecutable);
    if (program !== undefined) return program;
  }
  throw new BootError(`Apache httpd is not installed: ${installAdvice()} (or name its program with --httpd)`);
}

function findModules({ modulesDir }: FindHttpdOptions, root: string): string {
  if (modulesDir !== undefined) {
    if (!existsSync(modulesDir)) throw new BootError(`--modules-dir: there is no folder ${modulesDir}`);
    return realpathSync(modulesDir);
  }
  const found = [join(root, "modules"), ...moduleFolders].find((folder) => existsSync(join(folder, "mod_dir.so")));
  if (found === undefined) {
    throw new BootError(
      `Apache's modules are not in any usual folder: name it with --modules-dir (${installAdvice()})`,
    );
  }
  return found;
}

async function ask(program: string, option: string): Promise<string> {
  try {
    const { stdout } = await run(program, [option], { timeout: probeMs });
    return stdout;
  } catch (error) {
    throw new BootError(`${program} ${option} failed: ${messageOf(error).split("\n").slice(0, 2).join(" ")}`, error);
  }
}

function builtIn(listing: string): ReadonlySet<string> {
  const sources = [...listing.matchAll(/^\s+(\S+)\.c$/gm)].map(([, name]) => name ?? "");
  // The MPM is listed by the name of its source file, "event" and the like.
  return new Set(
    sources.map((name) => (/^(event|worker|prefork)$/.test(name) ? `mpm_${name}` : name.replace(/^mod_/, ""))),
  );
}

/** Throws BootError when there is no usable Apache 2.4. */
export async function findHttpd(options: FindHttpdOptions): Promise<Httpd> {
  const program = findProgram(options);
  const [versionText, listing] = await Promise.all([ask(program, "-v"), ask(program, "-l")]);
  const version = /Apache\/(\d+\.\d+\.\d+)/.exec(versionText)?.[1];
  if (version === undefined) throw new BootError(`${program} is not Apache httpd: it gives no Apache version`);
  if (!version.startsWith("2.4.")) throw new BootError(`${program} is Apache ${version}: 2.4 is needed`);
  const root = dirname(dirname(program));
  return { program, version, modulesDir: findModules(options, root), builtIn: builtIn(listing), root };
}

/** The system's table of media types; undefined when there is none. */
export function findMediaTypes({ root }: Pick<Httpd, "root">): string | undefined {
  const candidates = [
    "/etc/mime.types",
    join(root, "conf/mime.types"),
    "/etc/apache2/mime.types",
    "/etc/httpd/conf/mime.types",
  ];
  return candidates.find((file) => {
    try {
      return readFileSync(file, "latin1").includes("text/html");
    } catch {
      return false; // not there, or not readable: try the next
    }
  });
}
