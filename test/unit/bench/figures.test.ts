// The benchmark's own arithmetic: a figure that it shows must be the one that was measured, and a wrong answer must show.
import { describe, expect, test } from "vitest";
import { cases } from "../../bench/cases.ts";
import { chart } from "../../bench/chart.ts";
import { goals, judge, type Goal } from "../../bench/goals.ts";
import type { MachineFacts } from "../../bench/machine.ts";
import type { Measured } from "../../bench/measure.ts";
import { peers } from "../../bench/peers.ts";
import { caseResult, lookupIn, type Entry } from "../../bench/results.ts";
import { median, spread } from "../../bench/statistics.ts";
import { figure, report } from "../../bench/table.ts";
import { difference, disqualifications } from "../../bench/verdict.ts";

const machine: MachineFacts = {
  date: "2026-01-02",
  processor: "A & B <fast>",
  processors: 2,
  load: 0.25,
  versions: [{ name: "Apache", version: "2.4.99" }],
};

function measured(...values: readonly number[]): Measured[] {
  return values.map((value) => ({ value, more: { p99Ms: 1000 / value }, reasons: [] }));
}

const hello = cases.find(({ name }) => name === "hello-16")!;

function result(...entries: readonly Entry[]) {
  return caseResult(hello, entries);
}

const ours: Entry = { name: "tsgi", label: "tsgi", measured: measured(900, 1000, 5000) };
const peer: Entry = { name: "floor", label: "the floor", measured: measured(500, 2000, 2100) };
const wrong: Entry = {
  name: "libfcgi",
  label: "the wrong one",
  measured: [...measured(9000), { value: 8000, more: {}, reasons: ["12 answers not 2xx (1.0 %)"] }],
};
const absent: Entry = { name: "php-fpm", label: "the absent one", missing: "php-fpm", measured: [] };

describe("statistics", () => {
  test("the median is the value in the middle, or the mean of the two there", () => {
    expect(median([3, 1, 100])).toBe(3);
    expect(median([4, 1, 100, 2])).toBe(3);
    expect(median([7])).toBe(7);
    expect(() => median([])).toThrow(RangeError);
  });

  test("sorting is by number, not by text", () => {
    expect(median([9, 10, 100])).toBe(10);
  });

  test("a spread has the least, the most and the count", () => {
    expect(spread([5, 1, 9])).toEqual({ median: 5, min: 1, max: 9, count: 3 });
  });
});

describe("disqualification", () => {
  const fine = { requests: 1000, notOk: 0, failed: 0, bytes: 200_000, clients: 16 };

  test("right answers of the right size count, and so do those under way at the end", () => {
    expect(disqualifications(fine, 200)).toEqual([]);
    expect(disqualifications(fine, undefined)).toEqual([]);
    expect(disqualifications({ ...fine, bytes: 200 * 1016 }, 200)).toEqual([]);
  });

  test("one answer that is not 2xx, one broken connection, and no answer at all do not", () => {
    expect(disqualifications({ ...fine, notOk: 1 }, 200)).toEqual(["1 answers not 2xx (0.1 %)"]);
    expect(disqualifications({ ...fine, failed: 2 }, 200)).toEqual(["2 broken or late (0.2 %)"]);
    expect(disqualifications({ ...fine, requests: 0, bytes: 0 }, 200)).toEqual(["no answer"]);
  });

  test("answers of another size do not", () => {
    expect(disqualifications({ ...fine, bytes: 190_000 }, 200)).toEqual(["answers of 190 bytes in place of 200"]);
    expect(disqualifications({ ...fine, bytes: 230_000 }, 200)).toEqual(["answers of 230 bytes in place of 200"]);
  });

  test("a wrong body and a wrong status are told apart", () => {
    const expected = Buffer.from("Hello World!");
    expect(difference({ status: 200, body: Buffer.from("Hello World!") }, expected)).toBeUndefined();
    expect(difference({ status: 503, body: expected }, expected)).toBe("status 503");
    expect(difference({ status: 200, body: Buffer.from("Hello") }, expected)).toBe('wrong body of 5 bytes: "Hello"');
  });
});

describe("results", () => {
  test("ratios are those of the medians to the reference", () => {
    const { peers: found } = result(ours, peer, absent);
    expect(found.map(({ ratio }) => ratio)).toEqual([1, 2, undefined]);
    expect(found[1]?.spread).toEqual({ median: 2000, min: 500, max: 2100, count: 3 });
    expect(found[0]?.more).toEqual({ p99Ms: 1 });
  });

  test("one bad round disqualifies, and both the figure and the reason are shown", () => {
    const one = result(ours, wrong, absent);
    expect(one.peers[1]?.reasons).toEqual(["12 answers not 2xx (1.0 %)"]);
    const text = report({ machine, rounds: 3, cases: [one] }, []);
    expect(text).toMatch(/^the wrong one +8,500 \(!\) +8,000-9,000 +8\.50/mu);
    expect(text).toContain("(!) the wrong one: disqualified: 12 answers not 2xx (1.0 %)");
    expect(text).toContain("the absent one: missing; install php-fpm");
  });

  test("figures have three digits that matter", () => {
    expect([0.1234, 12.34, 123.4, 12_345.6].map(figure)).toEqual(["0.12", "12.3", "123", "12,346"]);
  });
});

describe("goals", () => {
  const goal: Goal = {
    title: "hello : floor",
    ours: { case: "hello-16", peer: "tsgi" },
    theirs: [{ case: "hello-16", peer: "floor" }],
    bound: "at least",
    reach: 0.5,
  };

  test("are reached from the bound on, in its direction", () => {
    const lookup = lookupIn([result(ours, peer)]);
    expect(judge(goal, lookup)).toMatchObject({ reached: 0.5, isReached: true, note: "" });
    expect(judge({ ...goal, reach: 0.51 }, lookup).isReached).toBe(false);
    expect(judge({ ...goal, bound: "at most" }, lookup).isReached).toBe(true);
    expect(judge({ ...goal, bound: "at most", reach: 0.49 }, lookup).isReached).toBe(false);
  });

  test("compare with the best of several, and say who was missing", () => {
    const theirs = ["floor", "libfcgi", "php-fpm"].map((name) => ({ case: "hello-16", peer: name }));
    const outcome = judge({ ...goal, theirs }, lookupIn([result(ours, peer, wrong, absent)]));
    expect(outcome).toMatchObject({ reached: 1000 / 8500, note: "the peer had wrong answers; without php-fpm" });
    const least = judge({ ...goal, bound: "at most", theirs }, lookupIn([result(ours, peer, wrong)]));
    expect(least.reached).toBe(0.5);
  });

  test("are never reached by wrong answers of ours, or without a figure", () => {
    const bad = { ...wrong, name: "tsgi" };
    expect(judge(goal, lookupIn([result(bad, peer)]))).toMatchObject({ isReached: false });
    expect(judge(goal, lookupIn([result(ours, absent)]))).toMatchObject({ reached: undefined, isReached: false });
  });

  test("name cases and peers that there are", () => {
    const names = new Set(peers.map(({ name }) => name));
    for (const one of cases) {
      for (const name of [...one.peers, ...one.quick, one.reference]) expect(names, one.name).toContain(name);
      expect(one.peers, one.name).toEqual(expect.arrayContaining([...one.quick, one.reference]));
    }
    for (const { ours: first, theirs } of goals) {
      for (const figureName of [first, ...theirs]) {
        expect(cases.find(({ name }) => name === figureName.case)?.peers).toContain(figureName.peer);
      }
    }
  });
});

describe("the chart", () => {
  const svg = chart(result(ours, peer, wrong, absent), machine);
  const widthOf = (label: string): number => {
    const row = svg.split("\n").find((line) => line.includes(`>${label}</text>`)) ?? "";
    return Number(/<rect class="\w+" x="\d+" y="\d+" width="([\d.]+)"/u.exec(row)?.[1] ?? Number.NaN);
  };

  test("has bars as long as their figures, the best first", () => {
    expect(widthOf("the floor") / widthOf("tsgi")).toBeCloseTo(2, 1);
    expect(widthOf("the wrong one") / widthOf("tsgi")).toBeCloseTo(8.5, 0);
    const order = ["the wrong one", "the floor", ">tsgi<", "the absent one"].map((label) => svg.indexOf(label));
    expect(order).toEqual(order.toSorted((a, b) => a - b));
    expect(Math.min(...order)).toBeGreaterThan(0);
  });

  test("shows what does not count as hollow, with the reason, and who is missing", () => {
    expect(svg).toContain('class="hollow"');
    expect(svg).toContain("12 answers not 2xx");
    expect(svg).toContain("missing: php-fpm");
  });

  test("says when and where, and is well-formed whatever the names hold", () => {
    expect(svg).toContain("2026-01-02, 2 x A &amp; B &lt;fast&gt;");
    expect(svg).toContain("Apache 2.4.99");
    expect(svg).not.toMatch(/&(?!amp;|lt;|gt;|quot;)/u);
    const open = svg.match(/<(?:svg|text|title|style)\b/gu)?.length;
    expect(svg.match(/<\/(?:svg|text|title|style)>/gu)?.length).toBe(open);
  });
});
