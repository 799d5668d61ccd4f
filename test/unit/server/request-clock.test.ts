import { afterEach, beforeEach, expect, test, vi } from "vitest";
import type { RequestTimeoutError } from "../../../src/errors.ts";
import type { Expirable } from "../../../src/server/request-clock.ts";
import { RequestClock } from "../../../src/server/request-clock.ts";

beforeEach(() => {
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout", "performance"] });
});

afterEach(() => {
  vi.useRealTimers();
});

interface Request extends Expirable {
  readonly reasons: RequestTimeoutError[];
}

function request(): Request {
  const reasons: RequestTimeoutError[] = [];
  return { reasons, expire: (reason) => reasons.push(reason) };
}

test("a request that goes on for too long is given up, once, with an error that says so", () => {
  const clock = new RequestClock(200);
  const slow = request();
  clock.watch(slow, performance.now());
  vi.advanceTimersByTime(199);
  expect([slow.reasons.length, clock.timedOut]).toEqual([0, 0]);
  vi.advanceTimersByTime(1000);
  expect(slow.reasons).toMatchObject([{ code: "TSGI2003", status: 504, fault: "application", elapsedMs: 200 }]);
  expect(slow.reasons[0]?.message).toContain("200 ms");
  expect(clock.timedOut).toBe(1);
});

test("a request that ends is not", () => {
  const clock = new RequestClock(200);
  const [quick, slow] = [request(), request()];
  clock.watch(quick, performance.now());
  clock.watch(slow, performance.now());
  vi.advanceTimersByTime(150);
  clock.forget(quick);
  clock.forget(quick);
  vi.advanceTimersByTime(150);
  expect([quick.reasons.length, slow.reasons.length, clock.timedOut]).toEqual([0, 1, 1]);
});

test("a request that ends another one, when it is given up, harms nobody", () => {
  const clock = new RequestClock(200);
  const last = request();
  const first: Expirable = { expire: () => clock.forget(last) };
  clock.watch(first, performance.now());
  clock.watch(last, performance.now());
  vi.advanceTimersByTime(1000);
  expect([last.reasons.length, clock.timedOut]).toEqual([0, 1]);
});
