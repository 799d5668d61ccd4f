import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { bucketCount, bucketOf, lowerBoundMs } from "../../../src/metrics/buckets.ts";
import { noQuantiles } from "../../../src/metrics/figures.ts";
import { Histogram } from "../../../src/metrics/histogram.ts";

/** Whole microseconds, small and large alike. */
const durations = fc
  .tuple(fc.integer({ min: 0, max: 9 }), fc.double({ min: 1, max: 10, noNaN: true }))
  .map(([decade, digits]) => Math.ceil(digits * 10 ** decade) / 1000);

function of(values: readonly number[]): Histogram {
  const histogram = new Histogram();
  for (const value of values) histogram.record(value);
  return histogram;
}

describe("the buckets", () => {
  test("follow each other without a gap, and get wider", () => {
    for (let bucket = 0; bucket < bucketCount; bucket += 1) {
      expect(lowerBoundMs(bucket + 1)).toBeGreaterThan(lowerBoundMs(bucket));
    }
  });

  test("hold what is longer than their lower bound and no longer than their upper one", () => {
    for (let bucket = 0; bucket < bucketCount - 1; bucket += 1) {
      const upperMicros = Math.round(lowerBoundMs(bucket + 1) * 1000);
      expect(bucketOf(upperMicros / 1000), `${upperMicros} us`).toBe(bucket);
      expect(bucketOf((upperMicros + 0.5) / 1000), `over ${upperMicros} us`).toBe(bucket + 1);
    }
  });

  test.each([
    [0, 0],
    [-1, 0],
    [Number.NaN, 0],
    [1e12, bucketCount - 1],
    [Infinity, bucketCount - 1],
  ])("take %s ms too", (ms, bucket) => {
    expect(bucketOf(ms)).toBe(bucket);
  });

  test("have a middle that is off by 5 % at most, or by a microsecond", () => {
    fc.assert(
      fc.property(durations, (ms) => {
        const bucket = bucketOf(ms);
        const middle = (lowerBoundMs(bucket) + lowerBoundMs(bucket + 1)) / 2;
        expect(Math.abs(middle - ms)).toBeLessThanOrEqual(Math.max(0.001, ms * 0.05 + 1e-9));
      }),
      { numRuns: 2000 },
    );
  });
});

describe("the quantiles", () => {
  test("are those of the durations, to 5 %", () => {
    fc.assert(
      fc.property(fc.array(durations, { minLength: 1, maxLength: 300 }), (values) => {
        const sorted = [...values].sort((a, b) => a - b);
        const exact = (share: number): number => sorted[Math.ceil(share * sorted.length) - 1] ?? 0;
        const { count, p50, p95, p99, max } = of(values).quantiles();
        expect([count, max]).toEqual([values.length, sorted.at(-1)]);
        for (const [found, share] of [
          [p50, 0.5],
          [p95, 0.95],
          [p99, 0.99],
        ] as const) {
          expect(Math.abs(found - exact(share))).toBeLessThanOrEqual(Math.max(0.0015, exact(share) * 0.0501 + 0.0005));
        }
      }),
      { numRuns: 500 },
    );
  });

  test("of several processes together are those of all durations in one", () => {
    fc.assert(
      fc.property(fc.array(fc.array(durations, { maxLength: 50 }), { maxLength: 8 }), (processes) => {
        const merged = new Histogram();
        for (const values of processes) merged.add(of(values).counts());
        const whole = of(processes.flat());
        expect(merged.quantiles()).toEqual(whole.quantiles());
        expect(merged.sumMs).toBeCloseTo(whole.sumMs, 3);
      }),
    );
  });

  test("of nothing are 0", () => {
    expect(new Histogram().quantiles()).toEqual(noQuantiles);
  });

  test("are never beyond the longest", () => {
    expect(of([1.01]).quantiles()).toMatchObject({ p50: 1.01, p99: 1.01, max: 1.01 });
  });
});

test("counts up to a bound are exact, the bound included", () => {
  const values = [0.4, 0.5, 0.501, 1, 1.001, 5, 5.001, 30_000, 30_001];
  const histogram = of(values);
  for (const bound of [0.5, 1, 2, 5, 10, 30_000, 60_000]) {
    expect(histogram.countUpTo(bound), `${bound} ms`).toBe(values.filter((value) => value <= bound).length);
  }
});

test("counts of buckets that are not there are left out", () => {
  const histogram = of([1]);
  histogram.add({ buckets: Float64Array.of(bucketCount, 5, 4_294_967_295, 1, 3), sumMs: 0, maxMs: 0 });
  expect(histogram.count).toBe(1);
});

test("counts are no smaller for being many", () => {
  const histogram = new Histogram();
  for (let turn = 0; turn < 3; turn += 1) {
    histogram.add({ buckets: Float64Array.of(5, 2 ** 32 - 1), sumMs: 0, maxMs: 0 });
  }
  const sum = new Histogram();
  sum.add(histogram.counts());
  expect(sum.count).toBe(3 * (2 ** 32 - 1));
});

test("what was cleared begins anew", () => {
  const histogram = of([1, 2, 3]);
  histogram.clear();
  histogram.record(7);
  expect(histogram.quantiles()).toMatchObject({ count: 1, max: 7 });
  expect(histogram.sumMs).toBe(7);
});
