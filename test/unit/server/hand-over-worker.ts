// A process that serves the connections it is given, and gives them back when it is told to drain: the program behind
// hand-over.test.ts, compiled and forked there.
import { createHash } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import { unlimited } from "../../../src/server/admission.ts";
import { Background } from "../../../src/server/background.ts";
import { FastCgiServer } from "../../../src/server/fastcgi-server.ts";
import type { SocketHandle } from "../../../src/server/socket-handle.ts";
import type { Application, Chunk, Log } from "../../../src/spec.ts";

export type ToWorker =
  /** With the handle. */
  { readonly type: "connection"; readonly bytes: Uint8Array | undefined } | { readonly type: "drain" };

export type FromWorker =
  | { readonly type: "ready" }
  /** With the handle. */
  | { readonly type: "connection"; readonly bytes: Uint8Array | undefined }
  | { readonly type: "drained"; readonly isWhole: boolean }
  | { readonly type: "complaint"; readonly text: string };

function send(message: FromWorker, handle?: SocketHandle): void {
  process.send?.(message, handle as never, {}, () => handle?.close());
}

const complain = (fields: object | string, message?: string): void =>
  send({ type: "complaint", text: `${message ?? ""} ${JSON.stringify(fields)}` });
const log: Log = {
  trace() {},
  debug() {},
  info() {},
  warn: complain,
  error: complain,
  fatal: complain,
  child: () => log,
};

/** Answers with what it was sent, in the ways in which applications do. */
const application: Application = async (environ, startResponse) => {
  const input = environ["wsgi.input"];
  const headers: Array<[string, string]> = [["X-Process", String(process.pid)]];
  switch (environ.PATH_INFO) {
    case "/early":
      startResponse("200 OK", headers);
      return "early";
    case "/hash": {
      const hash = createHash("sha256");
      for await (const chunk of input) hash.update(chunk);
      startResponse("200 OK", headers);
      return hash.digest("hex");
    }
    case "/slow": {
      const body = await input.bytes();
      await sleep(Number(environ.QUERY_STRING));
      startResponse("200 OK", headers);
      return body;
    }
    default:
      startResponse("200 OK", headers);
      return (async function* (): AsyncGenerator<Chunk> {
        for await (const chunk of input) yield chunk;
      })();
  }
};

function create(): FastCgiServer {
  return new FastCgiServer({
    service: {
      router: { route: () => ({ application, script: "", mount: { mountPoint: "" } }) },
      log,
      background: new Background(log),
      transport: "fastcgi",
      isMultiprocess: true,
      isRunOnce: false,
      isLogApaches: false,
    },
    maxParamsBytes: 2 ** 20,
    maxConnections: 1000,
    paramsTimeoutMs: 10_000,
    idleTimeoutMs: 0,
    admission: process.env["MAX"] === undefined ? unlimited : limitsOf(Number(process.env["MAX"])),
    requestTimeoutMs: 60_000,
    ignoredActivity: [],
    isBehindFcgid: false,
    isAllowed: () => true,
  });
}

function limitsOf(maxConcurrency: number): typeof unlimited {
  return { maxConcurrency, queueLimit: 1000, queueTimeoutMs: 60_000 };
}

let server = create();

async function drain(): Promise<void> {
  const draining = server;
  server = create();
  const isWhole = await draining.drain({
    deadlineMs: 20_000,
    handOver: ({ handle, bytes }) => send({ type: "connection", bytes }, handle),
  });
  send({ type: "drained", isWhole });
}

process.on("message", (message: ToWorker, handle: SocketHandle | undefined) => {
  if (message.type === "drain") void drain();
  else if (handle !== undefined) {
    const { bytes } = message;
    server.adopt(handle, bytes === undefined ? undefined : Buffer.from(bytes));
  }
});
process.on("disconnect", () => process.exit());
send({ type: "ready" });
