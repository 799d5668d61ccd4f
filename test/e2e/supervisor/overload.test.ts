// More requests than there is room for: some wait, the rest is told so at once with real headers, and afterwards all is as
// before. Nothing spins, and nobody hangs.
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { Gate } from "../../harness/held.ts";
import { headerValues, HttpConnection, type HttpReply } from "../../harness/http.ts";
import { processorMs } from "../../harness/process-facts.ts";
import { Supervised, brokenBackend } from "../../harness/supervised.ts";
import { until } from "../../harness/until.ts";
import { Workspace } from "../../harness/workspace.ts";

let workspace: Workspace;

beforeAll(async () => {
  workspace = await Workspace.open();
}, 60_000);

afterAll(() => workspace.close(), 60_000);

function isShed(reply: HttpReply): boolean {
  return (
    reply.status === 503 &&
    reply.complete &&
    /^\d+$/u.test(headerValues(reply.headers, "retry-after").join()) &&
    reply.body.length > 0
  );
}

describe("--max-concurrency, --queue-limit and --queue-timeout", () => {
  for (const hasReuse of [true, false]) {
    const name = `connections ${hasReuse ? "kept" : "closed"}`;
    test(`two run, three wait, the sixth gets 503 with Retry-After at once: ${name}`, async () => {
      const supervised = await Supervised.start(workspace, {
        app: workspace.app("supervised.ts"),
        processes: 1,
        hasReuse,
        args: ["--max-concurrency", "2", "--queue-limit", "3", "--queue-timeout", "30s"],
      });
      supervised.expectClients(8);
      const gate = new Gate(supervised);
      const running = [1, 2].map(() => supervised.request(`/file?${gate.path}`));
      await until("two to run", () => (supervised.log.match(/app: waiting in/gu) ?? []).length === 2);
      const waiting: Promise<HttpReply>[] = [];
      for (const part of [1, 2, 3]) {
        waiting.push(supervised.request(`/ignore?${part}`));
        await until(`${part} to wait`, async () => (await supervised.status()).queue.waiting === part);
      }
      const asked = performance.now();
      for (let count = 0; count < 3; count += 1) {
        const reply = await supervised.request("/hello");
        expect(isShed(reply), reply.statusLine).toBe(true);
      }
      expect(performance.now() - asked, "at once, not at the end of the queue's time").toBeLessThan(15_000);
      // A worker tells of itself a few times a second.
      const status = await until("the three to be counted", async () => {
        const now = await supervised.status();
        return now.shed === 3 ? now : undefined;
      });
      expect(status.queue).toEqual({ waiting: 3, limit: 3 });
      expect(status.workers[0]).toMatchObject({ busy: 2, waiting: 3 });
      await gate.open();
      for (const reply of await Promise.all(running)) expect(reply).toMatchObject({ status: 200, complete: true });
      const answers = await Promise.all(waiting);
      expect(answers.map((reply) => reply.body.toString())).toEqual(["ignored 1", "ignored 2", "ignored 3"]);
      const load = supervised.load({ clients: 2, requests: 200 });
      expect((await load.finished()).failed, load.describe()).toBe(0);
    }, 60_000);
  }

  test("who waits too long gets 503 with Retry-After; the kept connection serves the next request", async () => {
    const supervised = await Supervised.start(workspace, {
      app: workspace.app("supervised.ts"),
      processes: 1,
      args: ["--max-concurrency", "1", "--queue-limit", "5", "--queue-timeout", "700ms"],
    });
    const gate = new Gate(supervised);
    const running = supervised.request(`/file?${gate.path}`);
    await supervised.logged(/app: waiting in/u);
    const body = Buffer.alloc(300_000, "w");
    const replies = await Promise.all([
      supervised.request("/hello"),
      supervised.request({ method: "POST", target: "/echo", body }),
      supervised.request("/hello"),
    ]);
    expect(replies.map(isShed)).toEqual([true, true, true]);
    await gate.open();
    expect((await running).status).toBe(200);
    for (const part of [1, 2, 3, 4]) expect(await supervised.text(`/ignore?${part}`)).toBe(`ignored ${part}`);
    const echoed = await supervised.request({ method: "POST", target: "/echo", body });
    expect(echoed.body.equals(body)).toBe(true);
  }, 60_000);

  test("requests that wait are not lost by a reload", async () => {
    const supervised = await Supervised.start(workspace, {
      app: workspace.app("supervised.ts"),
      processes: 1,
      args: ["--max-concurrency", "1", "--queue-limit", "20", "--queue-timeout", "30s"],
    });
    supervised.expectClients(12);
    const gate = new Gate(supervised);
    const running = supervised.request(`/file?${gate.path}`);
    await supervised.logged(/app: waiting in/u);
    const waiting = Array.from({ length: 10 }, (_, part) =>
      supervised.request({ method: "POST", target: "/echo", body: `${part} ${"b".repeat(part * 5000)}` }),
    );
    await until("ten to wait", async () => (await supervised.status()).queue.waiting === 10);
    await supervised.reload();
    // The new worker has room for them, though the old one is still busy.
    const replies = await Promise.all(waiting);
    for (const [part, reply] of replies.entries()) {
      expect(reply).toMatchObject({ status: 200, complete: true });
      expect(reply.body.toString()).toBe(`${part} ${"b".repeat(part * 5000)}`);
    }
    await gate.open();
    expect((await running).status).toBe(200);
  }, 60_000);

  test("ten times more clients than room: every answer is right or an honest 503, and the room is used", async () => {
    const supervised = await Supervised.start(workspace, {
      app: workspace.app("supervised.ts"),
      threads: 128,
      args: ["--max-concurrency", "2", "--queue-limit", "4", "--queue-timeout", "1s"],
    });
    const load = supervised.load({ clients: 60, isKeptAlive: false, mix: ["small", "slow", "echo", "slow"] });
    await load.more(300);
    const report = await load.stop();
    for (const outcome of Object.keys(report.outcomes)) expect(["ok", "503"], load.describe()).toContain(outcome);
    expect(report.outcomes["503"]).toBeGreaterThan(0);
    const { shed } = await supervised.status();
    expect(shed).toBe(report.outcomes["503"]);
    const after = supervised.load({ clients: 2, requests: 100 });
    expect((await after.finished()).failed, after.describe()).toBe(0);
  }, 60_000);
});

test("out of file descriptors: honest failures, no spinning, and a full recovery", async () => {
  const supervised = await Supervised.start(workspace, {
    app: workspace.app("supervised.ts"),
    shell: "ulimit -n 64",
    threads: 256,
    hasReuse: false,
    expectLog: [...brokenBackend, /AH0107(?:3: Failed Writing Request|4: Failed writing Environment)/u],
  });
  supervised.expectClients(200);
  // Responses that are held open take every descriptor.
  const connections: HttpConnection[] = [];
  const gate = new Gate(supervised);
  const heads: Promise<number>[] = [];
  for (let count = 0; count < 160; count += 1) {
    const connection = await HttpConnection.open(supervised.apache.port, { deadlineMs: 45_000 });
    connections.push(connection);
    await connection.sendRequest({ target: `/ticking?${gate.path}` });
    heads.push(
      connection.readHead().then(
        ({ status }) => status,
        () => 0,
      ),
    );
  }
  const pids = [supervised.pid, ...supervised.workers()];
  const used = (): number => pids.reduce((sum, pid) => sum + processorMs(pid), 0);
  await until("some to be refused", async () => (await Promise.race(heads)) > 0);
  const [before, startedAt] = [used(), performance.now()];
  await until("a second to pass", () => performance.now() - startedAt > 1500);
  // 160 streams of 50 small pieces a second cost something; a loop around accept() would cost all of it.
  expect((used() - before) / (performance.now() - startedAt), "processors used").toBeLessThan(0.9);
  for (const connection of connections) connection.destroy();
  await gate.open();
  for (const status of await Promise.all(heads)) expect([0, 200, 503]).toContain(status);
  const after = supervised.load({ clients: 8, requests: 300 });
  await until("a first answer again", async () => (await supervised.request("/hello")).status === 200, 30_000);
  await after.finished();
  const last = supervised.load({ clients: 8, requests: 300 });
  expect((await last.finished()).failed, last.describe()).toBe(0);
}, 90_000);
