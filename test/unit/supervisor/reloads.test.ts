// Which generation is wanted, and who waits for it.
import { expect, test } from "vitest";
import type { ReloadOutcome } from "../../../src/supervisor/control.ts";
import { Reloads } from "../../../src/supervisor/reloads.ts";

/** What is known of them, in one piece. */
function known(reloads: Reloads): object {
  const { wanted, established, isUnderWay, counts } = reloads;
  return { wanted, established, isUnderWay, ...counts };
}

interface Audience {
  readonly ask: (name: string) => void;
  readonly told: () => Promise<[string, ReloadOutcome][]>;
}

/** The outcomes that were told, in their order. */
function listen(reloads: Reloads): Audience {
  const told: [string, ReloadOutcome][] = [];
  return {
    ask: (name) => void reloads.ask().then((outcome) => told.push([name, outcome])),
    told: async () => {
      await Promise.resolve(); // lets settled promises tell
      await Promise.resolve();
      return told.splice(0);
    },
  };
}

function served(): Reloads {
  const reloads = new Reloads();
  reloads.establish();
  return reloads;
}

test("the first generation is no reload", () => {
  const reloads = new Reloads();
  expect(known(reloads)).toEqual({ wanted: 1, established: 0, isUnderWay: false, done: 0, failed: 0 });
  expect(reloads.establish()).toBe(false);
  expect(known(reloads)).toEqual({ wanted: 1, established: 1, isUnderWay: false, done: 0, failed: 0 });
});

test("nothing begins that nobody asked for", () => {
  const reloads = served();
  expect(reloads.begin()).toBe(false);
  expect(reloads.wanted).toBe(1);
});

test("a reload asked for before the first generation serves begins after it", async () => {
  const reloads = new Reloads();
  const { ask, told } = listen(reloads);
  ask("a");
  expect(reloads.begin()).toBe(false);
  reloads.establish();
  expect(await told()).toEqual([]);
  expect(reloads.begin()).toBe(true);
  reloads.establish();
  expect(await told()).toEqual([["a", { ok: true, message: "generation 2 serves", generation: 2 }]]);
});

test("everyone who asked before it began is told, once", async () => {
  const reloads = served();
  const { ask, told } = listen(reloads);
  ask("a");
  ask("b");
  expect(reloads.begin()).toBe(true);
  expect(known(reloads)).toEqual({ wanted: 2, established: 1, isUnderWay: true, done: 0, failed: 0 });
  expect(await told()).toEqual([]);
  expect(reloads.establish()).toBe(true);
  expect((await told()).map(([name, { ok }]) => [name, ok])).toEqual([
    ["a", true],
    ["b", true],
  ]);
  expect(known(reloads)).toEqual({ wanted: 2, established: 2, isUnderWay: false, done: 1, failed: 0 });
});

test("whoever asks while one is under way gets the one after it", async () => {
  const reloads = served();
  const { ask, told } = listen(reloads);
  ask("early");
  reloads.begin();
  ask("late");
  expect(reloads.begin()).toBe(false);
  reloads.establish();
  expect((await told()).map(([name, { generation }]) => [name, generation])).toEqual([["early", 2]]);
  expect(reloads.begin()).toBe(true);
  reloads.establish();
  expect((await told()).map(([name, { generation }]) => [name, generation])).toEqual([["late", 3]]);
});

test("when it is given up the old generation is wanted again, and its number is used no more", async () => {
  const reloads = served();
  const { ask, told } = listen(reloads);
  ask("a");
  reloads.begin();
  reloads.abandon("app.ts:3: no such module");
  expect(await told()).toEqual([["a", { ok: false, message: "app.ts:3: no such module", generation: 1 }]]);
  expect(known(reloads)).toEqual({ wanted: 1, established: 1, isUnderWay: false, done: 0, failed: 1 });
  ask("b");
  expect(reloads.begin()).toBe(true);
  expect(reloads.wanted).toBe(3);
  reloads.establish();
  expect(await told()).toEqual([["b", { ok: true, message: "generation 3 serves", generation: 3 }]]);
});

test("whoever asked meanwhile is not told that the one before failed", async () => {
  const reloads = served();
  const { ask, told } = listen(reloads);
  ask("a");
  reloads.begin();
  ask("b");
  reloads.abandon("broken");
  expect((await told()).map(([name]) => name)).toEqual(["a"]);
  expect(reloads.begin()).toBe(true);
});

test("everyone who waits is told of the stop", async () => {
  const reloads = served();
  const { ask, told } = listen(reloads);
  ask("under way");
  reloads.begin();
  ask("next");
  reloads.stop();
  const outcome = { ok: false, message: "the daemon is stopping", generation: 1 };
  expect(await told()).toEqual([
    ["under way", outcome],
    ["next", outcome],
  ]);
  reloads.stop();
  expect(await told()).toEqual([]);
});
