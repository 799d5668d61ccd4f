// Draining a server by handing its connections over to another one.
import { once } from "node:events";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { encodeGetValues, encodeStream } from "../../../src/fastcgi/client.ts";
import { encodePairs } from "../../../src/fastcgi/pairs.ts";
import { encodeRecord, RecordType } from "../../../src/fastcgi/record.ts";
import type { ReleasedConnection } from "../../../src/server/fastcgi-server.ts";
import type { Application, Chunk } from "../../../src/spec.ts";
import { until, within } from "../../harness/until.ts";
import { begin } from "../fastcgi/wire.ts";
import { Held } from "./held.ts";
import type { Peer } from "./served.ts";
import { paramsOf, Served, settled } from "./served.ts";

let old: Served;
let next: Served;
const released: ReleasedConnection[] = [];

const echoPath: Application = (environ, startResponse) => {
  startResponse("200 OK", []);
  return `next ${environ.PATH_INFO}`;
};

beforeEach(async () => {
  released.length = 0;
  next = await Served.start(echoPath);
});

afterEach(async () => {
  await old.stop();
  await next.stop();
});

async function serve(...given: Parameters<typeof Served.start>): Promise<void> {
  old = await Served.start(...given);
}

const toNext = (connection: ReleasedConnection): void => {
  released.push(connection);
  next.server.adopt(connection.handle, connection.bytes);
};

function drain(deadlineMs = 10_000): Promise<boolean> {
  return within("the drain", old.server.drain({ deadlineMs, handOver: toNext }));
}

function ask(path: string, keepConn = true): Peer {
  const peer = old.open();
  peer.request({ params: paramsOf(path), keepConn });
  return peer;
}

/** Sends a request on a connection that was handed over, and checks that the other server answers it. */
async function isServedByNext(peer: Peer, path = "/again"): Promise<void> {
  peer.request({ params: paramsOf(path), keepConn: true });
  expect((await peer.reply()).body.toString()).toBe(`next ${path}`);
}

const opened = (path: string, more: Readonly<Record<string, string>> = {}): Buffer =>
  Buffer.concat([begin(1, 1, 1), encodeStream(RecordType.PARAMS, 1, encodePairs(paramsOf(path, more)))]);

describe("a connection that is idle", () => {
  test("goes on elsewhere, before its first byte and between two requests", async () => {
    const held = new Held();
    await serve(held.application);
    const fresh = old.open();
    await once(fresh.socket, "connect");
    const used = ask("/a");
    await until("the request", () => held.count === 1);
    held.answer("old");
    await used.reply();
    await until("both", () => old.server.connectionCount === 2);
    expect(await drain()).toBe(true);
    expect(old.server.stats).toMatchObject({ connections: 0, busy: 0, served: 1 });
    expect(released.map(({ bytes }) => bytes)).toEqual([undefined, undefined]);
    await isServedByNext(fresh);
    await isServedByNext(used);
    await isServedByNext(used);
    expect(next.server.stats).toMatchObject({ connections: 2, served: 3 });
  });

  test("is handed over from within the call, with its reading stopped", async () => {
    await serve(echoPath);
    const peer = ask("/a");
    await peer.reply();
    void old.server.drain({ deadlineMs: 10_000, handOver: (connection) => released.push(connection) });
    expect(released).toHaveLength(1);
    peer.request({ params: paramsOf("/meanwhile"), keepConn: true });
    await settled("what was sent", () => peer.socket.writableLength);
    const [{ handle, bytes }] = released as [ReleasedConnection];
    next.server.adopt(handle, bytes);
    expect((await peer.reply()).body.toString()).toBe("next /meanwhile");
  });

  test("and whose peer leaves is no complaint of anybody", async () => {
    await serve(echoPath);
    const peer = ask("/a");
    await peer.reply();
    await drain();
    peer.destroy();
    await next.empty();
    expect([old.complaints, next.complaints]).toEqual([[], []]);
  });

  test("after a management record is handed over, and was answered", async () => {
    await serve(echoPath);
    const peer = old.open();
    peer.socket.write(encodeGetValues(["FCGI_MAX_CONNS"]));
    await until("the answer", () => peer.managementCount === 1);
    expect(await drain()).toBe(true);
    await isServedByNext(peer);
  });
});

describe("a connection with a request", () => {
  test("is handed over after its END_REQUEST, and no new one is accepted meanwhile", async () => {
    const held = new Held();
    await serve(held.application);
    const peer = ask("/a");
    await until("the request", () => held.count === 1);
    const drained = drain();
    expect(released).toEqual([]);
    held.answer("whole");
    expect((await peer.reply()).body.toString()).toBe("whole");
    expect(await drained).toBe(true);
    await isServedByNext(peer);
  });

  test("without KEEP_CONN is closed after its answer", async () => {
    const held = new Held();
    await serve(held.application);
    const peer = ask("/a", false);
    await until("the request", () => held.count === 1);
    const drained = drain();
    held.answer("whole");
    expect((await peer.reply()).body.toString()).toBe("whole");
    await peer.ended();
    peer.socket.end();
    expect(await drained).toBe(true);
    expect(released).toEqual([]);
  });

  test("that fails after its head is closed, as ever", async () => {
    const held = new Held();
    await serve(held.application);
    const peer = ask("/a");
    await until("the request", () => held.count === 1);
    const drained = drain();
    held.answer(
      (function* (): Generator<Chunk> {
        yield "first";
        throw new Error("on purpose");
      })(),
    );
    await until("the end", () => peer.isEnded);
    peer.destroy();
    expect(await drained).toBe(true);
    expect(released).toEqual([]);
  });

  test("whose answer a slow reader has not taken is handed over when all of it has left", async () => {
    const held = new Held();
    await serve(held.application);
    const peer = ask("/a");
    await until("the request", () => held.count === 1);
    peer.socket.pause();
    const body = Buffer.alloc(20_000_000, "0123456789");
    held.answer(body);
    const drained = drain();
    await settled("the response", () => peer.socket.bytesRead);
    expect(released).toEqual([]);
    peer.socket.resume();
    expect((await peer.reply()).body.equals(body)).toBe(true);
    expect(await drained).toBe(true);
    await isServedByNext(peer);
  });

  test("is drained by its END_REQUEST also when that is given before its input has come", async () => {
    const held = new Held();
    await serve(held.application);
    const peer = old.open();
    peer.client.request({ params: {}, keepConn: true });
    peer.socket.write(opened("/early", { CONTENT_LENGTH: "1000000" }));
    await until("the request", () => held.count === 1);
    const drained = drain();
    held.answer("early");
    expect((await peer.reply()).body.toString()).toBe("early");
    expect(await drained).toBe(true);
    // What Apache had on its way, and never an end of it.
    peer.socket.write(encodeRecord(RecordType.STDIN, 1, Buffer.alloc(8192)));
    await isServedByNext(peer);
    expect(next.server.stats).toMatchObject({ served: 1 });
  });

  test("is not handed over in the middle of a record", async () => {
    const held = new Held();
    await serve(held.application);
    const peer = old.open();
    peer.client.request({ params: {}, keepConn: true });
    const record = encodeRecord(RecordType.STDIN, 1, Buffer.alloc(8192));
    peer.socket.write(
      Buffer.concat([opened("/early", { CONTENT_LENGTH: "1000000" }), record, record.subarray(0, 100)]),
    );
    await until("the request", () => held.count === 1);
    const drained = drain();
    held.answer("early");
    expect((await peer.reply()).body.toString()).toBe("early");
    await settled("the connection", () => released.length);
    expect(released).toEqual([]);
    peer.socket.write(record.subarray(100));
    expect(await drained).toBe(true);
    await isServedByNext(peer);
  });

  test("whose input had stopped the socket takes with it what was read and not parsed", async () => {
    const held = new Held();
    await serve(held.application);
    const peer = old.open();
    peer.client.request({ params: {}, keepConn: true });
    peer.socket.write(opened("/early", { CONTENT_LENGTH: "100000000" }));
    const record = encodeRecord(RecordType.STDIN, 1, Buffer.alloc(8192));
    for (let count = 0; count < 1000; count += 1) peer.socket.write(record);
    await until("the request", () => held.count === 1);
    await settled("what was taken", () => peer.socket.writableLength);
    const drained = drain();
    held.answer("early");
    expect((await peer.reply()).body.toString()).toBe("early");
    expect(await drained).toBe(true);
    await isServedByNext(peer);
    expect([old.complaints, next.complaints]).toEqual([[], []]);
  });

  test("whose parameters are still coming is served first", async () => {
    await serve((environ, startResponse) => {
      startResponse("200 OK", []);
      return `old ${environ.PATH_INFO}`;
    });
    const peer = old.open();
    peer.client.request({ params: {}, keepConn: true });
    const bytes = Buffer.concat([opened("/a"), encodeRecord(RecordType.STDIN, 1, Buffer.alloc(0))]);
    peer.socket.write(bytes.subarray(0, 5));
    await settled("the connection", () => old.server.connectionCount);
    const drained = drain();
    expect(released).toEqual([]); // half a header
    peer.socket.write(bytes.subarray(5, 30));
    await settled("the connection", () => released.length);
    expect(released).toEqual([]); // half the parameters
    peer.socket.write(bytes.subarray(30));
    expect((await peer.reply()).body.toString()).toBe("old /a");
    expect(await drained).toBe(true);
    await isServedByNext(peer);
  });
});

describe("a request that waits for a turn", () => {
  const admission = { maxConcurrency: 1, queueLimit: 10, queueTimeoutMs: 60_000 };

  async function waiting(held: Held, request: (peer: Peer) => void): Promise<readonly [Peer, Peer]> {
    await serve(held.application, { admission });
    const first = ask("/running");
    await until("the first request", () => held.count === 1);
    const second = old.open();
    request(second);
    await until("the second to wait", () => old.server.stats.waiting === 1);
    return [first, second];
  }

  test("is handed over with its bytes, and served there", async () => {
    const held = new Held();
    const [first, second] = await waiting(held, (peer) =>
      peer.request({ params: paramsOf("/waiting"), keepConn: true }),
    );
    const drained = drain();
    expect(released).toMatchObject([{ bytes: expect.any(Buffer) }]);
    expect((await second.reply()).body.toString()).toBe("next /waiting");
    expect(old.server.stats).toMatchObject({ waiting: 0, busy: 1, shed: 0 });
    held.answer("old");
    expect((await first.reply()).body.toString()).toBe("old");
    expect(await drained).toBe(true);
    expect(held.paths).toEqual(["/running"]);
    await isServedByNext(second);
  });

  test("also with a large body of which a part was read", async () => {
    const held = new Held();
    await next.stop();
    next = await Served.start((environ, startResponse) => {
      startResponse("200 OK", []);
      return environ["wsgi.input"];
    });
    const body = Buffer.alloc(5_000_000);
    for (let at = 0; at + 4 <= body.length; at += 4) body.writeUInt32BE(at, at);
    const [, second] = await waiting(held, (peer) =>
      peer.request({
        params: paramsOf("/waiting", { CONTENT_LENGTH: String(body.length) }),
        stdin: body,
        keepConn: true,
        recordBytes: 8192,
      }),
    );
    await settled("what was read", () => second.socket.writableLength);
    const drained = drain();
    held.answer("old");
    expect(await drained).toBe(true);
    expect((await second.reply()).body.equals(body)).toBe(true);
  });

  test("waits in turn where it comes to, and is served when it can be", async () => {
    const [held, there] = [new Held(), new Held()];
    await next.stop();
    next = await Served.start(there.application, { admission });
    const occupant = next.open();
    occupant.request({ params: paramsOf("/occupant"), keepConn: true });
    await until("the other server to be busy", () => there.count === 1);
    const [, second] = await waiting(held, (peer) => peer.request({ params: paramsOf("/waiting"), keepConn: true }));
    const drained = drain();
    held.answer("old");
    expect(await drained).toBe(true);
    await until("it to wait there", () => next.server.stats.waiting === 1);
    there.answer("one");
    await until("its turn", () => there.paths.at(-1) === "/waiting");
    there.answer("two");
    expect((await second.reply()).body.toString()).toBe("two");
  });

  test("is served here where there is nobody to hand it to", async () => {
    const held = new Held();
    const [first, second] = await waiting(held, (peer) =>
      peer.request({ params: paramsOf("/waiting"), keepConn: true }),
    );
    const closed = within("the close", old.server.close(10_000));
    held.answer("one");
    expect((await first.reply()).body.toString()).toBe("one");
    await until("its turn", () => held.paths.at(-1) === "/waiting");
    held.answer("two");
    expect((await second.reply()).body.toString()).toBe("two");
    for (const peer of [first, second]) {
      await peer.ended();
      peer.socket.end();
    }
    expect(await closed).toBe(true);
  });
});

describe("adopting", () => {
  test("a connection with bytes parses them first", async () => {
    await serve(echoPath);
    const peer = old.open();
    await once(peer.socket, "connect");
    await until("the connection", () => old.server.connectionCount === 1);
    void old.server.drain({ deadlineMs: 10_000, handOver: (connection) => released.push(connection) });
    const request = peer.client.request({ params: paramsOf("/split"), keepConn: true });
    peer.socket.write(request.subarray(20));
    const [{ handle }] = released as [ReleasedConnection];
    next.server.adopt(handle, Buffer.from(request.subarray(0, 20)));
    expect((await peer.reply()).body.toString()).toBe("next /split");
  });

  test("while connections are handed over hands it on, untouched", async () => {
    await serve(echoPath);
    const peer = ask("/a");
    await peer.reply();
    const third = await Served.start(echoPath);
    try {
      void next.server.drain({
        deadlineMs: 10_000,
        handOver: ({ handle, bytes }) => third.server.adopt(handle, bytes),
      });
      expect(await drain()).toBe(true);
      await isServedByNext(peer);
      expect([next.server.stats.served, third.server.stats.served]).toEqual([0, 1]);
    } finally {
      peer.destroy();
      await third.stop();
    }
  });

  test("while connections are closed serves a request that came with it, and closes", async () => {
    await serve(echoPath);
    const peer = old.open();
    await until("the connection", () => old.server.connectionCount === 1);
    void old.server.drain({ deadlineMs: 10_000, handOver: (connection) => released.push(connection) });
    const closed = next.server.close(10_000);
    const [{ handle }] = released as [ReleasedConnection];
    next.server.adopt(handle, peer.client.request({ params: paramsOf("/last"), keepConn: true }));
    expect((await peer.reply()).body.toString()).toBe("next /last");
    await peer.ended();
    await closed;
  });

  test("refuses a peer that may not speak to us, and one beyond the limit", async () => {
    await serve(echoPath);
    await next.stop();
    next = await Served.start(echoPath, { isAllowed: () => false });
    const peer = ask("/a");
    await peer.reply();
    expect(await drain()).toBe(true);
    await peer.ended();
    expect(next.server.connectionCount).toBe(0);
  });
});

describe("the deadline", () => {
  test("gives up a request without a head by a 503, after its signal has told why", async () => {
    const held = new Held();
    await serve(held.application);
    const peer = ask("/a");
    await until("the request", () => held.count === 1);
    expect(await drain(30)).toBe(false);
    const reply = await peer.reply();
    expect(reply.head).toMatch(/^Status: 503 /);
    expect(reply.head).toMatch(/\r\nRetry-After: \d+/);
    expect(held.signal?.reason).toMatchObject({ code: "TSGI3104" });
    expect(old.complaints).toEqual(["request given up: an error page was sent"]);
    await isServedByNext(peer);
  });

  test("cuts off a response that has begun, and what has not become a request", async () => {
    await serve((_, startResponse) => {
      startResponse("200 OK", []);
      return (async function* (): AsyncGenerator<Chunk> {
        yield "first";
        await new Promise(() => {});
      })();
    });
    const streaming = ask("/a");
    await until("the first chunk", () => streaming.reads > 0);
    const half = old.open();
    half.socket.write(begin(1, 1, 1).subarray(0, 5));
    await settled("the connections", () => old.server.connectionCount);
    expect(await drain(30)).toBe(false);
    await until("both to be cut", () => streaming.isEnded && half.isEnded);
    expect(streaming.partial.toString()).toMatch(/first$/);
    expect(released).toEqual([]);
    expect(old.server.stats).toMatchObject({ connections: 0, busy: 0 });
  });

  test("may be shortened, and the hand-over withdrawn, by another call", async () => {
    const held = new Held();
    await serve(held.application);
    const peer = ask("/a");
    await until("the request", () => held.count === 1);
    const long = drain(3_600_000);
    expect(await within("the close", old.server.close(30))).toBe(false);
    expect((await peer.reply()).head).toMatch(/^Status: 503 /);
    await long;
    await peer.ended();
    expect(released).toEqual([]);
  });
});

test("leaves no timer and no socket that would keep the process", async () => {
  const resources = (): string[] =>
    process.getActiveResourcesInfo().filter((name) => /^(?:Timeout|PipeWrap|PipeServerWrap)$/.test(name));
  const before = resources().length;
  await serve(echoPath, { idleTimeoutMs: 60_000, requestTimeoutMs: 60_000 });
  const peers = [ask("/a"), ask("/b")];
  for (const peer of peers) await peer.reply();
  await drain();
  for (const peer of peers) peer.destroy();
  await next.empty();
  await until("everything to be gone", () => resources().length <= before);
});
