// A full disk behind mod_fcgid, where a body may have to go to a temporary file: that upload fails with an honest answer,
// nothing is left on the disk, and the process goes on.
import { execFileSync } from "node:child_process";
import { mkdirSync, readdirSync } from "node:fs";
import { statfs } from "node:fs/promises";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { Apache } from "../../harness/apache.ts";
import { HttpConnection } from "../../harness/http.ts";
import { isRunning } from "../../harness/leftovers.ts";
import { apacheAccount } from "../../harness/machine.ts";
import { until } from "../../harness/until.ts";
import { Workspace } from "../../harness/workspace.ts";

let workspace: Workspace;
let apache: Apache;
let small: string;
let isMounted = false;

beforeAll(async () => {
  workspace = await Workspace.open();
  workspace.expectLog(
    /the request body cannot be spooled: ENOSPC/u,
    /mod_fcgid: stderr: /u,
    /AH01075|mod_fcgid: (?:error|can't|read data|ap_pass_brigade)/u,
    /Premature end|End of script/u,
  );
  small = workspace.path("small");
  mkdirSync(small);
  const account = apacheAccount();
  if (account !== undefined) {
    // A disk of 2 MB of its own. Where none can be mounted the size of files is limited instead, as for other users.
    try {
      execFileSync("mount", [
        "-t",
        "tmpfs",
        "-o",
        `size=2m,mode=0700,uid=${account.uid},gid=${account.gid}`,
        "tsgi-test",
        small,
      ]);
      isMounted = true;
    } catch {
      isMounted = false;
    }
  }
  const limit = isMounted ? `TMPDIR='${small}'; export TMPDIR` : "ulimit -f 2048";
  const words = [
    workspace.bin("tsgi-fcgid"),
    `--cache-dir=${workspace.product.cacheDir}`,
    workspace.app("supervised.ts"),
  ];
  const wrapper = await workspace.write(
    "app.fcgi",
    `#!/bin/sh\n${limit}\nexec ${words.map((word) => `'${word}'`).join(" ")}\n`,
    0o755,
  );
  apache = await workspace.apache({
    modules: ["fcgid"],
    config: `
SetEnvIf Request_URI . ap_trust_cgilike_cl=1
FcgidMaxRequestLen 100000000
FcgidMaxProcessesPerClass 1
FcgidOutputBufferSize 0
FcgidIOTimeout 20
Alias "/app" "${wrapper}"
<Location "/app">
  SetHandler fcgid-script
  Options +ExecCGI
  Require all granted
</Location>`,
  });
}, 60_000);

afterAll(async () => {
  // Lazily: Apache and its process still run, and the workspace removes the folder with all that is in it.
  if (isMounted) execFileSync("umount", ["--lazy", small]);
  await workspace.close();
}, 60_000);

const text = async (target: string): Promise<string> => (await apache.request(`/app${target}`)).body.toString("latin1");

/** A body of `bytes` for an application that writes `output` bytes before it reads. */
async function upload(bytes: number, output: number): Promise<{ status: number; complete: boolean; end: string }> {
  const connection = await HttpConnection.open(apache.port, { deadlineMs: 40_000 });
  const sending = connection.sendRequest({
    method: "POST",
    target: `/app/write-first?${output}`,
    body: Buffer.alloc(bytes, "u"),
  });
  const head = await connection.readHead();
  const body = await connection.readBody();
  const { complete } = connection;
  connection.destroy();
  await sending.catch(() => undefined);
  return { status: head.status, complete, end: body.subarray(-40).toString("latin1") };
}

test("a full disk under the temporary file fails that upload only, leaves nothing there, and keeps the process", async () => {
  const pid = Number(await text("/pid"));
  expect(pid).toBeGreaterThan(0);
  const fits = await upload(1_000_000, 3_000_000);
  expect(fits).toMatchObject({ status: 200, complete: true });
  expect(fits.end.endsWith("read 1000000")).toBe(true);
  const freeBefore = (await statfs(small)).bfree;
  for (let turn = 0; turn < 3; turn += 1) {
    const failed = await upload(20_000_000, 3_000_000);
    // An error page when nothing was sent yet; else the body lacks its end: mod_fcgid hides from the client that it broke.
    if (failed.status !== 500 && failed.status !== 507) expect(failed.end).not.toContain("read ");
    expect(Number(await text("/pid"))).toBe(pid);
  }
  expect(isRunning(pid)).toBe(true);
  expect(readdirSync(small)).toEqual([]);
  if (isMounted) await until("the space to be free again", async () => (await statfs(small)).bfree >= freeBefore);
  const again = await upload(1_000_000, 3_000_000);
  expect(again).toMatchObject({ status: 200, complete: true });
  expect(Number(await text("/pid"))).toBe(pid);
  const log = await apache.errorLog();
  expect(log).toMatch(/ENOSPC|EFBIG/u);
}, 90_000);
