// How late the event loop is: a timer that measures by how much it was kept waiting.
// Rule: a loop that is blocked gives one measurement when it is free again, as long as the blocking.

import type { Quantiles } from "./figures.ts";
import type { HistogramCounts } from "./histogram.ts";
import { Histogram } from "./histogram.ts";

const intervalMs = 50;

export class LagMeter {
  readonly #fresh = new Histogram();
  readonly #taken = new Histogram();

  /** Measures for as long as the process lives; the timer does not keep it alive. */
  constructor() {
    let dueMs = performance.now() + intervalMs;
    setInterval(() => {
      const nowMs = performance.now();
      this.#fresh.record(Math.max(0, nowMs - dueMs));
      dueMs = nowMs + intervalMs;
    }, intervalMs).unref();
  }

  /** What was measured since the last call. */
  take(): HistogramCounts {
    const counts = this.#fresh.counts();
    this.#fresh.clear();
    this.#taken.add(counts);
    return counts;
  }

  /** Of everything that was measured. */
  quantiles(): Quantiles {
    const all = new Histogram();
    all.add(this.#taken.counts());
    all.add(this.#fresh.counts());
    return all.quantiles();
  }
}
