// A connection that is lost inside a request: node:http is the oracle for what the handler sees.
import type { IncomingMessage, ServerResponse } from "node:http";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { connect } from "node:net";
import { expect, test } from "vitest";
import { fromNodeHandler } from "../../../src/adapters/node-handler.ts";
import { runDirect } from "../../../src/server/direct.ts";
import { serveFastCGI } from "../../../src/server/serve.ts";
import { begin, FcgiPeer, params, record, type, variables } from "../../harness/fcgi.ts";
import { until, within } from "../../harness/until.ts";
import { collectLog } from "../server/collected-log.ts";

type Handler = (req: IncomingMessage, res: ServerResponse) => void;

/** Reads the request and never answers; tells what becomes of it. */
class Reader {
  readonly seen: string[] = [];
  #finish: () => void = () => {};
  readonly done = new Promise<void>((resolve) => {
    this.#finish = resolve;
  });

  readonly handle: Handler = (req, res) => {
    req.socket.on("error", (error) => this.seen.push(`socket error ${error instanceof Error}`));
    req.socket.on("close", (hadError: boolean) => this.seen.push(`socket close ${hadError}`));
    req.on("data", (chunk: Buffer) => this.seen.push(`data ${chunk.toString()}`));
    req.on("end", () => this.seen.push("end"));
    req.on("error", (error: NodeJS.ErrnoException) => this.seen.push(`req error ${error.message} ${error.code}`));
    res.on("finish", () => this.seen.push("finish"));
    req.on("close", () => this.#finish());
  };
}

/** What node:http shows of a client that announces ten bytes, sends three and goes. */
async function seenOnNodeHttp(): Promise<readonly string[]> {
  const reader = new Reader();
  const server = createServer(reader.handle);
  await new Promise<void>((resolve) => {
    server.listen(0, "127.0.0.1", resolve);
  });
  const client = connect((server.address() as AddressInfo).port, "127.0.0.1");
  client.on("error", () => {});
  client.write("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 10\r\n\r\nabc");
  await until("the body's beginning", () => reader.seen.length > 0);
  client.destroy();
  await within("the end of the request", reader.done);
  server.close();
  return reader.seen;
}

async function* oneChunk(): AsyncGenerator<Uint8Array> {
  yield Buffer.from("abc");
}

test("a body that is cut short", async () => {
  const reader = new Reader();
  const reply = await runDirect(fromNodeHandler(reader.handle), {
    method: "POST",
    url: "/",
    headers: [["Content-Length", "10"]],
    body: oneChunk(),
  });
  await within("the end of the request", reader.done);
  expect(reader.seen).toEqual(await seenOnNodeHttp());
  expect(reply.status).toBe(400);
});

test("a web server that closes its connection in the middle of a body", async () => {
  const reader = new Reader();
  const service = await serveFastCGI(reader.handle, { listen: 0, log: collectLog() });
  try {
    if (service.address.kind !== "tcp") throw new Error("no port");
    const peer = await FcgiPeer.open({ port: service.address.port });
    const values = variables("/", { REQUEST_METHOD: "POST", CONTENT_LENGTH: "10" });
    peer.send(Buffer.concat([begin(1), params(1, values), record(type.stdin, 1, "abc")]));
    await until("the body's beginning", () => reader.seen.length > 0);
    peer.destroy();
    await within("the end of the request", reader.done);
    expect(reader.seen).toEqual(await seenOnNodeHttp());
  } finally {
    await service.close();
  }
});
