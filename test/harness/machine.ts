// What this machine offers the tests: Apache's program, modules and user, and free ports. Nothing here is skipped when it
// is missing: a machine without Apache cannot show that the product works, so the message says what to install.
import { execFileSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";

const programs = ["/usr/sbin/apache2", "/usr/sbin/httpd", "/usr/local/apache2/bin/httpd", "/opt/homebrew/bin/httpd"];
const moduleDirs = [
  "/usr/lib/apache2/modules",
  "/usr/lib64/httpd/modules",
  "/usr/lib/httpd/modules",
  "/usr/local/apache2/modules",
  "/opt/homebrew/lib/httpd/modules",
];

export interface HttpdProgram {
  readonly file: string;
  readonly modulesDir: string;
  /** Modules that are compiled in and must not be loaded: "mod_log_config". */
  readonly builtIn: ReadonlySet<string>;
}

let found: HttpdProgram | undefined;

/** The installed Apache. Throws, with what to install, when there is none. */
export function findHttpd(): HttpdProgram {
  if (found !== undefined) return found;
  const file = programs.find((candidate) => existsSync(candidate));
  const modulesDir = moduleDirs.find((candidate) => existsSync(join(candidate, "mod_proxy_fcgi.so")));
  if (file === undefined || modulesDir === undefined) {
    throw new Error("these tests need a real Apache: run bin/setup, or install apache2 and libapache2-mod-fcgid");
  }
  const listing = execFileSync(file, ["-l"], { encoding: "utf8" });
  found = { file, modulesDir, builtIn: new Set(listing.match(/\bmod_\w+(?=\.c)/gu) ?? []) };
  return found;
}

/** LoadModule lines for module names without "mod_"; throws when one is not installed. */
export function loadModules(names: readonly string[]): string {
  const httpd = findHttpd();
  const lines: string[] = [];
  for (const name of new Set(names)) {
    if (httpd.builtIn.has(`mod_${name}`)) continue;
    const file = join(httpd.modulesDir, `mod_${name}.so`);
    if (!existsSync(file))
      throw new Error(`these tests need Apache's mod_${name}: run bin/setup, or install it (${file})`);
    lines.push(`LoadModule ${name}_module ${file}`);
  }
  return lines.join("\n");
}

export interface Account {
  readonly name: string;
  readonly group: string;
  readonly uid: number;
  readonly gid: number;
}

/** The user that Apache's workers run as, when we are root; undefined otherwise: then everything runs as ourselves. */
export function apacheAccount(): Account | undefined {
  if (process.getuid?.() !== 0) return undefined;
  const groups = new Map(
    readFileSync("/etc/group", "utf8")
      .split("\n")
      .map((line) => line.split(":"))
      .map(([name = "", , gid = ""]) => [gid, name]),
  );
  const users = readFileSync("/etc/passwd", "utf8")
    .split("\n")
    .map((line) => line.split(":"));
  for (const wanted of ["www-data", "apache", "daemon"]) {
    const [name, , uid, gid = ""] = users.find((user) => user[0] === wanted) ?? [];
    if (name !== undefined) return { name, group: groups.get(gid) ?? name, uid: Number(uid), gid: Number(gid) };
  }
  throw new Error("no www-data or apache user in /etc/passwd: install Apache with bin/setup");
}

/** Where a program of the PATH lies. Throws when it is not there. */
export function programPath(name: string): string {
  const folders = (process.env["PATH"] ?? "").split(":");
  const path = folders.map((folder) => join(folder, name)).find((candidate) => existsSync(candidate));
  if (path === undefined) throw new Error(`these tests need ${name}`);
  return path;
}

/** A TCP port of the loopback interface that nobody uses now. */
export async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  await new Promise((resolve) => server.close(resolve));
  if (address === null || typeof address === "string") throw new Error("no port was given");
  return address.port;
}
