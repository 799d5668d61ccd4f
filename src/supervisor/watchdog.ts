// Starting the watchdog of a worker (./watchdog-thread.ts), and telling it that the event loop turns.
// Rule: it watches before any request comes, and while the application is loaded.

import { url as debuggerUrl } from "node:inspector";
import { Worker } from "node:worker_threads";
import type { LogLevel } from "../log.ts";
import { watchdogProgram } from "./program-files.ts";

export interface WatchdogOptions {
  readonly deadlockTimeoutMs: number;
  /** 0: no request is slow. */
  readonly slowRequestMs: number;
  readonly group: string;
  readonly logLevel: LogLevel;
  readonly logFile: string | undefined;
}

export interface WatchdogData extends WatchdogOptions {
  readonly shared: SharedArrayBuffer;
  readonly parent: number;
}

/** What the two threads share: a number that grows while the event loop turns, and whether a debugger is attached. */
export const beatIndex = 0;
export const debuggerIndex = 1;

/** Starts the thread. The function that it gives has to be called whenever the event loop turns. */
export function startWatchdog(options: WatchdogOptions): () => void {
  const { deadlockTimeoutMs, slowRequestMs, group, logLevel, logFile } = options;
  const shared = new SharedArrayBuffer(8);
  const settings = { deadlockTimeoutMs, slowRequestMs, group, logLevel, logFile };
  const data: WatchdogData = { ...settings, shared, parent: process.ppid };
  const thread = new Worker(watchdogProgram, {
    workerData: data,
    execArgv: [],
    stdout: true, // nothing is printed there, and to join the streams takes time
    stderr: true,
    resourceLimits: { maxOldGenerationSizeMb: 128, maxYoungGenerationSizeMb: 4, stackSizeMb: 1 },
  });
  thread.unref();
  thread.on("error", () => {}); // the process goes on without it
  const fields = new Int32Array(shared);
  return () => {
    Atomics.store(fields, debuggerIndex, debuggerUrl() === undefined ? 0 : 1);
    Atomics.add(fields, beatIndex, 1);
  };
}
