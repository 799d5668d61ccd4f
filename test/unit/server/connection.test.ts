import { once } from "node:events";
import { afterEach, describe, expect, test } from "vitest";
import { encodeGetValues, encodeStream } from "../../../src/fastcgi/client.ts";
import { encodePairs } from "../../../src/fastcgi/pairs.ts";
import { encodeRecord, RecordType } from "../../../src/fastcgi/record.ts";
import type { Application, Body, Chunk } from "../../../src/spec.ts";
import { until } from "../../harness/until.ts";
import { begin } from "../fastcgi/wire.ts";
import { watchUncaught } from "../gateway/uncaught.ts";
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

const keepConn = 1;
const none = Buffer.alloc(0);

/** Answers with the path. */
const echoPath: Application = (environ, startResponse) => {
  startResponse("200 OK", []);
  return environ.PATH_INFO;
};

/** Answers with the number of bytes that it read. */
const countInput: Application = async (environ, startResponse) => {
  let count = 0;
  for await (const chunk of environ["wsgi.input"]) count += chunk.length;
  startResponse("200 OK", []);
  return String(count);
};

/** BEGIN_REQUEST and all PARAMS, no STDIN. */
function opened(path: string, flags: number, more: Readonly<Record<string, string>> = {}): Buffer {
  const params = encodeStream(RecordType.PARAMS, 1, encodePairs(paramsOf(path, more)));
  return Buffer.concat([begin(1, 1, flags), params]);
}

const stdin = (content: string | Buffer): Buffer => encodeRecord(RecordType.STDIN, 1, Buffer.from(content as string));

describe("without KEEP_CONN", () => {
  test("the connection is half-closed after the answer, and closed when the peer has closed too", async () => {
    const { server } = await serve(echoPath);
    const peer = served!.open();
    peer.request({ params: paramsOf("/a") });
    expect((await peer.reply()).body.toString()).toBe("/a");
    await peer.ended();
    expect(server.connectionCount).toBe(1);
    peer.socket.end();
    await served!.empty();
  });

  test("an early answer reaches a peer that is still sending, whole, and without a reset", async () => {
    const peer = (await serve(echoPath)).open();
    peer.client.request({ params: {} }); // expects records for id 1
    peer.socket.write(opened("/early", 0, { CONTENT_LENGTH: "10000000" }));
    const block = stdin(Buffer.alloc(65_535));
    for (let count = 0; count < 40; count += 1) peer.socket.write(block);
    expect((await peer.reply()).body.toString()).toBe("/early");
    for (let count = 0; count < 40; count += 1) peer.socket.write(block);
    await until("everything to be taken", () => peer.socket.writableLength === 0);
    await peer.ended();
    peer.socket.end();
    await served!.empty();
  });
});

describe("with KEEP_CONN", () => {
  test("one connection serves request after request, with one id", async () => {
    const peer = (await serve(echoPath)).open();
    for (const path of ["/a", "/b", "/c"]) {
      peer.request({ params: paramsOf(path), keepConn: true });
      expect((await peer.reply()).body.toString()).toBe(path);
    }
    expect(peer.isEnded).toBe(false);
    expect(served!.server.connectionCount).toBe(1);
  });

  test("an early answer with unread STDIN, then the next BEGIN at once: nothing is mixed up", async () => {
    const late = new Set<string>();
    const peer = (
      await serve(async (environ, startResponse) => {
        startResponse("200 OK", []);
        if (environ.PATH_INFO === "/early") return "early";
        const body = await environ["wsgi.input"].text();
        late.add(body);
        return body;
      })
    ).open();
    for (let count = 0; count < 5; count += 1) {
      peer.client.request({ params: {}, keepConn: true });
      // Announces ten bytes, sends four of them and no end.
      peer.socket.write(Buffer.concat([opened("/early", keepConn, { CONTENT_LENGTH: "10" }), stdin("left")]));
      expect((await peer.reply()).body.toString()).toBe("early");
      peer.request({
        params: paramsOf("/next", { CONTENT_LENGTH: "5" }),
        stdin: Buffer.from(`next${count}`),
        keepConn: true,
      });
      expect((await peer.reply()).body.toString()).toBe(`next${count}`);
    }
    expect(peer.failure).toBeUndefined();
  });

  test("an answer before any input, with input that had stopped the socket, leaves a connection that goes on", async () => {
    let answer: (body: Body) => void = () => {};
    const peer = (
      await serve((environ, startResponse) => {
        startResponse("200 OK", []);
        if (environ.PATH_INFO !== "/slow") return environ.PATH_INFO;
        return new Promise<Body>((resolve) => {
          answer = resolve;
        });
      })
    ).open();
    peer.client.request({ params: {}, keepConn: true });
    peer.socket.write(opened("/slow", keepConn, { CONTENT_LENGTH: "100000000" }));
    const block = stdin(Buffer.alloc(65_535));
    for (let count = 0; count < 100; count += 1) peer.socket.write(block);
    await settled("the bytes that were taken", () => peer.socket.writableLength);
    expect(peer.socket.writableLength).toBeGreaterThan(0);
    answer("slow");
    expect((await peer.reply()).body.toString()).toBe("slow");
    peer.request({ params: paramsOf("/next"), keepConn: true });
    expect((await peer.reply()).body.toString()).toBe("/next");
  });

  test("the peer's close, between requests, closes it", async () => {
    const peer = (await serve(echoPath)).open();
    peer.request({ params: paramsOf("/a"), keepConn: true });
    await peer.reply();
    peer.socket.end();
    await peer.ended();
    await served!.empty();
    expect(served!.complaints).toEqual([]);
  });
});

describe("the peer goes away", () => {
  test("by a half-close after its whole request: the answer still comes", async () => {
    let answer: (body: Body) => void = () => {};
    const peer = (
      await serve((_, startResponse) => {
        startResponse("200 OK", []);
        return new Promise<Body>((resolve) => {
          answer = resolve;
        });
      })
    ).open();
    peer.request({ params: paramsOf("/a"), keepConn: true });
    peer.socket.end();
    await settled("the connection", () => peer.reads);
    answer("here");
    expect((await peer.reply()).body.toString()).toBe("here");
    await peer.ended();
    await served!.empty();
  });

  test("while the application works: its signal fires, without a failure in the log", async () => {
    let signal: AbortSignal | undefined;
    let ends = 0;
    const peer = (
      await serve(async (environ) => {
        signal = environ["tsgi.signal"];
        await once(signal, "abort");
        ends += 1;
        throw signal.reason;
      })
    ).open();
    peer.request({ params: paramsOf("/a"), keepConn: true });
    await until("the application to work", () => signal);
    peer.destroy();
    await until("the signal to fire", () => ends === 1);
    await served!.empty();
    expect(served!.complaints).toEqual([]);
  });

  test("in the middle of its body: the application's read fails and its signal fires", async () => {
    const seen: unknown[] = [];
    const peer = (
      await serve(async (environ, startResponse) => {
        const signal = environ["tsgi.signal"];
        try {
          await environ["wsgi.input"].read();
        } catch (error) {
          seen.push(error, signal.aborted);
        }
        startResponse("200 OK", []);
        return "x";
      })
    ).open();
    peer.socket.write(Buffer.concat([opened("/a", 0, { CONTENT_LENGTH: "10" }), stdin("abc")]));
    peer.socket.end();
    await until("the read to fail", () => seen.length === 2);
    expect(seen).toMatchObject([{ code: "TSGI1002" }, true]);
    await served!.empty();
    expect(served!.complaints).toEqual([]);
  });

  test("while it is sent a large body: the body is closed", async () => {
    let closes = 0;
    const peer = (
      await serve((_, startResponse) => {
        startResponse("200 OK", []);
        return (async function* (): AsyncGenerator<Chunk> {
          try {
            for (;;) yield Buffer.alloc(65_536);
          } finally {
            closes += 1;
          }
        })();
      })
    ).open();
    peer.request({ params: paramsOf("/a") });
    await until("some of the body", () => peer.reads > 2);
    peer.destroy();
    await until("the body to be closed", () => closes === 1);
    await served!.empty();
    expect(served!.complaints).toEqual([]);
  });
});

describe("ABORT_REQUEST", () => {
  test("ends the request at once; what the application still sends goes nowhere, and the next request is served", async () => {
    let finish: () => void = () => {};
    let signal: AbortSignal | undefined;
    const peer = (
      await serve(async (environ, startResponse) => {
        const write = startResponse("200 OK", []);
        if (environ.PATH_INFO !== "/slow") return environ.PATH_INFO;
        signal = environ["tsgi.signal"];
        await new Promise<void>((resolve) => {
          finish = resolve;
        });
        environ["wsgi.errors"].write("late line\n");
        await write("late").catch(() => {});
        return "later";
      })
    ).open();
    peer.request({ params: paramsOf("/slow"), keepConn: true });
    await until("the application to work", () => signal);
    peer.socket.write(encodeRecord(RecordType.ABORT_REQUEST, 1, none));
    await peer.reply();
    expect(signal?.aborted).toBe(true);
    peer.request({ params: paramsOf("/next"), keepConn: true });
    expect((await peer.reply()).body.toString()).toBe("/next");
    finish();
    peer.request({ params: paramsOf("/third"), keepConn: true });
    expect(await peer.reply()).toMatchObject({ body: Buffer.from("/third"), errors: [] });
    expect(peer.failure).toBeUndefined();
  });

  test("behind input that stopped the socket leaves a connection that goes on", async () => {
    const peer = (
      await serve((environ, startResponse) => {
        startResponse("200 OK", []);
        return environ.PATH_INFO === "/stuck" ? new Promise<Body>(() => {}) : environ.PATH_INFO;
      })
    ).open();
    peer.client.request({ params: {}, keepConn: true });
    // 120 KiB wait, then one packet carries what stops the socket and the abort.
    peer.socket.write(
      Buffer.concat([opened("/stuck", keepConn), stdin(Buffer.alloc(60_000)), stdin(Buffer.alloc(60_000))]),
    );
    await until("the input to be taken", () => peer.socket.writableLength === 0);
    await settled("the connection", () => peer.reads);
    peer.socket.write(Buffer.concat([stdin(Buffer.alloc(20_000)), encodeRecord(RecordType.ABORT_REQUEST, 1, none)]));
    await peer.reply();
    peer.request({ params: paramsOf("/next"), keepConn: true });
    expect((await peer.reply()).body.toString()).toBe("/next");
  });
});

describe("a second BEGIN for a live id", () => {
  const twice = (path: string): Buffer =>
    Buffer.concat([opened(path, keepConn), encodeStream(RecordType.STDIN, 1, none), opened(path, keepConn)]);

  test.each<[string, Application]>([
    ["answers at once", echoPath],
    [
      "fails at once",
      () => {
        throw new Error("on purpose");
      },
    ],
    [
      "writes to wsgi.errors when it is aborted",
      (environ) => {
        environ["tsgi.signal"].addEventListener("abort", () => environ["wsgi.errors"].write("gone\n"));
        return new Promise<Body>(() => {});
      },
    ],
    ["waits for its input", countInput],
  ])("in one packet, to an application that %s, ends the connection and harms nobody else", async (_, application) => {
    const watch = watchUncaught();
    try {
      await serve((environ, startResponse) =>
        environ.PATH_INFO === "/healthy" ? echoPath(environ, startResponse) : application(environ, startResponse),
      );
      const peer = served!.open();
      peer.client.request({ params: {}, keepConn: true });
      peer.socket.write(twice("/bad"));
      await until("the end of the connection", () => peer.isEnded || watch.errors.length > 0);
      expect(watch.errors).toEqual([]);
      const other = served!.open();
      other.request({ params: paramsOf("/healthy") });
      expect((await other.reply()).body.toString()).toBe("/healthy");
    } finally {
      watch.stop();
    }
  });
});

describe("a peer that is no web server", () => {
  test.each([
    ["HTTP", "GET / HTTP/1.1\r\nHost: x\r\n\r\n"],
    ["TLS", "\x16\x03\x01\x02\x00\x01"],
    ["zeros", "\0".repeat(1000)],
    ["one wrong byte", "\x02"],
  ])("speaking %s is dropped without an answer, and logged once", async (_, bytes) => {
    const peer = (await serve(echoPath)).open();
    peer.socket.write(Buffer.from(bytes, "latin1"));
    await until("the connection to be dropped", () => peer.isEnded);
    await served!.empty();
    expect(peer.reads).toBe(0);
    expect(served!.complaints).toEqual(["FastCGI peer dropped"]);
  });

  test("that only connects, or sends half a record, and leaves is not worth a line", async () => {
    await serve(echoPath);
    for (const bytes of ["", "\x01", "\x01\x01\x00\x01\x00\x08", "\x01\x01\x00\x01\x00\x08\x00\x00\x00\x01"]) {
      const peer = served!.open();
      await once(peer.socket, "connect");
      peer.socket.end(Buffer.from(bytes, "latin1"));
      await peer.ended();
    }
    await served!.empty();
    expect(served!.log.lines.filter(({ level }) => level !== "debug")).toEqual([]);
  });

  test("breaking the protocol in the middle of a request ends that request too", async () => {
    let signal: AbortSignal | undefined;
    const peer = (
      await serve((environ) => {
        signal = environ["tsgi.signal"];
        return new Promise<Body>(() => {});
      })
    ).open();
    peer.socket.write(opened("/a", 0));
    await until("the application to work", () => signal);
    peer.socket.write("garbage");
    await until("the signal to fire", () => signal?.aborted);
    await served!.empty();
  });
});

describe("clocks", () => {
  test("PARAMS that do not end in time end the connection, with one line in the log", async () => {
    await serve(echoPath, { paramsTimeoutMs: 50 });
    for (const bytes of [
      begin(1, 1, 0),
      begin(1, 1, keepConn),
      Buffer.concat([begin(1, 1, 0), encodeRecord(RecordType.PARAMS, 1, encodePairs({ A: "b" }))]),
    ]) {
      const peer = served!.open();
      peer.socket.write(bytes);
      await until("the connection to be dropped", () => peer.isEnded);
    }
    await served!.empty();
    expect(served!.complaints).toHaveLength(3);
    expect(new Set(served!.complaints).size).toBe(1);
  });

  test("nor does a peer gain time by sending PARAMS byte by byte", async () => {
    const peer = (await serve(echoPath, { paramsTimeoutMs: 200 })).open();
    const params = encodeStream(RecordType.PARAMS, 1, encodePairs({ A: "b".repeat(10_000) }));
    peer.socket.write(begin(1, 1, 0));
    let at = 0;
    await until("the connection to be dropped", () => {
      if (at < params.length - 1) peer.socket.write(params.subarray(at, at + 1));
      at += 1;
      return peer.isEnded;
    });
    expect(served!.complaints).toHaveLength(1);
  });

  test("time spent in the application is not time spent on PARAMS", async () => {
    let answer: (body: Body) => void = () => {};
    const peer = (
      await serve(
        (_, startResponse) => {
          startResponse("200 OK", []);
          return new Promise<Body>((resolve) => {
            answer = resolve;
          });
        },
        { paramsTimeoutMs: 30 },
      )
    ).open();
    // BEGIN alone starts the clock, the rest stops it.
    peer.client.request({ params: {} });
    const whole = Buffer.concat([opened("/a", 0), encodeStream(RecordType.STDIN, 1, none)]);
    peer.socket.write(whole.subarray(0, 16));
    await once(peer.socket, "connect");
    peer.socket.write(whole.subarray(16));
    await settled("the connection", () => peer.reads); // longer than the timeout
    answer("x");
    expect((await peer.reply()).body.toString()).toBe("x");
    expect(served!.complaints).toEqual([]);
  });

  test("an idle connection is closed, before its first request and after one, without a word", async () => {
    await serve(echoPath, { idleTimeoutMs: 50 });
    const silent = served!.open();
    await silent.ended();
    const used = served!.open();
    used.request({ params: paramsOf("/a"), keepConn: true });
    await used.reply();
    await used.ended();
    expect(served!.complaints).toEqual([]);
  });

  test("a connection is not idle while its application works", async () => {
    let answer: (body: Body) => void = () => {};
    const peer = (
      await serve(
        (_, startResponse) => {
          startResponse("200 OK", []);
          return new Promise<Body>((resolve) => {
            answer = resolve;
          });
        },
        { idleTimeoutMs: 30 },
      )
    ).open();
    peer.request({ params: paramsOf("/a"), keepConn: true });
    await settled("the connection", () => peer.reads); // longer than the timeout
    expect(peer.isEnded).toBe(false);
    answer("x");
    expect((await peer.reply()).body.toString()).toBe("x");
    await peer.ended();
  });
});

describe("backpressure", () => {
  const size = 32 * 2 ** 20;

  test("an application that does not read stops the peer, and gets everything when it reads", async () => {
    let start: () => void = () => {};
    const peer = (
      await serve(async (environ, startResponse) => {
        await new Promise<void>((resolve) => {
          start = resolve;
        });
        return countInput(environ, startResponse);
      })
    ).open();
    peer.request({ params: paramsOf("/a", { CONTENT_LENGTH: String(size) }), stdin: Buffer.alloc(size) });
    const left = await settled("the bytes that wait", () => peer.socket.writableLength);
    // Node counts a write as waiting until all of it is taken; the application's side tells what came.
    expect(left).toBeGreaterThan(0);
    start();
    expect((await peer.reply()).body.toString()).toBe(String(size));
  });

  test("a peer that does not read stops the body, and gets everything when it reads", async () => {
    let pulled = 0;
    const peer = (
      await serve((_, startResponse) => {
        startResponse("200 OK", []);
        return (function* (): Generator<Chunk> {
          for (; pulled < size; pulled += 65_536) yield Buffer.alloc(65_536, "x");
        })();
      })
    ).open();
    peer.socket.pause();
    peer.request({ params: paramsOf("/a") });
    await until("the body to be asked for", () => pulled > 0);
    expect(await settled("what was pulled", () => pulled)).toBeLessThan(2 * 2 ** 20);
    peer.socket.resume();
    expect((await peer.reply()).body).toHaveLength(size);
    expect(pulled).toBe(size);
  });

  test("a peer that does not read makes write() wait", async () => {
    let written = 0;
    const peer = (
      await serve(async (_, startResponse) => {
        const write = startResponse("200 OK", []);
        for (; written < size; written += 65_536) await write(Buffer.alloc(65_536, "x"));
        return [];
      })
    ).open();
    peer.socket.pause();
    peer.request({ params: paramsOf("/a") });
    await until("something to be written", () => written > 0);
    expect(await settled("what was written", () => written)).toBeLessThan(2 * 2 ** 20);
    peer.socket.resume();
    expect((await peer.reply()).body).toHaveLength(size);
  });

  test("both at once: an echo of a large body, with a peer that reads while it sends", async () => {
    const peer = (
      await serve((environ, startResponse) => {
        startResponse("200 OK", []);
        return environ["wsgi.input"];
      })
    ).open();
    const body = Buffer.alloc(4 * 2 ** 20, "0123456789");
    peer.request({ params: paramsOf("/a", { CONTENT_LENGTH: String(body.length) }), stdin: body, recordBytes: 8192 });
    expect((await peer.reply()).body.equals(body)).toBe(true);
  });

  test("a peer that sends its whole body before it reads gets its echo where input may be spooled", async () => {
    const peer = (
      await serve(
        (environ, startResponse) => {
          startResponse("200 OK", []);
          return environ["wsgi.input"];
        },
        { isBehindFcgid: true },
      )
    ).open();
    for (const length of ["with", "without"]) {
      const body = Buffer.alloc(6 * 2 ** 20, `${length} 0123456789`);
      peer.socket.pause();
      const more = length === "with" ? { CONTENT_LENGTH: String(body.length) } : {};
      peer.request({ params: paramsOf("/a", more), stdin: body, recordBytes: 8000, keepConn: true });
      await until("everything to be taken", () => peer.socket.writableLength === 0);
      peer.socket.resume();
      expect((await peer.reply()).body.equals(body)).toBe(true);
    }
  });

  test("management records in the middle of a large response do not stop the connection for good", async () => {
    const peer = (
      await serve((environ, startResponse) => {
        if (environ.PATH_INFO === "/next") return echoPath(environ, startResponse);
        startResponse("200 OK", []);
        return (async function* (): AsyncGenerator<Chunk> {
          for (let count = 0; count < 100; count += 1) yield Buffer.alloc(65_536);
          yield await environ["wsgi.input"].read();
        })();
      })
    ).open();
    peer.socket.pause();
    peer.client.request({ params: {}, keepConn: true });
    peer.socket.write(opened("/a", keepConn));
    await settled("the response", () => peer.socket.bytesRead);
    peer.socket.write(encodeGetValues(["FCGI_MAX_CONNS"]));
    await settled("the question", () => peer.socket.writableLength);
    peer.socket.resume();
    peer.socket.write(encodeStream(RecordType.STDIN, 1, Buffer.from("tail")));
    const { body } = await peer.reply();
    expect([body.length, body.subarray(-4).toString()]).toEqual([6_553_604, "tail"]);
    peer.request({ params: paramsOf("/next"), keepConn: true });
    expect((await peer.reply()).body.toString()).toBe("/next");
    expect(peer.managementCount).toBe(1);
  });
});

test("a small response leaves in one piece: head, body, end", async () => {
  const peer = (await serve(echoPath)).open();
  for (let count = 0; count < 5; count += 1) {
    peer.request({ params: paramsOf("/a"), keepConn: true });
    await peer.reply();
  }
  expect(peer.reads).toBe(5);
});

test("200 connections at once each get their own answer", async () => {
  await serve(async (environ, startResponse) => {
    const nonce = await environ["wsgi.input"].text();
    startResponse("200 OK", [["X-Nonce", nonce]]);
    return (async function* (): AsyncGenerator<Chunk> {
      for (const part of [environ.PATH_INFO, " ", nonce]) yield part;
    })();
  });
  await Promise.all(
    Array.from({ length: 200 }, async (_, index) => {
      const peer = served!.open();
      for (const round of ["a", "b", "c"]) {
        const nonce = `${round}${index}`;
        peer.request({ params: paramsOf(`/${nonce}`), stdin: Buffer.from(nonce), keepConn: round !== "c" });
        const reply = await peer.reply();
        expect([reply.head.includes(`X-Nonce: ${nonce}`), reply.body.toString()]).toEqual([true, `/${nonce} ${nonce}`]);
      }
      await peer.ended();
      peer.socket.end();
    }),
  );
  await served!.empty();
});
