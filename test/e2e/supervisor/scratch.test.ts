import { afterAll, beforeAll, expect, test } from "vitest";
import { Supervised } from "../../harness/supervised.ts";
import { Workspace } from "../../harness/workspace.ts";
let workspace: Workspace;
beforeAll(async () => {
  workspace = await Workspace.open();
}, 60_000);
afterAll(() => workspace.close(), 60_000);
test("idle", async () => {
  const supervised = await Supervised.start(workspace, { app: workspace.app("supervised.ts"), args: ["--node-option", "--require=/tmp/tw/trace.cjs"] });
  const load = supervised.load({ clients: 8, pauseMs: 2, deadlineMs: 5000 });
  for (let i = 0; i < 10; i += 1) { await load.more(50); await supervised.reload(); }
  expect((await load.stop()).failed, load.describe()).toBe(0);
}, 100_000);
