import { existsSync, statSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import type { IncomingMessage, ServerResponse } from "node:http";
import { createServer } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import express from "express";
import Fastify from "fastify";
import { afterEach, beforeEach, expect, test } from "vitest";
import type { Application } from "../../../src/spec.ts";
import type { FastCgiService, ServeOptions } from "../../../src/server/serve.ts";
import { serveFastCGI } from "../../../src/server/serve.ts";
import type { FcgiTarget } from "../../harness/fcgi.ts";
import { FcgiPeer, request, variables } from "../../harness/fcgi.ts";
import { until, within } from "../../harness/until.ts";
import { collectLog } from "./collected-log.ts";
import { Held } from "./held.ts";

let folder: string;
let service: FastCgiService | undefined;
let peers: FcgiPeer[] = [];

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "tsgi-serve-"));
});

afterEach(async () => {
  for (const peer of peers.splice(0)) peer.destroy();
  await service?.close(5000);
  service = undefined;
  peers = [];
  await rm(folder, { recursive: true });
});

const hello: Application = (environ, startResponse) => {
  startResponse("200 OK", []);
  return `hello ${environ.SCRIPT_NAME}|${environ.PATH_INFO}`;
};

async function serve(application: Application, options: ServeOptions): Promise<FastCgiService> {
  service = await serveFastCGI(application, { log: collectLog(), ...options });
  return service;
}

async function open(target: FcgiTarget): Promise<FcgiPeer> {
  const peer = await FcgiPeer.open(target);
  peers.push(peer);
  return peer;
}

function targetOf({ address }: FastCgiService): FcgiTarget {
  if (address.kind === "unix") return { path: address.path };
  if (address.kind === "tcp") return { port: address.port, host: address.host };
  throw new Error("no address to connect to");
}

async function ask(target: FcgiTarget, path = "/x"): Promise<string> {
  const peer = await open(target);
  peer.send(request(1, variables(path)));
  const reply = await peer.reply(1);
  peer.end();
  return reply.stdout.toString();
}

test("on a free port of the loopback interface, which the address tells", async () => {
  const { address } = await serve(hello, { listen: 0 });
  expect(address).toMatchObject({ kind: "tcp", host: "127.0.0.1" });
  expect(await ask(targetOf(service!))).toContain("hello |/x");
});

test("on an address in words", async () => {
  await serve(hello, { listen: "tcp:127.0.0.1:0" });
  expect(await ask(targetOf(service!))).toContain("hello |/x");
});

test("on a unix socket, with its mode, and no file after the end", async () => {
  const path = join(folder, "app.sock");
  await serve(hello, { listen: `unix:${path}`, socketMode: 0o600 });
  expect(statSync(path).mode & 0o777).toBe(0o600);
  expect(await ask({ path })).toContain("hello |/x");
  expect(await service!.close()).toBe(true);
  expect(existsSync(path)).toBe(false);
});

test.each([
  ["Express", () => express().use((req, res) => void res.send(`hello ${req.url}`))],
  ["a fetch handler", () => ({ fetch: (request: Request) => new Response(`hello ${new URL(request.url).pathname}`) })],
  ["a server", () => createServer((req, res) => void res.end(`hello ${req.url}`))],
  [
    "Fastify, which has to become ready",
    () => Fastify().get("/x", (req, reply) => void reply.send(`hello ${req.url}`)),
  ],
  ["a function", () => (req: IncomingMessage, res: ServerResponse) => void res.end(`hello ${req.url}`)],
])("serves %s", async (_, create) => {
  service = await serveFastCGI(create(), { listen: 0, log: collectLog() });
  expect(await ask(targetOf(service))).toContain("hello /x");
});

test("a mount point is cut off", async () => {
  await serve(hello, { listen: 0, mountPoint: "/m" });
  expect(await ask(targetOf(service!), "/m/x")).toContain("hello /m|/x");
});

test("close lets a running request end, refuses new connections, and may be called twice", async () => {
  const held = new Held();
  await serve(held.application, { listen: 0 });
  const target = targetOf(service!);
  const peer = await open(target);
  peer.send(request(1, variables("/"), { keep: true }));
  await until("the request", () => held.count === 1);
  const closed = service!.close();
  await expect(open(target)).rejects.toThrow();
  held.answer("whole");
  expect((await peer.reply(1)).stdout.toString()).toContain("whole");
  await peer.closed();
  peer.end();
  expect(await within("the end", closed)).toBe(true);
  expect(await service!.close()).toBe(true);
});

test("close cuts off what does not end in time, and tells so", async () => {
  const held = new Held();
  await serve(held.application, { listen: 0 });
  const peer = await open(targetOf(service!));
  peer.send(request(1, variables("/")));
  await until("the request", () => held.count === 1);
  expect(await within("the end", service!.close(30))).toBe(false);
  expect(held.signal?.aborted).toBe(true);
  held.answer("late");
});

test("an address in use, a malformed one and no application are told apart", async () => {
  await serve(hello, { listen: 0 });
  const { address } = service!;
  await expect(serveFastCGI(hello, { listen: address })).rejects.toMatchObject({ code: "TSGI3102" });
  await expect(serveFastCGI(hello, { listen: "port 9000" })).rejects.toMatchObject({ code: "TSGI3101" });
  await expect(serveFastCGI("hello", { listen: 0 })).rejects.toMatchObject({ code: "TSGI2001" });
});
