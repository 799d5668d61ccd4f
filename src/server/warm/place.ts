// Where the sockets of warm daemons are, and what one is called.
// Rules: as in bin/tsgi-relay.pl. The folder is ours and of mode 0700, checked from within, so that nobody else can have put
// anything there; the name is made of everything that makes a daemon another one.

import { mkdirSync, statSync, writeFileSync } from "node:fs";
import { homedir, tmpdir, userInfo } from "node:os";
import { dirname, isAbsolute, join, resolve } from "node:path";
import { systemCodeOf } from "../../errors.ts";
import { fingerprint } from "../../loader/watch.ts";

type Environment = Readonly<Record<string, string | undefined>>;

/** What a daemon gets of the environment, which is a request's; TSGI_WARM_ENV names more. */
const passed = [
  "PATH",
  "HOME",
  "USER",
  "LOGNAME",
  "SHELL",
  "LANG",
  "LANGUAGE",
  "LC_ALL",
  "LC_CTYPE",
  "TZ",
  "TMPDIR",
  "XDG_CACHE_HOME",
  "NODE_ENV",
  "LD_LIBRARY_PATH",
  "TSGI_LOG_LEVEL",
  "TSGI_LOG_FILE",
  "TSGI_ERROR_PAGE",
  "TSGI_DEBUG",
  "TSGI_ADAPTER",
  "TSGI_TRUSTED_PROXIES",
  "TSGI_TRUSTED_PROXY_HEADERS",
  "TSGI_X_SENDFILE",
  "TSGI_X_SENDFILE_HEADER",
];

/** The environment of a daemon: nothing that a visitor sent. */
export function daemonEnvironment(environment: Environment): Record<string, string> {
  const more = (environment["TSGI_WARM_ENV"] ?? "").split(/[\s,]+/).filter((name) => !name.startsWith("HTTP_"));
  const entries = [...passed, ...more].map((name) => [name, environment[name]] as const);
  return Object.fromEntries(entries.filter((entry): entry is [string, string] => entry[1] !== undefined));
}

/** Changes into the folder of sockets and gives its path; undefined when there is no safe one. */
export function enterFolder(cacheDir: string | undefined, environment: Environment): string | undefined {
  const home = process.cwd();
  const uid = process.geteuid?.();
  const configured = environment["XDG_CACHE_HOME"];
  const places =
    cacheDir === undefined
      ? [
          configured !== undefined && isAbsolute(configured) ? configured : join(homeFolder(environment), ".cache"),
          `${tmpdir()}/tsgi-warm-${uid}`,
        ].map((place, index) => (index === 0 ? join(place, "tsgi-warm") : place))
      : [resolve(cacheDir, "warm")];
  for (const place of places) {
    try {
      makeFolder(place, uid);
      process.chdir(place);
      const status = statSync(".");
      if (status.uid === uid && (status.mode & 0o7777) === 0o700) return place;
    } catch {
      // Not this one, then.
    }
    process.chdir(home);
  }
  return undefined;
}

/** As the Perl relay has it: an empty HOME is none, and a relative one is of no use. */
function homeFolder(environment: Environment): string {
  const folder = environment["HOME"] === "" ? userInfo().homedir : homedir();
  return isAbsolute(folder) ? folder : "/nonexistent";
}

/** Makes it, and those that hold it, where the place is ours or shared without harm. Throws the system's error. */
function makeFolder(path: string, uid: number | undefined): void {
  if (statSync(path, { throwIfNoEntry: false })?.isDirectory() === true) return;
  const above = dirname(path);
  makeFolder(above, uid);
  const status = statSync(above);
  if (status.uid !== uid && (status.mode & 0o1000) === 0) throw new Error(`${above} belongs to another user`);
  try {
    mkdirSync(path, { mode: 0o700 });
  } catch (error) {
    if (systemCodeOf(error) === "EEXIST") return;
    throw error;
  }
  if (!path.endsWith("/.cache")) writeFileSync(join(path, ".htaccess"), "Require all denied\n", { mode: 0o600 });
}

/** What tells daemons apart, 16 hexadecimal digits. */
export function daemonKey(main: string, parts: readonly string[], environment: Record<string, string>): string {
  const { ino, size, mtimeMs } = statSync(main);
  const variables = Object.entries(environment).map(([name, value]) => `${name}=${value}`);
  return fingerprint([main, ino, size, mtimeMs, ...parts, ...variables.sort()].join("\0")).slice(0, 16);
}
