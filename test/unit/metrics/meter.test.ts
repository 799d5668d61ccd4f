import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import type { MeasuredRequest } from "../../../src/metrics/meter.ts";
import { RequestMeter } from "../../../src/metrics/meter.ts";
import { begun } from "./measured.ts";

beforeEach(() => {
  vi.useFakeTimers({ toFake: ["performance", "Date"] });
});

afterEach(() => {
  vi.useRealTimers();
});

let ids = 0;

function begin(meter: RequestMeter, target = "/"): MeasuredRequest {
  ids += 1;
  const startedMs = performance.now();
  return begun(meter, { id: `r${ids}`, target, startedMs, calledMs: startedMs });
}

function served(meter: RequestMeter, ms: number, target = "/"): void {
  const request = begin(meter, target);
  vi.advanceTimersByTime(ms);
  meter.ended(request, performance.now());
}

describe("requests that run", () => {
  test("are told in the order in which they began, whichever ends first", () => {
    const meter = new RequestMeter();
    const requests = ["/a?secret=1", "/b", "/c", "/d"].map((target) => {
      vi.advanceTimersByTime(10);
      return begin(meter, target);
    });
    const paths = (): string[] => meter.longestRunning().map(({ path }) => path);
    expect(paths()).toEqual(["/a", "/b", "/c", "/d"]);
    expect(meter.longestRunning()[0]).toMatchObject({ elapsedMs: 30, status: null, method: "GET" });
    for (const [index, left] of [
      [1, ["/a", "/c", "/d"]],
      [3, ["/a", "/c"]],
      [0, ["/c"]],
      [2, []],
    ] as const) {
      const request = requests[index];
      if (request !== undefined) meter.ended(request, performance.now());
      expect(paths()).toEqual(left);
    }
    expect(meter.running).toBe(0);
    begin(meter, "/e");
    expect(paths()).toEqual(["/e"]);
  });

  test("are the 10 oldest, with paths that are cut", () => {
    const meter = new RequestMeter();
    for (let index = 0; index < 15; index += 1) begin(meter, `/${index}${"x".repeat(1000)}`);
    const running = meter.longestRunning();
    expect(running.map(({ path }) => Number.parseInt(path.slice(1), 10))).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
    expect(running[0]?.path.length).toBe(256);
    expect(meter.running).toBe(15);
  });
});

describe("the slowest requests", () => {
  test("are the 10 slowest of the last 15 minutes, the slowest first", () => {
    const meter = new RequestMeter();
    for (let index = 1; index <= 30; index += 1) served(meter, index, `/${index}`);
    expect(meter.slowest().map(({ elapsedMs }) => elapsedMs)).toEqual([30, 29, 28, 27, 26, 25, 24, 23, 22, 21]);
    expect(meter.slowest()[0]).toMatchObject({ path: "/30", status: 200, script: "/srv/app.ts" });
  });

  test("of an earlier minute stay until 15 minutes are over", () => {
    const meter = new RequestMeter();
    served(meter, 5000, "/slow");
    vi.advanceTimersByTime(14 * 60_000);
    for (let index = 0; index < 20; index += 1) served(meter, 1, "/fast");
    expect(meter.slowest()[0]?.path).toBe("/slow");
    expect(meter.slowest().length).toBe(10);
    vi.advanceTimersByTime(2 * 60_000);
    expect(meter.slowest().map(({ path }) => path)).toEqual(Array.from({ length: 10 }, () => "/fast"));
    vi.advanceTimersByTime(15 * 60_000);
    expect(meter.slowest()).toEqual([]);
  });
});

test("each who asks gets every request once: the supervisor, an interval, and the whole", () => {
  const meter = new RequestMeter();
  served(meter, 10);
  expect(meter.takeInterval().queueMs.count).toBe(1);
  served(meter, 20);
  expect(meter.take().responses).toEqual([0, 2, 0, 0, 0]);
  served(meter, 30);
  expect(meter.takeInterval().applicationMs).toMatchObject({ count: 2, max: 30 });
  expect(meter.take().responses).toEqual([0, 1, 0, 0, 0]);
  expect(meter.figures().applicationMs).toMatchObject({ count: 3, max: 30 });
  expect(meter.busyMs).toBe(60);
  expect(meter.takeInterval().queueMs.count).toBe(0);
});
