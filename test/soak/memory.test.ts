// Memory, descriptors and threads after 200,000 requests and many reloads are what they were after the first ones.
import { afterAll, beforeAll, expect, test } from "vitest";
import { descriptorsOf, residentBytes } from "../harness/leftovers.ts";
import type { LoadReport } from "../harness/load.ts";
import { Supervised } from "../harness/supervised.ts";
import { until } from "../harness/until.ts";
import { Workspace } from "../harness/workspace.ts";

const mebibyte = 1_048_576;

let workspace: Workspace;

beforeAll(async () => {
  workspace = await Workspace.open();
}, 60_000);

afterAll(() => workspace.close(), 60_000);

/** The least that each process needs within some seconds: what the collector has not come to yet does not count. */
async function leastMemory(supervised: Supervised, pids: readonly number[]): Promise<number[]> {
  const least = pids.map(() => Number.POSITIVE_INFINITY);
  const end = performance.now() + 5000;
  await until("the memory to be looked at", async () => {
    await supervised.text("/collected");
    pids.forEach((pid, index) => (least[index] = Math.min(least[index] ?? 0, residentBytes(pid))));
    return performance.now() > end;
  });
  return least;
}

for (const hasReuse of [true, false]) {
  test(`memory and descriptors are flat over 200,000 requests: connections ${hasReuse ? "kept" : "closed"}`, async () => {
    const supervised = await Supervised.start(workspace, {
      app: workspace.app("supervised.ts"),
      hasReuse,
      args: ["--node-option", "--expose-gc"],
    });
    const mix = [...Array.from({ length: 30 }, () => "small" as const), "echo", "chunked", "large"] as const;
    const run = async (requests: number): Promise<LoadReport> => {
      const load = supervised.load({ clients: 16, requests, mix });
      const report = await load.finished(3_000_000);
      expect(report.failed, load.describe()).toBe(0);
      return report;
    };
    await run(50_000);
    const pids = [supervised.pid, ...supervised.workers()];
    const before = await leastMemory(supervised, pids);
    const descriptors = pids.map(descriptorsOf);
    for (let part = 0; part < 4; part += 1) await run(50_000);
    const after = await leastMemory(supervised, pids);
    expect([supervised.pid, ...supervised.workers()]).toEqual(pids);
    const growth = after.map((bytes, index) => bytes - (before[index] ?? 0));
    process.stdout.write(
      `growth over 200,000 requests: ${growth.map((bytes) => `${(bytes / mebibyte).toFixed(1)} MiB`).join(", ")}\n`,
    );
    for (const bytes of growth) expect(bytes).toBeLessThan(8 * mebibyte);
    await until("the descriptors to be as before", () =>
      pids.every((pid, index) => descriptorsOf(pid) <= (descriptors[index] ?? 0) + 4),
    );
  });
}

test("the supervisor's memory is flat over 300 reloads", async () => {
  const supervised = await Supervised.start(workspace, { app: workspace.app("supervised.ts"), processes: 1 });
  const load = supervised.load({ clients: 4, pauseMs: 5 });
  const cycle = async (count: number): Promise<number> => {
    for (let turn = 0; turn < count; turn += 1) await supervised.reload();
    return residentBytes(supervised.pid);
  };
  await cycle(100);
  const before = await cycle(50);
  const after = await cycle(150);
  expect((await load.stop()).failed, load.describe()).toBe(0);
  process.stdout.write(`the supervisor's growth over 150 reloads: ${((after - before) / mebibyte).toFixed(1)} MiB\n`);
  expect(after - before).toBeLessThan(16 * mebibyte);
}, 3_600_000);
