import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, expect, test } from "vitest";
import type { Application } from "../../../src/spec.ts";
import type { Engine } from "../../../src/server/engine.ts";
import { createEngine } from "../../../src/server/engine.ts";
import type { FastCgiOptions } from "../../../src/server/fastcgi-server.ts";
import { begin, FcgiPeer, params, request, stdin, variables } from "../../harness/fcgi.ts";
import { until, within } from "../../harness/until.ts";
import type { CollectedLog } from "./collected-log.ts";
import { collectLog } from "./collected-log.ts";
import { Held } from "./held.ts";
import { plainOptions } from "./served.ts";

let folder: string;
let path: string;
let engine: Engine;
let log: CollectedLog;
const peers: FcgiPeer[] = [];

async function serve(application: Application, options: Partial<FastCgiOptions> = {}): Promise<void> {
  folder = await mkdtemp(join(tmpdir(), "tsgi-engine-"));
  path = join(folder, "socket");
  log = collectLog();
  engine = createEngine("node-fastcgi", { ...plainOptions(application, log), ...options });
  await new Promise<void>((resolve) => engine.netServer.listen(path, resolve));
}

afterEach(async () => {
  for (const peer of peers.splice(0)) peer.destroy();
  await within("the engine to stop", engine.drain({ deadlineMs: 5000, handOver: undefined }));
  await rm(folder, { recursive: true });
});

async function open(): Promise<FcgiPeer> {
  const peer = await FcgiPeer.open({ path });
  peers.push(peer);
  return peer;
}

const hello: Application = (environ, startResponse) => {
  startResponse("200 OK", []);
  return `hello ${environ.PATH_INFO} ${environ["FCGI_ROLE"]} ${environ["HTTP_X"] ?? ""}`;
};

test("answers through the gateway, counts, and gives variables as bytes", async () => {
  await serve(hello);
  const peer = await open();
  peer.send(request(1, variables("/x", { HTTP_X: Buffer.from("é").toString("latin1") })));
  expect((await peer.reply(1)).stdout.toString()).toMatch(/^Status: 200 OK\r\n[^]*hello \/x RESPONDER \u00c3\u00a9$/);
  await until("the connection to close", () => engine.stats.connections === 0);
  expect(engine.stats).toMatchObject({ busy: 0, waiting: 0, served: 1, shed: 0, timedOut: 0 });
});

test("an authorizer is asked as one", async () => {
  await serve(hello);
  const peer = await open();
  peer.send(begin(1, false, 2), params(1, variables("/x")), stdin(1));
  expect((await peer.reply(1)).stdout.toString()).toContain("hello /x AUTHORIZER");
});

test("a request without a turn gets 503", async () => {
  const held = new Held();
  await serve(held.application, { admission: { maxConcurrency: 1, queueLimit: 0, queueTimeoutMs: 1000 } });
  const [first, second] = [await open(), await open()];
  first.send(request(1, variables("/a")));
  await until("the first", () => held.count === 1);
  second.send(request(1, variables("/b")));
  expect((await second.reply(1)).stdout.toString()).toMatch(/^Status: 503 /);
  held.answer("first");
  expect((await first.reply(1)).stdout.toString()).toContain("first");
  expect(engine.stats).toMatchObject({ shed: 1, served: 1 });
});

test("a request that waited gets its turn", async () => {
  const held = new Held();
  await serve(held.application, { admission: { maxConcurrency: 1, queueLimit: 9, queueTimeoutMs: 10_000 } });
  const [first, second] = [await open(), await open()];
  first.send(request(1, variables("/a")));
  await until("the first", () => held.count === 1);
  second.send(request(1, variables("/b")));
  await until("the second to wait", () => engine.stats.waiting === 1);
  held.answer("first");
  await first.reply(1);
  await until("the second", () => held.count === 1);
  held.answer("second");
  expect((await second.reply(1)).stdout.toString()).toContain("second");
});

test("a request that takes too long gets 504", async () => {
  const held = new Held();
  await serve(held.application, { requestTimeoutMs: 30 });
  const peer = await open();
  peer.send(request(1, variables("/a")));
  expect((await peer.reply(1)).stdout.toString()).toMatch(/^Status: 504 /);
  expect(engine.stats.timedOut).toBe(1);
  held.answer("late");
});

test("draining lets a running request end, and closes a connection that waits", async () => {
  const held = new Held();
  await serve(held.application);
  const [idle, busy] = [await open(), await open()];
  busy.send(request(1, variables("/a")));
  await until("the request", () => held.count === 1 && engine.stats.connections === 2);
  const drained = engine.drain({ deadlineMs: 10_000, handOver: undefined });
  await idle.closed();
  idle.end();
  held.answer("whole");
  expect((await busy.reply(1)).stdout.toString()).toContain("whole");
  busy.end();
  expect(await within("the drain", drained)).toBe(true);
});

test("draining gives up what does not end in time", async () => {
  const held = new Held();
  await serve(held.application);
  const peer = await open();
  peer.send(request(1, variables("/a")));
  await until("the request", () => held.count === 1);
  expect(await within("the drain", engine.drain({ deadlineMs: 30, handOver: undefined }))).toBe(false);
  await until("the connection to be gone", () => engine.stats.connections === 0);
  expect(held.signal?.aborted).toBe(true);
  held.answer("late");
});

test("a peer that is not allowed gets nothing", async () => {
  await serve(hello, { isAllowed: () => false });
  const peer = await open();
  peer.send(request(1, variables("/a")));
  await peer.closed();
});
