// The supervisor itself is killed: its workers leave, none stays behind, and a new one takes over the same socket at once.
import { afterAll, beforeAll, expect, test } from "vitest";
import { Gate } from "../../harness/held.ts";
import { isRunning } from "../../harness/leftovers.ts";
import { Supervised, brokenBackend, type SupervisedOptions } from "../../harness/supervised.ts";
import { until, within } from "../../harness/until.ts";
import { Workspace } from "../../harness/workspace.ts";

let workspace: Workspace;

beforeAll(async () => {
  workspace = await Workspace.open();
}, 60_000);

afterAll(() => workspace.close(), 60_000);

function start(args: readonly string[] = [], options: Partial<SupervisedOptions> = {}): Promise<Supervised> {
  return Supervised.start(workspace, {
    app: workspace.app("supervised.ts"),
    args,
    expectLog: brokenBackend,
    ...options,
  });
}

test("idle workers leave within about a second", async () => {
  const supervised = await start();
  const load = supervised.load({ clients: 4, requests: 50 });
  await load.finished();
  const workers = supervised.workers();
  expect(workers).toHaveLength(2);
  await supervised.kill();
  await until("the workers to leave", () => !workers.some(isRunning), 5000);
}, 60_000);

test("a blocked worker leaves within the heartbeat limit", async () => {
  const supervised = await start(["--deadlock-timeout", "2s"]);
  void supervised.request("/block").catch(() => undefined);
  await supervised.logged(/app: block in \d+/u);
  const workers = supervised.workers();
  await supervised.kill();
  await until("the workers to leave", () => !workers.some(isRunning), 12_000);
}, 60_000);

test("what a worker was doing ends whole before it leaves", async () => {
  const supervised = await start();
  const gate = new Gate(supervised);
  const waiting = supervised.request(`/file?${gate.path}`);
  await supervised.logged(/app: waiting in \d+/u);
  const pid = Number(/app: waiting in (\d+)/u.exec(supervised.log)?.[1]);
  const others = supervised.workers().filter((worker) => worker !== pid);
  await supervised.kill();
  await until("the idle worker to leave", () => !others.some(isRunning), 5000);
  await gate.open();
  const reply = await waiting;
  expect(reply).toMatchObject({ status: 200, complete: true });
  expect(reply.body.toString()).toBe(`the file is there ${pid}`);
  await until("the worker to leave", () => !isRunning(pid), 5000);
}, 60_000);

for (const isTcp of [false, true]) {
  for (const hasReuse of [true, false]) {
    test(`a new supervisor takes over the address at once: ${isTcp ? "TCP" : "unix socket"}, connections ${hasReuse ? "kept" : "closed"}`, async () => {
      const supervised = await start(["--deadlock-timeout", "2s"], { isTcp, hasReuse });
      const load = supervised.load({ clients: 6, isKeptAlive: false, pauseMs: 5 });
      await load.more(100);
      const workers = supervised.workers();
      await supervised.kill();
      // At once: its workers may still be there.
      await supervised.restart();
      await until("the old workers to leave", () => !workers.some(isRunning), 12_000);
      await load.more(100);
      const report = await load.stop();
      for (const outcome of Object.keys(report.outcomes))
        expect(["ok", "503", "broken"], load.describe()).toContain(outcome);
      const after = supervised.load({ clients: 6, requests: 300 });
      expect((await after.finished()).failed, after.describe()).toBe(0);
      await supervised.serving();
    }, 60_000);
  }
}

test("a blocked worker of the dead supervisor is no obstacle to the new one", async () => {
  const supervised = await start(["--deadlock-timeout", "5s"], { hasReuse: false });
  void supervised.request("/block").catch(() => undefined);
  await supervised.logged(/app: block in \d+/u);
  const pid = Number(/app: block in (\d+)/u.exec(supervised.log)?.[1]);
  await supervised.kill();
  await supervised.restart();
  const load = supervised.load({ clients: 6, requests: 200 });
  expect((await load.finished()).failed, load.describe()).toBe(0);
  await until("the blocked worker to leave", () => !isRunning(pid), 15_000);
}, 60_000);

test("a second daemon at the same address is refused while the first lives, and does it no harm", async () => {
  const supervised = await start();
  const load = supervised.load({ clients: 6, pauseMs: 2 });
  const second = workspace.tsgi(["daemon", workspace.app("supervised.ts"), "--listen", supervised.listen]);
  expect((await within("the second daemon to end", second.ended)).code, second.report()).toBe(1);
  expect(second.stderr).toContain(supervised.socket);
  await load.more(100);
  expect((await load.stop()).failed, load.describe()).toBe(0);
  await supervised.serving();
}, 60_000);
