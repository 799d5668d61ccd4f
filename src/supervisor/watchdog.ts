// The watchdog of a worker: a thread that sees when the event loop beside it no longer turns.
// Rules: it tells the supervisor where the loop hangs, and the log which slow requests it keeps waiting; it says so once more
// shortly before the supervisor's patience ends; when the supervisor is gone, nobody else would end a blocked process, so it does. Time in which this thread did not run either, as in a
// stopped process or a suspended machine, does not count.

import { writeSync } from "node:fs";
import { url as debuggerUrl } from "node:inspector";
import { isMainThread, parentPort, Worker, workerData } from "node:worker_threads";
import type { LogLevel, ProcessLog } from "../log.ts";
import { createLog, servingBase } from "../log.ts";
import { lookAtMainThread } from "./blocked-thread.ts";
import { watchdogProgram } from "./program-files.ts";
import type { StuckReport } from "./stuck.ts";
import { stuckFd } from "./stuck.ts";

export interface WatchdogOptions {
  readonly deadlockTimeoutMs: number;
  /** 0: no request is slow. */
  readonly slowRequestMs: number;
  readonly group: string;
  readonly logLevel: LogLevel;
  readonly logFile: string | undefined;
}

interface WatchdogData extends WatchdogOptions {
  readonly shared: SharedArrayBuffer;
  readonly parent: number;
}

/** What the two threads share: a number that grows while the event loop turns, and whether a debugger is attached. */
const beatIndex = 0;
const debuggerIndex = 1;

const checkMs = 250;
/** How long a loop is blocked when it is looked at, ms: as long as a slow request takes, within these bounds. */
const leastStuckMs = 500;
const mostStuckMs = 1000;
/** How far apart looks at one loop are that go on being blocked, ms. */
const lookAgainMs = 5000;
/** For a blocked process without a supervisor where no deadlock timeout is set, ms. */
const defaultOrphanMs = 30_000;
const noJavaScript = ["(no JavaScript: a synchronous call of Node's)"];

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

/** Tells the supervisor. A pipe that is full or gone has nobody who reads it. */
function report(requests: StuckReport["requests"], stack: readonly string[]): void {
  const message: StuckReport = { type: "stuck", requests, stack };
  try {
    writeSync(stuckFd, `${JSON.stringify(message)}\n`);
  } catch {
    // The next look is told of again.
  }
}

/** What becomes of one main thread, check by check. */
class Watchdog {
  readonly #data: WatchdogData;
  readonly #log: ProcessLog;
  readonly #fields: Int32Array;
  readonly #stuckMs: number;
  readonly #tellMs: number;
  readonly #orphanMs: number;
  #beat = -1;
  #turnedMs = performance.now();
  #checkedMs = this.#turnedMs;
  #nextLookMs = 0;
  #isLooking = false;
  #isTold = false;

  constructor(data: WatchdogData) {
    const { deadlockTimeoutMs, slowRequestMs, group, logLevel, logFile } = data;
    this.#data = data;
    const base = { ...servingBase(), group };
    this.#log = createLog({ level: logLevel, isPretty: false, file: logFile, base });
    this.#fields = new Int32Array(data.shared);
    this.#stuckMs = Math.max(leastStuckMs, Math.min(slowRequestMs === 0 ? mostStuckMs : slowRequestMs, mostStuckMs));
    this.#tellMs = deadlockTimeoutMs === 0 ? Infinity : Math.max(deadlockTimeoutMs / 2, deadlockTimeoutMs - 1000);
    this.#orphanMs = deadlockTimeoutMs === 0 ? defaultOrphanMs : deadlockTimeoutMs;
  }

  readonly check = (): void => {
    const now = performance.now();
    const beat = Atomics.load(this.#fields, beatIndex);
    if (beat !== this.#beat || now - this.#checkedMs > 4 * checkMs) {
      this.#beat = beat;
      this.#turnedMs = now;
      this.#nextLookMs = now;
      this.#isTold = false;
    }
    this.#checkedMs = now;
    const blockedMs = Math.round(now - this.#turnedMs);
    const mustTell = blockedMs >= this.#tellMs && !this.#isTold;
    if (mustTell || (blockedMs >= this.#stuckMs && now >= this.#nextLookMs)) this.#look(now, blockedMs, mustTell);
    if (blockedMs >= this.#orphanMs && process.ppid !== this.#data.parent) {
      this.#tell({ code: "TSGI3217", blockedMs }, "blocked, and the supervisor is gone: this worker ends itself");
      process.kill(process.pid, "SIGKILL");
    }
  };

  #look(now: number, blockedMs: number, mustTell: boolean): void {
    if (this.#isLooking) return;
    this.#isTold ||= mustTell;
    if (Atomics.load(this.#fields, debuggerIndex) === 1) {
      // Its pauses are not ours to end.
      if (mustTell) this.#tell({ code: "TSGI2102", blockedMs, stack: [] }, "the event loop is blocked");
      return;
    }
    this.#isLooking = true;
    this.#nextLookMs = now + lookAgainMs;
    lookAtMainThread(({ requests, stack: frames }) => {
      this.#isLooking = false;
      const { running, slow, nextMs } = requests;
      const stack = frames.length === 0 ? noJavaScript : frames;
      if (nextMs !== undefined) this.#nextLookMs = Math.min(this.#nextLookMs, performance.now() + nextMs);
      report(running, stack);
      for (const request of slow)
        this.#tell(
          { code: "TSGI2131", ...request, state: "blocked", stack },
          "slow request: the event loop is blocked",
          "warn",
        );
      if (mustTell) this.#tell({ code: "TSGI2102", blockedMs, stack }, "the event loop is blocked");
    });
  }

  #tell(fields: object, message: string, level: "warn" | "error" = "error"): void {
    try {
      this.#log.reopen(); // it may have been moved away since the last line
    } catch {
      // The line goes to the file that is open, or to stderr.
    }
    this.#log[level](fields, message);
  }
}

if (!isMainThread && parentPort !== null) {
  // eslint-disable-next-line typescript/no-unsafe-type-assertion -- startWatchdog above made it
  setInterval(new Watchdog(workerData as WatchdogData).check, checkMs);
}
