// The pause between crashes.
import { expect, test } from "vitest";
import { Backoff, healthyMs } from "../../../src/supervisor/backoff.ts";

/** A chance that changes nothing: jitter goes both ways from the middle. */
const middle = 0.5;

test("nothing keeps the first worker waiting", () => {
  const backoff = new Backoff();
  expect([backoff.crashes, backoff.notBeforeMs]).toEqual([0, 0]);
});

test("each crash in a row makes the pause twice as long, up to 30 s", () => {
  const backoff = new Backoff();
  const pauses = Array.from({ length: 12 }, (_, count) => {
    const nowMs = count * 1_000_000;
    backoff.crashed(nowMs, 0, middle);
    return Math.round(backoff.notBeforeMs - nowMs);
  });
  expect(pauses).toEqual([100, 200, 400, 800, 1600, 3200, 6400, 12_800, 25_600, 30_000, 30_000, 30_000]);
  expect(backoff.crashes).toBe(12);
});

test("a thousand crashes are no longer a pause than ten", () => {
  const backoff = new Backoff();
  for (let count = 0; count < 2000; count += 1) backoff.crashed(0, 0, middle);
  expect(backoff.notBeforeMs).toBe(30_000);
});

test.each([
  [0, 80],
  [0.25, 90],
  [0.5, 100],
  [1 - Number.EPSILON, 120],
])("chance %d makes the first pause %d ms", (chance, pauseMs) => {
  const backoff = new Backoff();
  backoff.crashed(5000, 0, chance);
  expect(backoff.notBeforeMs).toBeCloseTo(5000 + pauseMs, 5);
});

test.each([
  [healthyMs - 1, 4],
  [healthyMs, 1],
  [healthyMs * 100, 1],
])("after three crashes, the one of a worker that had served for %d ms is number %d", (servedMs, crashes) => {
  const backoff = new Backoff();
  for (let count = 0; count < 3; count += 1) backoff.crashed(0, 0, middle);
  backoff.crashed(1_000_000, servedMs, middle);
  expect(backoff.crashes).toBe(crashes);
});

test("a later crash never shortens a pause", () => {
  const backoff = new Backoff();
  for (let count = 0; count < 8; count += 1) backoff.crashed(0, 0, middle);
  const before = backoff.notBeforeMs;
  backoff.crashed(1, healthyMs, middle);
  expect([backoff.crashes, backoff.notBeforeMs]).toEqual([1, before]);
});

test("a reason to hope ends the pause and the count", () => {
  const backoff = new Backoff();
  for (let count = 0; count < 5; count += 1) backoff.crashed(1000, 0, middle);
  backoff.reset();
  expect([backoff.crashes, backoff.notBeforeMs]).toEqual([0, 0]);
  backoff.crashed(1000, 0, middle);
  expect([backoff.crashes, backoff.notBeforeMs]).toEqual([1, 1100]);
});
