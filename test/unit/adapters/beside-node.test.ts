// node:http itself is the oracle: each handler runs on a server of Node's and through the adapter, and both the reply and
// the order of what the handler sees must be the same.
import type { IncomingMessage, ServerResponse } from "node:http";
import { PassThrough, Readable, pipeline } from "node:stream";
import { describe, expect, test } from "vitest";
import type { HttpRequest } from "../../harness/http.ts";
import type { Tell, TellingHandler } from "./beside-node.ts";
import { onNodeHttp, throughAdapter } from "./beside-node.ts";

/** Tells the events of both messages; done when both have closed. */
function watch(req: IncomingMessage, res: ServerResponse, tell: Tell, done: () => void): void {
  let left = 2;
  const closed = (): void => {
    left -= 1;
    if (left === 0) setImmediate(done);
  };
  for (const name of ["end", "aborted"]) req.on(name, () => tell(`req ${name}`));
  for (const name of ["prefinish", "finish"]) res.on(name, () => tell(`res ${name}`));
  req.on("close", () => {
    tell("req close", req.destroyed, req.aborted);
    closed();
  });
  res.on("close", () => {
    tell("res close", res.writableFinished, res.destroyed);
    closed();
  });
}

const stateOf = (res: ServerResponse): readonly unknown[] => [
  res.headersSent,
  res.writableEnded,
  res.writableFinished,
  res.destroyed,
  res.finished,
];

/** Calls a function and tells what it threw. */
function attempt(tell: Tell, action: () => unknown): void {
  try {
    action();
  } catch (error) {
    tell(error);
  }
}

type Row = readonly [name: string, request: Partial<HttpRequest>, handler: TellingHandler];
const medium = Buffer.alloc(20_000, "abcdefgh");
const big = Buffer.alloc(300_000, "abcdefgh");

const responses: readonly Row[] = [
  ["one text", {}, (_req, res) => res.end("hello")],
  ["nothing", {}, (_req, res) => res.end()],
  ["an empty text", {}, (_req, res) => res.end("")],
  ["bytes", {}, (_req, res) => res.end(Buffer.from([0, 255, 128]))],
  ["a Uint8Array", {}, (_req, res) => res.end(new Uint8Array([1, 2, 3]))],
  ["latin1 text", {}, (_req, res) => res.end("\u00e9\u00ff", "latin1")],
  ["base64 text", {}, (_req, res) => res.end("aGk=", "base64")],
  ["UTF-8 text", {}, (_req, res) => res.end("\u65e5\u672c")],
  [
    "several writes",
    {},
    (_req, res) => {
      res.write("a");
      res.write(Buffer.from("b"));
      res.write("63", "hex");
      res.end("d");
    },
  ],
  [
    "writes with a length of its own",
    {},
    (_req, res) => {
      res.setHeader("Content-Length", 2);
      res.write("a");
      res.end("b");
    },
  ],
  ["HEAD", { method: "HEAD" }, (_req, res) => res.end("hello")],
  ["HEAD with a length", { method: "HEAD" }, (_req, res) => res.writeHead(200, { "Content-Length": 5 }).end("hello")],
  ["204", {}, (_req, res) => res.writeHead(204).end("dropped")],
  ["304", {}, (_req, res) => res.writeHead(304, { ETag: '"x"' }).end()],
  ["304 with a length", {}, (_req, res) => res.writeHead(304, { "Content-Length": "7" }).end()],
  ["a reason", {}, (_req, res) => res.writeHead(404, "Gone Fishing", { "X-A": "1" }).end("x")],
  [
    "a status and a message by themselves",
    {},
    (_req, res) => {
      res.statusCode = 418;
      res.statusMessage = "Short and stout";
      res.end();
    },
  ],
  ["an unknown status", {}, (_req, res) => res.writeHead(299).end("x")],
  [
    "headers of every kind",
    {},
    (_req, res) => {
      res.setHeader("X-Number", 5);
      res.setHeader("x-LOWER", "a");
      res.setHeader("X-List", ["a", "b"]);
      res.setHeader("Set-Cookie", ["a=1", "b=2"]);
      res.appendHeader("X-List", "c");
      res.setHeader("X-Gone", "1");
      res.removeHeader("x-gone");
      res.setHeader("X-Empty", "");
      res.end("x");
    },
  ],
  ["headers as a flat list", {}, (_req, res) => res.writeHead(200, ["X-A", "1", "X-A", "2", "X-B", "3"]).end("x")],
  [
    "headers from both",
    {},
    (_req, res) => {
      res.setHeader("X-A", "1");
      res.setHeader("X-B", "1");
      res.writeHead(201, { "x-a": "2", "X-C": "3" });
      res.end("x");
    },
  ],
  [
    "a header beyond ASCII with text",
    {},
    (_req, res) => res.writeHead(200, { "X-A": "caf\u00e9" }).write("x") && res.end(),
  ],
  ["a header beyond ASCII at the end", {}, (_req, res) => res.writeHead(200, { "X-A": "caf\u00e9" }).end("x")],
  [
    "a header beyond ASCII with bytes",
    {},
    (_req, res) => res.writeHead(200, { "X-A": "caf\u00e9" }).end(Buffer.from("x")),
  ],
  [
    "Content-Disposition beyond ASCII",
    {},
    (_req, res) => {
      res.setHeader("Content-Disposition", "attachment; filename=caf\u00e9.txt");
      res.setHeader("Content-Length", 1);
      res.end("x");
    },
  ],
  [
    "Content-Length removed",
    {},
    (_req, res) => {
      res.removeHeader("content-length");
      res.end("abc");
    },
  ],
  ["Transfer-Encoding set", {}, (_req, res) => res.writeHead(200, { "Transfer-Encoding": "chunked" }).end("abc")],
  ["Connection: close", {}, (_req, res) => res.writeHead(200, { Connection: "close" }).end("abc")],
  ["HTTP/1.0", { version: "1.0" }, (req, res) => res.end(`${req.httpVersion} ${res.shouldKeepAlive}`)],
  [
    "HTTP/1.0 in pieces",
    { version: "1.0" },
    (_req, res) => {
      res.write("a");
      res.end("b");
    },
  ],
  ["a large body", {}, (_req, res) => res.end(big)],
  [
    "trailers",
    {},
    (_req, res) => {
      res.writeHead(200, { Trailer: "X-T" });
      res.write("a");
      res.addTrailers({ "X-T": "1" });
      res.end();
    },
  ],
  ["a stream", {}, (_req, res) => Readable.from(["a", "b", big, "c"]).pipe(res)],
  [
    "a pipeline",
    {},
    (_req, res, tell) =>
      pipeline(Readable.from([big, big, big]), res, (error) =>
        tell("pipeline", error?.message ?? "ok", ...stateOf(res)),
      ),
  ],
  [
    "a cut pipeline",
    {},
    (_req, res, tell) => {
      res.setHeader("Content-Length", 600_000);
      const cut = async function* (): AsyncGenerator<Buffer> {
        yield big;
        await new Promise((resolve) => setTimeout(resolve, 20));
        throw new Error("cut");
      };
      pipeline(cut(), res, (error) => tell("pipeline", error?.message ?? "ok"));
    },
  ],
  [
    "informational responses",
    {},
    (_req, res, tell) => {
      res.writeProcessing(() => tell("processing"));
      res.writeEarlyHints({ link: "</a.css>; rel=preload" }, () => tell("hints"));
      res.writeContinue(() => tell("continue"));
      setTimeout(() => res.end("x"), 5);
    },
  ],
];

const lives: readonly Row[] = [
  [
    "a response at once",
    {},
    (req, res, tell, done) => {
      watch(req, res, tell, done);
      tell(...stateOf(res));
      res.end("x", () => tell("end callback", ...stateOf(res), res.socket === null, req.socket === null));
      tell(...stateOf(res), res.writableLength);
    },
  ],
  [
    "a response later",
    {},
    (req, res, tell, done) => {
      watch(req, res, tell, done);
      setTimeout(() => {
        res.end("x", () => tell("end callback", ...stateOf(res)));
        tell(...stateOf(res));
      }, 5);
    },
  ],
  [
    "a response in pieces",
    {},
    (req, res, tell, done) => {
      watch(req, res, tell, done);
      tell(res.write("a", () => tell("write callback 1")));
      tell(res.headersSent);
      setTimeout(() => {
        tell(res.writableLength);
        tell(res.write("b", () => tell("write callback 2")));
        res.end(() => tell("end callback"));
      }, 5);
    },
  ],
  [
    "flushed headers",
    {},
    (req, res, tell, done) => {
      watch(req, res, tell, done);
      res.flushHeaders();
      tell(...stateOf(res));
      setTimeout(() => res.end("x"), 5);
    },
  ],
  [
    "flushed headers and the end at once",
    {},
    (req, res, tell, done) => {
      watch(req, res, tell, done);
      res.flushHeaders();
      res.end("x");
    },
  ],
  [
    "corked writes",
    {},
    (req, res, tell, done) => {
      watch(req, res, tell, done);
      res.cork();
      res.write("a");
      res.write("b", () => tell("written"));
      tell(res.writableCorked);
      setTimeout(() => {
        res.uncork();
        res.end("c");
      }, 5);
    },
  ],
  [
    "a drain",
    {},
    (req, res, tell, done) => {
      watch(req, res, tell, done);
      tell(res.write(big), res.writableNeedDrain);
      res.once("drain", () => {
        tell("drain", res.writableNeedDrain, res.writableLength);
        res.end("x");
      });
    },
  ],
  [
    "a second head",
    {},
    (req, res, tell, done) => {
      watch(req, res, tell, done);
      res.writeHead(200);
      attempt(tell, () => res.writeHead(404));
      attempt(tell, () => res.setHeader("X-A", "1"));
      attempt(tell, () => res.removeHeader("X-A"));
      attempt(tell, () => res.appendHeader("X-A", "1"));
      tell(res.getHeaders(), res.hasHeader("X-A"), res.statusCode, res.statusMessage);
      res.end("x");
    },
  ],
  [
    "what cannot be sent",
    {},
    (req, res, tell, done) => {
      watch(req, res, tell, done);
      attempt(tell, () => res.setHeader("bad name", "1"));
      attempt(tell, () => res.setHeader("X-A", "a\nb"));
      attempt(tell, () => res.setHeader("X-A", undefined as never));
      attempt(tell, () => res.writeHead(99));
      attempt(tell, () => res.write(5));
      attempt(tell, () => res.write(null));
      res.end("x");
    },
  ],
  [
    "a write after the end",
    {},
    (req, res, tell, done) => {
      watch(req, res, tell, done);
      res.on("error", (error) => tell("res error", error));
      res.end("x");
      tell(res.write("y", (error) => tell("callback", error)));
      res.end("z");
      res.end(() => tell("second end"));
    },
  ],
  [
    "an end after the finish",
    {},
    (req, res, tell, done) => {
      watch(req, res, tell, done);
      res.on("error", (error) => tell("res error", error));
      res.on("finish", () => {
        res.end((error?: Error) => tell("late end", error));
        res.end("y");
      });
      res.end("x");
    },
  ],
  [
    "a body that nobody reads",
    { method: "POST", body: "body" },
    (req, res, tell, done) => {
      watch(req, res, tell, done);
      tell(req.readableFlowing);
      res.end("x");
    },
  ],
  [
    "a large body that nobody reads",
    { method: "POST", body: medium },
    (req, res, tell, done) => {
      watch(req, res, tell, done);
      setTimeout(() => res.end("x"), 5);
    },
  ],
  [
    "a body that is read",
    { method: "POST", body: big },
    (req, res, tell, done) => {
      watch(req, res, tell, done);
      let size = 0;
      req.on("data", (chunk: Buffer) => (size += chunk.length));
      req.on("end", () => {
        tell("size", size, req.complete, req.readableEnded);
        res.end(String(size));
      });
    },
  ],
  [
    "a body in chunks",
    { method: "POST", chunks: ["a", "bb", "ccc"] },
    (req, res, tell, done) => {
      watch(req, res, tell, done);
      req.setEncoding("utf8");
      let text = "";
      req.on("data", (chunk: string) => (text += chunk));
      req.on("end", () =>
        res.end(`${text} ${req.headers["transfer-encoding"]} ${String(req.headers["content-length"])}`),
      );
    },
  ],
  [
    "a body by iteration",
    { method: "POST", body: big },
    async (req, res, tell, done) => {
      watch(req, res, tell, done);
      let size = 0;
      for await (const chunk of req) size += (chunk as Buffer).length;
      tell("size", size);
      res.end("x");
    },
  ],
  [
    "an empty body",
    { method: "POST", body: "" },
    (req, res, tell, done) => {
      watch(req, res, tell, done);
      req.on("data", () => tell("data"));
      req.on("end", () => res.end("ended"));
    },
  ],
  [
    "no body, read",
    {},
    (req, res, tell, done) => {
      watch(req, res, tell, done);
      req.resume();
      req.on("end", () => res.end("ended"));
    },
  ],
  [
    "no body, iterated",
    {},
    async (req, res, tell, done) => {
      watch(req, res, tell, done);
      for await (const _ of req) tell("data");
      res.end("ended");
    },
  ],
  [
    "no body, looked at later",
    {},
    (req, res, tell, done) => {
      watch(req, res, tell, done);
      setTimeout(() => {
        tell(req.complete, req.readableEnded, req.readableLength);
        req.on("end", () => res.end("ended"));
        req.resume();
      }, 5);
    },
  ],
  [
    "a body with readable and read",
    { method: "POST", body: "abcdef" },
    (req, res, tell, done) => {
      watch(req, res, tell, done);
      let text = "";
      req.on("readable", () => {
        for (let piece: Buffer | null = req.read(2); piece !== null; piece = req.read(2)) text += piece.toString();
      });
      req.on("end", () => res.end(text));
    },
  ],
  [
    "a body that is echoed",
    { method: "POST", body: big },
    (req, res, tell, done) => {
      watch(req, res, tell, done);
      req.pipe(res);
    },
  ],
  [
    "an answer before the body is read",
    { method: "POST", body: medium },
    (req, res, tell, done) => {
      watch(req, res, tell, done);
      let size = 0;
      req.on("data", (chunk: Buffer) => (size += chunk.length));
      req.on("end", () => tell("size", size));
      res.end("early");
    },
  ],
  [
    "a response that is destroyed",
    {},
    (req, res, tell, done) => {
      watch(req, res, tell, done);
      res.on("error", (error) => tell("res error", error));
      req.on("error", (error) => tell("req error", error));
      res.writeHead(200);
      res.write("a");
      setTimeout(() => {
        res.destroy();
        tell(res.destroyed, req.destroyed, req.socket.destroyed);
        tell(res.write("b", (error) => tell("callback", error)));
      }, 20);
    },
  ],
  [
    "a response that is destroyed with an error",
    {},
    (req, res, tell, done) => {
      watch(req, res, tell, done);
      res.on("error", (error) => tell("res error", error));
      req.on("error", (error) => tell("req error", error));
      res.write("a");
      setTimeout(() => res.destroy(new Error("boom")), 20);
    },
  ],
  [
    "a stream, with a listener for the end of the socket",
    {},
    (req, res, _tell, done) => {
      req.socket.on("close", done);
      pipeline(
        Readable.from(["a", "b", "c".repeat(40_000)]),
        new PassThrough({ objectMode: true, highWaterMark: 1 }),
        res,
        () => {},
      );
    },
  ],
  ...([1, 10_000, 150_000] as const).map((size): Row => [
    `a request that is destroyed after the response of ${size} bytes has ended`,
    {},
    (req, res, _tell, done) => {
      req.on("error", () => {});
      req.socket.on("close", done);
      res.write("x");
      setTimeout(() => {
        res.end(Buffer.alloc(size, "y"));
        req.destroy();
      }, 20);
    },
  ]),
  [
    "a request that is refused when it becomes too long, and destroyed",
    { method: "POST", body: "body" },
    (req, res, _tell, done) => {
      req.on("error", () => {});
      req.socket.on("close", done);
      req.once("data", () => {
        res.writeHead(413);
        res.end("too much");
        req.destroy();
      });
    },
  ],
  [
    "a request that is destroyed",
    { method: "POST", body: "body" },
    (req, res, tell, done) => {
      watch(req, res, tell, done);
      req.on("error", (error) => tell("req error", error));
      res.write("a");
      setTimeout(() => {
        req.destroy();
        tell(req.destroyed, res.destroyed);
      }, 20);
    },
  ],
  [
    "a request that is destroyed with an error",
    { method: "POST", body: "body" },
    (req, res, tell, done) => {
      watch(req, res, tell, done);
      req.on("error", (error) => tell("req error", error));
      res.write("a");
      setTimeout(() => req.destroy(new Error("boom")), 20);
    },
  ],
  [
    "a socket that is destroyed",
    {},
    (req, res, tell, done) => {
      watch(req, res, tell, done);
      req.on("error", (error) => tell("req error", error));
      res.write("a");
      req.socket.on("close", () => tell("socket close"));
      setTimeout(() => req.socket.destroy(), 20);
    },
  ],
  [
    "timeouts",
    {},
    (req, res, tell, done) => {
      watch(req, res, tell, done);
      res.setTimeout(20, () => {
        tell("res timeout");
        res.end("late");
      });
    },
  ],
  [
    "a timeout that nobody listens to",
    {},
    (req, res, tell, done) => {
      watch(req, res, tell, done);
      res.write("a");
      req.socket.setTimeout(30);
    },
  ],
];

describe("the reply is node:http's", () => {
  test.each(responses)("%s", async (_name, request, handler) => {
    const telling: TellingHandler = (req, res, tell, done) => {
      res.on("close", () => setImmediate(done));
      handler(req, res, tell, done);
    };
    const wanted = await onNodeHttp(telling, { target: "/", ...request });
    expect(await throughAdapter(telling, { target: "/", ...request })).toEqual(wanted);
  });
});

describe("what a handler sees is what it sees on node:http", () => {
  test.each(lives)("%s", async (_name, request, handler) => {
    const wanted = await onNodeHttp(handler, { target: "/", ...request });
    expect(await throughAdapter(handler, { target: "/", ...request })).toEqual(wanted);
  });
});
