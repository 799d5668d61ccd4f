// Clients at their worst: slow readers, slow writers, those that go away, and bodies that are not read or come both ways at
// once. The others do not notice, and memory and descriptors stay bounded.
import { afterAll, beforeAll, expect, test } from "vitest";
import { HttpConnection } from "../../harness/http.ts";
import { descriptorsOf, residentBytes } from "../../harness/leftovers.ts";
import { Supervised, brokenBackend } from "../../harness/supervised.ts";
import { until } from "../../harness/until.ts";
import { Workspace } from "../../harness/workspace.ts";

let workspace: Workspace;

beforeAll(async () => {
  workspace = await Workspace.open();
}, 60_000);

afterAll(() => workspace.close(), 60_000);

const mebibyte = 1_048_576;
const expectLog = [...brokenBackend, /AH01071: Got error/u, /AH0107[0-9]/u];

function memory(pids: readonly number[]): number {
  return pids.reduce((sum, pid) => sum + residentBytes(pid), 0);
}

function pattern(total: number): Buffer {
  const block = Buffer.alloc(65_536);
  for (let index = 0; index < block.length; index += 1) block[index] = (index * 31) & 255;
  return Buffer.alloc(total, block);
}

test("100 clients that stop reading 8 MB each: memory stays bounded, fast clients are served, all of it arrives", async () => {
  const supervised = await Supervised.start(workspace, { app: workspace.app("supervised.ts"), threads: 256 });
  const count = 100;
  const total = 8 * mebibyte;
  const warm = supervised.load({ clients: 8, requests: 300 });
  await warm.finished();
  const pids = [supervised.pid, ...supervised.workers()];
  const before = memory(pids);
  supervised.expectClients(count);
  const connections: HttpConnection[] = [];
  for (let index = 0; index < count; index += 1) {
    const connection = await HttpConnection.open(supervised.apache.port, { deadlineMs: 60_000 });
    await connection.sendRequest({ target: `/download?${total}` });
    expect((await connection.readHead()).status).toBe(200);
    connection.pause();
    connections.push(connection);
  }
  const load = supervised.load({ clients: 8, requests: 1000 });
  expect((await load.finished()).failed, load.describe()).toBe(0);
  expect(memory(pids) - before).toBeLessThan(count * mebibyte);
  const wanted = pattern(total);
  // A few of them read on, and get every byte; the others go away.
  for (const [index, connection] of connections.entries()) {
    if (index % 25 === 0) {
      connection.resume();
      const body = await connection.readBody();
      expect(connection.complete).toBe(true);
      expect(body.equals(wanted)).toBe(true);
    }
    connection.destroy();
  }
}, 90_000);

test("60 clients that send their body drop by drop: others are served, and their own time ends with 504 or 408", async () => {
  const supervised = await Supervised.start(workspace, {
    app: workspace.app("supervised.ts"),
    threads: 128,
    args: ["--request-timeout", "4s"],
    expectLog,
  });
  const count = 60;
  supervised.expectClients(count);
  const before = supervised.workers();
  const connections = await Promise.all(
    Array.from({ length: count }, () => HttpConnection.open(supervised.apache.port, { deadlineMs: 60_000 })),
  );
  let isOver = false;
  const dripping = connections.map(async (connection) => {
    await connection.sendRequest({ method: "POST", target: "/size", headers: [["Content-Length", "1000000"]] });
    const status = connection.readHead().then((head) => head.status);
    let answered = false;
    void status.then(
      () => (answered = true),
      () => (answered = true),
    );
    await until(
      "an answer to a body that comes drop by drop",
      async () => {
        if (!answered) await connection.send("1234567890");
        return answered;
      },
      45_000,
    );
    return status;
  });
  const load = supervised.load({ clients: 8, pauseMs: 5 });
  await load.more(300);
  const statuses = await Promise.all(dripping);
  isOver = true;
  expect(isOver).toBe(true);
  for (const status of statuses) expect([408, 504]).toContain(status);
  for (const connection of connections) connection.destroy();
  expect((await load.stop()).failed, load.describe()).toBe(0);
  expect(supervised.workers()).toEqual(before);
}, 90_000);

test("hundreds of clients that go away before, during and after the head leave no descriptor and no memory", async () => {
  const supervised = await Supervised.start(workspace, {
    app: workspace.app("supervised.ts"),
    threads: 128,
    expectLog,
  });
  const load = supervised.load({ clients: 4, pauseMs: 3 });
  supervised.expectClients(20);
  const targets = ["/hello", "/load/slow?x-1", "/download?3000000", "/stream-until-abort?gone", "/throw-early"];
  const round = async (count: number): Promise<void> => {
    for (let start = 0; start < count; start += 20) {
      await Promise.all(
        Array.from({ length: 20 }, async (_, index) => {
          const connection = await HttpConnection.open(supervised.apache.port);
          const target = targets[index % targets.length] ?? "/hello";
          const stage = (start / 20 + index) % 4;
          if (stage === 0) await connection.send(`GET ${target} HTTP/1.1\r\nHo`);
          else if (stage === 1) {
            await connection.sendRequest({ method: "POST", target: "/size", headers: [["Content-Length", "100000"]] });
            await connection.send(Buffer.alloc(20_000));
          } else {
            await connection.sendRequest({ target });
            if (stage === 3) {
              await connection.readHead();
              await connection.readSome();
            }
          }
          connection.destroy();
        }),
      );
    }
  };
  const quiet = async (): Promise<void> => {
    await until("all of them to be over", async () => {
      const { workers } = await supervised.status();
      return workers.every(({ busy, waiting }) => busy <= 4 && waiting === 0);
    });
  };
  await round(200);
  await quiet();
  const workers = supervised.workers();
  const descriptors = workers.map(descriptorsOf);
  const before = memory(workers);
  await round(600);
  await quiet();
  // One that streams learns that its client is gone when a write fails.
  await supervised.logged(/app: stream-until-abort gone over/u);
  const begun = 160; // 800 clients, a fifth of them, some of which never sent their request
  expect((supervised.log.match(/stream-until-abort gone over/gu) ?? []).length).toBeLessThanOrEqual(begun);
  expect((await load.stop()).failed, load.describe()).toBe(0);
  expect(supervised.workers()).toEqual(workers);
  await until("the descriptors to be as before", () =>
    workers.every((pid, index) => descriptorsOf(pid) <= (descriptors[index] ?? 0) + 20),
  );
  expect(memory(workers) - before).toBeLessThan(60 * mebibyte);
}, 90_000);

test("20 MB out before 20 MB in are read: everything arrives, or the deadline ends it; it never hangs", async () => {
  const supervised = await Supervised.start(workspace, {
    app: workspace.app("supervised.ts"),
    args: ["--request-timeout", "15s"],
    expectLog,
  });
  const load = supervised.load({ clients: 4, pauseMs: 5 });
  const total = 20_000_000;
  const connection = await HttpConnection.open(supervised.apache.port, { deadlineMs: 45_000 });
  const sending = connection.sendRequest({ method: "POST", target: `/write-first?${total}`, body: pattern(total) });
  const head = await connection.readHead();
  const body = await connection.readBody();
  if (connection.complete && head.status === 200) {
    const end = Buffer.from(`read ${total}`);
    expect(body.length).toBe(total + end.length);
    expect(body.subarray(0, total).equals(pattern(total))).toBe(true);
    expect(body.subarray(total).equals(end)).toBe(true);
    await sending;
  } else expect(head.status === 504 || !connection.complete).toBe(true);
  connection.destroy();
  await sending.catch(() => undefined);
  await load.more(100);
  expect((await load.stop()).failed, load.describe()).toBe(0);
}, 90_000);

test("an answer before a body of 3 MB was read: the next requests on the kept connections are right", async () => {
  const supervised = await Supervised.start(workspace, { app: workspace.app("supervised.ts"), hasReuse: true });
  const load = supervised.load({ clients: 6, pauseMs: 1 });
  for (let turn = 0; turn < 20; turn += 1) {
    const reply = await supervised.request({ method: "POST", target: `/ignore?${turn}`, body: pattern(3_000_000) });
    expect(reply).toMatchObject({ status: 200, complete: true });
    expect(reply.body.toString()).toBe(`ignored ${turn}`);
    const after = await Promise.all([1, 2, 3].map((part) => supervised.text(`/ignore?after-${turn}-${part}`)));
    expect(after).toEqual([1, 2, 3].map((part) => `ignored after-${turn}-${part}`));
  }
  expect((await load.stop()).failed, load.describe()).toBe(0);
}, 60_000);
