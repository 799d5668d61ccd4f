// The screen of `tsgi status --watch`, as lines.
import { expect, test } from "vitest";
import { drawScreen, sparkline } from "../../../src/cli/watch-screen.ts";
import type { Sample } from "../../../src/supervisor/status-page/history.ts";
import { sampleGroup, sampleStatus, sampleWorker } from "../supervisor/sample-status.ts";

const blocks = { columns: 8, hasBlocks: true };

test("a sparkline rises with its values, and a value that is not known is a blank", () => {
  expect(sparkline([0, 1, 2, 3, 4, 5, 6, 8], blocks)).toBe("▁▂▃▄▅▆▇█");
  expect(sparkline([0, null, 8], blocks)).toBe("▁ █");
  expect(sparkline([0, 4, 8], { columns: 8, hasBlocks: false })).toBe("_=#");
});

test("a sparkline of many values shows the highest of each column, the latest at the end", () => {
  const values = Array.from({ length: 180 }, (_, index) => (index === 179 || index === 90 ? 10 : 0));
  const line = sparkline(values, { columns: 60, hasBlocks: true });
  expect(line).toHaveLength(60);
  expect(line.indexOf("█")).toBe(30);
  expect(line.at(-1)).toBe("█");
});

test.each([
  ["nothing", []],
  ["zeros", [0, 0]],
  ["unknown values", [null, null]],
])("a sparkline of %s is no error", (_, values) => {
  expect(sparkline(values, blocks)).not.toContain("█");
});

const sample: Sample = {
  at: 0,
  rate: 12,
  errorRate: 0,
  shedRate: 0,
  p50: 1,
  p95: 23,
  p99: 40,
  busy: 1,
  waiting: 0,
  rssBytes: 2 ** 27,
  heapBytes: 2 ** 24,
  lagMs: 1,
};
const record = {
  id: "a-1",
  method: "GET",
  path: `/\u001b[31m\u{1f4a9}${"long/".repeat(40)}`,
  script: "/srv/app.ts",
  startedAt: "2026-01-02T03:04:05.000Z",
  elapsedMs: 12_345,
  status: null,
  where: ["spin (/srv/app.ts:4:3)"],
};
const status = sampleStatus([sampleGroup({ workers: [sampleWorker({ silentMs: 5000, running: [record] })] })]);
const samples = Array.from({ length: 180 }, () => sample);

test.each([
  [80, 24],
  [40, 10],
  [200, 60],
  [20, 3],
  [1, 1],
])("fills %d columns and %d rows, and no more", (columns, rows) => {
  const lines = drawScreen({ status, samples, rate: 12.3, message: "" }, { columns, rows, hasBlocks: true });
  expect(lines).toHaveLength(rows);
  expect(lines.filter((line) => line.length > columns)).toEqual([]);
});

test("says what is asked of it, and no control character of a request", () => {
  const terminal = { columns: 80, rows: 40, hasBlocks: true };
  const lines = drawScreen({ status, samples, rate: 12.3, message: "reload: done" }, terminal);
  const text = lines.join("\n");
  expect(text).toMatch(/^rate +12\/s {2}█+$/mu);
  expect(text).toMatch(/^p95 +23ms {2}/mu);
  expect(text).toMatch(/ blocked /u);
  expect(text).toMatch(/^ {2}12\.3s {2}GET \/\?\[31m/mu);
  expect(text).toContain("\n         in spin (/srv/app.ts:4:3)\n");
  expect(lines.at(-1)).toBe("q quit   r reload   reload: done");
  // oxlint-disable-next-line no-control-regex -- that is what must not be there
  expect(text).not.toMatch(/[\u0000-\u0009\u000b-\u001f]/u);
});
