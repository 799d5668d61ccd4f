// Reload storms: signals faster than anything can boot, while serving, starting and stopping. One end state, no request
// fails, and the supervisor is the same process throughout.
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, expect, test } from "vitest";
import { Gate } from "../../harness/held.ts";
import { Supervised } from "../../harness/supervised.ts";
import { until } from "../../harness/until.ts";
import { versionedApp } from "../../harness/versioned-app.ts";
import { Workspace } from "../../harness/workspace.ts";

let workspace: Workspace;

beforeAll(async () => {
  workspace = await Workspace.open();
}, 60_000);

afterAll(() => workspace.close(), 60_000);

/** 25 signals, 0 to 24 ms apart: the storm that PHP-FPM is tested with. */
async function storm(supervised: Supervised): Promise<void> {
  for (let gapMs = 0; gapMs < 25; gapMs += 1) {
    supervised.program.signal("SIGHUP");
    await sleep(gapMs);
  }
}

for (const hasReuse of [true, false]) {
  test(`25 reload signals 0 to 24 ms apart under load fail no request, connections ${hasReuse ? "kept" : "closed"}`, async () => {
    const app = await versionedApp(workspace, `storm-${hasReuse}`);
    const supervised = await Supervised.start(workspace, { app: app.file, hasReuse });
    const load = supervised.load({ pauseMs: 1 });
    await load.more(100);
    await app.write("2");
    let mostGenerations = 0;
    const over = new AbortController();
    const watching = (async () => {
      while (!over.signal.aborted) {
        const { workers } = await supervised.status();
        mostGenerations = Math.max(mostGenerations, new Set(workers.map(({ generation }) => generation)).size);
        await sleep(20);
      }
    })();
    await storm(supervised);
    // The last signal counts too: whatever came after the files were written, the new version serves at the end.
    await until("the new version", async () => (await supervised.text("/version")) === "2", 30_000);
    const [first] = await supervised.serving();
    over.abort();
    await watching;
    await load.more(100);
    expect((await load.stop()).failed, load.describe()).toBe(0);
    const group = await supervised.group();
    expect(new Set(group.workers.map(({ generation }) => generation)).size).toBe(1);
    expect(group.generation).toBe(first?.generation);
    expect(group.reloads.failed).toBe(0);
    expect(group.reloads.done).toBeGreaterThan(0);
    // A reload that is overtaken by the next one may still be draining or booting: not a crowd of them.
    expect(mostGenerations).toBeLessThanOrEqual(3);
  }, 60_000);
}

test("a storm while the first workers boot ends in a daemon that serves", async () => {
  const app = await versionedApp(workspace, "starting");
  const gate = `${workspace.dir}/gates/starting`;
  await app.writeBroken(
    `console.log("app: loading"); while (!existsSync(${JSON.stringify(gate)})) await new Promise((resolve) => setTimeout(resolve, 10));`,
  );
  const supervised = await Supervised.spawn(workspace, { app: app.file });
  await supervised.logged(/app: loading/u);
  await storm(supervised);
  await workspace.write("gates/starting", "");
  await supervised.announced();
  await supervised.startApache();
  const load = supervised.load({ requests: 200 });
  expect((await load.finished()).failed, load.describe()).toBe(0);
  await supervised.serving();
}, 60_000);

test("a storm during the stop does not keep the daemon, and what runs still ends", async () => {
  const supervised = await Supervised.start(workspace, { app: workspace.app("supervised.ts") });
  const gate = new Gate(supervised);
  const waiting = supervised.request(`/file?${gate.path}`);
  await supervised.logged(/app: waiting in/u);
  supervised.program.signal("SIGTERM");
  await storm(supervised);
  await gate.open();
  expect((await waiting).body.toString()).toMatch(/^the file is there \d+$/u);
  expect(await supervised.stop()).toEqual({ code: 0, signal: null });
}, 60_000);

test("stop in the middle of a reload ends with nothing left", async () => {
  const app = await versionedApp(workspace, "stopping");
  const supervised = await Supervised.start(workspace, { app: app.file });
  await app.writeBroken("await new Promise((resolve) => setTimeout(resolve, 60_000));");
  supervised.program.signal("SIGHUP");
  await until("the new generation to boot", async () =>
    (await supervised.status()).workers.some(({ state }) => state === "booting"),
  );
  expect(await supervised.stop()).toEqual({ code: 0, signal: null });
}, 60_000);
