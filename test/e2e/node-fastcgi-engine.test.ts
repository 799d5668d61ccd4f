// `--engine node-fastcgi`: the daemon on that package instead of our engine.
import { cp, mkdir, readdir, rm, symlink } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { Apache } from "../harness/apache.ts";
import { until } from "../harness/until.ts";
import { Workspace, type Daemon } from "../harness/workspace.ts";

let workspace: Workspace;
let daemon: Daemon;
let apache: Apache;

beforeAll(async () => {
  workspace = await Workspace.open();
  workspace.expectLog(
    /AH01071: Got error 'tsgi: /u,
    /AH01075: Error dispatching request to/u,
    /AH01067: Failed to read FastCGI header/u,
    /AH10410: /u,
  );
  daemon = await workspace.daemon([workspace.app("rows.ts"), "--engine", "node-fastcgi", "--processes", "1"]);
  apache = await workspace.apache({
    modules: ["proxy", "proxy_fcgi"],
    // Without enablereuse: the package closes each connection that Apache asks it to keep.
    config: `
<Location "/">
  Require all granted
  ProxyFCGIBackendType GENERIC
  SetEnvIf Request_URI . ap_trust_cgilike_cl=1
  ProxyPass "unix:${daemon.socket}|fcgi://engine/" flushpackets=on
</Location>`,
  });
}, 60_000);

afterAll(() => workspace.close(), 60_000);

describe("the daemon on node-fastcgi", () => {
  const row = (app: string, more: { method?: string; body?: string } = {}) =>
    apache.request({ target: "/", headers: [["X-Application", app]], ...more });

  test("answers", async () => {
    const reply = await row("hello");
    expect([reply.status, reply.body.toString()]).toEqual([200, "Hello, "]);
  });

  test("gives a body to the application and takes one from it", async () => {
    const body = "b".repeat(200_000);
    const reply = await row("echo", { method: "POST", body });
    expect(reply.body.toString() === body).toBe(true);
  });

  test("a failure after the head is still no whole response", async () => {
    const reply = await row("generator fails after its first chunk");
    expect([reply.status, reply.complete]).toEqual([200, false]);
  });

  test("is replaced by a reload, like any worker", async () => {
    const reload = workspace.tsgi(["reload", "--listen", `unix:${daemon.socket}`]);
    expect((await reload.ended).code).toBe(0);
    expect((await row("hello")).status).toBe(200);
  });

  test("no other engine is known", async () => {
    const program = workspace.tsgi([
      "daemon",
      workspace.app("rows.ts"),
      "--listen",
      "tcp:127.0.0.1:0",
      "--engine",
      "other",
    ]);
    expect((await program.ended).code).toBe(2);
    expect(program.stderr).toContain("expected one of tsgi, node-fastcgi");
  });
});

test("one clear error where the package is not installed, before anything is started", async () => {
  const bare = workspace.path("bare");
  await mkdir(join(bare, "node_modules"), { recursive: true });
  for (const name of ["bin", "dist", "package.json"]) {
    await cp(join(workspace.product.dir, name), join(bare, name), { recursive: true });
  }
  const installed = join(workspace.product.dir, "node_modules");
  for (const name of await readdir(installed)) {
    if (name !== "node-fastcgi") await symlink(join(installed, name), join(bare, "node_modules", name));
  }
  const args = ["daemon", workspace.app("rows.ts"), "--listen", "tcp:127.0.0.1:0", "--processes", "1"];
  const tsgi = (...more: string[]) =>
    workspace.program("tsgi", [process.execPath, join(bare, "bin/tsgi"), ...args, ...more]);
  const program = tsgi("--engine", "node-fastcgi");
  expect((await program.ended).code).toBe(1);
  expect(program.stdout).toBe("");
  expect(program.stderr).toBe(
    "tsgi: --engine node-fastcgi: the package node-fastcgi is not installed; run npm install node-fastcgi [TSGI3102]\n",
  );
  const without = tsgi();
  await until("the daemon to serve without it", () => without.stdout.includes("tsgi: listening on "));
  await without.stop();
  await rm(bare, { recursive: true });
});
