// The socket file while the daemon runs: removed, moved away, replaced. It is noticed, made again with the same
// permissions, and nothing that belongs to somebody else is touched.
import { chmodSync, lstatSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from "node:fs";
import { afterAll, beforeAll, expect, test } from "vitest";
import { isSocket } from "../../harness/leftovers.ts";
import { HeldResponse } from "../../harness/held.ts";
import { Supervised, askControl, brokenBackend } from "../../harness/supervised.ts";
import { until } from "../../harness/until.ts";
import { Workspace } from "../../harness/workspace.ts";

let workspace: Workspace;

beforeAll(async () => {
  workspace = await Workspace.open();
}, 60_000);

afterAll(() => workspace.close(), 60_000);

const noSocket = [...brokenBackend, /AH02454|\(2\)No such file|\(111\)Connection refused/u];

function start(hasReuse: boolean, ...args: readonly string[]): Promise<Supervised> {
  return Supervised.start(workspace, { app: workspace.app("supervised.ts"), hasReuse, args, expectLog: noSocket });
}

for (const how of ["removed", "moved away"] as const) {
  test(`a socket file that is ${how} is there again within seconds, with its permissions`, async () => {
    const supervised = await start(false, "--socket-mode", "0640");
    const { mode, ino, uid, gid } = statSync(supervised.socket);
    expect((mode & 0o777).toString(8)).toBe("640");
    const held = await HeldResponse.open(supervised);
    if (how === "removed") rmSync(supervised.socket);
    else renameSync(supervised.socket, `${supervised.socket}.old`);
    await until("the socket file", () => isSocket(supervised.socket), 10_000);
    const now = statSync(supervised.socket);
    expect(now).toMatchObject({ mode, uid, gid });
    if (how === "moved away") {
      expect(now.ino).not.toBe(ino);
      rmSync(`${supervised.socket}.old`, { force: true });
    }
    const load = supervised.load({ clients: 6, requests: 300 });
    expect((await load.finished()).failed, load.describe()).toBe(0);
    await held.goesOn();
    expect(await held.finish()).toBeGreaterThan(0);
    // Workers of the next generation listen on the new one.
    await supervised.reload();
    const after = supervised.load({ clients: 6, requests: 200 });
    expect((await after.finished()).failed, after.describe()).toBe(0);
  }, 60_000);
}

test("kept connections go on while the socket file is away", async () => {
  const supervised = await start(true);
  const load = supervised.load({ clients: 4 });
  await load.more(200);
  rmSync(supervised.socket);
  await until("the socket file", () => isSocket(supervised.socket), 10_000);
  await load.more(200);
  const report = await load.stop();
  // Apache may have wanted a new connection in between: that is a 503, and nothing worse.
  for (const outcome of Object.keys(report.outcomes)) expect(["ok", "503"], load.describe()).toContain(outcome);
  const after = supervised.load({ clients: 6, requests: 200 });
  expect((await after.finished()).failed, after.describe()).toBe(0);
}, 60_000);

test("a regular file in the place of the socket is not touched, and is said to be there", async () => {
  const supervised = await start(true);
  rmSync(supervised.socket);
  writeFileSync(supervised.socket, "somebody else's");
  chmodSync(supervised.socket, 0o644);
  const { ino } = lstatSync(supervised.socket);
  await supervised.logged(new RegExp(`${supervised.socket.replaceAll("/", "\\/")}|socket`, "u"));
  await until("a line in the log", () => /"level":(?:40|50).*(?:socket|file)/u.test(supervised.log), 10_000);
  expect(readFileSync(supervised.socket, "utf8")).toBe("somebody else's");
  expect(lstatSync(supervised.socket).ino).toBe(ino);
  // Once it is gone the socket comes back.
  rmSync(supervised.socket);
  await until("the socket file", () => isSocket(supervised.socket), 15_000);
  const load = supervised.load({ clients: 4, requests: 100 });
  expect((await load.finished()).failed, load.describe()).toBe(0);
}, 60_000);

test("at the end a file in the place of the socket is left alone", async () => {
  const supervised = await start(true);
  rmSync(supervised.socket);
  writeFileSync(supervised.socket, "somebody else's");
  expect(await supervised.stop()).toEqual({ code: 0, signal: null });
  expect(readFileSync(supervised.socket, "utf8")).toBe("somebody else's");
  rmSync(supervised.socket);
}, 60_000);

test("a control socket that is removed is there again", async () => {
  const supervised = await start(true);
  rmSync(supervised.control);
  await until("the control socket", () => isSocket(supervised.control), 10_000);
  expect(statSync(supervised.control).mode & 0o777).toBe(0o600);
  expect((await askControl(supervised.control, "GET", "/status")).status).toBe(200);
}, 60_000);
