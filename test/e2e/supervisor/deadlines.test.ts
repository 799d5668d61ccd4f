// Requests that fail or never end: each gets an honest answer in time, and the worker, its connection and its memory stay
// good for the others.
import { afterAll, beforeAll, expect, test } from "vitest";
import { HttpConnection } from "../../harness/http.ts";
import { Supervised, brokenBackend } from "../../harness/supervised.ts";
import { until } from "../../harness/until.ts";
import { Workspace } from "../../harness/workspace.ts";

let workspace: Workspace;

beforeAll(async () => {
  workspace = await Workspace.open();
}, 60_000);

afterAll(() => workspace.close(), 60_000);

const own = [...brokenBackend, /AH01071: Got error/u];

function start(...args: readonly string[]): Promise<Supervised> {
  return Supervised.start(workspace, { app: workspace.app("supervised.ts"), args, expectLog: own });
}

test("a request that never settles gets 504 at its deadline; the signal says why; the worker stays", async () => {
  const supervised = await start("--request-timeout", "1s");
  const before = supervised.workers();
  const load = supervised.load({ clients: 6, pauseMs: 2 });
  const replies = await Promise.all(["a", "b", "c"].map((name) => supervised.request(`/never?${name}`)));
  for (const reply of replies) {
    expect(reply).toMatchObject({ status: 504, complete: true });
    expect(reply.body.toString()).not.toMatch(/at |supervised\.ts/u);
  }
  for (const name of ["a", "b", "c"]) {
    await supervised.logged(
      new RegExp(`app: never ${name} aborted 1000000 TSGI2003 the request was not answered within 1000 ms`, "u"),
    );
  }
  const lines = supervised.log.split("\n").filter((line) => line.startsWith("{") && line.includes("/never"));
  expect(lines, "one line for each").toHaveLength(3);
  expect(await supervised.text("/hello")).toBe("hello");
  expect((await load.stop()).failed, load.describe()).toBe(0);
  expect(supervised.workers()).toEqual(before);
  await until("the count of three", async () => (await supervised.group()).timedOut === 3);
}, 60_000);

test("an application that ignores the signal: 504 all the same, and its late answer bothers nobody", async () => {
  const supervised = await start("--request-timeout", "1s");
  const before = supervised.workers();
  const gate = workspace.path("gates", "late");
  const reply = await supervised.request(`/ignores-abort?${gate}`);
  expect(reply).toMatchObject({ status: 504, complete: true });
  await workspace.write("gates/late", "");
  const load = supervised.load({ clients: 4, requests: 200 });
  expect((await load.finished()).failed, load.describe()).toBe(0);
  expect(supervised.workers()).toEqual(before);
}, 60_000);

test("after the head the connection breaks at the deadline: nobody takes half for a whole", async () => {
  const supervised = await start("--request-timeout", "1s");
  const before = supervised.workers();
  const reply = await supervised.request("/never-after-head");
  expect(reply).toMatchObject({ status: 200, complete: false });
  expect(reply.body.toString()).toBe("the first piece");
  const load = supervised.load({ clients: 4, requests: 200 });
  expect((await load.finished()).failed, load.describe()).toBe(0);
  expect(supervised.workers()).toEqual(before);
}, 60_000);

test("a kept connection is used again after a 504: the next requests on it are right", async () => {
  const supervised = await start("--request-timeout", "500ms", "--processes", "1");
  for (let turn = 0; turn < 4; turn += 1) {
    expect((await supervised.request(`/never?${turn}`)).status).toBe(504);
    const answers = await Promise.all([1, 2, 3].map((part) => supervised.text(`/ignore?${turn}-${part}`)));
    expect(answers).toEqual([1, 2, 3].map((part) => `ignored ${turn}-${part}`));
  }
}, 60_000);

test("the memory of requests that ran into their deadline is free again", async () => {
  const supervised = await start("--request-timeout", "300ms", "--processes", "1", "--node-option", "--expose-gc");
  const count = 60; // each holds 1 MB
  for (let turn = 0; turn < count / 20; turn += 1) {
    const replies = await Promise.all(
      Array.from({ length: 20 }, (_, part) => supervised.request(`/never?${turn}-${part}`)),
    );
    for (const reply of replies) expect(reply.status).toBe(504);
  }
  expect(await supervised.text("/collected")).toMatch(/ function$/u);
  // The last one may be on some stack still.
  await until(
    "the requests to be collected",
    async () => Number.parseInt(await supervised.text("/collected"), 10) >= count - 2,
  );
}, 60_000);

test("an error before the head is a 500 without details, and the connection stays good", async () => {
  const supervised = await start("--processes", "1");
  const load = supervised.load({ clients: 4, pauseMs: 2 });
  for (let turn = 0; turn < 10; turn += 1) {
    const reply = await supervised.request("/throw-early");
    expect(reply).toMatchObject({ status: 500, complete: true });
    expect(reply.body.toString()).not.toMatch(/on purpose|supervised\.ts/u);
    expect(await supervised.text("/hello")).toBe("hello");
  }
  const [worker] = await supervised.serving(1);
  expect(worker?.connections).toBeLessThanOrEqual(4 + 2);
  expect((await load.stop()).failed, load.describe()).toBe(0);
}, 60_000);

test("an error after the head and 10 KB breaks the transfer, for HTTP/1.1 and kept connections alike", async () => {
  const supervised = await start();
  const load = supervised.load({ clients: 4, pauseMs: 2 });
  for (const connection of ["close", "keep-alive"]) {
    const client = await HttpConnection.open(supervised.apache.port);
    await client.sendRequest({ target: "/throw-late", headers: [["Connection", connection]] });
    const reply = await client.readReply();
    client.destroy();
    expect(reply).toMatchObject({ status: 200, complete: false });
    expect(reply.body).toHaveLength(10_240);
  }
  expect((await load.stop()).failed, load.describe()).toBe(0);
}, 60_000);
