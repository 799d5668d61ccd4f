// node-fastcgi and ours, asked the same: wherever that package does what it documents, both must answer alike.
import { createHash } from "node:crypto";
import { afterEach, describe, expect, test } from "vitest";
import type { AuthorizerListener, RequestListener } from "../../../src/node-fastcgi.ts";
import { begin, params, record, request, stdin, type, variables } from "../../harness/fcgi.ts";
import type { FcgiPeer } from "../../harness/fcgi.ts";
import { until } from "../../harness/until.ts";
import type { DropInServer, Implementation } from "./served.ts";
import { original, ours, Served } from "./served.ts";

let running: Served[] = [];

afterEach(async () => {
  for (const served of running.splice(0)) await served.stop();
  running = [];
});

async function start(server: DropInServer): Promise<Served> {
  const served = await Served.start(server);
  running.push(served);
  return served;
}

interface Answer {
  readonly head: readonly string[];
  readonly body: string;
  readonly stderr: string;
  readonly statuses: readonly number[];
}

/** What the web server would make of it: order, case and Date of headers are free, and those of the connection are not its. */
async function answerOf(peer: FcgiPeer, id = 1): Promise<Answer> {
  const { stdout, stderr, appStatus, protocolStatus } = await peer.reply(id);
  const text = stdout.toString("latin1");
  const blank = text.indexOf("\r\n\r\n");
  const head = text
    .slice(0, blank)
    .split("\r\n")
    .filter((line) => !/^(?:date|connection|keep-alive|transfer-encoding):/i.test(line))
    .sort();
  return { head, body: text.slice(blank + 4), stderr, statuses: [appStatus, protocolStatus] };
}

interface Scenario {
  readonly name: string;
  readonly create: (implementation: Implementation, seen: unknown[]) => DropInServer;
  readonly play: (served: Served, seen: unknown[]) => Promise<unknown>;
}

function responder(listener: (seen: unknown[]) => RequestListener): Scenario["create"] {
  return ({ createServer }, seen) => createServer(listener(seen));
}

/** Asks once, on a connection of its own. */
function asking(path: string, more: Record<string, string> = {}, body = ""): Scenario["play"] {
  return async (served) => {
    const peer = await served.open();
    peer.send(request(1, variables(path, more), { body }));
    return await answerOf(peer);
  };
}

const post = (body: string, more: Record<string, string> = {}): Record<string, string> => ({
  REQUEST_METHOD: "POST",
  CONTENT_LENGTH: String(body.length),
  CONTENT_TYPE: "text/plain",
  ...more,
});

const utf8 = (text: string): string => Buffer.from(text).toString("latin1");
const big = "0123456789abcdef".repeat(20_000);

const scenarios: readonly Scenario[] = [
  {
    name: "the README's example, GET",
    create: responder(() => (_, res) => {
      res.writeHead(200, { "Content-Type": "text/plain" });
      res.end("It's working");
    }),
    play: asking("/"),
  },
  {
    name: "the README's example, POST",
    create: responder(() => (req, res) => {
      res.writeHead(200, { "Content-Type": "text/plain" });
      let body = "";
      req.on("data", (data: Buffer) => (body += data.toString()));
      req.on("end", () => res.end(`Received data:\n${body}`));
    }),
    play: asking("/", post("some data"), "some data"),
  },
  {
    name: "the README's example, another method",
    create: responder(() => (_, res) => {
      res.writeHead(501);
      res.end();
    }),
    play: asking("/", { REQUEST_METHOD: "FOO" }),
  },
  {
    name: "what a request says of itself",
    create: responder(() => (req, res) => {
      const { method, url, httpVersion, httpVersionMajor, httpVersionMinor, headers, cgiParams } = req;
      res.end(JSON.stringify({ method, url, httpVersion, httpVersionMajor, httpVersionMinor, headers, cgiParams }));
    }),
    play: asking(`/p%20q/${utf8("é")}?x=1`, {
      HTTP_HOST: "example.org",
      HTTP_X_LONG_NAME: "value",
      HTTP_COOKIE: "a=1; b=2",
      HTTP_ACCEPT: "text/html, */*",
      CONTENT_TYPE: "text/plain",
      HTTP_CONTENT_TYPE: "wrong",
      REMOTE_USER: utf8("日本"),
      EMPTY: "",
    }),
  },
  {
    name: "a URL without REQUEST_URI",
    create: responder(() => (req, res) => void res.end(req.url)),
    play: asking("/", { REQUEST_URI: "", SCRIPT_NAME: "/s", PATH_INFO: "/p", QUERY_STRING: "q=1" }),
  },
  {
    name: "what the socket says of itself",
    create: responder(() => (req, res) => {
      const { localAddress, localPort, remoteAddress, remoteFamily, remotePort } = req.socket;
      const isSame = req.socket === req.connection && req.socket === res.socket;
      const { params } = req.socket as unknown as { params: unknown };
      const address = req.socket.address();
      const isOne = params === req.cgiParams;
      res.end(
        JSON.stringify([localAddress, localPort, remoteAddress, remoteFamily, remotePort, address, isSame, isOne]),
      );
    }),
    play: asking("/", { SERVER_ADDR: "10.1.2.3", SERVER_PORT: "8080", REMOTE_ADDR: "::1", REMOTE_PORT: "1234" }),
  },
  {
    name: "headers given in every way",
    create: responder(() => (_, res) => {
      res.setHeader("X-One", "1");
      res.setHeader("Set-Cookie", ["a=1", "b=2"]);
      res.removeHeader("X-Two");
      res.statusMessage = "Very well";
      res.writeHead(201, { "X-Three": "3" });
      res.end("x");
    }),
    play: asking("/"),
  },
  {
    name: "no body for HEAD, 204 and 304",
    create: responder(() => (req, res) => {
      res.statusCode = Number(req.headers["x-status"]);
      res.end("body");
    }),
    play: async (served) => {
      const answers: Answer[] = [];
      for (const status of ["200", "204", "304"]) {
        const peer = await served.open();
        peer.send(request(1, variables("/", { REQUEST_METHOD: "HEAD", HTTP_X_STATUS: status })));
        answers.push(await answerOf(peer));
      }
      return answers;
    },
  },
  {
    name: "a response in many pieces",
    create: responder(() => (_, res) => {
      res.write("first ");
      setImmediate(() => {
        res.write(Buffer.from("second "));
        setImmediate(() => res.end("third"));
      });
    }),
    play: asking("/"),
  },
  {
    name: "a large body there and back",
    create: responder(() => (req, res) => void req.pipe(res)),
    play: async (served) => {
      const peer = await served.open();
      peer.send(request(1, variables("/", post(big)), { body: big }));
      const { body, statuses } = await answerOf(peer);
      return [body.length, createHash("sha256").update(body).digest("hex"), statuses];
    },
  },
  {
    name: "res.stderr and the socket's errorStream",
    create: responder(() => (req, res) => {
      (res as unknown as { stderr: NodeJS.WritableStream }).stderr.write("from res");
      (req.socket as unknown as { errorStream: NodeJS.WritableStream }).errorStream.write(", from the socket");
      setImmediate(() => res.end("x"));
    }),
    play: asking("/"),
  },
  {
    name: "the events of a request",
    create: responder((seen) => (req, res) => {
      for (const name of ["complete", "end", "aborted"]) req.on(name, () => seen.push(name));
      for (const name of ["finish"]) res.on(name, () => seen.push(name));
      req.resume();
      req.on("end", () => res.end("x"));
    }),
    play: async (served, seen) => {
      const answer = await asking("/", post("abc"), "abc")(served, seen);
      await until("the end", () => seen.includes("finish"));
      return answer;
    },
  },
  {
    name: "a request given up by ABORT_REQUEST",
    create: responder((seen) => (req) => {
      req.on("aborted", () => seen.push("aborted"));
      seen.push("begun");
    }),
    play: async (served, seen) => {
      const peer = await served.open();
      peer.send(begin(1, true), params(1, variables("/")));
      await until("the request", () => seen.length === 1);
      peer.send(record(type.abort, 1));
      const { protocolStatus } = await peer.reply(1);
      await until("the event", () => seen.length === 2);
      return protocolStatus;
    },
  },
  {
    name: "an authorizer that allows, with variables",
    create: ({ createServer }) =>
      createServer(undefined, ((req, res) => {
        res.setVariable("USER", `known as ${req.cgiParams["REMOTE_ADDR"]}`);
        res.allow();
      }) satisfies AuthorizerListener),
    play: async (served) => {
      const peer = await served.open();
      peer.send(begin(1, false, 2), params(1, variables("/")));
      return await answerOf(peer);
    },
  },
  {
    name: "an authorizer that denies",
    create: ({ createServer }) => {
      const server = createServer();
      server.on("authorize", ((_, res) => res.deny()) satisfies AuthorizerListener);
      return server;
    },
    play: async (served) => {
      const peer = await served.open();
      peer.send(begin(1, false, 2), params(1, variables("/")));
      return await answerOf(peer);
    },
  },
  {
    name: "a filter reads both its streams",
    create: ({ createServer }) =>
      createServer(undefined, undefined, (async (req, res) => {
        let text = "";
        for await (const chunk of req) text += String(chunk);
        text += " | ";
        for await (const chunk of (req.socket as unknown as { dataStream: AsyncIterable<Buffer> }).dataStream) {
          text += String(chunk);
        }
        res.end(text);
      }) satisfies RequestListener),
    play: async (served) => {
      const peer = await served.open();
      peer.send(begin(1, false, 3), params(1, variables("/", post("input"))), stdin(1, "input"));
      peer.send(record(type.data, 1, "the "), record(type.data, 1, "file"), record(type.data, 1));
      return await answerOf(peer);
    },
  },
  {
    name: "a role that nobody listens to, and one that there is not",
    create: responder(() => (_, res) => void res.end()),
    play: async (served) => {
      const statuses: unknown[] = [];
      for (const role of [2, 3, 9]) {
        const peer = await served.open();
        peer.send(begin(1, false, role));
        const { appStatus, protocolStatus } = await peer.reply(1);
        statuses.push([appStatus, protocolStatus]);
        await peer.closed();
      }
      return statuses;
    },
  },
  {
    name: "values that a web server asks for",
    create: ({ createServer }) =>
      createServer(() => {}, {
        maxConns: 7,
        multiplex: false,
        additionalValue: 1350,
        valueMap: { MORE: "additionalValue" },
      }),
    play: async (served) => {
      const peer = await served.open();
      const names = Buffer.from(
        "\x0e\x00FCGI_MAX_CONNS\x0d\x00FCGI_MAX_REQS\x0f\x00FCGI_MPXS_CONNS\x04\x00MORE\x02\x00NO",
        "latin1",
      );
      peer.send(record(type.getValues, 0, names));
      const next = await peer.next();
      const text = next?.content.toString("latin1") ?? "";
      return [
        next?.type,
        next?.id,
        ["FCGI_MAX_CONNS7", "FCGI_MAX_REQS2000", "FCGI_MPXS_CONNS0", "MORE1350", "NO"].map((part) =>
          text.includes(part),
        ),
      ];
    },
  },
  {
    name: "the configuration in the place of the first listener that is left out",
    create: ({ createServer }) => createServer({ maxReqs: "12" }),
    play: async ({ server }) => [server.config, server.maxHeadersCount, server.timeout],
  },
  {
    name: "records of a request that there is not",
    create: ({ createServer }, seen) => {
      const server = createServer((_, res) => void res.end());
      server.on("protocolError", (error: Error) => seen.push(error.message));
      return server;
    },
    play: async (served, seen) => {
      const peer = await served.open();
      peer.send(record(type.stdin, 5, "x"), begin(1, true), begin(1, true));
      await until("both errors", () => seen.length === 2);
      return "";
    },
  },
  {
    name: "a connection on which nothing happens",
    create: ({ createServer }, seen) => {
      const server = createServer((req, res) => {
        res.on("timeout", () => seen.push("res"));
        req.on("timeout", () => seen.push("req"));
        seen.push("begun");
      });
      server.setTimeout(60, (socket) => {
        seen.push("server");
        socket.destroy();
      });
      return server;
    },
    play: async (served, seen) => {
      const peer = await served.open();
      peer.send(request(1, variables("/")));
      await until("the timeout", () => seen.includes("server"));
      return [...new Set(seen.splice(0).map(String))].toSorted((left, right) => left.localeCompare(right));
    },
  },
];

describe("node-fastcgi and ours answer alike", () => {
  test.each(scenarios)("$name", async ({ create, play }) => {
    const outcomes: unknown[] = [];
    for (const implementation of [original, ours]) {
      const seen: unknown[] = [];
      const served = await start(create(implementation, seen));
      outcomes.push({ answer: await play(served, seen), seen });
    }
    expect(outcomes[1]).toEqual(outcomes[0]);
  });
});
