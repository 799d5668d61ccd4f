import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { Deadlines } from "../../../src/server/deadlines.ts";

beforeEach(() => {
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout", "performance"] });
});

afterEach(() => {
  vi.useRealTimers();
});

interface Item {
  readonly name: string;
}

/** What became due, as "name after ms". */
function start(timeoutMs: number): { readonly deadlines: Deadlines<Item>; readonly due: string[] } {
  const due: string[] = [];
  const deadlines = new Deadlines<Item>(timeoutMs, ({ name }, elapsedMs) => due.push(`${name} ${elapsedMs}`));
  return { deadlines, due };
}

const item = (name: string): Item => ({ name });

test("each is due when its own time is over, in the order in which they came", () => {
  const { deadlines, due } = start(100);
  deadlines.add(item("a"), performance.now());
  vi.advanceTimersByTime(30);
  deadlines.add(item("b"), performance.now());
  deadlines.add(item("c"), performance.now());
  vi.advanceTimersByTime(69);
  expect(due).toEqual([]);
  vi.advanceTimersByTime(1);
  expect(due).toEqual(["a 100"]);
  vi.advanceTimersByTime(30);
  expect(due).toEqual(["a 100", "b 100", "c 100"]);
  expect(deadlines.size).toBe(0);
});

test("one that leaves is never due, and those behind it are, at their time", () => {
  const { deadlines, due } = start(100);
  const [first, second] = [item("a"), item("b")];
  deadlines.add(first, performance.now());
  vi.advanceTimersByTime(50);
  deadlines.add(second, performance.now());
  expect([deadlines.remove(first), deadlines.remove(first)]).toEqual([true, false]);
  vi.advanceTimersByTime(99);
  expect(due).toEqual([]);
  vi.advanceTimersByTime(1);
  expect(due).toEqual(["b 100"]);
});

test("one that began before those that were there is due before them", () => {
  const { deadlines, due } = start(100);
  vi.advanceTimersByTime(1000);
  const now = performance.now();
  for (const [name, agoMs] of [
    ["a", 0],
    ["b", 60],
    ["c", 30],
    ["d", 99],
  ] as const)
    deadlines.add(item(name), now - agoMs);
  vi.advanceTimersByTime(1);
  expect(due).toEqual(["d 100"]);
  deadlines.add(item("e"), performance.now());
  vi.advanceTimersByTime(1000);
  expect(due).toEqual(["d 100", "b 100", "c 100", "a 100", "e 100"]);
  expect([deadlines.size, vi.getTimerCount()]).toEqual([0, 0]);
});

test("the first is the one that came first", () => {
  const { deadlines } = start(100);
  const [first, second] = [item("a"), item("b")];
  expect(deadlines.first).toBeUndefined();
  deadlines.add(first, performance.now());
  deadlines.add(second, performance.now());
  expect([deadlines.first, deadlines.has(first), deadlines.size]).toEqual([first, true, 2]);
  deadlines.remove(first);
  expect([deadlines.first, deadlines.has(first), deadlines.size]).toEqual([second, false, 1]);
});

describe("timers", () => {
  test("there is one for any number, and none when nothing waits", () => {
    const { deadlines } = start(100);
    expect(vi.getTimerCount()).toBe(0);
    for (let count = 0; count < 1000; count += 1) deadlines.add(item(String(count)), performance.now());
    expect(vi.getTimerCount()).toBe(1);
    vi.advanceTimersByTime(100);
    expect([vi.getTimerCount(), deadlines.size]).toEqual([0, 0]);
  });

  test("coming and going makes no timer each", () => {
    const { deadlines, due } = start(100);
    const made = vi.spyOn(globalThis, "setTimeout");
    for (let count = 0; count < 1000; count += 1) {
      const passing = item("x");
      deadlines.add(passing, performance.now());
      deadlines.remove(passing);
      vi.advanceTimersByTime(1);
    }
    expect(made.mock.calls.length).toBeLessThan(20);
    expect(due).toEqual([]);
  });

  test("there is still one when an item is added from within onDue", () => {
    const due: string[] = [];
    const deadlines: Deadlines<Item> = new Deadlines<Item>(100, ({ name }) => {
      due.push(name);
      if (name.length < 3) deadlines.add(item(`${name}x`), performance.now());
    });
    deadlines.add(item("a"), performance.now());
    vi.advanceTimersByTime(50);
    deadlines.add(item("b"), performance.now());
    vi.advanceTimersByTime(50);
    expect([due, vi.getTimerCount()]).toEqual([["a"], 1]);
    vi.advanceTimersByTime(300);
    expect([due, vi.getTimerCount()]).toEqual([["a", "b", "ax", "bx", "axx", "bxx"], 0]);
  });

  test("one that rings late tells how late, and one for longer than Node's timers last does not ring early", () => {
    const late = start(100);
    late.deadlines.add(item("a"), performance.now() - 500);
    vi.advanceTimersByTime(1);
    expect(late.due).toEqual(["a 501"]);
    const month = 31 * 24 * 3_600_000;
    const long = start(month);
    long.deadlines.add(item("a"), performance.now());
    vi.advanceTimersByTime(month - 1);
    expect(long.due).toEqual([]);
    vi.advanceTimersByTime(1);
    expect(long.due).toEqual([`a ${month}`]);
  });
});

test("never keeps the process alive", () => {
  vi.useRealTimers();
  const { deadlines } = start(60_000);
  const before = process.getActiveResourcesInfo().filter((name) => name === "Timeout").length;
  deadlines.add(item("a"), performance.now());
  expect(process.getActiveResourcesInfo().filter((name) => name === "Timeout")).toHaveLength(before);
});
