// What the programs share that serve many requests without our supervisor: the one of mod_fcgid and the warm daemon.
// Rules: a signal that ends them ends them in order.

import { TsgiError } from "../errors.ts";
import type { ProcessLog } from "../log.ts";
import { reopenLog } from "../log.ts";
import type { Log } from "../spec.ts";
import { unlimited } from "./admission.ts";
import type { FastCgiOptions } from "./fastcgi-server.ts";

/** What does not differ between them: Apache decides who comes, how many at once, and for how long. */
export const behindApache = {
  paramsTimeoutMs: 10_000,
  idleTimeoutMs: 0,
  admission: unlimited,
  requestTimeoutMs: 0,
  ignoredActivity: [],
  isBehindFcgid: true, // mod_cgi and mod_cgid send the whole body before they read, too
  isAllowed: () => true,
} as const satisfies Partial<FastCgiOptions>;

/** Handles every signal that may come. */
export function handleSignals(log: ProcessLog, stop: (signal: "SIGTERM" | "SIGINT") => void): void {
  process.on("SIGTERM", () => stop("SIGTERM"));
  process.on("SIGINT", () => stop("SIGINT"));
  process.on("SIGHUP", () => {});
  process.on("SIGUSR1", () => reopenLog(log)); // without it Node would open its debugger
}

/** The application cannot be loaded: its requests get a 500. */
export function reportBroken(log: Log, error: unknown): void {
  const code = error instanceof TsgiError ? error.code : "TSGI3003";
  log.error({ code, err: error }, "the application could not be loaded");
}
