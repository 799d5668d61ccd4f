// How many requests run at once, who waits, and how long one may take.
import { once } from "node:events";
import { afterEach, describe, expect, test } from "vitest";
import { encodeGetValues, encodeStream } from "../../../src/fastcgi/client.ts";
import { encodePairs } from "../../../src/fastcgi/pairs.ts";
import { encodeRecord, RecordType } from "../../../src/fastcgi/record.ts";
import type { AdmissionLimits } from "../../../src/server/admission.ts";
import type { Application, Chunk } from "../../../src/spec.ts";
import { until } from "../../harness/until.ts";
import { begin } from "../fastcgi/wire.ts";
import { Held } from "./held.ts";
import type { Peer } from "./served.ts";
import { paramsOf, Served, settled } from "./served.ts";

let served: Served;

afterEach(async () => {
  await served.stop();
});

const one: AdmissionLimits = { maxConcurrency: 1, queueLimit: 10, queueTimeoutMs: 60_000 };

async function serve(application: Application, options: Parameters<typeof Served.start>[1] = {}): Promise<void> {
  served = await Served.start(application, { admission: one, ...options });
}

/** A new connection with a request. */
function ask(path: string, keepConn = true): Peer {
  const peer = served.open();
  peer.request({ params: paramsOf(path), keepConn });
  return peer;
}

/** Takes the only turn, and lets these wait. */
async function busy(held: Held, ...paths: string[]): Promise<Peer[]> {
  const peers = [ask("/running")];
  await until("the first request", () => held.count === 1);
  for (const [index, path] of paths.entries()) {
    peers.push(ask(path));
    await until("it to wait", () => served.server.stats.waiting === index + 1);
  }
  return peers;
}

/** BEGIN_REQUEST and PARAMS without their end. */
const halfRequest = Buffer.concat([begin(1, 1, 1), encodeRecord(RecordType.PARAMS, 1, encodePairs({ A: "b" }))]);

async function bodyOf(peer: Peer): Promise<string> {
  return (await peer.reply()).body.toString();
}

describe("with a limit of concurrent requests", () => {
  test("as many run as it says, the others wait and are served in their order", async () => {
    const held = new Held();
    await serve(held.application, { admission: { ...one, maxConcurrency: 2 } });
    const peers: Peer[] = [];
    for (const path of ["/1", "/2", "/3", "/4", "/5"]) {
      peers.push(ask(path));
      await until("the request", () => served.server.stats.waiting + held.count === peers.length);
    }
    expect(served.server.stats).toMatchObject({ busy: 2, waiting: 3, connections: 5, served: 0, shed: 0 });
    expect(held.paths).toEqual(["/1", "/2"]);
    held.answerFirst("first");
    await until("the third", () => held.paths.length === 3);
    expect(served.server.stats).toMatchObject({ busy: 2, waiting: 2, served: 1 });
    held.answer("second");
    await until("all", () => held.paths.length === 5);
    held.answer("third");
    expect(await Promise.all(peers.map(bodyOf))).toEqual(["first", "second", "second", "third", "third"]);
    expect(held.paths).toEqual(["/1", "/2", "/3", "/4", "/5"]);
    expect(served.server.stats).toMatchObject({ busy: 0, waiting: 0, served: 5, shed: 0 });
  });

  test("one connection after the other is served by an application that answers at once, and none is lost", async () => {
    await serve(
      (environ, startResponse) => {
        startResponse("200 OK", []);
        return environ.PATH_INFO;
      },
      { admission: { ...one, queueLimit: 1000 } },
    );
    const paths = Array.from({ length: 300 }, (_, index) => `/${index}`);
    const peers = paths.map((path) => ask(path));
    expect(await Promise.all(peers.map(bodyOf))).toEqual(paths);
    for (const [index, peer] of peers.entries()) peer.request({ params: paramsOf(`/x${index}`), keepConn: true });
    expect(await Promise.all(peers.map(bodyOf))).toEqual(peers.map((_, index) => `/x${index}`));
    expect(served.server.stats).toMatchObject({ busy: 0, waiting: 0, served: 600, shed: 0 });
  });

  test("a request that waits keeps its body, which comes whole and in order", async () => {
    let release: () => void = () => {};
    await serve(async (environ, startResponse) => {
      startResponse("200 OK", []);
      if (environ.PATH_INFO !== "/running") return environ["wsgi.input"];
      await new Promise<void>((resolve) => {
        release = resolve;
      });
      return "x";
    });
    const first = ask("/running");
    await until("it to run", () => served.server.stats.busy === 1);
    const body = Buffer.alloc(3_000_000);
    for (let at = 0; at + 4 <= body.length; at += 4) body.writeUInt32BE(at, at);
    const second = served.open();
    second.request({ params: paramsOf("/body", { CONTENT_LENGTH: String(body.length) }), stdin: body, keepConn: true });
    await until("it to wait", () => served.server.stats.waiting === 1);
    await settled("what was taken", () => second.socket.writableLength);
    expect(second.socket.writableLength).toBeGreaterThan(0); // it is not read meanwhile
    release();
    expect(await bodyOf(first)).toBe("x");
    expect((await second.reply()).body.equals(body)).toBe(true);
  });

  test("a request that comes in many pieces takes its turn with the first of them, and keeps it", async () => {
    const held = new Held();
    await serve(held.application);
    const bytes = Buffer.concat([
      begin(1, 1, 1),
      encodeStream(RecordType.PARAMS, 1, encodePairs(paramsOf("/pieces"))),
      encodeRecord(RecordType.STDIN, 1, Buffer.alloc(0)),
    ]);
    const peer = served.open();
    peer.client.request({ params: {}, keepConn: true });
    for (let at = 0; at < bytes.length; at += 1) {
      peer.socket.write(bytes.subarray(at, at + 1));
      await new Promise((resolve) => setImmediate(resolve));
    }
    await until("the request", () => held.count === 1);
    expect(served.server.stats).toMatchObject({ busy: 1, waiting: 0 });
    held.answer("whole");
    expect(await bodyOf(peer)).toBe("whole");
    expect(served.server.stats.busy).toBe(0);
  });
});

describe("the queue", () => {
  test("has no more places than its limit: beyond it a 503 with Retry-After, and the connection goes on", async () => {
    const held = new Held();
    await serve(held.application, { admission: { ...one, queueLimit: 1 } });
    const [first, second] = (await busy(held, "/waiting")) as [Peer, Peer];
    const third = ask("/too-many");
    const refusal = await third.reply();
    expect(refusal.head).toMatch(/^Status: 503 Service Unavailable\r\n/);
    expect(refusal.head).toMatch(/\r\nRetry-After: \d+/);
    expect(refusal).toMatchObject({ protocolStatus: 0, errors: [] });
    expect(served.server.stats).toMatchObject({ shed: 1, waiting: 1, busy: 1, served: 0 });
    held.answer("one");
    await until("the second", () => held.count === 1);
    held.answer("two");
    expect([await bodyOf(first), await bodyOf(second)]).toEqual(["one", "two"]);
    third.request({ params: paramsOf("/again"), keepConn: true });
    await until("the third", () => held.count === 1);
    held.answer("three");
    expect(await bodyOf(third)).toBe("three");
    expect(held.paths).not.toContain("/too-many");
  });

  test("of no places refuses at once", async () => {
    const held = new Held();
    await serve(held.application, { admission: { ...one, queueLimit: 0 } });
    await busy(held);
    expect((await ask("/b").reply()).head).toMatch(/^Status: 503 /);
  });

  test("refuses a request with a body as another, and reads the body", async () => {
    const held = new Held();
    await serve(held.application, { admission: { ...one, queueLimit: 0 } });
    const [first] = (await busy(held)) as [Peer];
    const peer = served.open();
    const stdin = Buffer.alloc(1_000_000);
    peer.request({ params: paramsOf("/b", { CONTENT_LENGTH: "1000000" }), stdin, keepConn: true });
    expect((await peer.reply()).head).toMatch(/^Status: 503 /);
    await until("the body to be taken", () => peer.socket.writableLength === 0);
    held.answer("x");
    await first.reply();
    peer.request({ params: paramsOf("/c"), keepConn: true });
    await until("the next one", () => held.count === 1);
    held.answer("y");
    expect(await bodyOf(peer)).toBe("y");
  });

  test("lets nobody wait for longer than its time", async () => {
    const held = new Held();
    await serve(held.application, { admission: { ...one, queueTimeoutMs: 100 } });
    const [first] = (await busy(held)) as [Peer];
    const replies = await Promise.all(["/b", "/c", "/d"].map(async (path) => await ask(path, false).reply()));
    expect(replies.map(({ head }) => head.slice(0, 11))).toEqual(["Status: 503", "Status: 503", "Status: 503"]);
    expect(served.server.stats).toMatchObject({ shed: 3, waiting: 0, busy: 1 });
    held.answer("still here");
    expect(await bodyOf(first)).toBe("still here");
    expect(held.paths).toEqual(["/running"]);
  });

  test("tells of many refusals in one line", async () => {
    const held = new Held();
    await serve(held.application, { admission: { ...one, queueLimit: 0 } });
    await busy(held);
    for (let count = 0; count < 20; count += 1) await ask("/b").reply();
    const lines = served.log.lines.filter(({ level }) => level === "warn");
    expect(lines.length).toBeLessThan(20);
    expect(lines[0]).toMatchObject({ message: "requests answered 503: overloaded", fields: { shed: 1, busy: 1 } });
  });

  test("is not left by the idle timeout", async () => {
    const held = new Held();
    await serve(held.application, { idleTimeoutMs: 50 });
    const [, second] = (await busy(held, "/waiting")) as [Peer, Peer];
    await settled("the connections", () => Number(second.isEnded)); // longer than the timeout
    expect(served.server.stats).toMatchObject({ waiting: 1, busy: 1 });
    held.answer("one");
    await until("the second", () => held.count === 1);
    held.answer("two");
    expect(await bodyOf(second)).toBe("two");
  });

  test("forgets a peer that left: its turn goes to the next", async () => {
    const held = new Held();
    await serve(held.application);
    const [, gone, next] = (await busy(held, "/gone", "/next")) as [Peer, Peer, Peer];
    gone.destroy();
    held.answer("x");
    await until("the last one", () => {
      if (held.paths.at(-1) !== "/next") held.answer("nobody");
      return held.paths.at(-1) === "/next";
    });
    held.answer("here");
    expect(await bodyOf(next)).toBe("here");
    await until("all turns", () => served.server.stats.busy === 0);
    expect(served.server.stats.waiting).toBe(0);
  });

  test("serves a peer that has half-closed after its request", async () => {
    const held = new Held();
    await serve(held.application);
    const [, second] = (await busy(held, "/half")) as [Peer, Peer];
    second.socket.end();
    held.answer("x");
    await until("the second", () => held.count === 1);
    held.answer("still wanted");
    expect(await bodyOf(second)).toBe("still wanted");
    await second.ended();
    await until("all turns", () => served.server.stats.busy === 0);
  });
});

describe("a turn is given back", () => {
  /** Checks that there is room again. */
  async function hasRoom(held: Held): Promise<void> {
    await until("the turn to be given back", () => served.server.stats.busy === 0);
    const before = held.paths.length;
    const peer = ask("/next");
    await until("the next request", () => held.paths.length > before);
    held.answer("next");
    expect(await bodyOf(peer)).toBe("next");
  }

  test.each<[string, (peer: Peer, held: Held) => void | Promise<void>]>([
    ["when the peer leaves", (peer) => peer.destroy()],
    [
      "when the peer aborts",
      (peer) => void peer.socket.write(encodeRecord(RecordType.ABORT_REQUEST, 1, Buffer.alloc(0))),
    ],
    ["when the peer breaks the protocol", (peer) => void peer.socket.write("garbage")],
    [
      "when the application fails before its head",
      (_, held) =>
        held.answer(
          // eslint-disable-next-line require-yield -- it fails before it could
          (function* (): Generator<Chunk> {
            throw new Error("on purpose");
          })(),
        ),
    ],
    [
      "when the application fails after its head",
      (_, held) =>
        held.answer(
          (function* (): Generator<Chunk> {
            yield "first";
            throw new Error("on purpose");
          })(),
        ),
    ],
  ])("%s", async (_, happen) => {
    const held = new Held();
    await serve(held.application);
    const [peer] = (await busy(held)) as [Peer];
    await happen(peer, held);
    await hasRoom(held);
    expect(served.server.stats).toMatchObject({ busy: 0, served: 2 });
  });

  test("when PARAMS do not end in time, or their sender leaves", async () => {
    const held = new Held();
    await serve(held.application, { paramsTimeoutMs: 200 });
    const silent = served.open();
    silent.socket.write(halfRequest);
    await until("the turn to be taken", () => served.server.stats.busy === 1);
    await until("the connection to be dropped", () => silent.isEnded);
    await hasRoom(held);
    const leaving = served.open();
    leaving.socket.write(halfRequest);
    await until("the turn to be taken", () => served.server.stats.busy === 1);
    leaving.destroy();
    await hasRoom(held);
  });

  test("at once by a management record, and by half a record", async () => {
    const held = new Held();
    await serve(held.application);
    const manager = served.open();
    manager.socket.write(encodeGetValues(["FCGI_MAX_CONNS"]));
    await until("the answer", () => manager.managementCount === 1);
    const half = served.open();
    half.socket.write(begin(1, 1, 1).subarray(0, 5));
    await settled("the connections", () => served.server.stats.connections);
    await hasRoom(held);
    manager.request({ params: paramsOf("/managed"), keepConn: true });
    await until("its request", () => held.count === 1);
    held.answer("m");
    expect(await bodyOf(manager)).toBe("m");
    expect(served.server.stats).toMatchObject({ served: 2, shed: 0 });
  });

  test("once: an early answer whose input still comes does not give it back again", async () => {
    const held = new Held();
    await serve(held.application);
    const peer = served.open();
    peer.client.request({ params: {}, keepConn: true });
    const params = encodeStream(RecordType.PARAMS, 1, encodePairs(paramsOf("/early", { CONTENT_LENGTH: "10" })));
    peer.socket.write(Buffer.concat([begin(1, 1, 1), params]));
    await until("the request", () => held.count === 1);
    held.answer("early");
    expect(await bodyOf(peer)).toBe("early");
    peer.socket.write(encodeRecord(RecordType.STDIN, 1, Buffer.from("left over")));
    await settled("what was left", () => peer.socket.writableLength);
    expect(served.server.stats).toMatchObject({ busy: 0, served: 1 });
    await hasRoom(held);
  });
});

describe("the request timeout", () => {
  const stuck: Application = (environ, startResponse) => {
    startResponse("200 OK", []);
    if (environ.PATH_INFO === "/next") return "next";
    return new Promise(() => {});
  };

  test("is answered 504 on a kept connection, which goes on; the turn is free, the log has one line", async () => {
    await serve(stuck, { requestTimeoutMs: 50 });
    const peer = ask("/stuck");
    const reply = await peer.reply();
    expect(reply.head).toMatch(/^Status: 504 Gateway Timeout\r\n/);
    expect(reply.errors).toEqual([expect.stringContaining("RequestTimeoutError")]);
    peer.request({ params: paramsOf("/next"), keepConn: true });
    expect(await bodyOf(peer)).toBe("next");
    expect(served.server.stats).toMatchObject({ timedOut: 1, busy: 0, served: 2, shed: 0 });
    expect(served.complaints).toEqual(["request given up: an error page was sent"]);
    expect(served.log.lines[0]?.fields["elapsedMs"]).toBeGreaterThanOrEqual(50);
  });

  test("also without KEEP_CONN, and the connection is closed then", async () => {
    await serve(stuck, { requestTimeoutMs: 50 });
    const peer = ask("/stuck", false);
    expect((await peer.reply()).head).toMatch(/^Status: 504 /);
    await peer.ended();
  });

  test("breaks the connection of a response that has begun", async () => {
    let reason: unknown;
    await serve(
      (environ, startResponse) => {
        startResponse("200 OK", []);
        return (async function* (): AsyncGenerator<Chunk> {
          yield "first";
          await once(environ["tsgi.signal"], "abort");
          reason = environ["tsgi.signal"].reason;
          yield "second";
        })();
      },
      { requestTimeoutMs: 50 },
    );
    const peer = ask("/streaming");
    await until("the end of the connection", () => peer.isEnded);
    expect(peer.partial.toString()).toMatch(/first$/);
    await until("the application to know", () => reason);
    expect(reason).toMatchObject({ code: "TSGI2003" });
    peer.destroy();
    await served.empty();
    expect(served.complaints).toEqual(["request given up: the response was broken off"]);
    expect(served.server.stats).toMatchObject({ timedOut: 1, busy: 0, served: 1 });
  });

  test("ends a request that waits for a peer which does not read", async () => {
    let returns = 0;
    await serve(
      (_, startResponse) => {
        startResponse("200 OK", []);
        return (function* (): Generator<Chunk> {
          try {
            for (;;) yield Buffer.alloc(65_536);
          } finally {
            returns += 1;
          }
        })();
      },
      { requestTimeoutMs: 50 },
    );
    const peer = served.open();
    peer.socket.pause();
    peer.request({ params: paramsOf("/endless"), keepConn: true });
    await until("the body to be closed", () => returns === 1);
    expect(served.server.stats).toMatchObject({ timedOut: 1, busy: 0 });
  });

  test("ends a request that waits for input which does not come", async () => {
    let failure: unknown;
    await serve(
      async (environ) => {
        failure = await environ["wsgi.input"].read().catch((error: unknown) => error);
        throw failure;
      },
      { requestTimeoutMs: 50 },
    );
    const peer = served.open();
    peer.client.request({ params: {}, keepConn: true });
    const params = encodeStream(RecordType.PARAMS, 1, encodePairs(paramsOf("/slow", { CONTENT_LENGTH: "10" })));
    peer.socket.write(Buffer.concat([begin(1, 1, 1), params]));
    expect((await peer.reply()).head).toMatch(/^Status: 504 /);
    await until("the read to fail", () => failure);
    expect(failure).toMatchObject({ code: "TSGI2003" });
  });

  test("leaves alone what ends in time", async () => {
    const held = new Held();
    await serve(held.application, { requestTimeoutMs: 60_000 });
    const [first] = (await busy(held)) as [Peer];
    held.answer("x");
    expect(await bodyOf(first)).toBe("x");
    expect(served.server.stats).toMatchObject({ timedOut: 0, served: 1 });
  });

  test("begins when the request runs, not while it waits", async () => {
    const held = new Held();
    await serve(held.application, { requestTimeoutMs: 200 });
    const [first, second] = (await busy(held, "/waiting")) as [Peer, Peer];
    expect((await first.reply()).head).toMatch(/^Status: 504 /);
    await until("the second", () => held.paths.at(-1) === "/waiting");
    held.answer("in time");
    expect(await bodyOf(second)).toBe("in time");
  });
});

test("requests of ignored paths are served and counted, and are no activity", async () => {
  await serve(
    (_, startResponse) => {
      startResponse("200 OK", []);
      return "x";
    },
    { ignoredActivity: ["/health"] },
  );
  const peer = ask("/health");
  await peer.reply();
  const before = served.server.stats;
  peer.request({ params: paramsOf("/health"), keepConn: true });
  await peer.reply();
  expect(served.server.stats).toMatchObject({ served: 2, lastActivityMs: before.lastActivityMs });
  peer.request({ params: paramsOf("/a"), keepConn: true });
  await peer.reply();
  const after = served.server.stats;
  expect(after.served).toBe(3);
  expect(after.lastActivityMs).toBeGreaterThan(before.lastActivityMs);
});

test("the overload of connections counts as requests that were shed", async () => {
  const held = new Held();
  await serve(held.application, { maxConnections: 1 });
  await busy(held);
  expect((await ask("/b").reply()).head).toMatch(/^Status: 503 /);
  expect(served.server.stats).toMatchObject({ shed: 1, served: 0, busy: 1 });
});
