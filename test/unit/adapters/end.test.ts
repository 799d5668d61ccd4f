/* eslint-disable typescript/unbound-method -- methods are wrapped here, as middleware does */
// `end` with a whole body, which goes past node:http's buffers, and what becomes of its request: beside node:http itself.
import { OutgoingMessage, ServerResponse } from "node:http";
import type { IncomingMessage } from "node:http";
import { finished } from "node:stream";
import { describe, expect, test } from "vitest";
import type { HttpRequest } from "../../harness/http.ts";
import type { Tell, TellingHandler } from "./beside-node.ts";
import { onNodeHttp, throughAdapter } from "./beside-node.ts";

type Row = readonly [name: string, request: Partial<HttpRequest>, handler: TellingHandler];

const stateOf = (res: ServerResponse): readonly unknown[] => [
  res.headersSent,
  res.writableEnded,
  res.writableFinished,
  res.destroyed,
  res.closed,
  res.socket === null,
  res.writableLength,
];

/** Tells the state of a response now, and later until it has closed. */
function follow(res: ServerResponse, tell: Tell, done: () => void): void {
  tell("now", ...stateOf(res));
  process.nextTick(() => tell("tick", ...stateOf(res)));
  setImmediate(() => {
    tell("immediate", ...stateOf(res));
    setImmediate(done);
  });
}

const rows: readonly Row[] = [
  [
    "the state around end",
    {},
    (_req, res, tell, done) => {
      res.end("hello");
      follow(res, tell, done);
    },
  ],
  [
    "the state around a later end",
    {},
    async (_req, res, tell, done) => {
      await new Promise(setImmediate);
      res.end(Buffer.from("hello"));
      follow(res, tell, done);
    },
  ],
  [
    "the state around end after writeHead",
    {},
    (_req, res, tell, done) => {
      res.writeHead(200, { "Content-Length": 5 });
      res.end("hello");
      follow(res, tell, done);
    },
  ],
  [
    "events and their order",
    {},
    (_req, res, tell, done) => {
      for (const name of ["prefinish", "finish", "close"]) res.on(name, () => tell(name, ...stateOf(res)));
      res.end("hello", () => tell("called back", ...stateOf(res)));
      tell("ended");
      res.on("close", () => setImmediate(done));
    },
  ],
  [
    "a listener for the end alone",
    {},
    (_req, res, tell, done) => {
      res.on("finish", () => {
        tell("finish", ...stateOf(res));
        process.nextTick(() => tell("tick", ...stateOf(res)));
        setImmediate(done);
      });
      res.end("hello");
    },
  ],
  [
    "a callback in the place of the encoding",
    {},
    (_req, res, tell, done) => {
      res.end("hello", () => {
        tell("called back");
        done();
      });
    },
  ],
  [
    "nothing in the places of encoding and callback",
    {},
    (_req, res, _tell, done) => {
      // @ts-expect-error -- as Fastify calls it
      res.end("hello", null, null);
      done();
    },
  ],
  [
    "end after end",
    {},
    (_req, res, tell, done) => {
      res.on("error", (error) => tell("error", error));
      res.end("hello");
      res.end("again", (error?: Error) => tell("second", error ?? "no error"));
      res.end((error?: Error) => tell("third", error ?? "no error"));
      tell(res.write("more", (error) => tell("write", error ?? "no error")));
      setImmediate(() => setImmediate(done));
    },
  ],
  [
    "a corked response",
    {},
    (_req, res, tell, done) => {
      res.cork();
      res.end("hello");
      follow(res, tell, done);
    },
  ],
  [
    "a strict length that is not kept",
    {},
    (_req, res, tell, done) => {
      res.strictContentLength = true;
      res.setHeader("Content-Length", 3);
      try {
        res.end("hello");
      } catch (error) {
        tell(error);
      }
      res.strictContentLength = false;
      res.end("abc");
      done();
    },
  ],
  [
    "wrapped methods",
    {},
    (_req, res, tell, done) => {
      const { end, writeHead } = res;
      res.writeHead = function wrapped(this: ServerResponse, ...values: Parameters<typeof writeHead>) {
        tell("writeHead", ...values);
        this.setHeader("X-Late", "1");
        return Reflect.apply(writeHead, this, values);
      } as typeof writeHead;
      res.end = function wrapped(this: ServerResponse, chunk: unknown) {
        tell("end", chunk);
        return Reflect.apply(end, this, [`${String(chunk)}, longer`]);
      } as typeof end;
      res.end("hello");
      done();
    },
  ],
  [
    "a head that is changed to one without a body",
    {},
    (_req, res, tell, done) => {
      const { writeHead } = res;
      res.writeHead = function wrapped(this: ServerResponse) {
        return Reflect.apply(writeHead, this, [204]);
      };
      res.on("finish", () => tell("finish"));
      res.on("close", () => setImmediate(done));
      res.end("hello");
    },
  ],
  [
    "bytes that are used again",
    {},
    (_req, res, _tell, done) => {
      const bytes = Buffer.from("hello");
      res.end(bytes);
      bytes.fill("x");
      done();
    },
  ],
  [
    "bytes that are used again after a later end",
    {},
    async (_req, res, _tell, done) => {
      await new Promise(setImmediate);
      const bytes = Buffer.from("hello");
      res.end(bytes);
      bytes.fill("x");
      done();
    },
  ],
  [
    "an empty Buffer",
    {},
    (_req, res, tell, done) => {
      res.end(Buffer.alloc(0));
      follow(res, tell, done);
    },
  ],
  ["a text in UTF-16", {}, (_req, res, _tell, done) => void res.end("hello", "utf16le", done)],
  [
    "a request that is read when its response has ended",
    {},
    (req, res, tell, done) => {
      res.end("hello");
      res.on("close", () => {
        const read = async (): Promise<void> => {
          for await (const chunk of req) tell("chunk", chunk);
          tell("over", req.complete, req.readableEnded);
          done();
        };
        setImmediate(() => void read());
      });
    },
  ],
  [
    "a request that is read while its response is made",
    {},
    async (req, res, tell, done) => {
      await new Promise(setImmediate);
      tell(req.complete);
      for await (const chunk of req) tell("chunk", chunk);
      tell("over", req.complete, req.readableEnded);
      res.end("hello");
      done();
    },
  ],
  [
    "a request that is read by events, later",
    {},
    async (req, res, tell, done) => {
      await new Promise(setImmediate);
      req.on("end", () => {
        tell("end", req.complete);
        res.end("hello");
        done();
      });
      req.resume();
    },
  ],
  [
    "a request that is read by read, later",
    {},
    async (req, res, _tell, done) => {
      await new Promise(setImmediate);
      req.on("readable", () => req.read());
      req.on("end", () => {
        res.end("hello");
        done();
      });
    },
  ],
  [
    "a request whose end is listened to and that is not read",
    {},
    (req, res, tell, done) => {
      req.on("end", () => tell("end"));
      req.on("close", () => tell("close"));
      res.on("close", () => setImmediate(() => setImmediate(done)));
      res.end("hello");
    },
  ],
  [
    "a request whose end is listened to later",
    {},
    async (req, res, tell, done) => {
      await new Promise(setImmediate);
      for (const name of ["end", "close"]) req.on(name, () => tell(name, req.complete));
      res.on("close", () => setImmediate(() => setImmediate(done)));
      res.end("hello");
    },
  ],
  [
    "a request whose end is asked for when its response has finished",
    {},
    (req, res, tell, done) => {
      res.on("finish", () => {
        req.on("close", () => {
          tell("close", req.destroyed, req.readableEnded);
          setImmediate(done);
        });
      });
      res.end("hello");
    },
  ],
  [
    "the state of a request that nobody looked at",
    {},
    (req, res, tell, done) => {
      res.end("hello");
      setImmediate(() =>
        setImmediate(() => {
          tell(req.complete, req.readableEnded, req.destroyed, req.closed);
          finished(req, (error) => {
            tell("finished", error ?? "well");
            done();
          });
        }),
      );
    },
  ],
  [
    "a prototype with an end of its own",
    {},
    (_req, res, tell, done) => {
      const prototype = Object.create(ServerResponse.prototype) as ServerResponse;
      prototype.end = function own(this: ServerResponse, chunk: unknown) {
        tell("own end");
        return ServerResponse.prototype.end.call(this, `${String(chunk)}, its own`, "utf8");
      } as typeof prototype.end;
      Object.setPrototypeOf(res, prototype);
      res.end("hello");
      done();
    },
  ],
  [
    "a body that nobody reads",
    { method: "POST", body: "abc" },
    (req, res, tell, done) => {
      req.on("end", () => tell("end"));
      res.on("close", () => setImmediate(() => setImmediate(done)));
      res.end("hello");
    },
  ],
];

describe("as on node:http", () => {
  test.each(rows)("%s", async (_name, request, handler) => {
    const whole: HttpRequest = { target: "/x?y=1", ...request };
    const expected = await onNodeHttp(handler, whole);
    expect(await throughAdapter(handler, whole)).toEqual(expected);
  });
});

const patched = ["OutgoingMessage", "ServerResponse"] as const;

test.each(patched)("what somebody put into %s.prototype is called", async (name) => {
  const { prototype } = { OutgoingMessage, ServerResponse }[name];
  const own = Object.getOwnPropertyDescriptor(prototype, "end");
  const { end } = prototype;
  const seen: unknown[] = [];
  prototype.end = function watched(this: ServerResponse, ...values: unknown[]) {
    seen.push(...values);
    return Reflect.apply(end, this, values) as ServerResponse;
  } as typeof end;
  try {
    const handler = (_req: IncomingMessage, res: ServerResponse, _tell: Tell, done: () => void): void => {
      res.end("hello");
      done();
    };
    const { reply } = await throughAdapter(handler, { target: "/" });
    expect(reply?.body).toBe("hello");
    expect(seen).toEqual(["hello"]);
  } finally {
    if (own === undefined) Reflect.deleteProperty(prototype, "end");
    else Object.defineProperty(prototype, "end", own);
  }
});
