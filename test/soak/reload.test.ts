// The promise that no reload fails a request, at length: 200 reloads over at least 200,000 requests through Apache, over
// unix sockets and TCP, with and without kept connections, every body checked.
import { afterAll, beforeAll, expect, test } from "vitest";
import { HeldResponse } from "../harness/held.ts";
import { Supervised } from "../harness/supervised.ts";
import { Workspace } from "../harness/workspace.ts";

const reloads = 200;
const requests = 200_000;
/** Small ones above all, so that there are many; each kind is there. */
const mix = [
  ...Array.from({ length: 12 }, () => "small" as const),
  "echo",
  ...Array.from({ length: 12 }, () => "small" as const),
  "chunked",
  ...Array.from({ length: 12 }, () => "small" as const),
  "large",
  ...Array.from({ length: 40 }, () => "small" as const),
  "slow",
] as const;

let workspace: Workspace;

beforeAll(async () => {
  workspace = await Workspace.open();
}, 60_000);

afterAll(() => workspace.close(), 60_000);

for (const isTcp of [false, true]) {
  for (const hasReuse of [true, false]) {
    const name = `${isTcp ? "TCP" : "unix socket"}, connections ${hasReuse ? "kept" : "closed"}`;
    test(`${reloads} reloads over ${requests} requests fail none: ${name}`, async () => {
      const supervised = await Supervised.start(workspace, { app: workspace.app("supervised.ts"), isTcp, hasReuse });
      const loads = [true, false].map((isKeptAlive) => supervised.load({ clients: 8, isKeptAlive, mix }));
      const done = (): number => loads.reduce((sum, { report }) => sum + report.ok, 0);
      for (let turn = 1; turn <= reloads; turn += 1) {
        const held = turn % 20 === 0 ? await HeldResponse.open(supervised) : undefined;
        const { reloads: counts } = await supervised.reload();
        expect(counts).toEqual({ done: turn, failed: 0 });
        const missing = (requests * turn) / reloads - done();
        if (missing > 0) await Promise.race(loads.map((load) => load.more(Math.ceil(missing), 600_000)));
        await held?.finish();
        for (const load of loads) expect(load.report.failed, load.describe()).toBe(0);
      }
      await Promise.race(loads.map((load) => load.more(Math.max(1, requests - done()), 600_000)));
      const reports = await Promise.all(loads.map((load) => load.stop()));
      for (const [index, report] of reports.entries()) expect(report.failed, loads[index]?.describe()).toBe(0);
      expect(done()).toBeGreaterThanOrEqual(requests);
      if (hasReuse) expect((await supervised.group()).handedOver).toBeGreaterThan(0);
      process.stdout.write(`${name}: ${done()} requests, ${reloads} reloads, 0 failed\n`);
    });
  }
}
