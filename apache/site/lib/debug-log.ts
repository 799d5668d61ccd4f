// A debug log with a develop mode: `debugLog(message)` keeps a line in develop mode only, `debugLog(message, true)` always.
// Every kept line goes to `tsgi.log`, so it carries the request's id, the script and the worker, cannot forge another line
// whatever it quotes, and is where the rest of the log is: stderr or --log-file of the daemon, out of reach of every browser.
import type { Environ } from "tsgi";

/** Says whether the line was kept. */
export type DebugLog = (message: string, must?: boolean) => boolean;

/** Develop mode is on with `SetEnv DEVELOP_MODE on` in Apache or DEVELOP_MODE=on in the daemon's environment. */
export function isDevelopMode(environ: Environ): boolean {
  return (environ["DEVELOP_MODE"] ?? process.env["DEVELOP_MODE"]) === "on";
}

/** The debug log of one request. */
export function createDebugLog(environ: Environ): DebugLog {
  const isKept = isDevelopMode(environ);
  return (message, must = false) => {
    if (!isKept && !must) return false;
    environ["tsgi.log"].info({ source: "debugLog" }, message);
    return true;
  };
}
