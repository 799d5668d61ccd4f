import { expect, test, vi } from "vitest";
import { Background } from "../../../src/server/background.ts";
import { deadline } from "../../../src/server/deadline.ts";
import { within } from "../../harness/until.ts";
import { turn } from "../gateway/play.ts";
import { watchUncaught } from "../gateway/uncaught.ts";
import { collectLog } from "./collected-log.ts";

test("is idle at once without work, and when the last work has settled", async () => {
  const background = new Background(collectLog());
  expect(await background.idle(0)).toBe(true);
  let finish: () => void = () => {};
  background.add(
    new Promise<void>((resolve) => {
      finish = resolve;
    }),
  );
  const idle = background.idle(60_000);
  finish();
  expect(await within("the work", idle)).toBe(true);
});

test("waits for work that other work has added", async () => {
  const background = new Background(collectLog());
  const done: string[] = [];
  background.add(
    (async () => {
      await turn();
      background.add(
        (async () => {
          await turn();
          done.push("second");
        })(),
      );
      done.push("first");
    })(),
  );
  expect(await within("the work", background.idle(60_000))).toBe(true);
  expect(done).toEqual(["first", "second"]);
});

test("gives up at the deadline, also on work that goes on adding work", async () => {
  const background = new Background(collectLog());
  background.add(new Promise(() => {}));
  expect(await within("the deadline", background.idle(20))).toBe(false);
  const chain = new Background(collectLog());
  let isOver = false;
  const more = (): void => {
    if (!isOver) chain.add(turn().then(more));
  };
  more();
  expect(await within("the deadline", chain.idle(20))).toBe(false);
  isOver = true;
});

test("a closing that never ends is waited for up to 5 s from its beginning, other work until the deadline", async () => {
  vi.useFakeTimers();
  try {
    const background = new Background(collectLog());
    background.addClosing(new Promise(() => {}));
    let settled: boolean | undefined;
    void background.idle(60_000).then((isIdle) => (settled = isIdle));
    await vi.advanceTimersByTimeAsync(4_900);
    expect([settled, background.isIdle]).toEqual([undefined, false]);
    await vi.advanceTimersByTimeAsync(200);
    expect(settled).toBe(true);
    expect(await background.idle(60_000)).toBe(true);
    background.add(new Promise(() => {}));
    void background.idle(60_000).then((isIdle) => (settled = isIdle));
    await vi.advanceTimersByTimeAsync(60_100);
    expect(settled).toBe(false);
  } finally {
    vi.useRealTimers();
  }
});

test("a rejection is logged once and harms nothing", async () => {
  const log = collectLog();
  const background = new Background(log);
  const watch = watchUncaught();
  try {
    background.add(Promise.reject(new Error("on purpose")));
    background.add("no promise" as unknown as Promise<unknown>);
    expect(await background.idle(60_000)).toBe(true);
    await turn();
    expect(watch.errors).toEqual([]);
  } finally {
    watch.stop();
  }
  expect(log.lines).toMatchObject([{ level: "error", fields: { err: { message: "on purpose" } } }]);
});

test("a deadline can be taken back", async () => {
  const before = process.getActiveResourcesInfo().filter((name) => name === "Timeout").length;
  deadline(60_000).cancel();
  expect(process.getActiveResourcesInfo().filter((name) => name === "Timeout")).toHaveLength(before);
  expect(await deadline(1).promise).toBe("expired");
});
