// Started as root, the workers become somebody else for good before they read the application: user, groups, umask, home
// and name. Nothing here can be tried as anybody but root: then the refusal is what is tested.
import { statSync } from "node:fs";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { apacheAccount } from "../../harness/machine.ts";
import { statusLineOf, environmentOf } from "../../harness/process-facts.ts";
import { Supervised } from "../../harness/supervised.ts";
import { versionedApp } from "../../harness/versioned-app.ts";
import { within } from "../../harness/until.ts";
import { Workspace } from "../../harness/workspace.ts";

let workspace: Workspace;

beforeAll(async () => {
  workspace = await Workspace.open();
}, 60_000);

afterAll(() => workspace.close(), 60_000);

const account = apacheAccount();

interface Identity {
  readonly uid: number;
  readonly euid: number;
  readonly gid: number;
  readonly groups: readonly number[];
  readonly owners: readonly number[];
  readonly mode: string;
  readonly home: string | null;
  readonly title: string;
  readonly cwd: string;
  readonly setuid: string;
  readonly seteuid: string;
  readonly setgid: string;
}

describe.skipIf(account === undefined)("as root", () => {
  const { name = "", uid = -1, gid = -1 } = account ?? {};

  test("--user, --umask, --home and --process-title hold for every worker, also after a reload, for files made asynchronously too", async () => {
    const home = await workspace.ownedDir("home");
    const files = await workspace.ownedDir("made");
    const supervised = await Supervised.start(workspace, {
      app: workspace.app("supervised.ts"),
      asRoot: true,
      args: ["--user", name, "--umask", "027", "--home", home, "--process-title", "shop worker"],
    });
    expect(statusLineOf(supervised.pid, "Uid")).toMatch(/^0\s+0\s+0\s+0$/u);
    for (const turn of [1, 2]) {
      // One that is being replaced may end while we look.
      for (const { pid } of await supervised.serving()) {
        expect(statusLineOf(pid, "Uid").split(/\s+/u).map(Number)).toEqual([uid, uid, uid, uid]);
        expect(statusLineOf(pid, "Gid").split(/\s+/u).map(Number)).toEqual([gid, gid, gid, gid]);
        expect(statusLineOf(pid, "Groups").trim().split(/\s+/u).map(Number)).not.toContain(0);
        expect(statusLineOf(pid, "CapEff")).toMatch(/^0+$/u);
        expect(statusLineOf(pid, "CapPrm")).toMatch(/^0+$/u);
      }
      const identity = JSON.parse(await supervised.text(`/identity?${files}/file-${turn}`)) as Identity;
      expect(identity).toMatchObject({ uid, euid: uid, gid, mode: "640", cwd: home, title: "shop worker" });
      expect(identity.groups).not.toContain(0);
      expect(identity.owners).toEqual([uid, gid, uid, gid]);
      expect([identity.setuid, identity.seteuid, identity.setgid]).toEqual(["EPERM", "EPERM", "EPERM"]);
      expect(identity.home).not.toBe("/root");
      await supervised.reload();
    }
    const load = supervised.load({ clients: 6, requests: 300 });
    expect((await load.finished()).failed, load.describe()).toBe(0);
    // Apache's user may open the socket; the control socket is root's alone.
    expect(statSync(supervised.control)).toMatchObject({ uid: 0 });
    expect(statSync(supervised.control).mode & 0o777).toBe(0o600);
  }, 60_000);

  test("the application is imported as the user: what it makes at import is not root's", async () => {
    const files = await workspace.ownedDir("import");
    const app = await versionedApp(workspace, "at-import");
    await app.writeBroken(
      `import { writeFileSync } from "node:fs"; import { writeFile } from "node:fs/promises";
writeFileSync(${JSON.stringify(`${files}/`)} + process.pid, String(process.getuid?.())); await writeFile(${JSON.stringify(`${files}/`)} + process.pid + ".async", "");`,
    );
    const supervised = await Supervised.start(workspace, { app: app.file, asRoot: true, args: ["--user", name] });
    for (const pid of supervised.workers()) {
      for (const file of [`${files}/${pid}`, `${files}/${pid}.async`])
        expect(statSync(file)).toMatchObject({ uid, gid });
      expect(environmentOf(pid)["HOME"]).not.toBe("/root");
    }
  }, 60_000);

  test("--group alone beside --user replaces the group", async () => {
    const supervised = await Supervised.start(workspace, {
      app: workspace.app("supervised.ts"),
      asRoot: true,
      args: ["--user", name, "--group", "daemon", "--socket-group", name],
    });
    const [pid = 0] = supervised.workers();
    const [group] = statusLineOf(pid, "Gid").split(/\s+/u).map(Number);
    expect(group).not.toBe(gid);
    expect(group).not.toBe(0);
    expect(await supervised.text("/hello")).toBe("hello");
  }, 60_000);

  test("a user that is not there: one line that names it, exit code 1", async () => {
    const program = workspace.tsgi(
      [
        "daemon",
        workspace.app("supervised.ts"),
        "--listen",
        `unix:${workspace.path("run", "nobody.sock")}`,
        "--user",
        "no-such-user",
      ],
      { asRoot: true },
    );
    const { code } = await within("the daemon to end", program.ended);
    expect([1, 2]).toContain(code);
    expect(program.stderr).toContain("no-such-user");
    expect(program.stderr.trim().split("\n")).toHaveLength(1);
  }, 60_000);
});

test("anybody but root cannot become another user: refused before anything is loaded", async () => {
  const marker = workspace.path("tmp", "loaded");
  const app = await versionedApp(workspace, "refused");
  await app.writeBroken(`import { writeFileSync } from "node:fs"; writeFileSync(${JSON.stringify(marker)}, "");`);
  const program = workspace.tsgi([
    "daemon",
    app.file,
    "--listen",
    `unix:${workspace.path("run", "refused.sock")}`,
    "--user",
    "daemon",
  ]);
  expect((await within("the daemon to end", program.ended)).code).toBe(1);
  expect(program.stderr).toMatch(/--user/u);
  expect(() => statSync(marker)).toThrow(/ENOENT/u);
}, 60_000);
