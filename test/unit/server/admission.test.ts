import { afterEach, describe, expect, test, vi } from "vitest";
import type { AdmissionLimits, Waiter } from "../../../src/server/admission.ts";
import { Admission, unlimited } from "../../../src/server/admission.ts";
import { turn } from "../gateway/play.ts";

afterEach(() => {
  vi.useRealTimers();
});

const limits: AdmissionLimits = { maxConcurrency: 2, queueLimit: 3, queueTimeoutMs: 60_000 };

/** Takes all turns. */
function full(given: Partial<AdmissionLimits> = {}): Admission {
  const admission = new Admission({ ...limits, ...given });
  while (admission.enter());
  return admission;
}

/** Waiters that write down what happens to them. */
function waiters(admission: Admission, ...names: string[]): { readonly told: string[]; readonly all: Waiter[] } {
  const told: string[] = [];
  const all = names.map((name): Waiter => {
    const waiter: Waiter = {
      admitted: () => told.push(`${name} admitted`),
      refused: () => told.push(`${name} refused`),
    };
    if (!admission.wait(waiter, performance.now())) told.push(`${name} has no place`);
    return waiter;
  });
  return { told, all };
}

test("without a limit it counts, and nobody waits", () => {
  const admission = new Admission(unlimited);
  for (let count = 0; count < 10_000; count += 1) expect(admission.enter()).toBe(true);
  expect([admission.running, admission.waiting]).toEqual([10_000, 0]);
  admission.leave();
  expect(admission.running).toBe(9999);
});

test("as many enter as the limit says", () => {
  const admission = full();
  expect([admission.running, admission.enter()]).toEqual([2, false]);
  admission.leave();
  expect([admission.enter(), admission.enter()]).toEqual([true, false]);
});

describe("those who wait", () => {
  test("are admitted in the order in which they came, as turns are given back", async () => {
    const admission = full();
    const { told } = waiters(admission, "a", "b", "c");
    expect([admission.waiting, told]).toEqual([3, []]);
    admission.leave();
    await turn();
    expect(told).toEqual(["a admitted"]);
    admission.leave();
    admission.leave();
    await turn();
    expect(told).toEqual(["a admitted", "b admitted", "c admitted"]);
    expect([admission.running, admission.waiting]).toEqual([2, 0]);
  });

  test("are not admitted from within the request that ends", async () => {
    const admission = full();
    const { told } = waiters(admission, "a");
    admission.leave();
    expect(told).toEqual([]);
    await turn();
    expect(told).toEqual(["a admitted"]);
  });

  test("have places of their own: one whose turn was given back holds none", async () => {
    const admission = full();
    const { told } = waiters(admission, "a", "b", "c");
    admission.leave();
    admission.leave();
    const late = waiters(admission, "d", "e", "f");
    expect(late.told).toEqual(["f has no place"]);
    await turn();
    expect(told).toEqual(["a admitted", "b admitted"]);
  });

  test("are passed by nobody", async () => {
    const admission = full();
    const { told } = waiters(admission, "a");
    admission.leave();
    expect(admission.enter()).toBe(false);
    await turn();
    expect(told).toEqual(["a admitted"]);
  });

  test("may be any number that end at once: no turn is lost, and the stack does not grow", async () => {
    const admission = full({ maxConcurrency: 1, queueLimit: 20_000 });
    let deepest = 0;
    let depth = 0;
    let count = 0;
    for (let index = 0; index < 20_000; index += 1) {
      admission.wait(
        {
          admitted() {
            depth += 1;
            deepest = Math.max(deepest, depth);
            count += 1;
            admission.leave();
            depth -= 1;
          },
          refused: () => expect.unreachable(),
        },
        performance.now(),
      );
    }
    admission.leave();
    await turn();
    expect([count, deepest, admission.running, admission.waiting]).toEqual([20_000, 1, 0, 0]);
    expect(admission.enter()).toBe(true);
  });

  test("are no more than the queue holds", () => {
    const admission = full();
    expect(waiters(admission, "a", "b", "c", "d").told).toEqual(["d has no place"]);
    expect(waiters(full({ queueLimit: 0 }), "a").told).toEqual(["a has no place"]);
    expect(waiters(full({ queueTimeoutMs: 0 }), "a").told).toEqual(["a has no place"]);
  });

  test("are refused when they have waited too long, and leave room for others", async () => {
    vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout", "performance"] });
    const admission = full({ queueTimeoutMs: 1000 });
    const { told } = waiters(admission, "a", "b");
    vi.advanceTimersByTime(500);
    const later = waiters(admission, "c", "d");
    expect(later.told).toEqual(["d has no place"]);
    vi.advanceTimersByTime(500);
    expect([told, later.told.length]).toEqual([["a refused", "b refused"], 1]);
    admission.leave();
    await turn();
    expect(later.told).toEqual(["d has no place", "c admitted"]);
    vi.advanceTimersByTime(10_000);
    expect([told.length, later.told.length]).toEqual([2, 2]);
  });

  test("may give up, also when their turn is on its way", async () => {
    const admission = full();
    const { told, all } = waiters(admission, "a", "b");
    const [first, second] = all as [Waiter, Waiter];
    expect([admission.isWaiting(first), admission.isWaiting(second)]).toEqual([true, true]);
    admission.leave();
    admission.cancel(first);
    expect(admission.isWaiting(first)).toBe(false);
    await turn();
    expect(told).toEqual(["b admitted"]);
    admission.leave();
    admission.leave();
    await turn();
    expect([admission.running, admission.waiting]).toEqual([0, 0]);
  });
});
