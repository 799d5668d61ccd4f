// The program of a worker's watchdog: a thread that sees when the event loop beside it no longer turns.
// Rules: it tells the supervisor where the loop hangs, and the log which slow requests it keeps waiting; it says so once more
// shortly before the supervisor's patience ends; when the supervisor is gone, nobody else would end a blocked process, so it does.
// Time in which this thread did not run either, as in a stopped process or a suspended machine, does not count.

import { writeSync } from "node:fs";
import { workerData } from "node:worker_threads";
import type { ProcessLog } from "../log.ts";
import { createLog, servingBase } from "../log.ts";
import { lookAtMainThread } from "./blocked-thread.ts";
import type { StuckReport } from "./stuck.ts";
import { stuckFd } from "./stuck.ts";
import type { WatchdogData } from "./watchdog.ts";
import { beatIndex, debuggerIndex } from "./watchdog.ts";

const checkMs = 250;
/** How long a loop is blocked when it is looked at, ms: as long as a slow request takes, within these bounds. */
const leastStuckMs = 500;
const mostStuckMs = 1000;
/** How far apart looks at one loop are that go on being blocked, ms. */
const lookAgainMs = 5000;
/** For a blocked process without a supervisor where no deadlock timeout is set, ms. */
const defaultOrphanMs = 30_000;
const noJavaScript = ["(no JavaScript: a synchronous call of Node's)"];

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
class Watch {
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

// eslint-disable-next-line typescript/no-unsafe-type-assertion -- ./watchdog.ts made it
setInterval(new Watch(workerData as WatchdogData).check, checkMs);
