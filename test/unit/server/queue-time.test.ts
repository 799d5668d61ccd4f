// What a request waited for before it ran, wherever it did.
import { afterEach, expect, test } from "vitest";
import { RequestMeter } from "../../../src/metrics/meter.ts";
import type { ReleasedConnection } from "../../../src/server/fastcgi-server.ts";
import type { Application } from "../../../src/spec.ts";
import { collectLog } from "./collected-log.ts";
import { Held } from "./held.ts";
import { paramsOf, plainOptions, Served } from "./served.ts";
import { until, within } from "../../harness/until.ts";

const started: Served[] = [];

afterEach(async () => {
  for (const served of started.splice(0)) await served.stop();
});

const noLimit = { maxConcurrency: 0, queueTimeoutMs: 0 };

async function serve(application: Application, meter: RequestMeter, limits = noLimit): Promise<Served> {
  const { service } = plainOptions(application, collectLog());
  const admission = { ...limits, queueLimit: 10 };
  const served = await Served.start(application, { service: { ...service, meter }, admission });
  started.push(served);
  return served;
}

const hello: Application = (_, startResponse) => {
  startResponse("200 OK", []);
  return "hello";
};

test("is that of the queue, for the request that waited and for no other on its connection", async () => {
  const held = new Held();
  const meter = new RequestMeter();
  const served = await serve(held.application, meter, { maxConcurrency: 1, queueTimeoutMs: 60_000 });
  const [first, second] = [served.open(), served.open()];
  first.request({ params: paramsOf("/a"), keepConn: true });
  await until("the first to run", () => held.count === 1);
  second.request({ params: paramsOf("/b"), keepConn: true });
  await until("the second to wait", () => served.server.stats.waiting === 1);
  const sinceMs = performance.now();
  await until("some time to pass", () => performance.now() - sinceMs > 5);
  held.answer("one");
  await first.reply();
  await until("the second to run", () => held.count === 1);
  held.answer("two");
  await second.reply();
  const { queueMs, applicationMs } = meter.takeInterval();
  expect(queueMs).toMatchObject({ count: 2, p50: 0 });
  expect(queueMs.max).toBeGreaterThanOrEqual(5);
  expect(applicationMs.count).toBe(2);
  second.request({ params: paramsOf("/c"), keepConn: true });
  await until("the third to run", () => held.count === 1);
  held.answer("three");
  await second.reply();
  expect(meter.takeInterval().queueMs).toMatchObject({ count: 1, max: 0 });
});

test("is what it waited before this process got its connection", async () => {
  const [meter, unused] = [new RequestMeter(), new RequestMeter()];
  const [old, next] = [await serve(hello, unused), await serve(hello, meter)];
  const peer = old.open();
  await until("the connection", () => old.server.connectionCount === 1);
  const released: ReleasedConnection[] = [];
  await old.server.drain({ deadlineMs: 10_000, handOver: (connection) => released.push(connection) });
  const [connection] = released as [ReleasedConnection];
  next.server.adopt(connection.handle, connection.bytes, 5000);
  for (const path of ["/a", "/b"]) {
    peer.request({ params: paramsOf(path), keepConn: true });
    await peer.reply();
  }
  const { count, p50, max } = meter.figures().queueMs;
  expect([count, p50, Math.floor(max / 1000)]).toEqual([2, 0, 5]);
});

test("ends with the time that it waited elsewhere before, and goes on with it", async () => {
  const held = new Held();
  const served = await serve(held.application, new RequestMeter(), { maxConcurrency: 1, queueTimeoutMs: 60_000 });
  const [first, second, third] = [served.open(), served.open(), served.open()];
  first.request({ params: paramsOf("/a"), keepConn: true });
  await until("the first to run", () => held.count === 1);
  const old = await serve(hello, new RequestMeter());
  const [late, early] = [old.open(), old.open()];
  await until("the connections", () => old.server.connectionCount === 2);
  const released: ReleasedConnection[] = [];
  await old.server.drain({ deadlineMs: 10_000, handOver: (connection) => released.push(connection) });
  for (const peer of [late, early, second, third]) peer.request({ params: paramsOf("/b"), keepConn: true });
  await until("those of this process to wait", () => served.server.stats.waiting === 2);
  const [one, other] = released as [ReleasedConnection, ReleasedConnection];
  served.server.adopt(one.handle, one.bytes, 59_990);
  served.server.adopt(other.handle, other.bytes, 30_000);
  const replies = [late.reply(), early.reply()];
  expect((await within("the one whose time is over", Promise.race(replies))).head).toMatch(/^Status: 503 /u);
  await until("three to wait", () => served.server.stats.waiting === 3);
  const given: ReleasedConnection[] = [];
  const drained = served.server.drain({ deadlineMs: 10_000, handOver: (connection) => given.push(connection) });
  await until("those that wait to be given away", () => given.length >= 3);
  expect(given.some(({ waitedMs }) => waitedMs >= 30_000 && waitedMs < 40_000)).toBe(true);
  held.answer("one");
  await first.reply();
  await drained;
  for (const { handle } of given) handle.close();
});

test("of a request that was refused is counted with its 503", async () => {
  const held = new Held();
  const meter = new RequestMeter();
  const served = await serve(held.application, meter, { maxConcurrency: 1, queueTimeoutMs: 20 });
  const [first, second] = [served.open(), served.open()];
  first.request({ params: paramsOf("/a"), keepConn: true });
  await until("the first to run", () => held.count === 1);
  second.request({ params: paramsOf("/b"), keepConn: true });
  expect((await second.reply()).head).toMatch(/^Status: 503 /u);
  const figures = meter.figures();
  expect(figures.responses["5xx"]).toBe(1);
  expect(figures.queueMs.max).toBeGreaterThanOrEqual(19);
  expect(figures.failed).toEqual({ application: 0, aborted: 0, timedOut: 0, protocol: 0 });
  expect([figures.applicationMs.count, figures.applications]).toEqual([0, []]);
  held.answer("one");
  await first.reply();
});
