// Load through a real Apache: raw sockets, a fixed mix of requests, every body compared byte for byte as it arrives.
// Rules: nothing is repaired or tried again; each request counts under exactly one outcome. The bodies follow from a nonce
// alone (test/fixtures/apps/load.ts has the same formulas). No byte of a body is copied or collected, so that one core is
// enough for thousands of requests a second.
import { connect, type Socket } from "node:net";
import { until } from "./until.ts";

export type LoadKind = "small" | "large" | "echo" | "chunked" | "slow";

export interface LoadOptions {
  readonly port: number;
  /** Clients that run at once; default 16. */
  readonly clients?: number;
  /** False: a connection for each request. Default true: clients keep theirs as long as Apache does. */
  readonly isKeptAlive?: boolean;
  /** Ends by itself after so many requests; default: runs until `stop`. */
  readonly requests?: number;
  /** What each client asks for, in turn, again and again. */
  readonly mix?: readonly LoadKind[];
  /** Rest after each answer, so that the machine is not kept busy; default 0. */
  readonly pauseMs?: number;
  /** A request that has no whole answer by then counts as "late"; default 40 s. */
  readonly deadlineMs?: number;
  /** Before the path of each request; default "". */
  readonly mountPoint?: string;
}

export interface LoadFailure {
  /** Since the start of the load. */
  readonly atMs: number;
  readonly tookMs: number;
  readonly nonce: string;
  readonly kind: LoadKind;
  readonly outcome: string;
  readonly details: string;
}

export interface LoadReport {
  /** Requests that ended, whatever the outcome. */
  readonly total: number;
  /** 200, whole, every byte right. */
  readonly ok: number;
  readonly failed: number;
  /** "ok", "503" and so on, "broken" (ended early), "wrong" (bytes), "refused" (no connection), "late". */
  readonly outcomes: Readonly<Record<string, number>>;
  /** The first ones. */
  readonly failures: readonly LoadFailure[];
  /** Answers by the process that gave them. */
  readonly workers: ReadonlyMap<number, number>;
  readonly ms: number;
  readonly longestMs: number;
}

const defaultMix: readonly LoadKind[] = [
  "small",
  "small",
  "echo",
  "small",
  "small",
  "large",
  "small",
  "chunked",
  "small",
  "echo",
  "small",
  "small",
  "small",
  "slow",
  "small",
  "echo",
  "small",
  "large",
  "small",
  "chunked",
];

const largeBytes = 200_000;
const echoBytes = 16_384;
const chunkSizes = [5, 4096, 30_000];
const slowParts = 6;
const slowBytes = 1000;
const mostFailures = 25;
const checkMs = 100;

const pattern = Buffer.alloc(4096 + largeBytes);
for (let index = 0; index < pattern.length; index += 1) pattern[index] = (index * 31 + (index >> 8)) & 255;

/** What an answer's body must be, as pieces that follow each other. */
type Expected = readonly Uint8Array[];

interface Prepared {
  readonly head: string;
  readonly body: readonly Uint8Array[];
  readonly expected: Expected;
}

function offsetOf(number: number): number {
  return (number * 7919) % 4096;
}

const chunkedFrames = (nonce: string, sizes: readonly number[], data: Uint8Array): Uint8Array[] => {
  const frames: Uint8Array[] = [];
  let start = 0;
  const first = Buffer.from(`${nonce.length.toString(16)}\r\n${nonce}\r\n`, "latin1");
  frames.push(first);
  for (const size of sizes) {
    frames.push(Buffer.from(`${size.toString(16)}\r\n`, "latin1"), data.subarray(start, start + size), crlf);
    start += size;
  }
  frames.push(lastChunk);
  return frames;
};
const crlf = Buffer.from("\r\n");
const lastChunk = Buffer.from("0\r\n\r\n");

function prepare(kind: LoadKind, nonce: string, number: number): Prepared {
  const offset = offsetOf(number);
  const text = Buffer.from(nonce, "latin1");
  switch (kind) {
    case "small":
      return { head: "GET", body: [], expected: [Buffer.from(`small ${nonce}\n`, "latin1")] };
    case "large": {
      const end = Buffer.from(`${nonce}\n`, "latin1");
      return { head: "GET", body: [], expected: [end, pattern.subarray(offset, offset + largeBytes), end] };
    }
    case "echo": {
      const body = [text, pattern.subarray(offset, offset + echoBytes)];
      return { head: "POST", body, expected: body };
    }
    case "chunked": {
      const total = chunkSizes.reduce((sum, size) => sum + size, 0);
      const data = pattern.subarray(offset, offset + total);
      return { head: "POST", body: chunkedFrames(nonce, chunkSizes, data), expected: [text, data] };
    }
    case "slow": {
      const expected: Uint8Array[] = [];
      for (let part = 0; part < slowParts; part += 1)
        expected.push(Buffer.from(`${nonce} ${part}\n`, "latin1"), pattern.subarray(offset, offset + slowBytes));
      return { head: "GET", body: [], expected };
    }
  }
}

type Framing = "length" | "size" | "data" | "data-end" | "trailer" | "until-close";

/** One client: at most one connection and one request at a time. */
class Client {
  readonly #load: Load;
  #socket: Socket | undefined;
  #isRunning = false;
  #kind: LoadKind = "small";
  #nonce = "";
  #expected: Expected = [];
  #startedAt = 0;
  // The answer so far.
  #line = "";
  #isInHead = true;
  #head: string[] = [];
  #status = 0;
  #framing: Framing = "until-close";
  #left = 0;
  #isClosing = false;
  #piece = 0;
  #position = 0;
  #bodyBytes = 0;
  #wrongAt = -1;

  constructor(load: Load) {
    this.#load = load;
  }

  get isRunning(): boolean {
    return this.#isRunning;
  }

  begin(kind: LoadKind, number: number): void {
    const load = this.#load;
    this.#isRunning = true;
    this.#kind = kind;
    this.#nonce = `${load.id}-${number}`;
    this.#startedAt = performance.now();
    this.#line = "";
    this.#isInHead = true;
    this.#head = [];
    this.#status = 0;
    this.#isClosing = false;
    this.#piece = 0;
    this.#position = 0;
    this.#bodyBytes = 0;
    this.#wrongAt = -1;
    const { head, body, expected } = prepare(kind, this.#nonce, number);
    this.#expected = expected;
    const framing =
      kind === "chunked"
        ? "Transfer-Encoding: chunked\r\n"
        : body.length > 0
          ? `Content-Length: ${body.reduce((sum, piece) => sum + piece.length, 0)}\r\n`
          : "";
    const text = `${head} ${load.mountPoint}/load/${kind}?${this.#nonce} HTTP/1.1\r\nHost: load\r\n${framing}${load.isKeptAlive ? "" : "Connection: close\r\n"}\r\n`;
    const socket = this.#socket ?? this.#connect();
    if (body.length === 0) {
      socket.write(text, "latin1");
      return;
    }
    socket.cork();
    socket.write(text, "latin1");
    for (const piece of body) socket.write(piece);
    socket.uncork();
  }

  #connect(): Socket {
    const socket = connect({ port: this.#load.port, host: "127.0.0.1", noDelay: true });
    this.#socket = socket;
    let isConnected = false;
    socket.once("connect", () => (isConnected = true));
    socket.on("data", (data: Buffer) => {
      if (this.#socket === socket) this.#receive(data);
    });
    const gone = (reason: string): void => {
      if (this.#socket !== socket) return;
      this.#socket = undefined;
      socket.destroy();
      this.#lost(isConnected, reason);
    };
    socket.once("end", () => gone("closed"));
    socket.once("error", (error) => gone(error.message));
    socket.once("close", () => gone("closed"));
    return socket;
  }

  /** The connection has gone; between two requests that is nothing. */
  #lost(isConnected: boolean, reason: string): void {
    if (!this.#isRunning) return;
    if (!this.#isInHead && this.#framing === "until-close") this.#finish();
    else this.#end(isConnected ? "broken" : "refused", reason);
  }

  abandon(outcome: string): void {
    const socket = this.#socket;
    this.#socket = undefined;
    socket?.destroy();
    if (this.#isRunning) this.#end(outcome, "");
  }

  isLate(now: number, deadlineMs: number): boolean {
    return this.#isRunning && now - this.#startedAt > deadlineMs;
  }

  #receive(data: Buffer): void {
    if (!this.#isRunning) {
      this.#load.stray(data);
      this.abandon("wrong");
      return;
    }
    let start = 0;
    while (start < data.length && this.#isRunning) {
      start = this.#isInHead ? this.#takeHead(data, start) : this.#takeBody(data, start);
    }
    if (start < data.length) this.#load.stray(data.subarray(start));
  }

  /** Takes one line; returns where the rest starts. */
  #takeLine(data: Buffer, start: number): { line: string | undefined; next: number } {
    const end = data.indexOf(10, start);
    if (end < 0) {
      this.#line += data.toString("latin1", start);
      return { line: undefined, next: data.length };
    }
    const line = this.#line + data.toString("latin1", start, end);
    this.#line = "";
    return { line: line.endsWith("\r") ? line.slice(0, -1) : line, next: end + 1 };
  }

  #takeHead(data: Buffer, start: number): number {
    const { line, next } = this.#takeLine(data, start);
    if (line === undefined) return next;
    if (line !== "") {
      this.#head.push(line);
      return next;
    }
    this.#readHead();
    return next;
  }

  #readHead(): void {
    const [statusLine = "", ...lines] = this.#head;
    this.#status = Number(statusLine.slice(9, 12));
    this.#isInHead = false;
    this.#framing = "until-close";
    for (const line of lines) {
      const colon = line.indexOf(":");
      const name = line.slice(0, colon).toLowerCase();
      const value = line.slice(colon + 1).trim();
      if (name === "content-length") {
        this.#framing = "length";
        this.#left = Number(value);
      } else if (name === "transfer-encoding") this.#framing = "size";
      else if (name === "connection") this.#isClosing = value.toLowerCase() === "close";
      else if (name === "x-worker") this.#load.served(Number(value));
    }
    if (this.#framing === "length" && this.#left === 0) this.#finish();
  }

  #takeBody(data: Buffer, start: number): number {
    switch (this.#framing) {
      case "until-close":
        this.#compare(data, start, data.length);
        return data.length;
      case "length":
      case "data": {
        const end = Math.min(data.length, start + this.#left);
        this.#compare(data, start, end);
        this.#left -= end - start;
        if (this.#left === 0) {
          if (this.#framing === "length") this.#finish();
          else this.#framing = "data-end";
        }
        return end;
      }
      case "size": {
        const { line, next } = this.#takeLine(data, start);
        if (line === undefined) return next;
        this.#left = /^[0-9a-f]+$/iu.test(line) ? Number.parseInt(line, 16) : Number.NaN;
        if (Number.isNaN(this.#left)) this.#end("wrong", `not a chunk size: ${JSON.stringify(line)}`);
        this.#framing = this.#left === 0 ? "trailer" : "data";
        return next;
      }
      case "data-end": {
        const { line, next } = this.#takeLine(data, start);
        if (line === undefined) return next;
        if (line !== "") this.#end("wrong", "a chunk longer than its size");
        this.#framing = "size";
        return next;
      }
      case "trailer": {
        const { line, next } = this.#takeLine(data, start);
        if (line === "") this.#finish();
        return next;
      }
    }
  }

  /** Compares a part of the body with what it must be. */
  #compare(data: Buffer, from: number, to: number): void {
    this.#bodyBytes += to - from;
    if (this.#status !== 200 || this.#wrongAt >= 0) return;
    let start = from;
    while (start < to) {
      const piece = this.#expected[this.#piece];
      if (piece === undefined) {
        this.#wrongAt = this.#bodyBytes;
        return;
      }
      const size = Math.min(to - start, piece.length - this.#position);
      if (data.compare(piece, this.#position, this.#position + size, start, start + size) !== 0) {
        this.#wrongAt = this.#bodyBytes;
        this.#head.push(JSON.stringify(data.toString("latin1", start, Math.min(to, start + 120))));
        return;
      }
      start += size;
      this.#position += size;
      if (this.#position === piece.length) {
        this.#piece += 1;
        this.#position = 0;
      }
    }
  }

  /** The answer came to its proper end. */
  #finish(): void {
    if (this.#status !== 200) this.#end(String(this.#status), this.#head.join(" | "));
    else if (this.#wrongAt >= 0) this.#end("wrong", `near byte ${this.#wrongAt}: ${this.#head.join(" | ")}`);
    else if (this.#piece < this.#expected.length)
      this.#end("wrong", `short, yet it looked whole: ${this.#bodyBytes} bytes: ${this.#head.join(" | ")}`);
    else this.#end("ok", "");
  }

  #end(outcome: string, details: string): void {
    this.#isRunning = false;
    if (outcome !== "ok" || this.#isClosing || !this.#load.isKeptAlive) {
      const socket = this.#socket;
      this.#socket = undefined;
      socket?.destroy();
    }
    const now = performance.now();
    const seen = this.#isInHead ? this.#head.join(" | ") : `${this.#status} and ${this.#bodyBytes} body bytes`;
    this.#load.ended(this, {
      atMs: Math.round(now - this.#load.startedAt),
      tookMs: now - this.#startedAt,
      nonce: this.#nonce,
      kind: this.#kind,
      outcome,
      details: outcome === "ok" ? "" : `${details} (${seen})`,
    });
  }

  close(): void {
    const socket = this.#socket;
    this.#socket = undefined;
    socket?.destroy();
  }
}

let loads = 0;

export class Load {
  readonly id: string;
  readonly port: number;
  readonly isKeptAlive: boolean;
  readonly mountPoint: string;
  readonly startedAt = performance.now();
  readonly #options: LoadOptions;
  readonly #clients: Client[];
  readonly #mix: readonly LoadKind[];
  readonly #outcomes: Record<string, number> = {};
  readonly #failures: LoadFailure[] = [];
  readonly #workers = new Map<number, number>();
  readonly #timer: NodeJS.Timeout;
  #started = 0;
  #total = 0;
  #longestMs = 0;
  #isStopping = false;
  #stoppedAt: number | undefined;

  private constructor(options: LoadOptions) {
    loads += 1;
    this.id = `${process.pid.toString(36)}.${loads}`;
    this.port = options.port;
    this.isKeptAlive = options.isKeptAlive ?? true;
    this.mountPoint = options.mountPoint ?? "";
    this.#options = options;
    this.#mix = options.mix ?? defaultMix;
    this.#clients = Array.from({ length: options.clients ?? 16 }, () => new Client(this));
    const deadlineMs = options.deadlineMs ?? 40_000;
    this.#timer = setInterval(() => {
      const now = performance.now();
      for (const client of this.#clients) if (client.isLate(now, deadlineMs)) client.abandon("late");
    }, checkMs);
  }

  /** Starts at once. */
  static start(options: LoadOptions): Load {
    const load = new Load(options);
    for (const client of load.#clients) load.#next(client);
    return load;
  }

  /** Runs `options.requests` requests. */
  static async run(options: LoadOptions & { readonly requests: number }): Promise<LoadReport> {
    const load = Load.start(options);
    return load.finished();
  }

  #next(client: Client): void {
    const most = this.#options.requests ?? Number.POSITIVE_INFINITY;
    if (this.#isStopping || this.#started >= most) {
      client.close();
      if (this.#clients.every(({ isRunning }) => !isRunning)) this.#stopped();
      return;
    }
    this.#started += 1;
    const kind = this.#mix[this.#started % this.#mix.length] ?? "small";
    client.begin(kind, this.#started);
  }

  #stopped(): void {
    this.#stoppedAt ??= performance.now();
    clearInterval(this.#timer);
  }

  /** Called by a client. */
  ended(client: Client, result: LoadFailure): void {
    const { outcome, tookMs } = result;
    this.#total += 1;
    this.#outcomes[outcome] = (this.#outcomes[outcome] ?? 0) + 1;
    if (tookMs > this.#longestMs) this.#longestMs = tookMs;
    if (outcome !== "ok" && this.#failures.length < mostFailures) this.#failures.push(result);
    // A peer that answers nothing is not asked again and again without a rest.
    const restMs = Math.max(this.#options.pauseMs ?? 0, outcome === "ok" ? 0 : 10);
    if (restMs > 0 && !this.#isStopping) setTimeout(() => this.#next(client), restMs);
    else setImmediate(() => this.#next(client));
  }

  /** Called by a client: bytes that belong to no request. */
  stray(data: Buffer): void {
    this.#outcomes["wrong"] = (this.#outcomes["wrong"] ?? 0) + 1;
    this.#failures.push({
      atMs: Math.round(performance.now() - this.startedAt),
      tookMs: 0,
      nonce: "",
      kind: "small",
      outcome: "wrong",
      details: `bytes outside of any answer: ${JSON.stringify(data.toString("latin1", 0, 200))}`,
    });
  }

  /** Called by a client: who answers. */
  served(worker: number): void {
    this.#workers.set(worker, (this.#workers.get(worker) ?? 0) + 1);
  }

  get report(): LoadReport {
    const ok = this.#outcomes["ok"] ?? 0;
    return {
      total: this.#total,
      ok,
      failed: Object.values(this.#outcomes).reduce((sum, count) => sum + count, 0) - ok,
      outcomes: { ...this.#outcomes },
      failures: [...this.#failures],
      workers: new Map(this.#workers),
      ms: (this.#stoppedAt ?? performance.now()) - this.startedAt,
      longestMs: this.#longestMs,
    };
  }

  /** Waits until so many more requests have ended well: the measure of "for a while" that no machine is too slow for. */
  async more(count: number, deadlineMs = 60_000): Promise<void> {
    const wanted = this.report.ok + count;
    await until(`${count} more requests to be answered`, () => (this.#outcomes["ok"] ?? 0) >= wanted, deadlineMs).catch(
      (error: unknown) => {
        throw new Error(`${String(error)}\n${this.describe()}`, { cause: error });
      },
    );
  }

  /** Waits for the end of a load with a number of requests. */
  async finished(deadlineMs = 600_000): Promise<LoadReport> {
    await until("the load to end", () => this.#stoppedAt !== undefined, deadlineMs);
    return this.report;
  }

  /** No new requests; waits for those that run. */
  async stop(): Promise<LoadReport> {
    this.#isStopping = true;
    if (this.#clients.every(({ isRunning }) => !isRunning)) this.#stopped();
    await until("the last requests of the load", () => this.#stoppedAt !== undefined, 60_000);
    for (const client of this.#clients) client.close();
    return this.report;
  }

  /** Ends at once, whatever runs: for the end of a failed test. */
  destroy(): void {
    this.#isStopping = true;
    for (const client of this.#clients) client.abandon("abandoned");
    this.#stopped();
  }

  describe(): string {
    return describeLoad(this.report);
  }
}

/** A report as the message of a failed test shows it. */
function describeLoad(report: LoadReport): string {
  const failures = report.failures.map(
    ({ atMs, tookMs, kind, nonce, outcome, details }) =>
      `  at ${atMs} ms, after ${Math.round(tookMs)} ms: ${kind} ${nonce}: ${outcome} ${details}`,
  );
  return [
    `${report.total} requests in ${Math.round(report.ms)} ms: ${JSON.stringify(report.outcomes)}; longest ${Math.round(report.longestMs)} ms`,
    ...failures,
  ].join("\n");
}
