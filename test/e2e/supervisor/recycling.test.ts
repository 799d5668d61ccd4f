// Workers that are replaced because of their age, their count of requests, their memory or their idleness: before they
// leave another one serves, and no request notices.
import { afterAll, beforeAll, expect, test } from "vitest";
import { isRunning } from "../../harness/leftovers.ts";
import { Supervised } from "../../harness/supervised.ts";
import { until } from "../../harness/until.ts";
import { Workspace } from "../../harness/workspace.ts";

let workspace: Workspace;

beforeAll(async () => {
  workspace = await Workspace.open();
}, 60_000);

afterAll(() => workspace.close(), 60_000);

interface Recycling {
  readonly cause: string;
  readonly args: readonly string[];
  /** What is asked beside the load, again and again. */
  readonly target?: string;
  readonly hasReuse?: boolean;
}

const recyclings: readonly Recycling[] = [
  { cause: "maximum-requests", args: ["--maximum-requests", "150"] },
  { cause: "maximum-requests", args: ["--maximum-requests", "150"], hasReuse: false },
  { cause: "restart-interval", args: ["--restart-interval", "1s"] },
  // Workers have 60 to 110 MB when they start.
  { cause: "memory-limit", args: ["--memory-limit", "180m"], target: "/leak?1024" },
];

for (const { cause, args, target, hasReuse = true } of recyclings) {
  test(`${args.join(" ")} under load fails no request, connections ${hasReuse ? "kept" : "closed"}`, async () => {
    const supervised = await Supervised.start(workspace, { app: workspace.app("supervised.ts"), args, hasReuse });
    const load = supervised.load({ clients: 8, pauseMs: 3 });
    const restarts = async (): Promise<number> => (await supervised.status()).restarts[cause] ?? 0;
    let fewest = Number.POSITIVE_INFINITY;
    let mostLeaving = 0;
    let asked = 0;
    await until(
      `four workers to be replaced because of ${cause}`,
      async () => {
        const { workers } = await supervised.status();
        fewest = Math.min(fewest, workers.filter(({ state }) => state === "serving" || state === "retiring").length);
        mostLeaving = Math.max(mostLeaving, workers.filter(({ state }) => state === "retiring").length);
        if (target !== undefined) {
          const reply = await supervised.request(target);
          expect(reply).toMatchObject({ status: 200, complete: true });
          asked += 1;
        }
        return (await restarts()) >= 4;
      },
      60_000,
    );
    await load.more(100);
    const report = await load.stop();
    expect(report.failed, load.describe()).toBe(0);
    expect(report.workers.size).toBeGreaterThan(3);
    expect(fewest, "workers that take requests at any time").toBeGreaterThanOrEqual(2);
    expect(mostLeaving, "workers that leave at a time").toBeLessThanOrEqual(1);
    if (target !== undefined) expect(asked).toBeGreaterThan(100);
    if (cause === "maximum-requests") {
      // With jitter, about as many as asked for: no worker has served far more.
      const [largest = 0] = [...report.workers.values()].sort((a, b) => b - a);
      expect(largest).toBeLessThan(report.total / 3);
    }
    const others = Object.entries((await supervised.status()).restarts).filter(
      ([name, count]) => name !== cause && count > 0,
    );
    expect(others).toEqual([]);
  }, 90_000);
}

test("--inactivity-timeout replaces a worker that had requests and then none; ignored URLs are no activity", async () => {
  const supervised = await Supervised.start(workspace, {
    app: workspace.app("supervised.ts"),
    processes: 1,
    args: ["--inactivity-timeout", "1500ms", "--ignore-activity", "/hel*"],
  });
  const [first] = supervised.workers();
  if (first === undefined) throw new Error("no worker");
  const load = supervised.load({ clients: 4, pauseMs: 20 });
  await load.more(600); // for longer than the limit: a worker that has requests stays
  expect(supervised.workers()).toEqual([first]);
  expect((await load.stop()).failed, load.describe()).toBe(0);
  // Requests that do not count come all the time; it goes nevertheless, and none of them fails.
  await until("the idle worker to be replaced", async () => {
    expect(await supervised.text("/hello")).toBe("hello");
    return !isRunning(first);
  });
  await until(
    "its end to be counted",
    async () => ((await supervised.status()).restarts["inactivity-timeout"] ?? 0) > 0,
  );
  expect(await supervised.text("/hello")).toBe("hello");
}, 60_000);
