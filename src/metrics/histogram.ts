// Durations, counted in buckets: quantiles of one process, and of many when their counts are added.
// Rules: to record allocates nothing; a sum of counts gives the quantiles that one histogram of all durations would give.

import { bucketCount, bucketOf, lowerBoundMs } from "./buckets.ts";
import type { Quantiles } from "./figures.ts";
import { noQuantiles } from "./figures.ts";

/** Counts on their way to another histogram. */
export interface HistogramCounts {
  /** Pairs of a bucket and how many are in it. */
  readonly buckets: Float64Array;
  readonly sumMs: number;
  readonly maxMs: number;
}

/** Microseconds are all that was measured. */
function rounded(ms: number): number {
  return Math.round(ms * 1000) / 1000;
}

export class Histogram {
  readonly #counts = new Float64Array(bucketCount);
  #count = 0;
  #sumMs = 0;
  #maxMs = 0;

  get count(): number {
    return this.#count;
  }

  get sumMs(): number {
    return this.#sumMs;
  }

  record(ms: number): void {
    const bucket = bucketOf(ms);
    this.#counts[bucket] = (this.#counts[bucket] ?? 0) + 1;
    this.#count += 1;
    this.#sumMs += ms;
    if (ms > this.#maxMs) this.#maxMs = ms;
  }

  /** Buckets that are not ours are left out. */
  add({ buckets, sumMs, maxMs }: HistogramCounts): void {
    for (let index = 0; index + 1 < buckets.length; index += 2) {
      const bucket = buckets[index] ?? bucketCount;
      const more = buckets[index + 1] ?? 0;
      if (bucket >= bucketCount) continue;
      this.#counts[bucket] = (this.#counts[bucket] ?? 0) + more;
      this.#count += more;
    }
    this.#sumMs += sumMs;
    this.#maxMs = Math.max(this.#maxMs, maxMs);
  }

  /** What is in it, to be added to another one. */
  counts(): HistogramCounts {
    const used: number[] = [];
    if (this.#count > 0) {
      this.#counts.forEach((count, bucket) => {
        if (count > 0) used.push(bucket, count);
      });
    }
    return { buckets: Float64Array.from(used), sumMs: this.#sumMs, maxMs: this.#maxMs };
  }

  clear(): void {
    if (this.#count === 0) return;
    this.#counts.fill(0);
    this.#count = 0;
    this.#sumMs = 0;
    this.#maxMs = 0;
  }

  /** How many were no longer than `ms`, which is exact where that is a bound of a bucket. */
  countUpTo(ms: number): number {
    const last = bucketOf(ms);
    let count = 0;
    for (let bucket = 0; bucket <= last; bucket += 1) count += this.#counts[bucket] ?? 0;
    return count;
  }

  quantiles(): Quantiles {
    if (this.#count === 0) return noQuantiles;
    const [p50 = 0, p95 = 0, p99 = 0] = [0.5, 0.95, 0.99].map((share) => this.#quantile(share));
    return { count: this.#count, p50, p95, p99, max: rounded(this.#maxMs) };
  }

  #quantile(share: number): number {
    let left = Math.ceil(share * this.#count);
    const bucket = this.#counts.findIndex((count) => (left -= count) <= 0);
    if (bucket === 0) return 0; // most of these are exactly 0, such as the wait of a request that need not wait
    return rounded(Math.min((lowerBoundMs(bucket) + lowerBoundMs(bucket + 1)) / 2, this.#maxMs));
  }
}
