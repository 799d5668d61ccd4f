// Starting the watchdog of a worker (./watchdog-thread.ts), and telling it that the event loop turns.
// Rule: it watches while an application is loaded, unless that is known to load: a thread takes as long to start as a small
// application and its first answer, so then it starts after them.

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

export class Watchdog {
  readonly #options: WatchdogOptions;
  readonly #parent = process.ppid;
  #fields: Int32Array | undefined;

  constructor({ deadlockTimeoutMs, slowRequestMs, group, logLevel, logFile }: WatchdogOptions) {
    this.#options = { deadlockTimeoutMs, slowRequestMs, group, logLevel, logFile };
  }

  /** Starts the thread, once. */
  start(): void {
    if (this.#fields !== undefined) return;
    const shared = new SharedArrayBuffer(8);
    this.#fields = new Int32Array(shared);
    const data: WatchdogData = { ...this.#options, shared, parent: this.#parent };
    const thread = new Worker(watchdogProgram, {
      workerData: data,
      execArgv: [],
      stdout: true, // nothing is printed there, and to join the streams takes time
      stderr: true,
      resourceLimits: { maxOldGenerationSizeMb: 128, maxYoungGenerationSizeMb: 4, stackSizeMb: 1 },
    });
    thread.unref();
    thread.on("error", () => {}); // the process goes on without it
  }

  /** To be called whenever the event loop turns. */
  beat(): void {
    if (this.#fields === undefined) return;
    Atomics.store(this.#fields, debuggerIndex, debuggerUrl() === undefined ? 0 : 1);
    Atomics.add(this.#fields, beatIndex, 1);
  }
}
