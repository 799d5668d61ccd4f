// A debug log with a develop mode: `debugLog(message)` keeps a line in develop mode only, `debugLog(message, true)` always.
// Every kept line goes to `wsgi.errors`, which is Apache's error log, and to a file of its own for hosts whose error log
// one may not read. Rules: the file lies outside every served folder, in a directory that only the running user may enter,
// so no URL leads to it and the site itself may be read-only; a message is one line; the file has a limit; a log that
// cannot be written never breaks a page.
import { appendFileSync, lstatSync, mkdirSync, renameSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Environ } from "tsgi";

const maxFileBytes = 1024 * 1024;

/** Says whether the line was kept. */
export type DebugLog = (message: string, must?: boolean) => boolean;

/** Develop mode is on with `SetEnv DEVELOP_MODE on` in Apache or DEVELOP_MODE=on in the daemon's environment. */
export function isDevelopMode(environ: Environ): boolean {
  return (environ["DEVELOP_MODE"] ?? process.env["DEVELOP_MODE"]) === "on";
}

/** The debug log of one request. */
export function createDebugLog(environ: Environ): DebugLog {
  const developMode = isDevelopMode(environ);
  return (message, must = false) => {
    if (!developMode && !must) return false;
    // A message may quote the request: line breaks and control characters in it must not forge a line.
    const line = message.replace(/\p{Cc}/gu, (character) => JSON.stringify(character).slice(1, -1));
    environ["wsgi.errors"].write(`debug: ${line}\n`);
    try {
      append(debugLogFile(), `${new Date().toLocaleString("sv-SE")} ${line}\n`);
    } catch (error) {
      environ["wsgi.errors"].write(`debug: the log file cannot be written: ${String(error)}\n`);
    }
    return true;
  };
}

/** Where the lines are: a folder of the running user in the system's temporary directory. */
export function debugLogFile(): string {
  return join(tmpdir(), `tsgi-site-${process.getuid?.() ?? 0}`, "debug.log");
}

function append(file: string, line: string): void {
  ensurePrivate(join(file, ".."));
  const size = statSync(file, { throwIfNoEntry: false })?.size ?? 0;
  if (size + line.length > maxFileBytes) renameSync(file, `${file}.1`);
  appendFileSync(file, line, { mode: 0o600 });
}

/** The temporary directory is everybody's: a neighbour may have made the folder first, or a link with its name. */
function ensurePrivate(directory: string): void {
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  const found = lstatSync(directory);
  const isOurs = found.isDirectory() && found.uid === process.getuid?.() && (found.mode & 0o077) === 0;
  if (!isOurs) throw new Error(`${directory} is not a private folder of this user`);
}
