import { once } from "node:events";
import { connect } from "node:net";
import { afterEach, describe, expect, test } from "vitest";
import { encodeStream } from "../../../src/fastcgi/client.ts";
import { encodePairs } from "../../../src/fastcgi/pairs.ts";
import { RecordType } from "../../../src/fastcgi/record.ts";
import type { Application, Chunk } from "../../../src/spec.ts";
import { until, within } from "../../harness/until.ts";
import { begin } from "../fastcgi/wire.ts";
import { Held } from "./held.ts";
import { paramsOf, Served, settled } from "./served.ts";

let served: Served | undefined;

afterEach(async () => {
  await served?.stop();
  served = undefined;
});

async function serve(...given: Parameters<typeof Served.start>): Promise<Served> {
  served = await Served.start(...given);
  return served;
}

const hello: Application = (_, startResponse) => {
  startResponse("200 OK", []);
  return "hello";
};

describe("the connection limit", () => {
  test("a connection beyond it gets a 503 with real headers, and the application is not called", async () => {
    const held = new Held();
    await serve(held.application, { maxConnections: 1 });
    const first = served!.open();
    first.request({ params: paramsOf("/a") });
    await until("the first request", () => held.count === 1);
    const second = served!.open();
    second.request({ params: paramsOf("/b") });
    const reply = await second.reply();
    expect(reply.head).toMatch(/^Status: 503 Service Unavailable\r\n/);
    expect(reply.head).toMatch(/\r\nRetry-After: \d+/);
    expect(reply.protocolStatus).toBe(0);
    expect(held.count).toBe(1);
    held.answer("here");
    expect((await first.reply()).body.toString()).toBe("here");
  });

  test("is no sentence for ever: there is room again when another connection has closed", async () => {
    await serve(hello, { maxConnections: 1 });
    const first = served!.open();
    first.request({ params: paramsOf("/a"), keepConn: true });
    await first.reply();
    first.destroy();
    await served!.empty();
    const next = served!.open();
    next.request({ params: paramsOf("/b") });
    expect((await next.reply()).body.toString()).toBe("hello");
  });

  test("a kept connection that came too many is not answered 503 for ever: it is served, or closed, when there is room", async () => {
    await serve(hello, { maxConnections: 1 });
    const first = served!.open();
    first.request({ params: paramsOf("/a"), keepConn: true });
    await first.reply();
    const second = served!.open();
    second.request({ params: paramsOf("/b"), keepConn: true });
    expect((await second.reply()).head).toMatch(/^Status: 503 /);
    first.destroy();
    await until("the first connection to close", () => served!.server.connectionCount <= 1);
    await settled("the second connection", () => Number(second.isEnded));
    if (second.isEnded) return;
    second.request({ params: paramsOf("/c"), keepConn: true });
    expect((await second.reply()).body.toString()).toBe("hello");
  });
});

test("a peer that is not allowed is closed without a byte", async () => {
  await serve(hello, { isAllowed: () => false });
  const peer = served!.open();
  peer.request({ params: paramsOf("/a") });
  await until("the connection to close", () => peer.isEnded);
  expect(peer.reads).toBe(0);
  expect(served!.server.connectionCount).toBe(0);
});

describe("closing", () => {
  test("closes idle connections at once, and refuses new ones", async () => {
    await serve(hello);
    const idle = served!.open();
    idle.request({ params: paramsOf("/a"), keepConn: true });
    await idle.reply();
    const fresh = served!.open();
    await once(fresh.socket, "connect");
    await until("both connections", () => served!.server.connectionCount === 2);
    const closed = served!.server.close(10_000);
    await Promise.all([idle.ended(), fresh.ended()]);
    const late = connect(served!.path);
    const [error] = (await once(late, "error")) as [NodeJS.ErrnoException];
    expect(["ECONNREFUSED", "ENOENT"]).toContain(error.code);
    idle.socket.end();
    fresh.socket.end();
    expect(await within("the server to close", closed)).toBe(true);
  });

  test("lets a running request end, kept connection or not, and then closes its connection", async () => {
    const held = new Held();
    await serve(held.application);
    const peers = [true, false].map((keepConn) => {
      const peer = served!.open();
      peer.request({ params: paramsOf("/a"), keepConn });
      return peer;
    });
    await until("both requests", () => held.count === 2);
    const closed = served!.server.close(10_000);
    held.answer("whole");
    for (const peer of peers) {
      expect((await peer.reply()).body.toString()).toBe("whole");
      await peer.ended();
      peer.socket.end();
    }
    expect(await within("the server to close", closed)).toBe(true);
  });

  test("lets a request end whose parameters are still coming", async () => {
    await serve(hello);
    const peer = served!.open();
    peer.client.request({ params: {}, keepConn: true });
    peer.socket.write(begin(1, 1, 1));
    await until("the connection", () => served!.server.connectionCount === 1);
    await settled("the connection", () => peer.reads);
    const closed = served!.server.close(10_000);
    peer.socket.write(encodeStream(RecordType.PARAMS, 1, encodePairs(paramsOf("/a"))));
    expect((await peer.reply()).body.toString()).toBe("hello");
    await peer.ended();
    peer.socket.end();
    expect(await within("the server to close", closed)).toBe(true);
  });

  test("does not reset a kept connection whose input nobody has read", async () => {
    const held = new Held();
    await serve(held.application);
    const peer = served!.open();
    const body = Buffer.alloc(10_000_000);
    peer.request({ params: paramsOf("/a", { CONTENT_LENGTH: String(body.length) }), stdin: body, keepConn: true });
    await until("the request", () => held.count === 1);
    await settled("what was taken", () => peer.socket.writableLength);
    const closed = served!.server.close(10_000);
    held.answer("early");
    expect((await peer.reply()).body.toString()).toBe("early");
    await peer.ended(); // throws for a reset
    peer.socket.end();
    expect(await within("the server to close", closed)).toBe(true);
    expect(peer.failure).toBeUndefined();
  });

  test("cuts off what has not ended in time: the application learns of it, and its body is closed", async () => {
    let closes = 0;
    let signal: AbortSignal | undefined;
    await serve((environ, startResponse) => {
      signal = environ["tsgi.signal"];
      startResponse("200 OK", []);
      return (async function* (): AsyncGenerator<Chunk> {
        try {
          yield "first";
          await once(environ["tsgi.signal"], "abort");
          yield "last";
        } finally {
          closes += 1;
        }
      })();
    });
    const peer = served!.open();
    peer.request({ params: paramsOf("/a"), keepConn: true });
    await until("the first chunk", () => peer.reads > 0);
    expect(await within("the server to close", served!.server.close(30))).toBe(false);
    await until("the connection to be cut", () => peer.isEnded);
    await until("the signal to fire", () => signal?.aborted);
    await until("the body to be closed", () => closes === 1);
  });

  test("cuts off a peer that does not read, too", async () => {
    await serve((_, startResponse) => {
      startResponse("200 OK", []);
      return (function* (): Generator<Chunk> {
        for (;;) yield Buffer.alloc(65_536);
      })();
    });
    const peer = served!.open();
    peer.socket.pause();
    peer.request({ params: paramsOf("/a") });
    await until("the connection", () => served!.server.connectionCount === 1);
    await settled("the response", () => peer.socket.bytesRead);
    const closed = served!.server.close(30);
    // Well below the time that a peer is given to close its side in peace.
    expect(await within("the server to close", closed, 3000)).toBe(false);
  });

  test("leaves no timer and no socket that would keep the process", async () => {
    const resources = (): string[] =>
      process.getActiveResourcesInfo().filter((name) => /^(?:Timeout|PipeWrap|PipeServerWrap)$/.test(name));
    const before = resources().length;
    await serve(hello, { idleTimeoutMs: 60_000 });
    for (const keepConn of [true, false]) {
      const peer = served!.open();
      peer.request({ params: paramsOf("/a"), keepConn });
      await peer.reply();
      peer.destroy();
    }
    await served!.stop();
    served = undefined;
    await until("everything to be gone", () => resources().length <= before);
  });
});
