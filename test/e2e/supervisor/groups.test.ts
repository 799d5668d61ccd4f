// Several applications in one daemon, from a configuration file: groups with sockets, settings and processes of their own.
// What goes wrong in one is not noticed in another.
import { afterAll, beforeAll, expect, test } from "vitest";
import type { Apache } from "../../harness/apache.ts";
import { httpRequest } from "../../harness/http.ts";
import { isSocket } from "../../harness/leftovers.ts";
import { Load } from "../../harness/load.ts";
import { environmentOf } from "../../harness/process-facts.ts";
import { Supervised, brokenBackend, type GroupFacts } from "../../harness/supervised.ts";
import { until, within } from "../../harness/until.ts";
import { versionedApp } from "../../harness/versioned-app.ts";
import { Workspace } from "../../harness/workspace.ts";

let workspace: Workspace;

beforeAll(async () => {
  workspace = await Workspace.open();
}, 60_000);

afterAll(() => workspace.close(), 60_000);

interface TwoGroups {
  readonly supervised: Supervised;
  readonly apache: Apache;
  readonly app: {
    readonly shop: Awaited<ReturnType<typeof versionedApp>>;
    readonly blog: Awaited<ReturnType<typeof versionedApp>>;
  };
  readonly group: (name: string) => Promise<GroupFacts>;
  readonly text: (target: string) => Promise<string>;
}

let count = 0;

/** A daemon with two groups, from a tsgi.config.ts, behind an Apache that `tsgi config` has configured. */
async function twoGroups(): Promise<TwoGroups> {
  count += 1;
  const folder = `groups-${count}`;
  const shop = await versionedApp(workspace, `${folder}/shop`, "shop 1");
  const blog = await versionedApp(workspace, `${folder}/blog`, "blog 1");
  const control = workspace.path("run", `${folder}.control`);
  const sockets = {
    shop: workspace.path("run", `${folder}-shop.sock`),
    blog: workspace.path("run", `${folder}-blog.sock`),
  };
  const file = await workspace.write(
    `${folder}/tsgi.config.ts`,
    `import { defineConfig } from "tsgi";
export default defineConfig({
  control: ${JSON.stringify(`unix:${control}`)},
  gracefulTimeout: "30s",
  groups: {
    shop: {
      applications: { "/shop": "shop/app.ts" },
      listen: ${JSON.stringify(`unix:${sockets.shop}`)},
      processes: 2,
      env: { WHO: "the shop" },
      deadlockTimeout: "3s",
    },
    blog: {
      applications: { "/blog": "blog/app.ts" },
      listen: ${JSON.stringify(`unix:${sockets.blog}`)},
      processes: 1,
      env: { WHO: "the blog" },
      logLevel: "debug",
      requestTimeout: "1s",
    },
  },
});
`,
  );
  const supervised = await Supervised.spawn(workspace, {
    app: undefined,
    args: ["--config", file],
    controlPath: control,
    sockets: Object.values(sockets),
    expectLog: brokenBackend,
  });
  await supervised.announced();
  await until("both sockets", () => isSocket(sockets.shop) && isSocket(sockets.blog));
  const printing = workspace.tsgi(["config", "proxy_fcgi", "--config", file]);
  expect((await within("tsgi config to end", printing.ended)).code, printing.report()).toBe(0);
  const apache = await supervised.startApacheWith(printing.stdout);
  await supervised.serving(3);
  await supervised.takeBaseline();
  return {
    supervised,
    apache,
    app: { shop, blog },
    group: async (name) => {
      const found = (await supervised.status()).groups.find((group) => group.name === name);
      if (found === undefined) throw new Error(`no group ${name}`);
      return found;
    },
    text: async (target) => (await httpRequest(apache.port, target)).body.toString(),
  };
}

test("each group has its own applications, processes, environment, limits and log level", async () => {
  const { supervised, apache, group, text } = await twoGroups();
  expect(await text("/shop/version")).toBe("shop 1");
  expect(await text("/blog/version")).toBe("blog 1");
  expect((await httpRequest(apache.port, "/other/version")).status).toBe(404);
  const [shop, blog] = [await group("shop"), await group("blog")];
  expect([shop.workers.length, blog.workers.length]).toEqual([2, 1]);
  expect(shop.listen).not.toBe(blog.listen);
  for (const { pid } of shop.workers) expect(environmentOf(pid)["WHO"]).toBe("the shop");
  for (const { pid } of blog.workers) expect(environmentOf(pid)["WHO"]).toBe("the blog");
  expect(JSON.parse(await text("/shop/environment?WHO"))).toMatchObject({ value: "the shop" });
  await text("/shop/log");
  await text("/blog/log");
  await supervised.logged(/a line at level debug/u);
  expect(supervised.log.match(/a line at level debug/gu)).toHaveLength(1);
  expect((await httpRequest(apache.port, "/blog/never?group")).status).toBe(504);
}, 60_000);

test("crashes and a blocked loop in one group are not noticed in the other", async () => {
  const { supervised, apache, group, text } = await twoGroups();
  const before = (await group("blog")).workers.map(({ pid }) => pid);
  const load = Load.start({ port: apache.port, mountPoint: "/blog", clients: 6, pauseMs: 2 });
  supervised.expectClients(6);
  await load.more(100);
  for (const { pid } of (await group("shop")).workers) process.kill(pid, "SIGKILL");
  await load.more(50);
  const blocked = httpRequest(apache.port, "/shop/block", { deadlineMs: 40_000 });
  await supervised.logged(/app: block in \d+/u);
  await load.more(50);
  expect((await blocked).status).toBe(503);
  await text("/shop/throw-outside?x");
  await until(
    "the shop to be whole again",
    async () => {
      const shop = await group("shop");
      return (
        shop.workers.length === 2 &&
        shop.workers.every(({ state }) => state === "serving") &&
        shop.restarts["uncaught-error"] === 1
      );
    },
    30_000,
  );
  await load.more(50);
  expect((await load.stop()).failed, load.describe()).toBe(0);
  const blog = await group("blog");
  expect(blog.workers.map(({ pid }) => pid)).toEqual(before);
  expect(Object.values(blog.restarts).reduce((sum, value) => sum + value, 0)).toBe(0);
  expect((await group("shop")).restarts).toMatchObject({ signal: 2, blocked: 1, "uncaught-error": 1 });
}, 60_000);

test("a crash loop in one group: it alone is unavailable", async () => {
  const { supervised, apache, app, group, text } = await twoGroups();
  const load = Load.start({ port: apache.port, mountPoint: "/blog", clients: 4, pauseMs: 5 });
  supervised.expectClients(4);
  await app.shop.writeBroken('throw new Error("the shop is broken");');
  for (const { pid } of (await group("shop")).workers) process.kill(pid, "SIGKILL");
  await until("the shop to be unavailable", async () => (await group("shop")).state === "unavailable", 30_000);
  expect((await httpRequest(apache.port, "/shop/hello")).status).toBe(503);
  expect((await group("blog")).state).toBe("serving");
  await load.more(100);
  expect((await load.stop()).failed, load.describe()).toBe(0);
  await app.shop.write("shop 2");
  await until("the mended shop", async () => (await text("/shop/version")) === "shop 2", 30_000);
}, 60_000);

test("a reload in which one group fails says which one; the other has its new code", async () => {
  const { supervised, app, text } = await twoGroups();
  await app.shop.writeBroken('throw new Error("the shop is broken");');
  await app.blog.write("blog 2");
  const reload = await supervised.command("reload");
  expect(reload.end?.code, reload.report()).toBe(1);
  expect(reload.stderr).toMatch(/shop/u);
  expect(await text("/shop/version")).toBe("shop 1");
  await until("the blog's new code", async () => (await text("/blog/version")) === "blog 2");
  await app.shop.write("shop 3");
  const mended = await supervised.command("reload");
  expect(mended.end?.code, mended.report()).toBe(0);
  expect([await text("/shop/version"), await text("/blog/version")]).toEqual(["shop 3", "blog 2"]);
}, 60_000);
