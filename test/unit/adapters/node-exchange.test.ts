// What only a gateway's side can show: backpressure, a client that goes away, failures before and after the head.
import type { IncomingMessage, ServerResponse } from "node:http";
import { Readable, pipeline } from "node:stream";
import { describe, expect, test } from "vitest";
import { fromNodeHandler } from "../../../src/adapters/node-handler.ts";
import type { NodeHandler } from "../../../src/adapters/node-handler.ts";
import { ClientGoneError } from "../../../src/errors.ts";
import type { Variables } from "../../../src/gateway/environ.ts";
import type { ResponseHead, ResponseSink } from "../../../src/gateway/response.ts";
import { Background } from "../../../src/server/background.ts";
import type { Dispatched } from "../../../src/server/dispatch.ts";
import { dispatch } from "../../../src/server/dispatch.ts";
import type { Chunk } from "../../../src/spec.ts";
import { within } from "../../harness/until.ts";
import type { CollectedLog } from "../server/collected-log.ts";
import { collectLog } from "../server/collected-log.ts";

/** A sink that takes as much as the test lets it. */
class Valve implements ResponseSink {
  readonly sends: Array<{ readonly head: boolean; readonly bytes: number; readonly last: boolean }> = [];
  isOpen = true;
  isBroken = false;
  head: ResponseHead | undefined;
  text = "";
  #release: Array<() => void> = [];
  #finish: () => void = () => {};
  readonly finished = new Promise<void>((resolve) => {
    this.#finish = resolve;
  });

  get bytes(): number {
    return this.sends.reduce((sum, { bytes }) => sum + bytes, 0);
  }

  send(head: ResponseHead | undefined, data: Chunk | undefined, last: boolean): boolean {
    this.head ??= head;
    const bytes = data === undefined ? Buffer.alloc(0) : Buffer.from(data as string);
    this.text += bytes.toString("latin1");
    this.sends.push({ head: head !== undefined, bytes: bytes.length, last });
    if (last) this.#finish();
    return this.isOpen;
  }

  drained(): Promise<void> {
    if (this.isOpen) return Promise.resolve();
    return new Promise((resolve) => this.#release.push(resolve));
  }

  open(): void {
    this.isOpen = true;
    for (const release of this.#release.splice(0)) release();
  }

  break(): void {
    this.isBroken = true;
    this.#finish();
  }
}

interface Running extends Dispatched {
  readonly sink: Valve;
  readonly log: CollectedLog;
  readonly flow: { pauses: number; resumes: number };
}

function start(handler: NodeHandler, variables: Variables = {}, isOpen = true): Running {
  const log = collectLog();
  const sink = new Valve();
  sink.isOpen = isOpen;
  const flow = { pauses: 0, resumes: 0, pause: () => (flow.pauses += 1), resume: () => (flow.resumes += 1) };
  const route = { application: fromNodeHandler(handler), script: "", mount: { mountPoint: "" } };
  const dispatched = dispatch(
    {
      router: { route: () => route },
      log,
      background: new Background(log),
      transport: "fastcgi",
      isMultiprocess: false,
      isRunOnce: false,
      isLogApaches: true,
    },
    {
      variables: Object.assign(
        Object.create(null) as Variables,
        { REQUEST_METHOD: "GET", REQUEST_URI: "/" },
        variables,
      ),
      sink,
      flow,
      emitError: () => false,
      isAuthorizer: false,
      onEnd: () => {},
    },
  );
  return { ...dispatched, sink, log, flow };
}

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

async function turns(count: number): Promise<void> {
  for (let index = 0; index < count; index += 1) await turn();
}

const once = (emitter: IncomingMessage | ServerResponse, name: string): Promise<unknown> =>
  within(name, new Promise((resolve) => emitter.once(name, resolve)), 5_000);

describe("a response that is there at once", () => {
  test.each<[string, (res: ServerResponse) => void]>([
    ["end", (res) => res.end("hello")],
    ["writeHead and end", (res) => res.writeHead(200, { "Content-Length": 5 }).end("hello")],
    ["writes with a length", (res) => void (res.setHeader("Content-Length", 5).write("he") && res.end("llo"))],
  ])("leaves with its head and the end in one: %s", (_name, answer) => {
    const { sink } = start((_req, res) => answer(res));
    expect(sink.sends).toEqual([{ head: true, bytes: 5, last: true }]);
  });

  test("also when it comes later", async () => {
    const { sink } = start((_req, res) => void setTimeout(() => res.end("hello"), 2));
    await sink.finished;
    expect(sink.sends).toEqual([{ head: true, bytes: 5, last: true }]);
  });
});

describe("backpressure", () => {
  test("what is written waits for the gateway: 'drain' and 'finish' come when it has taken it", async () => {
    const chunk = Buffer.alloc(10_000, "x");
    let isFinished = false;
    let most = 0;
    let written = 0;
    const { sink } = start(
      (_req, res) => {
        const more = (): void => {
          while (written < 100) {
            written += 1;
            const canTakeMore = res.write(chunk);
            if (!canTakeMore) {
              res.once("drain", more);
              return;
            }
          }
          res.end();
        };
        res.on("finish", () => (isFinished = true));
        more();
      },
      {},
      false,
    );
    await turns(20);
    expect(written).toBeLessThan(20);
    for (let index = 0; index < 500 && !sink.sends.some(({ last }) => last); index += 1) {
      most = Math.max(most, written * chunk.length - sink.bytes);
      sink.open();
      sink.isOpen = false;
      await turns(3);
    }
    await sink.finished;
    expect(sink.bytes).toBe(1_000_000);
    expect(most).toBeLessThan(250_000);
    expect(isFinished).toBe(true);
  });

  test("a large last piece is finished only when it was taken", async () => {
    let isFinished = false;
    const { sink } = start(
      (_req, res) => void res.on("finish", () => (isFinished = true)).end(Buffer.alloc(500_000)),
      {},
      false,
    );
    await turns(20);
    expect(isFinished).toBe(false);
    sink.open();
    await sink.finished;
    await turns(3);
    expect(isFinished).toBe(true);
    expect(sink.sends.at(-1)).toMatchObject({ last: true });
  });

  test("a request is echoed however slow the reader is, and nothing is held beyond the buffers", async () => {
    const total = 2_000_000;
    const { sink, input, flow } = start(
      (req, res) => void req.pipe(res),
      { REQUEST_METHOD: "POST", CONTENT_LENGTH: String(total) },
      false,
    );
    let sent = 0;
    for (let index = 0; index < 2_000 && sink.bytes < total; index += 1) {
      for (; sent < total && flow.pauses === flow.resumes; sent += 8_000) input.push(Buffer.alloc(8_000, "e"));
      expect(sent - sink.bytes).toBeLessThan(400_000);
      sink.open();
      sink.isOpen = false;
      await turns(2);
    }
    sink.open();
    await sink.finished;
    expect(sink.bytes).toBe(total);
  });

  test("a body that is not read stays with the gateway", async () => {
    const { input, flow } = start((_req, res) => void setTimeout(() => res.end(), 50), {
      REQUEST_METHOD: "POST",
      CONTENT_LENGTH: "1000000",
    });
    for (let index = 0; index < 40; index += 1) input.push(Buffer.alloc(10_000));
    await turns(5);
    expect(flow).toMatchObject({ pauses: 1, resumes: 0 });
  });

  test("bytes may be used again once they count as written", async () => {
    const buffer = Buffer.alloc(1_000, "a");
    const { sink } = start(async (_req, res) => {
      for (const letter of "abc") {
        buffer.fill(letter);
        await new Promise<void>((resolve) => res.write(buffer, () => resolve()));
      }
      res.end();
    });
    await sink.finished;
    expect(sink.text).toBe("a".repeat(1_000) + "b".repeat(1_000) + "c".repeat(1_000));
  });
});

describe("a client that goes away", () => {
  test("closes request and response, and is no failure", async () => {
    const events: string[] = [];
    let closed: Promise<unknown> = Promise.resolve();
    const { exchange, sink, log } = start((req, res) => {
      req.on("aborted", () => events.push("req aborted"));
      req.on("error", (error) => events.push(`req error ${error.message}`));
      req.on("close", () => events.push(`req close ${req.destroyed}`));
      res.on("error", () => events.push("res error"));
      res.on("finish", () => events.push("res finish"));
      res.on("close", () => events.push(`res close ${res.destroyed} ${res.writableFinished}`));
      closed = once(req, "close");
      res.write("some");
    });
    await turns(2);
    exchange.abort(new ClientGoneError());
    await closed;
    expect(events).toEqual(["req aborted", "res close true false", "req error aborted", "req close true"]);
    expect(sink.isBroken).toBe(true);
    expect(log.lines.filter(({ level }) => level === "error" || level === "warn")).toEqual([]);
  });

  test("ends a pipeline whose write waits", async () => {
    let failure: Promise<Error | null> = Promise.resolve(null);
    const source = Readable.from(
      (function* () {
        for (;;) yield Buffer.alloc(60_000);
      })(),
    );
    const { exchange } = start(
      (_req, res) => {
        failure = new Promise((resolve) => pipeline(source, res, (error) => resolve(error ?? null)));
      },
      {},
      false,
    );
    await turns(5);
    exchange.abort(new ClientGoneError());
    expect(await within("the pipeline to end", failure, 5_000)).toMatchObject({ code: "ERR_STREAM_PREMATURE_CLOSE" });
    expect(source.destroyed).toBe(true);
  });

  test("a handler that fails because of it is silent", async () => {
    const { exchange, log, input } = start(
      async (req) => {
        for await (const _chunk of req) void _chunk;
      },
      { REQUEST_METHOD: "POST", CONTENT_LENGTH: "10" },
    );
    input.push(Buffer.from("half"));
    await turns(2);
    exchange.abort(new ClientGoneError());
    await turns(5);
    expect(log.lines.filter(({ level }) => level === "error" || level === "warn")).toEqual([]);
  });
});

describe("a body that is cut short", () => {
  test("aborts the request, and is the client's fault", async () => {
    const events: string[] = [];
    const { sink, input, log } = start(
      (req) => {
        req.on("aborted", () => events.push("aborted"));
        req.on("error", (error) => events.push(error.message));
        req.resume();
      },
      { REQUEST_METHOD: "POST", CONTENT_LENGTH: "10" },
    );
    input.push(Buffer.from("half"));
    input.end();
    await sink.finished;
    await turns(5);
    expect(sink.head?.status.code).toBe(400);
    expect(events).toEqual(["aborted", "aborted"]);
    expect(log.lines.filter(({ level }) => level === "error")).toEqual([]);
  });
});

describe("a failure", () => {
  const failing: ReadonlyArray<readonly [string, NodeHandler]> = [
    [
      "thrown",
      () => {
        throw new Error("on purpose");
      },
    ],
    ["of a promise", () => Promise.reject(new Error("on purpose"))],
    ["of next", (_req, _res, next) => next(new Error("on purpose"))],
    ["of destroy", (_req, res) => void res.destroy(new Error("on purpose"))],
    ["of the request", (req) => void req.destroy(new Error("on purpose"))],
  ];

  test.each(failing)("before the head is a page: %s", async (_name, handler) => {
    const { sink, log } = start(handler);
    await sink.finished;
    expect(sink.head?.status.code).toBe(500);
    expect(sink.text).not.toContain("on purpose");
    expect(log.lines.find(({ level }) => level === "error")?.fields["err"]).toMatchObject({ message: "on purpose" });
  });

  test("after the head breaks the response", async () => {
    const { sink } = start((_req, res) => {
      res.write("some");
      return new Promise((_resolve, reject) => setTimeout(reject, 5, new Error("on purpose")));
    });
    await sink.finished;
    expect([sink.head?.status.code, sink.text, sink.isBroken]).toEqual([200, "some", true]);
  });

  test("after the end is a line in the log", async () => {
    const { sink, log } = start((_req, res) => {
      res.end("whole");
      throw new Error("too late");
    });
    await sink.finished;
    expect(sink.text).toBe("whole");
    expect(log.lines).toMatchObject([{ level: "warn", fields: { err: { message: "too late" } } }]);
  });

  test("to keep a Content-Length breaks the response", async () => {
    const { sink } = start((_req, res) => void res.writeHead(200, { "Content-Length": 10 }).end("short"));
    await sink.finished;
    expect([sink.text, sink.isBroken]).toEqual(["short", true]);
  });

  test("of a head that Apache would refuse is an error", async () => {
    const { sink } = start((_req, res) => void res.writeHead(200, { "X-Long": "x".repeat(9_000) }).end("x"));
    await sink.finished;
    expect(sink.head?.status.code).toBe(500);
  });
});

describe("what the messages tell of the connection", () => {
  test("is what the gateway knows", () => {
    const variables = {
      REMOTE_ADDR: "192.0.2.7",
      REMOTE_PORT: "4711",
      SERVER_ADDR: "::1",
      SERVER_PORT: "443",
      HTTPS: "on",
      SERVER_PROTOCOL: "HTTP/2.0",
    };
    const seen: unknown[] = [];
    start((req, res) => {
      const { socket } = req;
      seen.push(
        socket.remoteAddress,
        socket.remotePort,
        socket.remoteFamily,
        (socket as { encrypted?: boolean }).encrypted,
      );
      seen.push(
        socket.localAddress,
        socket.localPort,
        socket.localFamily,
        req.connection === socket,
        res.socket === socket,
      );
      seen.push(
        req.httpVersion,
        socket.setNoDelay() === socket,
        socket.setKeepAlive(true, 5) === socket,
        socket.ref() === socket,
      );
      seen.push((req as { environ?: Record<string, unknown> }).environ?.["REMOTE_ADDR"]);
      res.end();
    }, variables);
    expect(seen).toEqual([
      "192.0.2.7",
      4711,
      "IPv4",
      true,
      "::1",
      443,
      "IPv6",
      true,
      true,
      "1.1",
      true,
      true,
      true,
      "192.0.2.7",
    ]);
  });

  test("mount point and whole URL are where Express puts them", () => {
    const seen: unknown[] = [];
    const variables = { REQUEST_URI: "/m/a?b", SCRIPT_NAME: "/m", PATH_INFO: "/a" };
    const route = start((req, res) => {
      const { url, originalUrl, baseUrl } = req as IncomingMessage & { originalUrl?: string; baseUrl?: string };
      seen.push(url, originalUrl, baseUrl);
      res.end();
    }, variables);
    expect(route.sink.head?.status.code).toBe(200);
    expect(seen).toEqual(["/m/a?b", undefined, undefined]); // mounted at the root
  });
});

describe("an application that goes on reading after it has answered", () => {
  test("gets the rest, and the end waits for it", async () => {
    let size = 0;
    const { sink, input } = start(
      (req, res) => {
        req.on("data", (chunk: Buffer) => (size += chunk.length));
        res.end("early");
      },
      { REQUEST_METHOD: "POST", CONTENT_LENGTH: "10" },
    );
    await turns(2);
    expect(sink.text).toBe("early");
    expect(sink.sends.some(({ last }) => last)).toBe(false);
    input.push(Buffer.alloc(10));
    await sink.finished;
    expect(size).toBe(10);
  });

  test("does not hold the end when it has stopped", async () => {
    const { sink, input } = start(
      (req, res) => {
        req.once("data", () => {
          req.pause();
          res.end("enough");
        });
      },
      { REQUEST_METHOD: "POST", CONTENT_LENGTH: "10" },
    );
    input.push(Buffer.alloc(5));
    await within("the response", sink.finished, 5_000);
    expect(sink.text).toBe("enough");
  });
});

describe("a response that is written to the socket", () => {
  test("is one, without its 1xx heads", async () => {
    const { sink } = start((req) => {
      req.socket.write("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 201 Made\r\nX-A: 1\r\nConn");
      req.socket.write("ection: close\r\n\r\nby ");
      req.socket.end("hand");
    });
    await sink.finished;
    expect(sink.head).toEqual({ status: { code: 201, reason: "Made" }, headers: [["X-A", "1"]] });
    expect(sink.text).toBe("by hand");
  });

  test.each(["nonsense\r\n\r\n", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", "x".repeat(20_000)])(
    "is refused when it is none: %.20s",
    async (text) => {
      const { sink } = start((req) => void req.socket.write(text));
      await sink.finished;
      expect(sink.head?.status.code).toBe(500);
    },
  );
});
