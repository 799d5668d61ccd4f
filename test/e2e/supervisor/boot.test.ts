// Applications that do not come up: a first start fails loudly, a reload keeps what serves, and a crash loop costs little,
// answers at once and ends soon after the fault is mended.
import { rm, writeFile } from "node:fs/promises";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { headerValues } from "../../harness/http.ts";
import { filesBelow, processesOf } from "../../harness/leftovers.ts";
import { processorMs } from "../../harness/process-facts.ts";
import { Supervised, brokenBackend } from "../../harness/supervised.ts";
import { until, within } from "../../harness/until.ts";
import { versionedApp } from "../../harness/versioned-app.ts";
import { Workspace } from "../../harness/workspace.ts";

let workspace: Workspace;

beforeAll(async () => {
  workspace = await Workspace.open();
}, 60_000);

afterAll(() => workspace.close(), 60_000);

const neverSettles = "setInterval(() => {}, 1000); await new Promise(() => {});";

/** Short only where the test waits for its end: a busy machine takes seconds to start a worker. */
function timeoutFor(text: string): string {
  return text.includes(neverSettles) ? "3s" : "30s";
}

describe("a first start", () => {
  const broken: [name: string, text: string, said: RegExp][] = [
    ["a syntax error", "export const application = (;\n", /app\.ts:1/u],
    ["an error at import", 'throw new Error("broken on purpose");\n', /broken on purpose/u],
    ["no application", "export const other = 1;\n", /exports/u],
    ["an import that never ends", `${neverSettles}\nexport const application = () => "";\n`, /startup-timeout/u],
    ["an exit at import", "process.exit(7);\n", /7/u],
  ];
  for (const [name, text, said] of broken) {
    test(`with ${name} fails with its reason, exit code 1 and nothing left`, async () => {
      const folder = `first-${name.replaceAll(" ", "-")}`;
      const file = await workspace.write(`${folder}/app.ts`, text);
      const socket = workspace.path("run", `${folder}.sock`);
      const program = workspace.tsgi([
        "daemon",
        file,
        "--listen",
        `unix:${socket}`,
        "--processes",
        "2",
        "--startup-timeout",
        timeoutFor(text),
      ]);
      expect(await within("the daemon to end", program.ended), program.report()).toEqual({ code: 1, signal: null });
      expect(program.stderr).toMatch(said);
      expect(program.stdout).toBe("");
      expect(filesBelow(workspace.path("run"), () => true).filter((path) => path.startsWith(folder))).toEqual([]);
      await until(
        "its processes to be gone",
        () => !processesOf(workspace.dir).some(({ command }) => command.includes(folder)),
      );
    }, 60_000);
  }
});

describe("a reload", () => {
  const broken: [name: string, code: string, said: RegExp][] = [
    ["a syntax error", "const x = (;", /app\.ts:\d+/u],
    ["an error at import", 'throw new Error("import fails on purpose");', /import fails on purpose/u],
    ["an import that never ends", neverSettles, /startup-timeout/u],
  ];
  for (const [name, code, said] of broken) {
    test(`to ${name} leaves the old generation serving, says why, and exits with 1`, async () => {
      const app = await versionedApp(workspace, `reload-${name.replaceAll(" ", "-")}`);
      const supervised = await Supervised.start(workspace, {
        app: app.file,
        args: ["--startup-timeout", timeoutFor(code)],
      });
      const before = supervised.workers();
      const load = supervised.load({ clients: 6, pauseMs: 2 });
      await load.more(50);
      await app.writeBroken(code);
      const failed = await supervised.command("reload");
      expect(failed.end?.code, failed.report()).toBe(1);
      expect(failed.stderr).toMatch(said);
      expect(await supervised.text("/version")).toBe("1");
      const group = await supervised.group();
      expect(group).toMatchObject({ reloads: { done: 0, failed: 1 }, state: "serving" });
      expect(group.lastBootError?.message).toMatch(said);
      expect(Number.isNaN(Date.parse(group.lastBootError?.at ?? ""))).toBe(false);
      expect(supervised.log).toMatch(said);
      await load.more(50);
      await supervised.serving();
      expect(supervised.workers()).toEqual(before);
      await app.write("3");
      const mended = await supervised.command("reload");
      expect(mended.end?.code, mended.report()).toBe(0);
      expect(await supervised.text("/version")).toBe("3");
      expect((await load.stop()).failed, load.describe()).toBe(0);
    }, 60_000);
  }
});

describe("a crash loop", () => {
  test("backs off, answers 503 at once with Retry-After, costs little, and ends when the file is mended", async () => {
    const app = await versionedApp(workspace, "loop");
    const supervised = await Supervised.start(workspace, {
      app: app.file,
      processes: 1,
      args: ["--queue-timeout", "20s", "--error-page", await workspace.write("loop.html", "<p>{{status}}</p>\n")],
      expectLog: brokenBackend,
    });
    await app.writeBroken('throw new Error("import fails on purpose");');
    const failedBoots = async (): Promise<number> => (await supervised.status()).restarts["boot-failed"] ?? 0;
    for (const pid of supervised.workers()) process.kill(pid, "SIGKILL");
    const times: number[] = [];
    const cpuBefore = processorMs(supervised.pid);
    const startedAt = performance.now();
    for (let count = 1; count <= 7; count += 1) {
      await until(`boot failure ${count}`, async () => (await failedBoots()) >= count, 60_000);
      times.push(performance.now());
    }
    const gaps = times.slice(1).map((time, index) => time - (times[index] ?? 0));
    // From 0.1 s, twice as long each time, give or take: the last pause was 3.2 s, the second 0.2 s.
    expect((gaps[5] ?? 0) - (gaps[1] ?? 0), gaps.join()).toBeGreaterThan(1500);
    const usedMs = processorMs(supervised.pid) - cpuBefore;
    expect(usedMs / (performance.now() - startedAt), "share of a processor").toBeLessThan(0.2);

    const asked = performance.now();
    for (let count = 0; count < 5; count += 1) {
      const reply = await supervised.request("/hello");
      expect(reply).toMatchObject({ status: 503, complete: true });
      expect(headerValues(reply.headers, "retry-after").join()).toMatch(/^\d+$/u);
      expect(reply.body.toString()).toBe("<p>503</p>\n");
    }
    // At once: not one of them has waited for its place in the queue to run out, 20 s.
    expect(performance.now() - asked).toBeLessThan(4000);
    const group = await supervised.group();
    expect(group.state).toBe("unavailable");
    expect(group.lastBootError?.message).toMatch(/import fails on purpose/u);

    // The next attempt is 5 to 8 s away, so that only the changed file can be what brings it back.
    await until("the seventh pause to begin", async () => (await failedBoots()) >= 7);
    const boots = await failedBoots();
    await app.write("mended");
    const mendedAt = performance.now();
    await until("the mended application", async () => (await supervised.request("/version")).status === 200, 20_000);
    if (boots === 7) expect(performance.now() - mendedAt).toBeLessThan(4500);
    expect(await supervised.text("/version")).toBe("mended");
    await supervised.serving();
  }, 90_000);

  test("ends at once with a reload after the fault is mended", async () => {
    const app = await versionedApp(workspace, "loop-reload");
    const flag = await workspace.write("loop-reload/flag", "");
    await app.writeBroken(`if (!existsSync(${JSON.stringify(flag)})) throw new Error("no flag");`);
    const supervised = await Supervised.start(workspace, { app: app.file, processes: 1, expectLog: brokenBackend });
    await rm(flag);
    for (const pid of supervised.workers()) process.kill(pid, "SIGKILL");
    await until("six failures", async () => ((await supervised.status()).restarts["boot-failed"] ?? 0) >= 6, 60_000);
    await writeFile(flag, "");
    const before = (await supervised.group()).generation;
    const reload = await supervised.command("reload");
    expect(reload.end?.code, reload.report()).toBe(0);
    expect(await supervised.text("/hello")).toBe("hello");
    const [worker] = await supervised.serving();
    expect(worker?.generation).toBeGreaterThan(before - 1);
  }, 60_000);

  test("requests that come while the only worker is replaced wait, and are answered by the next one", async () => {
    const app = await versionedApp(workspace, "slow-boot");
    const supervised = await Supervised.start(workspace, {
      app: app.file,
      processes: 1,
      hasReuse: false,
      args: ["--queue-timeout", "30s"],
      expectLog: brokenBackend,
    });
    await app.writeBroken("await new Promise((resolve) => setTimeout(resolve, 1500));");
    for (const pid of supervised.workers()) process.kill(pid, "SIGKILL");
    await until("the next worker to boot", async () =>
      (await supervised.status()).workers.some(({ state }) => state === "booting"),
    );
    const replies = await Promise.all(Array.from({ length: 10 }, () => supervised.request("/version")));
    for (const reply of replies) expect(reply).toMatchObject({ status: 200, complete: true });
  }, 60_000);
});
