// The watchdog of a worker: a thread that sees when the event loop beside it no longer turns.
// Rules: it says where the loop hangs, once per hang, shortly before the supervisor's patience ends; when the supervisor
// is gone, nobody else would end a blocked process, so it does. Time in which this thread did not run either, as in a
// stopped process or a suspended machine, does not count.

import { Session } from "node:inspector";
import { isMainThread, parentPort, Worker, workerData } from "node:worker_threads";
import type { LogLevel } from "../log.ts";
import { createLog, servingBase } from "../log.ts";
import { originalPosition } from "./source-position.ts";

interface WatchdogData {
  readonly beat: SharedArrayBuffer;
  readonly captureMs: number;
  readonly orphanMs: number;
  readonly parent: number;
  readonly logLevel: LogLevel;
  readonly logFile: string | undefined;
}

const checkMs = 250;
const maxFrames = 20;

/** Starts the thread. The function that it gives has to be called whenever the event loop turns. */
export function startWatchdog(options: {
  readonly deadlockTimeoutMs: number;
  readonly logLevel: LogLevel;
  readonly logFile: string | undefined;
}): () => void {
  const { deadlockTimeoutMs, logLevel, logFile } = options;
  const beat = new SharedArrayBuffer(4);
  const data: WatchdogData = {
    beat,
    captureMs: deadlockTimeoutMs === 0 ? 0 : Math.max(deadlockTimeoutMs / 2, deadlockTimeoutMs - 1000),
    orphanMs: deadlockTimeoutMs === 0 ? defaultOrphanMs : deadlockTimeoutMs,
    parent: process.ppid,
    logLevel,
    logFile,
  };
  const thread = new Worker(new URL(import.meta.url), {
    workerData: data,
    execArgv: [],
    resourceLimits: { maxOldGenerationSizeMb: 32, maxYoungGenerationSizeMb: 4, stackSizeMb: 1 },
  });
  thread.unref();
  thread.on("error", () => {}); // the process goes on without it
  const counter = new Int32Array(beat);
  return () => Atomics.add(counter, 0, 1);
}

/** For a blocked process without a supervisor where no deadlock timeout is set, ms. */
const defaultOrphanMs = 30_000;

interface Frame {
  readonly functionName: string;
  readonly url: string;
  readonly location: {
    readonly scriptId: string;
    readonly lineNumber: number;
    readonly columnNumber?: number | undefined;
  };
}

/** Stops the main thread for a moment and gives its stack, innermost call first. */
function captureStack(then: (stack: readonly string[]) => void): void {
  const session = new Session();
  session.connectToMainThread();
  const urls = new Map<string, string>();
  session.on("Debugger.scriptParsed", ({ params }) => urls.set(params.scriptId, params.url));
  session.on("Debugger.paused", ({ params }) => {
    const frames: readonly Frame[] = params.callFrames.slice(0, maxFrames);
    const lines = frames.map(({ functionName, url, location }) => {
      const file = url === "" ? (urls.get(location.scriptId) ?? "") : url;
      const place = originalPosition(file, location.lineNumber + 1, (location.columnNumber ?? 0) + 1);
      return `${functionName === "" ? "(anonymous)" : functionName} (${place})`;
    });
    session.post("Debugger.resume");
    session.post("Debugger.disable");
    session.disconnect();
    then(lines);
  });
  session.post("Debugger.enable");
  session.post("Debugger.pause");
}

function watch(data: WatchdogData): void {
  const log = createLog({ level: data.logLevel, isPretty: false, file: data.logFile, base: servingBase() });
  const tell = (fields: object, message: string): void => {
    try {
      log.reopen(); // it may have been moved away since the last line
    } catch {
      // The line goes to the file that is open, or to stderr.
    }
    log.error(fields, message);
  };
  const counter = new Int32Array(data.beat);
  let last = -1;
  let since = performance.now();
  let lastCheck = since;
  let isCaptured = false;
  setInterval(() => {
    const now = performance.now();
    const value = Atomics.load(counter, 0);
    if (value !== last || now - lastCheck > 4 * checkMs) {
      last = value;
      since = now;
      isCaptured = false;
    }
    lastCheck = now;
    const blockedMs = Math.round(now - since);
    if (data.captureMs > 0 && blockedMs >= data.captureMs && !isCaptured) {
      isCaptured = true;
      captureStack((stack) => tell({ code: "TSGI2102", blockedMs, stack }, "the event loop is blocked"));
    }
    if (blockedMs >= data.orphanMs && process.ppid !== data.parent) {
      tell({ code: "TSGI3217", blockedMs }, "blocked, and the supervisor is gone: this worker ends itself");
      process.kill(process.pid, "SIGKILL");
    }
  }, checkMs);
}

if (!isMainThread && parentPort !== null) {
  // eslint-disable-next-line typescript/no-unsafe-type-assertion -- startWatchdog above made it
  watch(workerData as WatchdogData);
}
