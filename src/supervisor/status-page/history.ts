// What the charts show: one sample each 5 s of the last 15 minutes.
// Rules: a sample is what happened since the one before; counters that only grow come in, rates go out; as many are kept as
// fit, and the oldest goes first.

/** How far apart samples are, ms. */
export const sampleMs = 5000;
const maxSamples = (15 * 60_000) / sampleMs;

/** What is known at one moment. Counters are since the start. */
export interface Reading {
  readonly served: number;
  /** Answered 5xx by their applications, or broken off. */
  readonly failed: number;
  /** Answered 503 for want of a place. */
  readonly shed: number;
  readonly busy: number;
  readonly waiting: number;
  readonly rssBytes: number;
  readonly heapBytes: number;
  /** Of the worker whose event loop was the latest. */
  readonly lagMs: number;
}

/** Times in the application, ms; null where no request ended. */
export interface Latency {
  readonly p50: number | null;
  readonly p95: number | null;
  readonly p99: number | null;
}

export interface Sample extends Latency {
  /** Its end, ms since 1970. */
  readonly at: number;
  /** Per second. */
  readonly rate: number;
  readonly errorRate: number;
  readonly shedRate: number;
  readonly busy: number;
  readonly waiting: number;
  readonly rssBytes: number;
  readonly heapBytes: number;
  readonly lagMs: number;
}

/** Three digits are as many as a chart shows. */
function rounded(value: number): number {
  return Math.round(value * 1000) / 1000;
}

export class History {
  readonly #samples: Sample[] = [];
  #last: Reading;
  #lastMs: number;

  /** `nowMs` is of a monotonic clock, here and below. */
  constructor(first: Reading, nowMs: number) {
    this.#last = first;
    this.#lastMs = nowMs;
  }

  /** The oldest first. */
  get samples(): readonly Sample[] {
    return this.#samples;
  }

  /** Adds what happened since the last time. `at` is ms since 1970. */
  add(reading: Reading, latency: Latency, { nowMs, at }: { readonly nowMs: number; readonly at: number }): void {
    const seconds = Math.max(0.001, (nowMs - this.#lastMs) / 1000);
    const rate = (counter: "served" | "failed" | "shed"): number =>
      rounded(Math.max(0, reading[counter] - this.#last[counter]) / seconds);
    const { busy, waiting, rssBytes, heapBytes, lagMs } = reading;
    const rates = { rate: rate("served"), errorRate: rate("failed"), shedRate: rate("shed") };
    this.#samples.push({ at, ...rates, ...latency, busy, waiting, rssBytes, heapBytes, lagMs });
    if (this.#samples.length > maxSamples) this.#samples.shift();
    this.#last = reading;
    this.#lastMs = nowMs;
  }
}
