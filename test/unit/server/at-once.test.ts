// Requests that come together with their connection: those that need no socket, and all that make one necessary.
import { AsyncLocalStorage } from "node:async_hooks";
import { writeSync } from "node:fs";
import type { Socket } from "node:net";
import { setImmediate as nextTurn } from "node:timers/promises";
import { afterEach, describe, expect, test, vi } from "vitest";
import { encodeStream } from "../../../src/fastcgi/client.ts";
import { encodePairs } from "../../../src/fastcgi/pairs.ts";
import { RecordType } from "../../../src/fastcgi/record.ts";
import type { Application } from "../../../src/spec.ts";
import { until } from "../../harness/until.ts";
import { begin } from "../fastcgi/wire.ts";
import { Held } from "./held.ts";
import type { Peer } from "./served.ts";
import { paramsOf, Served } from "./served.ts";

let served: Served;
/** How many sockets node:net made for the server. */
let sockets = 0;

afterEach(async () => {
  vi.useRealTimers();
  await served.stop();
});

async function serve(...given: Parameters<typeof Served.start>): Promise<void> {
  served = await Served.start(...given);
  sockets = 0;
  served.server.netServer.on("connection", () => {
    sockets += 1;
  });
}

/** Writes past the socket, which is connected though it does not know: before anybody can have accepted it. */
function send(peer: Peer, bytes: Uint8Array): void {
  const { _handle: handle } = peer.socket as Socket & { readonly _handle: { readonly fd: number } };
  expect(writeSync(handle.fd, bytes)).toBe(bytes.length);
}

function bring(request: Parameters<Peer["client"]["request"]>[0]): Peer {
  const peer = served.open();
  send(peer, peer.client.request(request));
  return peer;
}

const hello: Application = (environ, startResponse) => {
  startResponse("200 OK", [["X-Path", environ.PATH_INFO]]);
  return "hello";
};

describe("a request that came with its connection", () => {
  test("is answered and its connection closed, and no socket was made", async () => {
    await serve(hello);
    const peers = Array.from({ length: 10 }, (_, n) => bring({ params: paramsOf(`/${n}`) }));
    for (const [n, peer] of peers.entries()) {
      const reply = await peer.reply();
      expect(reply.head).toContain(`X-Path: /${n}`);
      expect(reply.body.toString()).toBe("hello");
      await peer.ended();
    }
    expect(sockets).toBe(0);
    expect(served.server.stats).toMatchObject({ busy: 0, connections: 0, served: 10 });
  });

  test("with KEEP_CONN leaves the connection for the next ones", async () => {
    await serve(hello);
    const peer = bring({ params: paramsOf("/a"), keepConn: true });
    expect((await peer.reply()).head).toContain("X-Path: /a");
    for (const path of ["/b", "/c"]) {
      peer.request({ params: paramsOf(path), keepConn: true });
      expect((await peer.reply()).head).toContain(`X-Path: ${path}`);
    }
    expect(served.server.stats).toMatchObject({ busy: 0, connections: 1, served: 3 });
  });

  test("has its body, though the application reads it later", async () => {
    await serve(async (environ, startResponse) => {
      await nextTurn();
      const body = await environ["wsgi.input"].read();
      startResponse("200 OK", []);
      return body;
    });
    // What the next one brings is read into the same memory.
    const peers = ["first", "second"].map((body) =>
      bring({ params: paramsOf("/", { CONTENT_LENGTH: String(body.length) }), stdin: Buffer.from(body) }),
    );
    expect((await peers[0]!.reply()).body.toString()).toBe("first");
    expect((await peers[1]!.reply()).body.toString()).toBe("second");
    for (const peer of peers) await peer.ended();
  });

  test("may be answered long after it", async () => {
    const held = new Held();
    await serve(held.application);
    const peer = bring({ params: paramsOf("/") });
    await until("the request", () => held.count === 1);
    await nextTurn();
    await nextTurn();
    held.answer("late");
    expect((await peer.reply()).body.toString()).toBe("late");
    await peer.ended();
  });

  test.each([false, true])(
    "gets all of a response though it takes its time for it, in parts: %s",
    async (isInParts) => {
      const large = Buffer.alloc(3 << 20, "0123456789abcdef");
      await serve((_, startResponse) => {
        startResponse("200 OK", []);
        return isInParts ? [large.subarray(0, 1 << 20), large.subarray(1 << 20)] : large;
      });
      vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
      const peer = bring({ params: paramsOf("/") });
      peer.socket.pause();
      for (let turns = 0; turns < 100 && served.server.stats.served === 0; turns += 1) await nextTurn();
      for (let turns = 0; turns < 10; turns += 1) await nextTurn();
      vi.advanceTimersByTime(60_000);
      await nextTurn();
      vi.useRealTimers();
      peer.socket.resume();
      expect((await peer.reply()).body.equals(large)).toBe(true);
      await peer.ended();
    },
  );

  test("gets a response of any size, whole", async () => {
    const large = Buffer.alloc(3 << 20, "0123456789abcdef");
    await serve((_, startResponse) => {
      startResponse("200 OK", []);
      return large;
    });
    const peer = bring({ params: paramsOf("/") });
    expect((await peer.reply()).body.equals(large)).toBe(true);
    await peer.ended();
  });

  test("whose peer has gone by the time of the answer is no error of anybody", async () => {
    await serve((_, startResponse) => {
      startResponse("200 OK", []);
      return "nobody reads it";
    });
    const gone = bring({ params: paramsOf("/") });
    gone.destroy();
    await until("the request", () => served.server.stats.served === 1);
    await served.empty();
    expect((await bring({ params: paramsOf("/") }).reply()).body.toString()).toBe("nobody reads it");
    expect(served.complaints).toEqual([]);
  });

  test("fails alone when the application throws", async () => {
    await serve(() => {
      throw new Error("on purpose");
    });
    const peer = bring({ params: paramsOf("/") });
    expect((await peer.reply()).head).toMatch(/^Status: 500 /);
    await peer.ended();
  });

  test("from a peer that is not allowed is not heard", async () => {
    let calls = 0;
    await serve(
      () => {
        calls += 1;
        throw new Error("not reached");
      },
      { isAllowed: () => false },
    );
    const peer = bring({ params: paramsOf("/") });
    await until("the end of the connection", () => peer.isEnded);
    expect(calls).toBe(0);
    expect(peer.partial).toHaveLength(0);
  });

  test("waits for its turn like any other", async () => {
    const held = new Held();
    await serve(held.application, { admission: { maxConcurrency: 1, queueLimit: 5, queueTimeoutMs: 10_000 } });
    const [first, second] = [bring({ params: paramsOf("/1") }), bring({ params: paramsOf("/2") })];
    await until("the first", () => held.count === 1 && served.server.stats.waiting === 1);
    held.answer("one");
    expect((await first.reply()).body.toString()).toBe("one");
    await until("the second", () => held.paths.length === 2);
    held.answer("two");
    expect((await second.reply()).body.toString()).toBe("two");
    for (const peer of [first, second]) await peer.ended();
  });
});

describe("only a part of a request came with its connection", () => {
  test("the end of STDIN comes after the answer: the connection is not cut", async () => {
    await serve(hello);
    const peer = served.open();
    const request = peer.client.request({ params: paramsOf("/a") });
    send(peer, request.subarray(0, -8));
    expect((await peer.reply()).body.toString()).toBe("hello");
    await peer.ended();
    peer.socket.end(request.subarray(-8));
    await served.empty();
    expect(peer.failure).toBeUndefined();
  });

  test.each([5, 20, 60])("the first %d bytes", async (first) => {
    await serve(hello);
    const peer = served.open();
    const request = peer.client.request({ params: paramsOf("/a") });
    send(peer, request.subarray(0, first));
    await until("the connection", () => served.server.connectionCount === 1);
    await nextTurn();
    peer.socket.write(request.subarray(first));
    expect((await peer.reply()).head).toContain("X-Path: /a");
    await peer.ended();
  });

  test("bytes that are no FastCGI close it", async () => {
    await serve(hello);
    const peer = served.open();
    send(peer, Buffer.from("GET / HTTP/1.1\r\n\r\n"));
    await until("the end of the connection", () => peer.isEnded);
    await served.empty();
    expect(served.complaints).toEqual(["FastCGI peer dropped"]);
  });
});

describe("what an application leaves in its asynchronous context", () => {
  const storage = new AsyncLocalStorage<string>();
  let seen: Array<string | undefined>;
  const leaving: Application = (environ, startResponse) => {
    seen.push(storage.getStore());
    storage.enterWith(environ.PATH_INFO);
    startResponse("200 OK", []);
    return "left";
  };

  test("is not there for the next connection", async () => {
    seen = [];
    await serve(leaving);
    for (const path of ["/alice", "/bob", "/carol"]) await bring({ params: paramsOf(path) }).reply();
    expect(seen).toEqual([undefined, undefined, undefined]);
    expect(sockets).toBe(0);
  });

  test("is not there for the next request of a connection", async () => {
    seen = [];
    await serve(leaving);
    const peer = bring({ params: paramsOf("/alice"), keepConn: true });
    await peer.reply();
    for (const path of ["/bob", "/carol"]) {
      peer.request({ params: paramsOf(path), keepConn: true });
      await peer.reply();
    }
    expect(seen).toEqual([undefined, undefined, undefined]);
  });
});

describe("where connections are limited", () => {
  test("those at twice the limit are closed unheard, whoever came with a request before", async () => {
    await serve(hello, { maxConnections: 4 });
    const first = Array.from({ length: 4 }, () => bring({ params: paramsOf("/"), keepConn: true }));
    for (const peer of first) await peer.reply();
    const more = Array.from({ length: 10 }, () => served.open());
    await until("six to be closed", () => more.filter(({ isEnded }) => isEnded).length === 6);
    expect(served.server.connectionCount).toBe(8);
  });
});

test("an AUTHORIZER whose peer ends STDIN after the answer: the connection is not cut", async () => {
  await serve(hello);
  const peer = served.open();
  const params = encodePairs(paramsOf("/"));
  send(peer, Buffer.concat([begin(1, 3, 0), encodeStream(RecordType.PARAMS, 1, params)]));
  await until("the answer", () => peer.isEnded || peer.failure !== undefined);
  send(peer, encodeStream(RecordType.STDIN, 1, new Uint8Array(0)));
});

test("with many of them others have their turn before the last one", async () => {
  let calls = 0;
  let callsBeforeOthers: number | undefined;
  await serve((_, startResponse) => {
    calls += 1;
    if (calls === 1) {
      setImmediate(() => {
        callsBeforeOthers = calls;
      });
    }
    startResponse("200 OK", []);
    return "one of many";
  });
  const peers = Array.from({ length: 200 }, () => bring({ params: paramsOf("/") }));
  for (const peer of peers) expect((await peer.reply()).body.toString()).toBe("one of many");
  expect(calls).toBe(200);
  expect(callsBeforeOthers).toBeLessThan(100);
  for (const peer of peers) await peer.ended();
});

test("draining lets it end, and takes no other one", async () => {
  const held = new Held();
  await serve(held.application);
  const peer = bring({ params: paramsOf("/") });
  await until("the request", () => held.count === 1);
  const drained = served.server.close(10_000);
  held.answer("to the end");
  expect((await peer.reply()).body.toString()).toBe("to the end");
  peer.socket.end();
  expect(await drained).toBe(true);
});

test("one that is cut when it takes too long is gone when the server says that it is closed", async () => {
  const held = new Held();
  await serve(held.application);
  bring({ params: paramsOf("/") });
  await until("the request", () => held.count === 1);
  expect(await served.server.close(1)).toBe(false);
  expect(served.server.stats).toMatchObject({ busy: 0, connections: 0 });
});
