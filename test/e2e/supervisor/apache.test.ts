// Apache itself is restarted, gracefully and not, with requests under way: a graceful one fails nothing, a hard one leaves
// nothing behind in the daemon.
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { HeldResponse } from "../../harness/held.ts";
import { descriptorsOf } from "../../harness/leftovers.ts";
import { childrenOf } from "../../harness/process-facts.ts";
import { Supervised, brokenBackend } from "../../harness/supervised.ts";
import { until } from "../../harness/until.ts";
import { Workspace } from "../../harness/workspace.ts";

let workspace: Workspace;

beforeAll(async () => {
  workspace = await Workspace.open();
}, 60_000);

afterAll(() => workspace.close(), 60_000);

const ofRestarts = [
  /AH00493: SIGUSR1 received\. {2}Doing graceful restart/u,
  /AH00494: SIGHUP received\. {2}Attempting to restart/u,
  /AH00(292|489|490|163|094)/u,
  /AH10158|AH00484|AH03490|AH00485/u,
  /AH00558|AH00171|AH00045|AH00046/u,
];

/** Counts how often an Apache has said that it works. */
async function beginnings(supervised: Supervised): Promise<number> {
  return ((await supervised.apache.errorLog()).match(/resuming normal operations/gu) ?? []).length;
}

async function restartApache(supervised: Supervised, signal: "SIGUSR1" | "SIGHUP"): Promise<void> {
  const before = await beginnings(supervised);
  supervised.apache.program.signal(signal);
  await until("Apache to have restarted", async () => (await beginnings(supervised)) > before, 30_000);
}

for (const hasReuse of [true, false]) {
  test(`graceful restarts of Apache under load fail no request, also while the daemon reloads: connections ${hasReuse ? "kept" : "closed"}`, async () => {
    const supervised = await Supervised.start(workspace, {
      app: workspace.app("supervised.ts"),
      hasReuse,
      expectLog: ofRestarts,
    });
    // A connection for each request: what a restarted Apache does to idle ones of its clients is its own affair.
    const load = supervised.load({ clients: 8, isKeptAlive: false });
    const held = await HeldResponse.open(supervised);
    for (let turn = 0; turn < 12; turn += 1) {
      await load.more(60);
      const restarting = restartApache(supervised, "SIGUSR1");
      if (turn % 4 === 1) await supervised.reload();
      await restarting;
    }
    await load.more(100);
    expect((await load.stop()).failed, load.describe()).toBe(0);
    expect(await held.finish()).toBeGreaterThan(10);
  }, 90_000);
}

describe("a hard restart of Apache in the middle of requests", () => {
  test("aborts what runs, and leaves no request and no descriptor in the daemon", async () => {
    const supervised = await Supervised.start(workspace, {
      app: workspace.app("supervised.ts"),
      hasReuse: true,
      expectLog: [...ofRestarts, ...brokenBackend],
    });
    const load = supervised.load({ clients: 6, isKeptAlive: false });
    await load.more(100);
    const workers = supervised.workers();
    const held = [await HeldResponse.open(supervised), await HeldResponse.open(supervised)];
    const waiting = ["a", "b", "c"].map((name) =>
      supervised.request(`/until-abort?${name}`).then(
        () => "answered",
        () => "gone",
      ),
    );
    for (const name of ["a", "b", "c"]) await supervised.logged(new RegExp(`until-abort ${name} began`, "u"));
    await restartApache(supervised, "SIGHUP");
    for (const name of ["a", "b", "c"]) await supervised.logged(new RegExp(`until-abort ${name} aborted`, "u"));
    await Promise.all(waiting);
    for (const response of held) await response.brokenOff();
    load.destroy();
    await until("no request to be left", async () =>
      (await supervised.status()).workers.every(({ busy }) => busy === 0),
    );
    await until("no connection of the old Apache to be left", () => workers.every((pid) => descriptorsOf(pid) < 60));
    const after = supervised.load({ clients: 6, requests: 300 });
    expect((await after.finished()).failed, after.describe()).toBe(0);
    expect(supervised.workers()).toEqual(workers);
  }, 60_000);

  test("kill -9 of Apache's children: the daemon takes no harm", async () => {
    const supervised = await Supervised.start(workspace, {
      app: workspace.app("supervised.ts"),
      hasReuse: true,
      expectLog: [...ofRestarts, ...brokenBackend, /AH00052: child pid \d+ exit signal Killed/u],
    });
    const workers = supervised.workers();
    for (let turn = 0; turn < 3; turn += 1) {
      const load = supervised.load({ clients: 6 });
      await load.more(50);
      for (const { pid } of childrenOf(supervised.apache.program.pid)) process.kill(pid, "SIGKILL");
      load.destroy();
      await until("Apache to answer again", async () => {
        const reply = await supervised.request("/hello").catch(() => undefined);
        return reply?.status === 200;
      });
    }
    const after = supervised.load({ clients: 6, requests: 200 });
    expect((await after.finished()).failed, after.describe()).toBe(0);
    expect(supervised.workers()).toEqual(workers);
  }, 60_000);
});
