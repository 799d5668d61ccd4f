// `npm run bench:engine`: the engine in this process, without Apache, sockets and a client. A change is judged by this,
// since Apache's share hides it in the other benchmark.
// Rules: each function does `batch` operations, so that the clock does not count; figures are medians.
import { EventEmitter } from "node:events";
import { createRequire } from "node:module";
import { setImmediate as nextTurn } from "node:timers/promises";
import { parseArgs } from "node:util";
import { Bench } from "tinybench";
import { FcgiConnection } from "../../src/fastcgi/connection.ts";
import { encodeOutput } from "../../src/fastcgi/output.ts";
import { encodePairs, PairReader } from "../../src/fastcgi/pairs.ts";
import { RecordReader } from "../../src/fastcgi/record.ts";
import { installLightClasses } from "../../src/adapters/fetch-globals.ts";
import { recognize } from "../../src/adapters/recognize.ts";
import { createLog } from "../../src/log.ts";
import { Background } from "../../src/server/background.ts";
import type { Service } from "../../src/server/dispatch.ts";
import { FcgiRequest, type RequestHost } from "../../src/server/request.ts";
import type { Application } from "../../src/spec.ts";
import { begin, params, record, stdin, type as recordType, variables } from "../harness/fcgi.ts";
import express from "./peers/express-app.ts";
import fastify from "./peers/fastify-app.ts";
import hono from "./peers/hono-app.ts";
import { application } from "./peers/hello.ts";
import { median } from "./statistics.ts";
import { figure } from "./table.ts";

const batch = 100;

/** 30 variables, as Apache sends them for a request of a browser. */
const thirty: Record<string, string> = variables("/hello?name=Ada", {
  HTTP_HOST: "www.example.org",
  HTTP_USER_AGENT: "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0",
  HTTP_ACCEPT: "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8",
  HTTP_ACCEPT_LANGUAGE: "en-US,en;q=0.5",
  HTTP_ACCEPT_ENCODING: "gzip, deflate, br",
  HTTP_COOKIE: "session=0123456789abcdef0123456789abcdef; theme=dark; language=en",
  HTTP_REFERER: "https://www.example.org/start?from=here",
  HTTP_UPGRADE_INSECURE_REQUESTS: "1",
  HTTP_CACHE_CONTROL: "max-age=0",
  HTTP_CONNECTION: "keep-alive",
  PATH: "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
  SERVER_ADDR: "192.0.2.1",
  SERVER_ADMIN: "webmaster@example.org",
  SERVER_SIGNATURE: "",
  DOCUMENT_ROOT: "/var/www/html",
  REQUEST_SCHEME: "http",
  CONTEXT_PREFIX: "",
  CONTEXT_DOCUMENT_ROOT: "/var/www/html",
  REMOTE_PORT: "54321",
});

/** A hundred STDIN records of 100 bytes, as they arrive in one read. */
const records = Buffer.concat(Array.from({ length: batch }, () => record(recordType.stdin, 1, "x".repeat(100))));
const pairs = encodePairs(thirty);
const body = Buffer.alloc(100, "x");

/** A request by itself, as one read brings it. */
const request = Buffer.concat([begin(1, true), params(1, thirty), stdin(1)]);

const limits = { maxParamsBytes: 1 << 20, maxConnections: 1024 };
const log = createLog({ level: "silent" });

function serviceOf(app: Application): Service {
  const route = { application: app, script: "/srv/app.ts", mount: {} };
  return {
    router: { route: () => route },
    log,
    background: new Background(log),
    transport: "fastcgi",
    isMultiprocess: true,
    isRunOnce: false,
    isLogApaches: false,
  };
}

/** What a socket does, without one: counts the bytes. */
class Sink implements RequestHost {
  bytes = 0;

  write(frames: readonly Uint8Array[]): boolean {
    for (const frame of frames) this.bytes += frame.length;
    return true;
  }

  async drained(): Promise<void> {}
  requestEnded(): void {}
  breakOff(): void {}
  pause(): void {}
  resume(): void {}
}

interface MemoryServer {
  /** Takes a whole request through codec, gateway and application. */
  (): void;
  /** Bytes that all of them were answered with. */
  sent(): number;
}

function createServer(app: Application): MemoryServer {
  const codec = new FcgiConnection(limits);
  const sink = new Sink();
  const service = serviceOf(app);
  const serve = (): void => {
    let current: FcgiRequest | undefined;
    for (const event of codec.receive(request)) {
      if (event.type === "request") {
        current = new FcgiRequest(sink, codec, event);
        current.begin(service, undefined);
      } else if (event.type === "stdin-end") current?.endInput();
    }
  };
  return Object.assign(serve, { sent: () => sink.bytes });
}

interface StreamPackage {
  readonly FastCGIStream: new (stream: EventEmitter) => EventEmitter & {
    writeRecord(id: number, record: object): void;
  };
  readonly records: {
    readonly StdOut: new (body: Buffer) => object;
    readonly Params: new (params: readonly (readonly [string, string])[]) => object;
  };
}

/** The stream parser of node-fastcgi; undefined when it is not installed. */
function streamPackage(): StreamPackage | undefined {
  const require = createRequire(import.meta.url);
  try {
    return createRequire(require.resolve("node-fastcgi"))("fastcgi-stream") as StreamPackage;
  } catch (error) {
    if ((error as { code?: string }).code === "MODULE_NOT_FOUND") return undefined;
    throw error;
  }
}

/** A stream that takes what is written, and gives what the benchmark emits. */
class FakeStream extends EventEmitter {
  write(): boolean {
    return true;
  }
}

function addPeers(bench: Bench, { FastCGIStream, records: kinds }: StreamPackage): void {
  const source = new FakeStream();
  const stream = new FastCGIStream(source);
  let found = 0;
  stream.on("record", () => (found += 1));
  bench.add("records read: fastcgi-stream", () => {
    found = 0;
    source.emit("data", records);
    if (found !== batch) throw new Error(`fastcgi-stream found ${found} records`);
  });
  bench.add("records written: fastcgi-stream", () => {
    for (let index = 0; index < batch; index += 1) stream.writeRecord(1, new kinds.StdOut(body));
  });
  const block = record(recordType.params, 1, pairs);
  bench.add("PARAMS of 30 variables: fastcgi-stream", () => {
    for (let index = 0; index < batch; index += 1) source.emit("data", block);
  });
}

function addOurs(bench: Bench): void {
  let found = 0;
  const reader = new RecordReader({ header() {}, content() {}, contentEnd: () => (found += 1) });
  bench.add("records read", () => {
    found = 0;
    reader.push(records);
    if (found !== batch) throw new Error(`found ${found} records`);
  });
  const piece = { id: 1, data: body, last: false };
  bench.add("records written", () => {
    for (let index = 0; index < batch; index += 1) encodeOutput(piece, false);
  });
  bench.add("PARAMS of 30 variables", () => {
    for (let index = 0; index < batch; index += 1) {
      const one = new PairReader("PARAMS", limits.maxParamsBytes);
      one.push(pairs, 0, pairs.length);
      one.finish();
    }
  });
  const serve = createServer(application);
  bench.add("request through gateway and engine", () => {
    for (let index = 0; index < batch; index += 1) serve();
  });
}

/** The frameworks' hello world, through adapter, gateway and engine. Each has its turn of the event loop, as on a socket. */
async function addFrameworks(bench: Bench): Promise<void> {
  installLightClasses(); // as for every application
  for (const [name, app] of [
    ["Express", express],
    ["Fastify", fastify],
    ["Hono", hono],
  ] as const) {
    const recognized = recognize(app);
    if (recognized === undefined) throw new Error(`${name} was not recognized`);
    const serve = createServer(await recognized.application);
    bench.add(`request through ${name}`, async () => {
      let sent = 0;
      for (let index = 0; index < batch; index += 1) {
        const before = sent;
        serve();
        await nextTurn();
        sent = serve.sent();
        if (sent === before) throw new Error(`${name} did not answer`);
      }
    });
  }
}

/** Bytes that a request allocates on the heap: the median of some runs without a collection in between. */
function allocatedBytes(): number | undefined {
  const { gc } = globalThis as { gc?: () => void };
  if (gc === undefined) return undefined;
  const serve = createServer(application);
  for (let index = 0; index < 20_000; index += 1) serve();
  const requests = 200;
  const grown = Array.from({ length: 15 }, () => {
    gc();
    const before = process.memoryUsage().heapUsed;
    for (let index = 0; index < requests; index += 1) serve();
    return (process.memoryUsage().heapUsed - before) / requests;
  });
  return median(grown);
}

/** Prints a line for each; with --json one object instead. The exit code. */
export async function main(args: readonly string[]): Promise<number> {
  const { values } = parseArgs({
    args: [...args],
    options: { json: { type: "boolean", default: false }, time: { type: "string", default: "1000" } },
  });
  const bench = new Bench({ time: Number(values.time), throws: true });
  addOurs(bench);
  await addFrameworks(bench);
  const peer = streamPackage();
  if (peer !== undefined) addPeers(bench, peer);
  await bench.run();
  const perSecond = new Map(
    bench.tasks.map(({ name, result }) => [
      name,
      "latency" in result ? (1000 * batch) / result.latency.p50 : Number.NaN,
    ]),
  );
  const bytes = allocatedBytes();
  if (values.json) {
    const figures = { ...Object.fromEntries(perSecond), "bytes allocated for a request": bytes };
    process.stdout.write(`${JSON.stringify(figures, undefined, 2)}\n`);
    return 0;
  }
  for (const [name, value] of perSecond) process.stdout.write(`${name.padEnd(42)} ${figure(value).padStart(12)}/s\n`);
  if (peer === undefined) process.stdout.write("fastcgi-stream: missing; it comes with node-fastcgi\n");
  if (bytes !== undefined) {
    process.stdout.write(`${"allocated for a request".padEnd(42)} ${figure(bytes).padStart(12)} bytes\n`);
  }
  return 0;
}
