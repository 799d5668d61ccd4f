// Workers and supervisors that do not answer: a blocked event loop, stopped processes, a suspended machine. Others go on,
// nobody hangs in connect(), and nobody who is well is killed.
import { rm } from "node:fs/promises";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from "vitest";
import { headerValues, HttpConnection } from "../../harness/http.ts";
import { isRunning } from "../../harness/leftovers.ts";
import { stateOf, waitsOf } from "../../harness/process-facts.ts";
import { Supervised, brokenBackend, type SupervisedOptions } from "../../harness/supervised.ts";
import { until, within } from "../../harness/until.ts";
import { Workspace } from "../../harness/workspace.ts";

let workspace: Workspace;

beforeAll(async () => {
  workspace = await Workspace.open();
}, 60_000);

afterAll(() => workspace.close(), 60_000);

function start(args: readonly string[], options: Partial<SupervisedOptions> = {}): Promise<Supervised> {
  return Supervised.start(workspace, {
    app: workspace.app("supervised.ts"),
    args,
    expectLog: brokenBackend,
    ...options,
  });
}

/** Stops processes, as SIGSTOP does, and lets them go on at the end of the test at the latest. */
function freeze(pids: readonly number[]): () => void {
  const signal = (name: NodeJS.Signals): void => {
    for (const pid of pids) {
      try {
        process.kill(pid, name);
      } catch {
        // It has ended.
      }
    }
  };
  signal("SIGSTOP");
  const thaw = (): void => signal("SIGCONT");
  onTestFinished(thaw);
  return thaw;
}

/** The threads of Apache that wait in connect(), which no timeout ends. */
function stuckInConnect(supervised: Supervised): string[] {
  return supervised
    .apacheProcesses()
    .flatMap((pid) => waitsOf(pid))
    .filter((where) => /unix_wait_for_peer|unix_stream_connect|inet_wait_for_connect|inet_stream_connect/u.test(where));
}

describe("a blocked event loop", () => {
  for (const hasReuse of [true, false]) {
    test(`others serve meanwhile; the worker is killed with its place in the log, connections ${hasReuse ? "kept" : "closed"}`, async () => {
      const supervised = await start(["--deadlock-timeout", "4s"], { hasReuse });
      const load = supervised.load({ clients: 8, isKeptAlive: false });
      await load.more(100);
      const blocking = supervised.request("/block");
      const late = supervised.request("/block-after-head").then(
        (reply) => reply,
        (error: unknown) => error,
      );
      await supervised.logged(/app: block in \d+/u);
      const pid = Number(/app: block in (\d+)/u.exec(supervised.log)?.[1]);
      // Should both have come to different workers, nobody is left to serve until they are replaced.
      await load.more(200);
      expect((await blocking).status).toBe(503);
      const reply = await late;
      if (!(reply instanceof Error)) {
        expect(reply).not.toMatchObject({ status: 200, complete: true });
      }
      await until("the blocked worker to be gone", () => !isRunning(pid));
      await supervised.serving();
      expect((await supervised.status()).restarts["blocked"]).toBeGreaterThanOrEqual(1);
      expect(supervised.log).toMatch(/spinWithoutEnd \([^)]*supervised\.ts:\d+/u);
      await load.more(100);
      const report = await load.stop();
      // What was in the blocked workers, and no more, was lost; nobody was told a lie.
      expect(report.failed, load.describe()).toBeLessThanOrEqual(2 * 8);
      for (const outcome of Object.keys(report.outcomes)) expect(["ok", "503", "broken"]).toContain(outcome);
      const after = supervised.load({ clients: 8, requests: 300 });
      expect((await after.finished()).failed, after.describe()).toBe(0);
    }, 90_000);
  }

  test("one of two blocked: requests go on through the other before anybody is killed", async () => {
    const supervised = await start(["--deadlock-timeout", "30s"], { hasReuse: false });
    const gate = workspace.path("gates", "unblock");
    const blocking = supervised.request(`/block-file?${gate}`);
    await supervised.logged(/app: block in \d+/u);
    const pid = Number(/app: block in (\d+)/u.exec(supervised.log)?.[1]);
    const load = supervised.load({ clients: 8, requests: 500 });
    const report = await load.finished();
    expect(report.failed, load.describe()).toBe(0);
    expect([...report.workers.keys()]).not.toContain(pid);
    expect(isRunning(pid)).toBe(true);
    await workspace.write("gates/unblock", "");
    expect((await blocking).body.toString()).toBe(`true ${pid}`);
    // It has only been slow: it is still there, and serves again.
    await supervised.serving();
    expect(supervised.workers()).toContain(pid);
    expect((await supervised.status()).restarts["blocked"] ?? 0).toBe(0);
  }, 60_000);

  test("all of them blocked: new requests wait, then get 503 with Retry-After, until workers are back", async () => {
    const supervised = await start(["--deadlock-timeout", "4s", "--queue-timeout", "1s"], { hasReuse: false });
    const blocking: Promise<unknown>[] = [];
    await until("both workers to be blocked", async () => {
      blocking.push(supervised.request("/block").catch(() => undefined));
      await sleep(100);
      return new Set(supervised.log.match(/app: block in \d+/gu) ?? []).size === 2;
    });
    const reply = await supervised.request("/hello");
    expect(reply).toMatchObject({ status: 503, complete: true });
    expect(headerValues(reply.headers, "retry-after").join()).toMatch(/^\d+$/u);
    await Promise.all(blocking);
    await supervised.serving();
    expect(await supervised.text("/hello")).toBe("hello");
  }, 60_000);
});

describe("all workers stopped", () => {
  for (const isTcp of [false, true]) {
    test(`503 within the queue's time, no Apache thread is stuck, and all is well afterwards: ${isTcp ? "TCP" : "unix socket"}`, async () => {
      const supervised = await start(["--queue-timeout", "1s", "--queue-limit", "50"], {
        isTcp,
        hasReuse: false,
        threads: 256,
      });
      // A stopped worker that has connections would be killed.
      await until("no connection", async () =>
        (await supervised.serving()).every(({ connections }) => connections === 0),
      );
      const thaw = freeze(supervised.workers());
      // More clients than the queue holds, and than a short backlog would.
      const load = supervised.load({ clients: 200, isKeptAlive: false, pauseMs: 50, mix: ["small"] });
      await until("hundreds of answers", () => (load.report.outcomes["503"] ?? 0) >= 400, 45_000);
      expect(stuckInConnect(supervised)).toEqual([]);
      for (let count = 0; count < 3; count += 1) {
        const asked = performance.now();
        const reply = await supervised.request("/hello");
        expect(reply).toMatchObject({ status: 503, complete: true });
        expect(headerValues(reply.headers, "retry-after").join()).toMatch(/^\d+$/u);
        expect(performance.now() - asked).toBeLessThan(1000 + 1000 + 1000);
      }
      expect((await supervised.status()).shed).toBeGreaterThanOrEqual(400);
      expect(stuckInConnect(supervised)).toEqual([]);
      thaw();
      await until("answers again", () => load.report.ok > 0);
      await load.more(500);
      const report = await load.stop();
      for (const outcome of Object.keys(report.outcomes)) expect(["ok", "503"], load.describe()).toContain(outcome);
      const after = supervised.load({ clients: 8, requests: 300 });
      expect((await after.finished()).failed, after.describe()).toBe(0);
      expect(Object.entries((await supervised.status()).restarts).filter(([, count]) => count > 0)).toEqual([]);
    }, 90_000);
  }

  test("with kept connections: those in a stopped worker end with it, never with a wrong answer", async () => {
    // The deadlock timeout is the default one, far longer than this test.
    const supervised = await start(["--queue-timeout", "1s"], { hasReuse: true });
    const load = supervised.load({ clients: 12, isKeptAlive: false });
    await until("connections of both workers, as far as the supervisor knows", async () =>
      (await supervised.status()).workers.every(({ connections }) => connections > 0),
    );
    await load.more(200);
    freeze(supervised.workers());
    // They are killed for not answering, though nobody waits in the queue, and others take their place.
    await until("other workers", async () => ((await supervised.status()).restarts["blocked"] ?? 0) >= 2, 45_000);
    await supervised.serving();
    await load.more(300);
    const report = await load.stop();
    for (const outcome of Object.keys(report.outcomes))
      expect(["ok", "503", "broken"], load.describe()).toContain(outcome);
    const after = supervised.load({ clients: 8, requests: 300 });
    expect((await after.finished()).failed, after.describe()).toBe(0);
  }, 90_000);

  test("requests that wait when the workers go on are answered by them", async () => {
    const supervised = await start(["--queue-timeout", "30s"], { hasReuse: false });
    const thaw = freeze(supervised.workers());
    const waiting = Array.from({ length: 20 }, () => supervised.request("/hello"));
    await until("the supervisor to hold them", async () => (await supervised.status()).queue.waiting >= 10);
    expect(stuckInConnect(supervised)).toEqual([]);
    thaw();
    for (const reply of await Promise.all(waiting)) expect(reply).toMatchObject({ status: 200, complete: true });
  }, 60_000);
});

test("connections that were on their way to a worker that ends are given to the next one", async () => {
  const supervised = await start(["--queue-timeout", "30s"], { hasReuse: false, processes: 1 });
  const thaw = freeze(supervised.workers());
  const held = async (count: number): Promise<void> => {
    await until(`the supervisor to hold ${count}`, async () => (await supervised.status()).queue.waiting >= count);
  };
  const ending = supervised.request("/exit?3");
  await held(1);
  const waiting = Array.from({ length: 20 }, () => supervised.request("/hello"));
  await held(21);
  thaw();
  expect((await ending).status).toBe(503);
  // One may have reached the worker before its end.
  const statuses = (await Promise.all(waiting)).map(({ status }) => status);
  expect(statuses.filter((status) => status === 200).length, statuses.join()).toBeGreaterThanOrEqual(18);
  expect((await supervised.status()).restarts["exit"]).toBe(1);
}, 60_000);

describe("a supervisor that did not run for a while", () => {
  test("a stopped supervisor: requests are served meanwhile, and nobody is killed when it goes on", async () => {
    const supervised = await start(["--deadlock-timeout", "1s"]);
    const before = supervised.workers();
    const load = supervised.load({ clients: 6, pauseMs: 2, isKeptAlive: false });
    await load.more(50);
    const thaw = freeze([supervised.pid]);
    await until("the supervisor to stand still", () => stateOf(supervised.pid) === "T");
    await sleep(3000); // three times the heartbeat limit: that time passes is the experiment
    await load.more(100);
    thaw();
    await supervised.status();
    await load.more(100);
    await supervised.serving();
    expect(supervised.workers()).toEqual(before);
    expect((await load.stop()).failed, load.describe()).toBe(0);
  }, 60_000);

  test("a suspended machine: everything stands still, then goes on with the same workers", async () => {
    const supervised = await start(["--deadlock-timeout", "1s", "--request-timeout", "20s"]);
    const before = supervised.workers();
    const connection = await HttpConnection.open(supervised.apache.port);
    const body = Buffer.alloc(50_000, "s");
    await connection.sendRequest({ method: "POST", target: "/echo", headers: [["Content-Length", "50000"]] });
    await connection.send(body.subarray(0, 20_000));
    const thaw = freeze([supervised.pid, ...before]);
    await sleep(3000); // as above
    thaw();
    await connection.send(body.subarray(20_000));
    const reply = await connection.readReply();
    connection.destroy();
    expect(reply).toMatchObject({ status: 200, complete: true });
    expect(reply.body.equals(body)).toBe(true);
    const load = supervised.load({ clients: 6, requests: 200 });
    expect((await load.finished()).failed, load.describe()).toBe(0);
    await supervised.serving();
    expect(supervised.workers()).toEqual(before);
  }, 60_000);
});

describe("an application that blocks while it is loaded", () => {
  test("the place is told; if it had been known to load, by the next start", async () => {
    const switchFile = workspace.path("load-blocks");
    const app = await workspace.write(
      "load-blocks.ts",
      `import { existsSync } from "node:fs";
function spinAtLoad(): never {
  for (;;);
}
if (existsSync(${JSON.stringify(switchFile)})) spinAtLoad();
export const application = (): string => "";
`,
    );
    const options = ["--deadlock-timeout", "1500ms", "--startup-timeout", "3s"];
    const blockedStart = async (): Promise<string> => {
      const socket = `unix:${workspace.path("run", "load-blocks.sock")}`;
      const program = workspace.tsgi(["daemon", app, "--processes", "1", "--listen", socket, ...options]);
      expect(await within("the daemon to end", program.ended), program.report()).toEqual({ code: 1, signal: null });
      expect(program.stderr).toContain("startup-timeout");
      return program.stderr;
    };
    const told = /TSGI2102.*spinAtLoad/su;
    await workspace.write("load-blocks", "");
    expect(await blockedStart()).toMatch(told);
    await rm(switchFile);
    const { program } = await workspace.daemon([app, ...options]);
    await program.stop();
    await workspace.write("load-blocks", "");
    await blockedStart();
    expect(await blockedStart()).toMatch(told);
  }, 60_000);
});
