// A worker runs the application, which can send whatever it likes in a report's place.
import * as fc from "fast-check";
import { expect, test } from "vitest";
import { Histogram } from "../../../src/metrics/histogram.ts";
import { readReport } from "../../../src/metrics/report.ts";
import type { FiguresReport } from "../../../src/metrics/report.ts";
import { Tally } from "../../../src/metrics/tally.ts";

function sample(): FiguresReport {
  const tally = new Tally();
  const lag = new Histogram();
  lag.record(3);
  tally.count({ status: 200, failure: "aborted", bytesIn: 1, bytesOut: 2, queuedMs: 3, script: "/srv/a.ts#shop" }, 4.5);
  const startedAt = "2026-01-02T03:04:05.678Z";
  const record = { id: "a1", method: "GET", path: "/", script: "/srv/a.ts", startedAt, elapsedMs: 5.5, status: 200 };
  return {
    type: "figures",
    counts: tally.take(),
    lag: lag.counts(),
    heapUsedBytes: 1e7,
    slowest: [record],
    running: [{ ...record, status: null }],
  };
}

test("a report is read as it was made", () => {
  expect(readReport({ ...sample() })).toStrictEqual(sample());
});

test("whatever else comes is read as a report that can be added, and read again as the same", () => {
  const anything = fc.record(
    {
      counts: fc.oneof(fc.anything(), fc.dictionary(fc.constantFrom(...Object.keys(sample().counts)), fc.anything())),
      lag: fc.oneof(
        fc.anything(),
        fc.record({
          buckets: fc.oneof(
            fc.float64Array(),
            fc.array(fc.nat()).map((list) => Float64Array.from(list)),
          ),
          sumMs: fc.double(),
          maxMs: fc.double(),
        }),
      ),
      heapUsedBytes: fc.anything(),
      slowest: fc.array(fc.anything(), { maxLength: 30 }),
      running: fc.anything(),
    },
    { requiredKeys: [] },
  );
  fc.assert(
    fc.property(anything, (fields) => {
      const report = readReport(fields);
      expect(readReport({ ...report })).toStrictEqual(report);
      const tally = new Tally();
      tally.add(report.counts);
      const lag = new Histogram();
      lag.add(report.lag);
      const { responses, bytesIn } = tally.figures();
      for (const count of [...Object.values(responses), bytesIn, lag.count]) expect(count).toBeGreaterThanOrEqual(0);
      expect(report.slowest.length).toBeLessThanOrEqual(10);
    }),
  );
});

test("texts are cut, and can be written as UTF-8", () => {
  const scripts = [{ script: `\ud800${"x".repeat(5000)}\udfff` }, { script: `${"y".repeat(1023)}😀` }];
  const { counts } = readReport({ counts: { scripts } });
  expect(counts.scripts.map(({ script }) => script.length)).toEqual([1024, 1024]);
  expect(counts.scripts.map(({ script }) => [script[0], script.at(-1)])).toEqual([
    ["\ufffd", "x"],
    ["y", "\ufffd"],
  ]);
});
