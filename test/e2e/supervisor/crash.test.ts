// Workers that die: only what they were doing suffers, nobody is told a lie, the cause is named, and another worker is
// there at once.
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { Gate, HeldResponse } from "../../harness/held.ts";
import { HttpConnection } from "../../harness/http.ts";
import { isRunning } from "../../harness/leftovers.ts";
import { hasEnded } from "../../harness/process-facts.ts";
import type { LoadReport } from "../../harness/load.ts";
import { Supervised, brokenBackend } from "../../harness/supervised.ts";
import { until } from "../../harness/until.ts";
import { Workspace } from "../../harness/workspace.ts";

let workspace: Workspace;

beforeAll(async () => {
  workspace = await Workspace.open();
}, 60_000);

afterAll(() => workspace.close(), 60_000);

function start(...args: readonly string[]): Promise<Supervised> {
  return Supervised.start(workspace, { app: workspace.app("supervised.ts"), args, expectLog: brokenBackend });
}

/** At most one request of each client was in the dead worker, and each of them learned the truth. */
function onlyThoseInTheWorker(report: LoadReport, clients: number, description: string): void {
  expect(report.failed, description).toBeLessThanOrEqual(clients);
  for (const outcome of Object.keys(report.outcomes)) expect(["ok", "503", "broken"], description).toContain(outcome);
}

/** The pid that a line of the application names. */
function pidIn(supervised: Supervised, pattern: RegExp): number {
  return Number(pattern.exec(supervised.log)?.[1]);
}

test("kill -9 of a worker before the head: that request gets 503, others go on, another worker serves", async () => {
  const supervised = await start();
  const load = supervised.load({ clients: 8 });
  const gates = [new Gate(supervised), new Gate(supervised)];
  const waiting = supervised.request(`/file?${gates[0]?.path}`);
  await supervised.logged(/app: waiting in \d+/u);
  const pid = pidIn(supervised, /app: waiting in (\d+)/u);
  await load.more(100);
  process.kill(pid, "SIGKILL");
  expect((await waiting).status).toBe(503);
  await until("another worker in its place", async () =>
    (await supervised.serving()).every((worker) => worker.pid !== pid),
  );
  await load.more(200);
  onlyThoseInTheWorker(await load.stop(), 8, load.describe());
  const after = supervised.load({ clients: 8, requests: 400 });
  expect((await after.finished()).failed, after.describe()).toBe(0);
  expect((await supervised.status()).restarts["signal"]).toBe(1);
  expect(supervised.log).toMatch(new RegExp(`${pid}.*SIGKILL|SIGKILL.*${pid}`, "u"));
}, 60_000);

test("kill -9 of a worker in the middle of a body: the client sees a broken transfer, never a whole one", async () => {
  const supervised = await start();
  const load = supervised.load({ clients: 6, pauseMs: 2 });
  const held: HeldResponse[] = [];
  // Until there is one in each worker: connections are spread as they come.
  await until("a response in each worker", async () => {
    held.push(await HeldResponse.open(supervised));
    return new Set(held.map(({ pid }) => pid)).size === 2;
  });
  const [pid] = held.map((response) => response.pid);
  if (pid === undefined) throw new Error("no response is held");
  process.kill(pid, "SIGKILL");
  for (const response of held) {
    if (response.pid === pid) await response.brokenOff();
    else expect(await response.finish()).toBeGreaterThan(0);
  }
  await supervised.serving();
  onlyThoseInTheWorker(await load.stop(), 6, load.describe());
}, 60_000);

test("all workers killed at once: requests wait for the next ones, and none gets a wrong answer", async () => {
  const supervised = await start();
  const load = supervised.load({ clients: 8 });
  for (let turn = 0; turn < 3; turn += 1) {
    await load.more(50);
    for (const pid of supervised.workers()) process.kill(pid, "SIGKILL");
    await load.more(100);
  }
  await supervised.serving();
  const report = await load.stop();
  onlyThoseInTheWorker(report, 3 * 8, load.describe());
}, 60_000);

describe("the cause of each end is told apart", () => {
  const causes = [
    ["/exit?3", "exit", /exit code 3/u],
    ["/abort", "crash", /SIGABRT/u],
    ["/out-of-memory", "out-of-memory", /memory|heap/u],
  ] as const;
  for (const [target, cause, said] of causes) {
    test(`${target}: ${cause}`, async () => {
      const supervised = await start("--max-old-space-size", "30");
      const load = supervised.load({ clients: 4, pauseMs: 2 });
      await load.more(20);
      const reply = await supervised.request(target);
      expect(reply.status).toBe(503);
      await until("the cause in the status", async () => (await supervised.status()).restarts[cause] === 1, 30_000);
      await supervised.serving();
      await load.more(100);
      onlyThoseInTheWorker(await load.stop(), 4, load.describe());
      expect(supervised.log).toMatch(said);
      const { restarts } = await supervised.status();
      expect(Object.entries(restarts).filter(([, count]) => count > 0)).toEqual([[cause, 1]]);
      expect(await supervised.text("/hello")).toBe("hello");
    }, 60_000);
  }
});

test("signals that are meant for the supervisor, as of a terminal, do not end a worker", async () => {
  const supervised = await start();
  const load = supervised.load({ clients: 4, pauseMs: 2 });
  await load.more(20);
  const before = supervised.workers();
  for (const pid of before) for (const name of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.kill(pid, name);
  await load.more(200);
  await supervised.serving();
  expect(supervised.workers()).toEqual(before);
  expect((await load.stop()).failed, load.describe()).toBe(0);
}, 60_000);

describe("an error outside of any request", () => {
  for (const [target, said] of [
    ["/throw-outside", "thrown outside"],
    ["/reject-outside", "rejected outside"],
  ] as const) {
    test(`${target}: logged once; the worker is drained and replaced, no request fails`, async () => {
      const supervised = await start();
      const load = supervised.load({ clients: 6 });
      await load.more(50);
      const reply = await supervised.request(`${target}?once-only`);
      const pid = Number(/in (\d+)/u.exec(reply.body.toString())?.[1]);
      await until("the worker to leave", () => !isRunning(pid));
      await until("another worker in its place", async () =>
        (await supervised.serving()).every((worker) => worker.pid !== pid),
      );
      await load.more(100);
      expect((await load.stop()).failed, load.describe()).toBe(0);
      expect((await supervised.status()).restarts["uncaught-error"]).toBe(1);
      const errors = supervised.log
        .split("\n")
        .filter((line) => line.includes(`${said} once-only`) && line.includes("stack"));
      expect(errors).toHaveLength(1);
      // The place in the application's source, not in what it was compiled to.
      expect(errors[0]).toMatch(/supervised\.ts:\d+/u);
    }, 60_000);
  }

  test("the request that it comes from is answered at once from the second such error on", async () => {
    const supervised = await Supervised.start(workspace, {
      app: workspace.app("supervised.ts"),
      processes: 1,
      expectLog: [/AH01071: Got error 'tsgi: Error: (?:thrown|rejected) before an answer/u],
    });
    const replaced = async (count: number): Promise<void> => {
      await until("another worker", async () => (await supervised.status()).restarts["uncaught-error"] === count);
      await supervised.serving();
    };
    await supervised.text("/throw-outside");
    await replaced(1);
    for (const [index, how] of ["throw", "reject"].entries()) {
      const reply = await supervised.request(`/throw-unanswered?${how}`);
      expect([reply.status, reply.complete]).toEqual([500, true]);
      await replaced(index + 2);
    }
    expect(supervised.log).toMatch(/thrown before an answer.*supervised\.ts:\d+/u);
    expect(supervised.log.match(/uncaught error in a request: this worker will be replaced/gu)).toHaveLength(2);
  }, 60_000);

  test("a request that can be meant by the first such error is answered too, and others go on", async () => {
    const supervised = await Supervised.start(workspace, {
      app: workspace.app("supervised.ts"),
      processes: 1,
      expectLog: [/AH01071: Got error 'tsgi: StrandedError: .*: rejected before an answer \[TSGI2111\]/u],
    });
    const held = await HeldResponse.open(supervised, "/ticking");
    const reply = await supervised.request("/throw-unanswered?reject");
    expect([reply.status, reply.complete]).toEqual([500, true]);
    await held.goesOn();
    expect(await held.finish()).toBeGreaterThan(0);
    expect(supervised.log).toMatch(/uncaught error outside a request: this worker will be replaced/u);
  }, 60_000);

  test("what runs in that worker ends within its time", async () => {
    const supervised = await start();
    const held = await HeldResponse.open(supervised, "/throw-around");
    await supervised.logged(/thrown around a response/u);
    await until("another worker in its place", async () => {
      const { workers } = await supervised.status();
      return workers.filter(({ pid, state }) => pid !== held.pid && state === "serving").length === 2;
    });
    await held.goesOn();
    expect(await held.finish()).toBeGreaterThan(5);
    await until("the worker to leave", () => !isRunning(held.pid));
  }, 60_000);
});

test("a client sees no more of a broken worker than 503 or a broken connection, on kept connections too", async () => {
  const supervised = await start();
  const connection = await HttpConnection.open(supervised.apache.port);
  const alive = [["Connection", "keep-alive"]] as const;
  for (let turn = 0; turn < 5; turn += 1) {
    await connection.sendRequest({ target: "/pid", headers: alive });
    const reply = await connection.readReply();
    expect(reply.status).toBe(200);
    const pid = Number(reply.body.toString());
    process.kill(pid, "SIGKILL");
    await until("the worker to be gone", () => hasEnded(pid));
    // Apache sees that its kept connection has ended before it uses it again.
    await connection.sendRequest({ target: "/hello", headers: alive });
    expect((await connection.readReply()).body.toString()).toBe("hello");
  }
  connection.destroy();
  await supervised.serving();
}, 60_000);
