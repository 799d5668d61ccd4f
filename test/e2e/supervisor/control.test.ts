// The control socket, with the tools a person has: curl, tsgi status, reload and stop, a pid file, a file to touch.
import { readFileSync, statSync } from "node:fs";
import { utimes, writeFile } from "node:fs/promises";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { Gate } from "../../harness/held.ts";
import { apacheAccount } from "../../harness/machine.ts";
import { Supervised, brokenBackend, type StatusFacts } from "../../harness/supervised.ts";
import { until, within } from "../../harness/until.ts";
import { versionedApp } from "../../harness/versioned-app.ts";
import { Workspace } from "../../harness/workspace.ts";

let workspace: Workspace;

beforeAll(async () => {
  workspace = await Workspace.open();
}, 60_000);

afterAll(() => workspace.close(), 60_000);

/** curl as the daemon's user. */
async function curl(supervised: Supervised, ...args: readonly string[]): Promise<{ status: number; body: string }> {
  const program = workspace.program("curl", [
    "curl",
    "--silent",
    "--show-error",
    "--max-time",
    "60",
    "--write-out",
    "\n%{http_code}",
    "--unix-socket",
    supervised.control,
    ...args,
  ]);
  const end = await within("curl to end", program.ended, 70_000);
  const lines = program.stdout.split("\n");
  const status = Number(lines.pop());
  if (end.code !== 0) throw new Error(program.report());
  return { status, body: lines.join("\n") };
}

function start(app: string, ...args: readonly string[]): Promise<Supervised> {
  return Supervised.start(workspace, { app, args, expectLog: brokenBackend });
}

describe("curl --unix-socket", () => {
  test("GET /status: workers, queue, counters, as they are", async () => {
    const supervised = await start(workspace.app("supervised.ts"));
    expect(statSync(supervised.control).mode & 0o777).toBe(0o600);
    const gate = new Gate(supervised);
    const waiting = supervised.request(`/file?${gate.path}`);
    await supervised.logged(/app: waiting in/u);
    const busy = Number(/app: waiting in (\d+)/u.exec(supervised.log)?.[1]);
    const status = await until("the pulse of the busy worker, and an age of workers that counts", async () => {
      const { status: code, body } = await curl(supervised, "http://tsgi/status");
      expect(code).toBe(200);
      const facts = JSON.parse(body) as StatusFacts;
      const isTold = facts.workers.some(({ pid, busy: count }) => pid === busy && count === 1);
      return isTold && facts.workers.every(({ ageSeconds }) => ageSeconds > 0) && facts;
    });
    expect(status).toMatchObject({ pid: supervised.pid, state: "running", shed: 0, lastBootError: null });
    expect(status.workers.map(({ pid }) => pid).sort((a, b) => a - b)).toEqual(supervised.workers());
    for (const worker of status.workers) {
      expect(worker).toMatchObject({ generation: 1, state: "serving" });
      expect(worker.rss).toBeGreaterThan(20_000_000);
      expect(worker.lagMs).toBeGreaterThanOrEqual(0);
      expect(worker.ageSeconds).toBeLessThan(60);
    }
    await gate.open();
    await waiting;
    const load = supervised.load({ clients: 4, requests: 200 });
    await load.finished();
    await until("every request to be counted", async () => (await supervised.status()).served >= 201);
    expect((await supervised.status()).served).toBeLessThanOrEqual(201 + 2);
  }, 60_000);

  test("POST /reload answers when the new generation serves, or says why it does not", async () => {
    const app = await versionedApp(workspace, "curl-reload");
    const supervised = await start(app.file);
    await app.write("2");
    const done = await curl(supervised, "--request", "POST", "http://tsgi/reload");
    expect(done.status).toBe(200);
    expect(JSON.parse(done.body)).toMatchObject({ ok: true, generation: 2 });
    for (let count = 0; count < 10; count += 1) expect(await supervised.text("/version")).toBe("2");
    await app.writeBroken('throw new Error("broken for curl");');
    const failed = await curl(supervised, "--request", "POST", "http://tsgi/reload");
    expect(failed.status).toBe(500);
    expect(JSON.parse(failed.body)).toMatchObject({ ok: false });
    expect(failed.body).toContain("broken for curl");
    expect(await supervised.text("/version")).toBe("2");
  }, 60_000);

  test("POST /stop waits for the last request", async () => {
    const supervised = await start(workspace.app("supervised.ts"));
    const gate = new Gate(supervised);
    const waiting = supervised.request(`/file?${gate.path}`);
    await supervised.logged(/app: waiting in/u);
    const stopping = curl(supervised, "--request", "POST", "http://tsgi/stop");
    await until("the stop to begin", async () => (await supervised.status()).state === "stopping");
    expect(supervised.program.end).toBeUndefined();
    await gate.open();
    expect((await waiting).body.toString()).toMatch(/^the file is there/u);
    expect((await stopping).status).toBe(200);
    expect(await within("the daemon to end", supervised.program.ended)).toEqual({ code: 0, signal: null });
  }, 60_000);

  test("anything else is refused in JSON, and nobody else may connect", async () => {
    const supervised = await start(workspace.app("supervised.ts"));
    for (const [method, path, status] of [
      ["GET", "/", 404],
      ["GET", "/reload", 405],
      ["POST", "/status", 405],
      ["DELETE", "/stop", 405],
      ["GET", "/../status", 404],
    ] as const) {
      const reply = await curl(supervised, "--path-as-is", "--request", method, `http://tsgi${path}`);
      expect(`${method} ${path} ${reply.status}`).toBe(`${method} ${path} ${status}`);
      expect(JSON.parse(reply.body)).toMatchObject({ ok: false });
    }
    expect((await supervised.group()).reloads).toEqual({ done: 0, failed: 0 });
    if (apacheAccount() !== undefined) {
      const stranger = workspace.program(
        "curl",
        [
          "setpriv",
          "--reuid=65534",
          "--regid=65534",
          "--clear-groups",
          "curl",
          "--silent",
          "--max-time",
          "10",
          "--unix-socket",
          supervised.control,
          "http://tsgi/status",
        ],
        { asRoot: true },
      );
      expect((await stranger.ended).code).toBe(7);
      expect(stranger.stdout).toBe("");
    }
  }, 60_000);
});

describe("the commands", () => {
  test("tsgi status draws a table, and prints JSON when asked", async () => {
    const supervised = await start(workspace.app("supervised.ts"));
    const drawn = await supervised.command("status");
    expect(drawn.end?.code, drawn.report()).toBe(0);
    for (const pid of supervised.workers()) expect(drawn.stdout).toContain(String(pid));
    expect(drawn.stdout).toContain("serving");
    const json = await supervised.command("status", "--json");
    expect(json.end?.code, json.report()).toBe(0);
    expect((JSON.parse(json.stdout) as StatusFacts).pid).toBe(supervised.pid);
  }, 60_000);

  test("they find a daemon by its --listen, and say when there is none", async () => {
    const supervised = await start(workspace.app("supervised.ts"));
    const found = workspace.tsgi(["status", "--listen", supervised.listen, "--json"]);
    expect((await found.ended).code, found.report()).toBe(0);
    expect((JSON.parse(found.stdout) as StatusFacts).pid).toBe(supervised.pid);
    for (const name of ["status", "reload", "stop"]) {
      const lost = workspace.tsgi([name, "--control", `unix:${workspace.path("run", "nobody.control")}`]);
      expect((await lost.ended).code).toBe(1);
      expect(lost.stderr.trim().split("\n")).toHaveLength(1);
      expect(lost.stderr).toContain("nobody.control");
    }
  }, 60_000);

  test("tsgi reload waits until the new generation serves", async () => {
    const app = await versionedApp(workspace, "command-reload");
    const supervised = await start(app.file);
    const load = supervised.load({ clients: 6, pauseMs: 1 });
    for (const version of ["2", "3"]) {
      await app.write(version);
      const reload = await supervised.command("reload");
      expect(reload.end?.code, reload.report()).toBe(0);
      for (let count = 0; count < 10; count += 1) expect(await supervised.text("/version")).toBe(version);
    }
    expect((await load.stop()).failed, load.describe()).toBe(0);
  }, 60_000);

  test("tsgi stop waits until the last request ended; a request that takes too long is cut off", async () => {
    const supervised = await start(workspace.app("supervised.ts"), "--shutdown-timeout", "1500ms");
    const hopeless = supervised.request("/never?stop").then(
      ({ status }) => status,
      () => 0,
    );
    await supervised.logged(/app: never stop began/u);
    const stop = await supervised.command("stop");
    expect(stop.end?.code, stop.report()).toBe(0);
    expect(await within("the daemon to end", supervised.program.ended)).toEqual({ code: 0, signal: null });
    expect([0, 503, 504]).toContain(await hopeless);
    expect(supervised.log).toMatch(/app: never stop aborted/u);
  }, 60_000);
});

describe("files", () => {
  test("--pid-file holds the supervisor's number while it runs, and refuses to be taken over", async () => {
    const pidFile = workspace.path("run", "daemon.pid");
    const supervised = await start(workspace.app("supervised.ts"), "--pid-file", pidFile);
    expect(Number(readFileSync(pidFile, "utf8"))).toBe(supervised.pid);
    const second = workspace.tsgi([
      "daemon",
      workspace.app("supervised.ts"),
      "--listen",
      `unix:${workspace.path("run", "second.sock")}`,
      "--pid-file",
      pidFile,
    ]);
    expect((await within("the second daemon to end", second.ended)).code).toBe(1);
    expect(second.stderr).toContain(pidFile);
    expect(Number(readFileSync(pidFile, "utf8"))).toBe(supervised.pid);
    await supervised.leaveNoTrace();
    expect(() => readFileSync(pidFile)).toThrow(/ENOENT/u);
  }, 60_000);

  test("touching --touch-file reloads, once for each touch", async () => {
    const app = await versionedApp(workspace, "touched");
    const touchFile = await workspace.write("touched/tmp/restart.txt", "");
    const supervised = await start(app.file, "--touch-file", touchFile);
    const load = supervised.load({ clients: 4, pauseMs: 2 });
    await load.more(50);
    for (const version of ["2", "3"]) {
      await app.write(version);
      const now = new Date();
      await utimes(touchFile, now, now);
      await until(`version ${version}`, async () => (await supervised.text("/version")) === version);
    }
    await until("the second reload to be counted", async () => (await supervised.group()).reloads.done === 2);
    await load.more(100);
    expect((await supervised.group()).reloads).toEqual({ done: 2, failed: 0 });
    expect((await load.stop()).failed, load.describe()).toBe(0);
  }, 60_000);

  test("--reload follows the application's files; a broken edit keeps the old one until it is mended", async () => {
    const part = await workspace.write("followed/part.ts", 'export const part: string = "1";\n');
    const file = await workspace.write(
      "followed/app.ts",
      `import { part } from "./part.ts";
export const application = (_environ: unknown, startResponse: (status: string, headers: [string, string][]) => unknown) => {
  startResponse("200 OK", [["Content-Type", "text/plain"]]);
  return "part " + part;
};\n`,
    );
    const supervised = await start(file, "--reload");
    expect(await supervised.text("/")).toBe("part 1");
    await writeFile(part, 'export const part: string = "2";\n');
    await until("the edited module", async () => (await supervised.text("/")) === "part 2");
    await writeFile(part, "export const part: string = (;\n");
    await supervised.logged(/part\.ts:1/u);
    for (let count = 0; count < 20; count += 1) expect(await supervised.text("/")).toBe("part 2");
    await writeFile(part, 'export const part: string = "3";\n');
    await until("the mended module", async () => (await supervised.text("/")) === "part 3");
    await supervised.serving();
  }, 60_000);

  test("without --reload an edit changes nothing", async () => {
    const app = await versionedApp(workspace, "unfollowed");
    const supervised = await start(app.file);
    await app.write("2");
    const load = supervised.load({ clients: 4, pauseMs: 2 });
    const startedAt = performance.now();
    await until("more time than a look at the files takes", () => performance.now() - startedAt > 2500);
    expect(await supervised.text("/version")).toBe("1");
    expect((await load.stop()).failed, load.describe()).toBe(0);
    expect((await supervised.group()).reloads).toEqual({ done: 0, failed: 0 });
  }, 60_000);
});
