import { expect, test } from "vitest";
import { LineBudget } from "../../../../src/server/slow/line-budget.ts";

test("so many lines in each window, and the next one says how many were left out", () => {
  const budget = new LineBudget(2, 1000);
  expect([10, 11, 12, 13, 1009].map((nowMs) => budget.take(nowMs))).toEqual([0, 0, undefined, undefined, undefined]);
  expect([1010, 1011, 1012].map((nowMs) => budget.take(nowMs))).toEqual([3, 0, undefined]);
  expect(budget.take(99_999)).toBe(1);
});
