import { describe, expect, test } from "vitest";
import type { RequestRecord } from "../../../src/metrics/figures.ts";
import { noFigures } from "../../../src/metrics/figures.ts";
import { drawStatus, formatAge, isStatus, printable } from "../../../src/supervisor/status.ts";
import { sampleGroup, sampleStatus, sampleWorker } from "./sample-status.ts";

const bootError = { message: "Error: boom\n    at /srv/app.ts:3:5", at: "2026-01-02T03:10:00.000Z", generation: 4 };

describe("the totals", () => {
  const other = sampleGroup({
    name: "shop",
    workers: [sampleWorker({ group: "shop", pid: 1 })],
    restarts: { signal: 3, blocked: 1 },
    lastBootError: bootError,
  });
  const status = sampleStatus([
    sampleGroup({ lastBootError: { ...bootError, at: "2026-01-02T03:05:00.000Z" } }),
    other,
  ]);

  test("add up the groups", () => {
    expect(status.workers.map(({ pid }) => pid)).toEqual([4712, 98_765, 1]);
    expect(status.queue).toEqual({ waiting: 8, limit: 400 });
    expect(status).toMatchObject({ served: 24_708, shed: 10, timedOut: 12 });
    expect(status.restarts).toEqual({ signal: 4, "out of memory": 2, blocked: 1 });
  });

  test("have the latest boot error", () => {
    expect(status.lastBootError).toEqual(bootError);
    expect(sampleStatus().lastBootError).toBeNull();
  });

  test("survive JSON as they are", () => {
    expect(JSON.parse(JSON.stringify(status))).toEqual(status);
  });
});

describe("the table", () => {
  test("has a head, a paragraph for each group and a line for each worker", () => {
    expect(drawStatus(sampleStatus())).toBe(
      `tsgi 1.2.3: running, pid ${process.pid}, up 1d1h since 2026-01-02T03:04:05.000Z

group default: serving on unix:/run/tsgi/app.sock, generation 3, queue 4/200, shed 5, restarts 1 signal, 2 out of memory
  served 12354, timed out 6, handed over 8, reloads 2 (1 failed)
    PID  GEN  STATE     BUSY  WAIT  CONN  SERVED  P95  RSS  HEAP  LAG   AGE
   4712    3  serving      2     1     7   12345  0ms  80M   30M  1ms  1h1m
  98765    2  draining     2     1     7       9  0ms  80M   30M  1ms  1h1m
`,
    );
  });

  test("tells of the requests that ended, and of the three slowest", () => {
    const startedAt = "2026-01-02T03:04:05.000Z";
    const slow = (elapsedMs: number): RequestRecord => {
      const path = `/${elapsedMs}\u001b`;
      return { id: "1", method: "GET", script: "/srv/app.ts", status: 200, startedAt, path, elapsedMs };
    };
    const slowest = [61_000, 1234.5, 999.4, 20].map(slow);
    const figures = {
      ...noFigures,
      responses: { ...noFigures.responses, "2xx": 10, "5xx": 2 },
      failed: { ...noFigures.failed, application: 2 },
      bytesIn: 800,
      bytesOut: 5 * 2 ** 20,
      queueMs: { count: 12, p50: 0, p95: 0.0012, p99: 0.25, max: 3 },
      applicationMs: { count: 12, p50: 1.234, p95: 12.34, p99: 123.4, max: 61_000 },
    };
    expect(drawStatus(sampleStatus([sampleGroup({ figures, slowest })]))).toContain(`
  answered 10 2xx, 2 5xx, failed 2 application, in 800, out 5M
  time in application p50 1.23ms, p95 12.3ms, p99 123ms, max 1m1s; queue p99 0.25ms, max 3ms
  slowest of the last 15 minutes:
    1m1s  GET /61000?  200  2026-01-02T03:04:05.000Z
    1.23s  GET /1234.5?  200  2026-01-02T03:04:05.000Z
    999ms  GET /999.4?  200  2026-01-02T03:04:05.000Z
`);
  });

  test("shows the last boot error with its lines", () => {
    const text = drawStatus(sampleStatus([sampleGroup({ lastBootError: bootError, restarts: {} })]));
    expect(text).toContain(", restarts 0\n");
    expect(text).toContain(
      "  last boot error, generation 4 at 2026-01-02T03:10:00.000Z:\n    Error: boom\n        at /srv/app.ts:3:5\n",
    );
  });

  test("lets no control character of an application through", () => {
    const message = "\u001b]0;title\u0007 \u009b31m\r\nfine\tand\u007f";
    const text = drawStatus(sampleStatus([sampleGroup({ lastBootError: { ...bootError, message } })]));
    // oxlint-disable-next-line no-control-regex -- they are what is looked for
    expect(text).not.toMatch(/[\u0000-\u0009\u000b-\u001f\u007f-\u009f]/);
    expect(printable("a\nb\u001b[1m")).toBe("a\nb?[1m");
  });

  test("draws a group without workers", () => {
    expect(drawStatus(sampleStatus([sampleGroup({ workers: [] })]))).toMatch(/AGE\n$/);
  });
});

test.each([
  [0, "0s"],
  [0.9, "0s"],
  [-5, "0s"],
  [59, "59s"],
  [60, "1m"],
  [61, "1m1s"],
  [3600, "1h"],
  [3605, "1h"],
  [7385, "2h3m"],
  [86_400, "1d"],
  [10 * 86_400 + 3600 * 5 + 59, "10d5h"],
])("%d seconds are shown as %s", (seconds, text) => {
  expect(formatAge(seconds)).toBe(text);
});

test("only what can be drawn is taken for a status", () => {
  expect(isStatus(JSON.parse(JSON.stringify(sampleStatus())))).toBe(true);
  const group: Partial<Record<string, unknown>> = { ...sampleGroup() };
  for (const wrong of [null, 1, "x", [], {}, { groups: [] }, { version: "1", groups: {} }])
    expect(isStatus(wrong)).toBe(false);
  for (const part of ["workers", "queue", "reloads", "restarts", "figures", "slowest"]) {
    expect(isStatus({ ...sampleStatus(), groups: [{ ...group, [part]: undefined }] })).toBe(false);
  }
});
