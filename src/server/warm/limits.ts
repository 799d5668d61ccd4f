// What ends a warm daemon from outside, or should: a blocked event loop, and the time that the host gives a process.
// Rules: RLimitCPU and `ulimit -t` are meant for one request, and a daemon serves many; it makes place in time.

import { readFileSync } from "node:fs";
import { Worker } from "node:worker_threads";

const beatMs = 500;

/** Has the process killed after five minutes in which its event loop was blocked. */
export function startWatchdog(): void {
  const beats = new Int32Array(new SharedArrayBuffer(4));
  const thread = new Worker(new URL("./hung-thread.js", import.meta.url), {
    workerData: beats,
    resourceLimits: { maxOldGenerationSizeMb: 8 },
  });
  thread.on("error", () => {}); // no thread: then nobody looks
  thread.unref();
  setInterval(() => Atomics.add(beats, 0, 1), beatMs).unref();
}

/** Half of the processor time that the host allows, ms: the system kills a process that reaches it. Infinity without a limit. */
export function processorLimitMs(): number {
  try {
    const [, soft, hard] = /^Max cpu time\s+(\S+)\s+(\S+)/m.exec(readFileSync("/proc/self/limits", "latin1")) ?? [];
    const limits = [soft, hard].map(Number).filter((seconds) => Number.isFinite(seconds));
    return Math.min(Infinity, ...limits) * 500;
  } catch {
    return Infinity;
  }
}

/** The processor time that this process has used, ms. */
export function processorMs(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1000;
}
