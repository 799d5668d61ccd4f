import { expect, test } from "vitest";
import { Histogram } from "../../../../src/metrics/histogram.ts";
import type { Reading } from "../../../../src/supervisor/status-page/history.ts";
import { History, sampleMs } from "../../../../src/supervisor/status-page/history.ts";
import { latencyBetween, readingOf } from "../../../../src/supervisor/status-page/reading.ts";
import { sampleStatus } from "../sample-status.ts";

const none = { p50: null, p95: null, p99: null };
const quiet: Reading = {
  served: 0,
  failed: 0,
  shed: 0,
  busy: 0,
  waiting: 0,
  rssBytes: 0,
  heapBytes: 0,
  lagMs: 0,
};

test("counters become rates, of the time that really passed", () => {
  const history = new History({ ...quiet, served: 100 }, 1000);
  history.add({ ...quiet, served: 150, failed: 5, busy: 3 }, none, { nowMs: 6000, at: 1 });
  history.add({ ...quiet, served: 150, failed: 5, shed: 20 }, none, { nowMs: 16_000, at: 2 });
  expect(history.samples).toMatchObject([
    { at: 1, rate: 10, errorRate: 1, shedRate: 0, busy: 3 },
    { at: 2, rate: 0, errorRate: 0, shedRate: 2, busy: 0 },
  ]);
});

test("fifteen minutes are kept, and not more", () => {
  const history = new History(quiet, 0);
  for (let index = 1; index <= 1000; index += 1)
    history.add({ ...quiet, served: index }, none, { nowMs: index * sampleMs, at: index });
  expect(history.samples).toHaveLength((15 * 60_000) / sampleMs);
  expect(history.samples.at(0)?.at).toBe(821);
  expect(history.samples.at(-1)?.at).toBe(1000);
});

test("the latency of an interval is that of its requests alone", () => {
  const all = new Histogram();
  for (let count = 0; count < 1000; count += 1) all.record(1000);
  const before = all.counts();
  expect(latencyBetween(before, before)).toEqual(none);
  for (let count = 0; count < 10; count += 1) all.record(5);
  const { p50, p99 } = latencyBetween(before, all.counts());
  expect(p50).toBeCloseTo(5, 0);
  expect(p99).toBeCloseTo(5, 0);
});

test("a reading adds up the workers", () => {
  const status = sampleStatus();
  const workers = status.workers.length;
  expect(readingOf(status)).toMatchObject({ served: status.served, shed: status.shed, busy: workers * 2 });
  expect(readingOf(status).rssBytes).toBe(workers * 80 * 2 ** 20);
});
