// How late the event loop is: a timer that measures by how much it was kept waiting.
// Rule: a loop that is blocked gives one measurement when it is free again, as long as the blocking.

import { Histogram } from "./histogram.ts";

const intervalMs = 50;

/** Begins to measure, for as long as the process lives; the timer does not keep it alive. */
export function measureLag(): Histogram {
  const lag = new Histogram();
  let dueMs = performance.now() + intervalMs;
  setInterval(() => {
    const nowMs = performance.now();
    lag.record(Math.max(0, nowMs - dueMs));
    dueMs = nowMs + intervalMs;
  }, intervalMs).unref();
  return lag;
}
