// Reloads under load, through Apache: over unix sockets and TCP, with and without kept connections, no request fails, and
// what runs when a reload begins ends as if there had been none.
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { Gate, HeldResponse } from "../../harness/held.ts";
import { HttpConnection } from "../../harness/http.ts";
import { isRunning } from "../../harness/leftovers.ts";
import { Supervised } from "../../harness/supervised.ts";
import { until } from "../../harness/until.ts";
import { Workspace } from "../../harness/workspace.ts";

const reloads = 10;
const between = 120;

let workspace: Workspace;

beforeAll(async () => {
  workspace = await Workspace.open();
}, 60_000);

afterAll(() => workspace.close(), 60_000);

for (const isTcp of [false, true]) {
  for (const hasReuse of [true, false]) {
    const name = `${isTcp ? "TCP" : "unix socket"}, connections ${hasReuse ? "kept" : "closed"}`;
    test(`${reloads} reloads under load fail no request: ${name}`, async () => {
      const supervised = await Supervised.start(workspace, { app: workspace.app("supervised.ts"), isTcp, hasReuse });
      const loads = [true, false].map((isKeptAlive) => supervised.load({ clients: 8, isKeptAlive }));
      for (let turn = 0; turn < reloads; turn += 1) {
        await Promise.all(loads.map((load) => load.more(between)));
        const { reloads: counts } = await supervised.reload();
        expect(counts).toEqual({ done: turn + 1, failed: 0 });
      }
      await Promise.all(loads.map((load) => load.more(between)));
      const reports = await Promise.all(loads.map((load) => load.stop()));
      for (const [index, report] of reports.entries()) {
        expect(report.failed, loads[index]?.describe()).toBe(0);
        expect(report.ok).toBeGreaterThanOrEqual(between * (reloads + 1));
      }
      // Each generation has answered some of it.
      const answered = new Set<number>();
      for (const { workers } of reports) for (const pid of workers.keys()) answered.add(pid);
      expect(answered.size).toBeGreaterThan(reloads);
      const { generation, handedOver, restarts } = await supervised.group();
      expect(generation).toBe(reloads + 1);
      expect(Object.keys(restarts).filter((cause) => cause !== "reload" && (restarts[cause] ?? 0) > 0)).toEqual([]);
      if (hasReuse) expect(handedOver).toBeGreaterThan(0);
    }, 120_000);
  }
}

describe("what runs when a reload begins", () => {
  test("a response that is held open across two reloads arrives whole", async () => {
    const supervised = await Supervised.start(workspace, { app: workspace.app("supervised.ts") });
    const load = supervised.load({ clients: 6, pauseMs: 2 });
    const held = await Promise.all([HeldResponse.open(supervised), HeldResponse.open(supervised)]);
    for (let turn = 0; turn < 2; turn += 1) {
      await supervised.reload();
      await load.more(50);
      for (const response of held) await response.goesOn();
    }
    // The old workers are still there, and that is known.
    const { workers } = await supervised.status();
    for (const { pid } of held) expect(workers.find((worker) => worker.pid === pid)?.state).toBe("draining");
    for (const response of held) expect(await response.finish()).toBeGreaterThan(10);
    await until("the old workers to leave", () => !held.some(({ pid }) => isRunning(pid)));
    expect((await load.stop()).failed, load.describe()).toBe(0);
  }, 60_000);

  test("a request whose head has not been answered yet is answered, though its worker is of an old generation", async () => {
    const supervised = await Supervised.start(workspace, { app: workspace.app("supervised.ts") });
    const gate = new Gate(supervised);
    const waiting = supervised.request(`/file?${gate.path}`);
    await supervised.logged(/app: waiting in \d+/u);
    const pid = /app: waiting in (\d+)/u.exec(supervised.log)?.[1];
    await supervised.reload();
    await supervised.reload();
    await gate.open();
    const reply = await waiting;
    expect(reply).toMatchObject({ status: 200, complete: true });
    expect(reply.body.toString()).toBe(`the file is there ${pid}`);
  }, 60_000);

  test("what the old worker has served stays counted, up to the last request", async () => {
    const supervised = await Supervised.start(workspace, { app: workspace.app("supervised.ts"), processes: 1 });
    const [old] = supervised.workers();
    for (let count = 0; count < 30; count += 1) await supervised.text("/hello");
    await supervised.reload();
    await until("the old worker to leave", () => !isRunning(old ?? 0));
    await until("its end to be known", async () => (await supervised.status()).workers.length === 1);
    expect((await supervised.status()).served).toBeGreaterThanOrEqual(30);
  }, 60_000);

  test("an upload of which half was sent before a reload comes back whole", async () => {
    const supervised = await Supervised.start(workspace, { app: workspace.app("supervised.ts") });
    const body = Buffer.alloc(400_000, "0123456789abcdef");
    const connection = await HttpConnection.open(supervised.apache.port);
    const head = { method: "POST", target: "/echo", headers: [["Content-Length", String(body.length)]] } as const;
    await connection.sendRequest(head);
    await connection.send(body.subarray(0, 200_000));
    await until("the upload to be in a worker", async () =>
      (await supervised.status()).workers.some(({ busy }) => busy > 0),
    );
    await supervised.reload();
    await connection.send(body.subarray(200_000));
    const reply = await connection.readReply();
    connection.destroy();
    expect(reply).toMatchObject({ status: 200, complete: true });
    expect(reply.body.equals(body)).toBe(true);
  }, 60_000);

  test("an early answer to an upload that was not read leaves a connection that survives reloads", async () => {
    const supervised = await Supervised.start(workspace, { app: workspace.app("supervised.ts"), hasReuse: true });
    const load = supervised.load({ clients: 4, pauseMs: 2 });
    for (let turn = 0; turn < 10; turn += 1) {
      const early = await supervised.request({
        method: "POST",
        target: `/ignore?${turn}`,
        body: Buffer.alloc(3_000_000, "e"),
      });
      expect(early).toMatchObject({ status: 200, complete: true });
      expect(early.body.toString()).toBe(`ignored ${turn}`);
      if (turn % 4 === 1) await supervised.reload();
      const after = await Promise.all([1, 2, 3].map((part) => supervised.text(`/ignore?after-${turn}-${part}`)));
      expect(after).toEqual([1, 2, 3].map((part) => `ignored after-${turn}-${part}`));
    }
    expect((await load.stop()).failed, load.describe()).toBe(0);
  }, 60_000);
});
