// What ours does where node-fastcgi 2.0 does not: most of these fail there, some of them with the end of the process.
import { EventEmitter, once } from "node:events";
import type { IncomingMessage } from "node:http";
import http from "node:http";
import type { Socket } from "node:net";
import { inherits } from "node:util";
import express from "express";
import { afterEach, describe, expect, test } from "vitest";
import asOne, * as fcgi from "../../../src/node-fastcgi.ts";
import type { RequestListener } from "../../../src/node-fastcgi.ts";
import { begin, params, pairs, record, request, stdin, type, variables } from "../../harness/fcgi.ts";
import { until, within } from "../../harness/until.ts";
import type { DropInServer } from "./served.ts";
import { original, Served } from "./served.ts";

const { createServer, Server } = fcgi;
let served: Served | undefined;

afterEach(async () => {
  await served?.stop();
  served = undefined;
});

async function serve(given: RequestListener | DropInServer): Promise<Served> {
  served = await Served.start(typeof given === "function" ? createServer(given) : given);
  return served;
}

const hello: RequestListener = (req, res) => void res.end(`hello ${req.url}`);

async function ask(path = "/x"): Promise<string> {
  const peer = await served!.open();
  peer.send(request(1, variables(path)));
  const { stdout } = await peer.reply(1);
  peer.end();
  return stdout.toString("latin1");
}

describe("a connection that the web server keeps", () => {
  test("is kept, and serves request after request", async () => {
    await serve(hello);
    const peer = await served!.open();
    for (const path of ["/a", "/b", "/c"]) {
      peer.send(request(1, variables(path), { keep: true }));
      expect((await peer.reply(1)).stdout.toString()).toContain(`hello ${path}`);
    }
    expect(peer.pending).toBe(0);
    expect(served!.connectionCount).toBe(1);
  });

  test("serves the next one after an answer that came before the whole body, whatever is left of that", async () => {
    await serve(hello);
    const peer = await served!.open();
    const values = variables("/a", { REQUEST_METHOD: "POST", CONTENT_LENGTH: "100000" });
    peer.send(begin(1, true), params(1, values), record(type.stdin, 1, "x".repeat(30_000)));
    expect((await peer.reply(1)).stdout.toString()).toContain("hello /a");
    peer.send(record(type.stdin, 1, "x".repeat(8000)), request(1, variables("/b"), { keep: true }));
    expect((await peer.reply(1)).stdout.toString()).toContain("hello /b");
  });

  test("carries requests at once, each record under its own id", async () => {
    const waiting: Array<() => void> = [];
    await serve((req, res) => void waiting.push(() => res.end(`answer to ${req.url}`)));
    const peer = await served!.open();
    const ids = [1, 2, 3, 700];
    for (const id of ids) peer.send(begin(id, true), params(id, variables(`/${id}`)));
    for (const id of ids) peer.send(stdin(id));
    await until("the requests", () => waiting.length === ids.length);
    for (const answer of waiting.toReversed()) answer();
    const texts: Record<number, string> = {};
    for (let left = ids.length; left > 0;) {
      const next = await peer.next();
      if (next?.type === type.stdout) texts[next.id] = (texts[next.id] ?? "") + next.content.toString("latin1");
      if (next?.type === type.end) left -= 1;
    }
    for (const id of ids) expect(texts[id]).toMatch(new RegExp(`\r\n\r\nanswer to /${id}$`));
  });

  test("refuses a second request at once where that is configured", async () => {
    const waiting: Array<() => void> = [];
    await serve(createServer((_, res) => void waiting.push(() => res.end("first")), { multiplex: false }));
    const peer = await served!.open();
    peer.send(begin(1, true), params(1, variables("/")), begin(2, true), params(2, variables("/")));
    expect((await peer.reply(2)).protocolStatus).toBe(1);
    waiting[0]!();
    expect((await peer.reply(1)).stdout.toString()).toContain("first");
  });
});

describe("what a peer may send", () => {
  test("a record of an unknown type is answered, or skipped, and the connection goes on", async () => {
    await serve(hello);
    const peer = await served!.open();
    peer.send(record(99, 0, "abc"), begin(1, true), record(77, 1, "abc"), params(1, variables("/a")), stdin(1));
    expect(await peer.next()).toMatchObject({
      type: type.unknown,
      id: 0,
      content: Buffer.from([99, 0, 0, 0, 0, 0, 0, 0]),
    });
    expect((await peer.reply(1)).stdout.toString()).toContain("hello /a");
  });

  test("variables that are split between two records, anywhere", async () => {
    await serve((req, res) => void res.end(JSON.stringify(req.cgiParams)));
    const values = variables("/a", { LONG: "v".repeat(300), EMPTY: "" });
    const bytes = pairs(values);
    for (const at of [1, 2, 9, 40, bytes.length - 150, bytes.length - 1]) {
      const peer = await served!.open();
      peer.send(begin(1), record(type.params, 1, bytes.subarray(0, at)), record(type.params, 1, bytes.subarray(at)));
      peer.send(record(type.params, 1), stdin(1));
      const text = (await peer.reply(1)).stdout.toString();
      expect(JSON.parse(text.slice(text.indexOf("\r\n\r\n") + 4)), `cut at ${at}`).toEqual(values);
    }
  });

  test("bytes that are no UTF-8 are not lost", async () => {
    await serve((req, res) => void res.end(Buffer.from(req.url ?? "", "latin1")));
    expect(await ask("/\xe9\xff")).toMatch(/\/\xe9\xff$/);
  });

  test.each([
    ["an HTTP request", Buffer.from("GET / HTTP/1.1\r\nHost: x\r\n\r\n")],
    ["another version", Buffer.from([2, 1, 0, 1, 0, 8, 0, 0])],
    [
      "variables that end inside a pair",
      Buffer.concat([begin(1), record(type.params, 1, "\x05\x05ab"), record(type.params, 1)]),
    ],
    [
      "variables without end",
      Buffer.concat([
        begin(1),
        ...Array.from({ length: 20 }, () => record(type.params, 1, pairs({ A: "a".repeat(60_000) }))),
      ]),
    ],
  ])("%s ends the connection, is told, and harms nobody", async (_, bytes) => {
    const errors: Error[] = [];
    const server = createServer(hello);
    server.on("protocolError", (error: Error) => errors.push(error));
    await serve(server);
    const peer = await served!.open();
    peer.send(bytes);
    await peer.closed();
    expect(errors.length).toBe(1);
    expect(await ask()).toContain("hello /x");
  });

  test("a body that nobody reads stops the peer", async () => {
    let received: IncomingMessage | undefined;
    await serve((req) => void (received = req));
    const peer = await served!.open();
    peer.send(begin(1), params(1, variables("/", { REQUEST_METHOD: "POST", CONTENT_LENGTH: "100000000" })));
    let sent = 0;
    void (async () => {
      for (; sent < 100_000_000; sent += 32_768) await peer.sent(record(type.stdin, 1, Buffer.alloc(32_768)));
    })().catch(() => {}); // the end of the test ends the connection
    let last = -1;
    await until("the upload to stand still", () => {
      const stands = sent > 0 && sent === last;
      last = sent;
      return stands;
    });
    expect(sent).toBeLessThan(4 * 2 ** 20);
    received!.resume();
    await until("the upload to go on", () => sent > 20 * 2 ** 20);
  });

  test("a connection that goes away is an aborted request, and no crash", async () => {
    const events = new EventEmitter();
    await serve((req, res) => {
      req.on("aborted", () => events.emit("aborted"));
      res.on("close", () => events.emit("closed", res.writableFinished));
      res.write("some");
    });
    const [aborted, closed] = [once(events, "aborted"), once(events, "closed")];
    const peer = await served!.open();
    peer.send(begin(1, true), params(1, variables("/", { CONTENT_LENGTH: "10" })), record(type.stdin, 1, "12"));
    await peer.next();
    peer.destroy();
    await within("aborted", aborted);
    expect(await within("closed", closed)).toEqual([false]);
    await until("the connection to be gone", () => served!.connectionCount === 0);
  });

  test("a peer that half-closes after its request gets its answer", async () => {
    let answer: (() => void) | undefined;
    await serve((_, res) => void (answer = () => void res.end("late")));
    const peer = await served!.open();
    peer.send(request(1, variables("/"), { keep: true }));
    peer.end();
    await until("the request", () => answer !== undefined);
    setImmediate(answer!);
    expect((await peer.reply(1)).stdout.toString()).toContain("late");
    await peer.closed();
  });
});

describe("what may be answered", () => {
  test("a small response leaves in one write", async () => {
    await serve(hello);
    let writes = 0;
    served!.server.on("connection", (socket: Socket) => {
      const write = socket.write.bind(socket) as (...given: unknown[]) => boolean;
      socket.write = (...given: unknown[]) => {
        writes += 1;
        return write(...given);
      };
    });
    const peer = await served!.open();
    for (let count = 1; count <= 3; count += 1) {
      peer.send(request(1, variables("/a"), { keep: true }));
      await peer.reply(1);
      expect(writes).toBe(count);
    }
  });

  test("no header of the connection leaves, and no chunked framing", async () => {
    await serve((_, res) => {
      res.writeHead(200, {
        "Transfer-Encoding": "chunked",
        Connection: "keep-alive",
        "Keep-Alive": "timeout=5",
        "X-Y": "z",
      });
      res.write("in ");
      res.end("pieces");
    });
    const text = await ask();
    expect(text).toMatch(/\r\n\r\nin pieces$/);
    expect(text).not.toMatch(/^(?:transfer-encoding|connection|keep-alive):/im);
    expect(text).toMatch(/^X-Y: z\r$/m);
  });

  test("1xx answers, trailers and early hints are harmless", async () => {
    await serve((_, res) => {
      let called = 0;
      const count = (): void => void (called += 1);
      res.writeContinue(count);
      res.writeProcessing();
      res.writeEarlyHints({ link: "</style.css>; rel=preload; as=style" }, count);
      res.setHeader("Trailer", "X-Sum");
      res.addTrailers({ "X-Sum": "1" });
      setImmediate(() => res.end(`called ${called}`));
    });
    expect(await ask()).toMatch(/^Status: 200 OK\r\n(?:[^\r\n]+\r\n)*\r\ncalled 2$/);
  });

  test("a body shorter than its Content-Length ends the connection, not the request", async () => {
    await serve((_, res) => {
      res.setHeader("Content-Length", "10");
      res.end("short");
    });
    const peer = await served!.open();
    peer.send(request(1, variables("/"), { keep: true }));
    await expect(peer.reply(1)).rejects.toThrow("ended before END_REQUEST");
  });

  test("nothing beyond the Content-Length leaves", async () => {
    await serve((_, res) => {
      res.setHeader("Content-Length", "4");
      res.write("ab");
      res.write("cdef");
      res.end("gh");
    });
    expect(await ask()).toMatch(/\r\n\r\nabcd$/);
  });

  test("HEAD with a Content-Length is whole without a body", async () => {
    await serve((_, res) => {
      res.setHeader("Content-Length", "10");
      res.end();
    });
    const peer = await served!.open();
    peer.send(request(1, variables("/", { REQUEST_METHOD: "HEAD" })));
    expect((await peer.reply(1)).stdout.toString()).toMatch(/Content-Length: 10\r\n/);
  });

  test.each(["before", "after"])("a response that is destroyed %s its head ends the connection", async (when) => {
    await serve((_, res) => {
      if (when === "after") res.write("some");
      setImmediate(() => res.destroy());
    });
    const peer = await served!.open();
    peer.send(request(1, variables("/"), { keep: true }));
    await expect(peer.reply(1)).rejects.toThrow("ended before END_REQUEST");
  });

  test("res.stdout takes a CGI response as it is", async () => {
    await serve((_, res) => {
      const { stdout } = res as unknown as { stdout: NodeJS.WritableStream };
      stdout.write("Status: 201 By hand\r\nContent-Type: text/plain\r\n\r\n");
      stdout.end("by hand");
    });
    expect(await ask()).toBe("Status: 201 By hand\r\nContent-Type: text/plain\r\n\r\nby hand");
  });

  test("an endless response waits for a reader", async () => {
    let written = 0;
    let isDrained = false;
    await serve((_, res) => {
      const fill = (): void => {
        while (written < 200 * 2 ** 20) {
          written += 65_536;
          if (!res.write(Buffer.alloc(65_536))) return;
        }
        res.end();
      };
      res.on("drain", () => {
        isDrained = true;
        fill();
      });
      fill();
    });
    const peer = await served!.open();
    peer.pause();
    peer.send(request(1, variables("/")));
    let last = -1;
    await until("the response to stand still", () => {
      const stands = written > 0 && written === last;
      last = written;
      return stands;
    });
    expect(written).toBeLessThan(8 * 2 ** 20);
    isDrained = false;
    peer.resume();
    await until("the response to go on", () => isDrained);
  });

  test("a listener that throws is an uncaught exception, and spoils no other request of the packet", async () => {
    await serve((req, res) => {
      if (req.url === "/bad") throw new Error("thrown on purpose");
      res.end("good");
    });
    const thrown: unknown[] = [];
    const before = process.listeners("uncaughtException");
    process.removeAllListeners("uncaughtException");
    process.on("uncaughtException", (error) => thrown.push(error));
    try {
      const peer = await served!.open();
      peer.send(
        Buffer.concat([begin(1, true), params(1, variables("/bad")), request(2, variables("/good"), { keep: true })]),
      );
      expect((await peer.reply(2)).stdout.toString()).toContain("good");
    } finally {
      process.removeAllListeners("uncaughtException");
      for (const listener of before) process.on("uncaughtException", listener);
    }
    expect(thrown.map(String)).toEqual(["Error: thrown on purpose"]);
  });

  test("close is emitted on both messages after the end", async () => {
    const closed: string[] = [];
    await serve((req, res) => {
      req.on("close", () => closed.push("req"));
      res.on("close", () => closed.push(`res ${res.writableFinished}`));
      res.end("x");
    });
    await ask();
    await until("both", () => closed.length === 2);
    expect(closed.toSorted()).toEqual(["req", "res true"]);
  });
});

describe("the server", () => {
  test("close ends kept connections as soon as they are idle, and lets a running request end", async () => {
    let answer: (() => void) | undefined;
    await serve((req, res) => {
      if (req.url === "/slow") answer = () => void res.end("slow");
      else res.end("quick");
    });
    const idle = await served!.open();
    idle.send(request(1, variables("/quick"), { keep: true }));
    await idle.reply(1);
    const busy = await served!.open();
    busy.send(request(1, variables("/slow"), { keep: true }));
    await until("the request", () => answer !== undefined);
    const closed = new Promise((resolve) => served!.server.close(resolve));
    await idle.closed();
    idle.end();
    answer!();
    expect((await busy.reply(1)).stdout.toString()).toContain("slow");
    await busy.closed();
    busy.end();
    await within("the server to close", closed);
  });

  test("is a net.Server, with or without new, and others may inherit from it", async () => {
    expect(createServer()).toBeInstanceOf(Server);
    expect((Server as unknown as () => unknown)()).toBeInstanceOf(Server);
    function Mine(this: DropInServer, listener: RequestListener): void {
      (Server as unknown as { call(self: unknown, listener: RequestListener): void }).call(this, listener);
    }
    inherits(Mine, Server);
    const Constructor = Mine as unknown as new (listener: RequestListener) => DropInServer;
    await serve(new Constructor(hello));
    expect(served!.server).toBeInstanceOf(Mine);
    expect(await ask()).toContain("hello /x");
  });

  test("the exports are those of node-fastcgi, by name and as one object", () => {
    expect(fcgi.IncomingMessage).toBe(http.IncomingMessage);
    expect(fcgi.OutgoingMessage).toBe(http.OutgoingMessage);
    expect(fcgi.ServerResponse.prototype).toBeInstanceOf(http.ServerResponse);
    expect(fcgi.AuthorizerResponse.prototype).toBeInstanceOf(fcgi.ServerResponse);
    const { default: _, ...named } = fcgi;
    expect(asOne).toEqual(named);
    expect(fcgi.isService()).toBe(original.isService());
  });

  test("Express runs on it", async () => {
    const app = express();
    app.use(express.json());
    app.post("/items/:id", (req, res) => {
      res.cookie("seen", "yes").json({ id: req.params.id, body: req.body as unknown, secure: req.secure });
    });
    await serve(createServer(app));
    const body = JSON.stringify({ a: 1 });
    const values = variables("/items/7", {
      REQUEST_METHOD: "POST",
      CONTENT_TYPE: "application/json",
      CONTENT_LENGTH: String(body.length),
      HTTPS: "on",
    });
    const peer = await served!.open();
    peer.send(request(1, values, { body }));
    const text = (await peer.reply(1)).stdout.toString();
    expect(text).toMatch(/^Set-Cookie: seen=yes; Path=\/\r$/m);
    expect(text).toMatch(/\{"id":"7","body":\{"a":1\},"secure":true\}$/);
  });
});
