// The slow log behind a real Apache: what a request that takes too long is said to be doing, and how often it is said.
import { afterAll, beforeAll, expect, test } from "vitest";
import { Supervised } from "../../harness/supervised.ts";
import { until } from "../../harness/until.ts";
import { Workspace } from "../../harness/workspace.ts";

let workspace: Workspace;

beforeAll(async () => {
  workspace = await Workspace.open();
}, 60_000);

afterAll(() => workspace.close(), 60_000);

interface SlowLine {
  readonly method: string;
  readonly path: string;
  readonly script: string;
  readonly request_id: string;
  readonly elapsedMs: number;
  readonly state: string;
  readonly status?: number;
  readonly leftOut?: number;
  readonly stack?: readonly string[];
}

function slowLines(supervised: Supervised, path: string): SlowLine[] {
  const lines = supervised.log.split("\n").filter((line) => line.includes('"TSGI2131"'));
  return lines.map((line) => JSON.parse(line) as SlowLine).filter((line) => line.path.startsWith(path));
}

async function slowLine(supervised: Supervised, path: string, state: string): Promise<SlowLine> {
  return await until(`a line that ${path} is ${state}`, () =>
    slowLines(supervised, path).find((line) => line.state === state),
  );
}

test("a request that blocks is told of with its stack, one that waits without, both once and at their end", async () => {
  const app = workspace.app("supervised.ts");
  const supervised = await Supervised.start(workspace, { app, args: ["--slow-request", "600ms"], processes: 2 });
  const gate = workspace.path("gates", "open");
  const blocked = supervised.request(`/block-file?${gate}`);
  const { stack = [], ...line } = await slowLine(supervised, "/block-file", "blocked");
  expect(line).toMatchObject({ method: "GET", path: `/block-file?${gate}`, script: app });
  expect(line.elapsedMs).toBeGreaterThanOrEqual(600);
  expect(stack.join("\n")).toMatch(/spinWithoutEnd \(\S+\/supervised\.ts:\d+:\d+\)/u);
  expect(stack.filter((frame) => frame.includes("/dist/"))).toEqual([]);

  // While it goes on, the status has it too: nobody else could say it.
  const running = await until("the status to have the stack", async () => {
    const { workers } = await supervised.status();
    return workers.flatMap((worker) => worker.running).find(({ where }) => where !== undefined);
  });
  expect(running).toMatchObject({ id: line.request_id, path: "/block-file", status: null });
  expect(running.where).toEqual(stack);

  const waiting = supervised.request(`/file?${workspace.path("gates", "later")}`);
  expect(await slowLine(supervised, "/file?", "waiting")).not.toHaveProperty("stack");
  expect(slowLines(supervised, "/file?")).toHaveLength(1);

  await workspace.write("gates/open", "");
  await workspace.write("gates/later", "");
  expect((await blocked).status).toBe(200);
  expect((await waiting).status).toBe(200);
  expect(await slowLine(supervised, "/block-file", "ended")).toMatchObject({ status: 200 });
  await slowLine(supervised, "/file?", "ended");
  expect(slowLines(supervised, "/block-file")).toHaveLength(2);
  expect(slowLines(supervised, "/file?")).toHaveLength(2);

  const load = supervised.load({ clients: 4, requests: 200, mix: ["small"] });
  expect((await load.finished()).failed, load.describe()).toBe(0);
  expect(slowLines(supervised, "/small")).toEqual([]);
}, 60_000);

test("many slow requests make few lines", async () => {
  const app = workspace.app("supervised.ts");
  const supervised = await Supervised.start(workspace, { app, args: ["--slow-request", "100ms"], processes: 1 });
  const gate = workspace.path("gates", "many");
  const all = Array.from({ length: 40 }, () => supervised.request(`/file?${gate}`));
  await until("all of them to wait", async () => (await supervised.status()).workers[0]?.busy === 40);
  await slowLine(supervised, "/file", "waiting");
  await until("the slow ones to have been looked at", async () => {
    const [worker] = (await supervised.status()).workers;
    return worker?.running.length === 10 && worker.running.every(({ elapsedMs }) => elapsedMs > 500);
  });
  await workspace.write("gates/many", "");
  expect((await Promise.all(all)).map(({ status }) => status)).toEqual(all.map(() => 200));
  await supervised.leaveNoTrace();
  const lines = slowLines(supervised, "/file");
  expect(lines.filter(({ state }) => state === "waiting")).toHaveLength(10);
  expect(lines.filter(({ state }) => state === "ended")).toHaveLength(10);
}, 60_000);

/** An application that has a profiler of its own running while it blocks. */
const profiled = `
import { Session } from "node:inspector/promises";
function spinWhileProfiled(ms: number): void {
  for (const end = performance.now() + ms; performance.now() < end; );
}
export async function application(environ, startResponse) {
  const session = new Session();
  session.connect();
  await session.post("Profiler.enable");
  await session.post("Profiler.start");
  spinWhileProfiled(Number(environ.QUERY_STRING));
  const { profile } = await session.post("Profiler.stop");
  session.disconnect();
  startResponse("200 OK", [["Content-Type", "text/plain"]]);
  return String(profile.nodes.some(({ callFrame }) => callFrame.functionName === "spinWhileProfiled"));
}
`;

test("an application that uses the inspector itself goes on doing so", async () => {
  const app = await workspace.write("profiled/app.ts", profiled);
  const supervised = await Supervised.start(workspace, { app, args: ["--slow-request", "500ms"], processes: 1 });
  expect(await supervised.text("/?1500")).toBe("true");
  const { stack = [] } = await slowLine(supervised, "/", "blocked");
  // It may just have been asking for the time.
  expect(stack.find((frame) => frame.includes("app.ts"))).toMatch(/^spinWhileProfiled \(\S+\/app\.ts:4:\d+\)$/u);
}, 60_000);
