// A raw HTTP/1.1 client over node:net. It repairs nothing: the exact status line, every header line, the body's bytes and
// whether the message came to its proper end are what the tests look at. Text is latin-1 throughout.
import { connect, type Socket } from "node:net";
import { within } from "./until.ts";

export type HeaderLines = ReadonlyArray<readonly [name: string, value: string]>;

export interface HttpHead {
  readonly statusLine: string;
  readonly version: string;
  readonly status: number;
  readonly reason: string;
  readonly headers: HeaderLines;
}

export interface HttpReply extends HttpHead {
  readonly body: Buffer;
  /** True when the last chunk, or Content-Length bytes, or (neither announced) a clean end of the connection came. */
  readonly complete: boolean;
  /** Status lines of 1xx answers that came before. */
  readonly interim: readonly string[];
}

export interface HttpRequest {
  readonly method?: string;
  /** Written as it is: no encoding, no check. */
  readonly target: string;
  readonly version?: "1.0" | "1.1";
  /** Host and Connection are added unless they are here; a value of undefined leaves the header out. */
  readonly headers?: ReadonlyArray<readonly [name: string, value: string | undefined]>;
  /** Sent with Content-Length, or chunked, each string or buffer of an array as one chunk. */
  readonly body?: Buffer | string;
  readonly chunks?: ReadonlyArray<Buffer | string>;
}

/** The values of a header, in order; names are compared without case. */
export function headerValues(headers: HeaderLines, name: string): string[] {
  return headers.filter(([key]) => key.toLowerCase() === name.toLowerCase()).map(([, value]) => value);
}

/** Text as bytes: latin-1, as everything on the wire. */
function bytes(data: Buffer | string): Buffer {
  return typeof data === "string" ? Buffer.from(data, "latin1") : data;
}

/** The head of a request as it goes over the wire; the body's framing headers are added. */
function requestHead(request: HttpRequest, authority: string): string {
  const given = request.headers ?? [];
  const names = new Set(given.map(([name]) => name.toLowerCase()));
  const lines: string[] = [`${request.method ?? "GET"} ${request.target} HTTP/${request.version ?? "1.1"}`];
  if (!names.has("host")) lines.push(`Host: ${authority}`);
  if (!names.has("connection")) lines.push("Connection: close");
  for (const [name, value] of given) if (value !== undefined) lines.push(`${name}: ${value}`);
  if (request.chunks !== undefined) lines.push("Transfer-Encoding: chunked");
  else if (request.body !== undefined && !names.has("content-length")) {
    lines.push(`Content-Length: ${bytes(request.body).length}`);
  }
  return `${lines.join("\r\n")}\r\n\r\n`;
}

type Framing = { kind: "none" } | { kind: "length"; left: number } | { kind: "chunked" } | { kind: "close" };

/** One connection to a server. Every wait has a deadline of `deadlineMs`. */
export class HttpConnection {
  readonly #socket: Socket;
  readonly #authority: string;
  readonly #deadlineMs: number;
  #received: Buffer = Buffer.alloc(0);
  #pieces: Buffer[] = [];
  #ended = false;
  #broken = false;
  #wake: (() => void) | undefined;
  #framing: Framing = { kind: "none" };
  #complete = false;
  #method = "GET";

  private constructor(socket: Socket, authority: string, deadlineMs: number) {
    this.#socket = socket;
    this.#authority = authority;
    this.#deadlineMs = deadlineMs;
    socket.on("data", (data: Buffer) => {
      this.#pieces.push(data);
      this.#notify();
    });
    socket.on("end", () => {
      this.#ended = true;
      this.#notify();
    });
    socket.on("error", () => {
      this.#broken = true;
      this.#ended = true;
      this.#notify();
    });
    socket.on("close", () => {
      this.#ended = true;
      this.#notify();
    });
  }

  static async open(port: number, options: { host?: string; deadlineMs?: number } = {}): Promise<HttpConnection> {
    const host = options.host ?? "127.0.0.1";
    const socket = connect({ port, host, noDelay: true, allowHalfOpen: true });
    await within(
      `a connection to ${host}:${port}`,
      new Promise<void>((resolve, reject) => {
        socket.once("connect", resolve);
        socket.once("error", reject);
      }),
    );
    return new HttpConnection(socket, `${host}:${port}`, options.deadlineMs ?? 20_000);
  }

  #notify(): void {
    const wake = this.#wake;
    this.#wake = undefined;
    wake?.();
  }

  /** Takes what has come; waits for more when nothing has. False at the end of the connection. */
  async #more(): Promise<boolean> {
    if (this.#pieces.length === 0 && !this.#ended) {
      await within("bytes from the server", new Promise<void>((resolve) => (this.#wake = resolve)), this.#deadlineMs);
    }
    if (this.#pieces.length === 0) return false;
    this.#received = Buffer.concat([this.#received, ...this.#pieces]);
    this.#pieces = [];
    return true;
  }

  /** Writes bytes as they are; settles when the kernel took them. A connection that the server broke is not an error. */
  async send(data: Buffer | string): Promise<void> {
    if (this.#broken || this.#socket.destroyed) return;
    await within(
      "the server to take what was sent",
      new Promise<void>((resolve) => this.#socket.write(bytes(data), () => resolve())),
      this.#deadlineMs,
    );
  }

  /** Sends head and body. */
  async sendRequest(request: HttpRequest): Promise<void> {
    this.#method = request.method ?? "GET";
    const head = Buffer.from(requestHead(request, this.#authority), "latin1");
    if (request.chunks === undefined) {
      await this.send(request.body === undefined ? head : Buffer.concat([head, bytes(request.body)]));
      return;
    }
    await this.send(head);
    for (const chunk of request.chunks) await this.sendChunk(chunk);
    await this.send("0\r\n\r\n");
  }

  async sendChunk(chunk: Buffer | string): Promise<void> {
    const data = bytes(chunk);
    await this.send(Buffer.concat([Buffer.from(`${data.length.toString(16)}\r\n`), data, Buffer.from("\r\n")]));
  }

  async #line(): Promise<string | undefined> {
    for (;;) {
      const end = this.#received.indexOf("\n");
      if (end >= 0) {
        const line = this.#received.toString("latin1", 0, end).replace(/\r$/u, "");
        this.#received = this.#received.subarray(end + 1);
        return line;
      }
      if (!(await this.#more())) return undefined;
    }
  }

  /** The next head, 1xx ones included. Throws when the connection ends first. */
  async readHead(): Promise<HttpHead> {
    const statusLine = await this.#line();
    if (statusLine === undefined) throw new Error("the server closed the connection without an answer");
    const match = /^HTTP\/(\d\.\d) (\d{3}) ?(.*)$/u.exec(statusLine);
    if (match === null) throw new Error(`not a status line: ${JSON.stringify(statusLine)}`);
    const headers: [string, string][] = [];
    for (;;) {
      const line = await this.#line();
      if (line === undefined) throw new Error(`the server closed the connection inside the head after ${statusLine}`);
      if (line === "") break;
      const colon = line.indexOf(":");
      if (colon < 1) throw new Error(`not a header line: ${JSON.stringify(line)}`);
      headers.push([line.slice(0, colon), line.slice(colon + 1).replace(/^[ \t]+|[ \t]+$/gu, "")]);
    }
    const status = Number(match[2]);
    this.#frame(status, headers);
    return { statusLine, version: match[1] ?? "", status, reason: match[3] ?? "", headers };
  }

  #frame(status: number, headers: HeaderLines): void {
    const length = headerValues(headers, "content-length");
    const coding = headerValues(headers, "transfer-encoding");
    this.#complete = false;
    if (status < 200 || status === 204 || status === 304 || this.#method === "HEAD") {
      this.#framing = { kind: "none" };
      this.#complete = true;
    } else if (coding.length > 0) {
      if (length.length > 0 || coding.join(",").toLowerCase() !== "chunked")
        throw new Error(`two framings: ${coding.join()}`);
      this.#framing = { kind: "chunked" };
    } else if (length.length > 0) {
      if (length.length > 1 || !/^\d+$/u.test(length[0] ?? "")) throw new Error(`bad Content-Length: ${length.join()}`);
      this.#framing = { kind: "length", left: Number(length[0]) };
      this.#complete = this.#framing.left === 0;
    } else this.#framing = { kind: "close" };
  }

  /** The next piece of the body as it comes in, decoded; undefined at its end, proper or not (see `complete`). */
  async readSome(): Promise<Buffer | undefined> {
    const framing = this.#framing;
    if (framing.kind === "none" || (framing.kind === "length" && framing.left === 0)) return undefined;
    if (framing.kind === "chunked") return this.#chunk();
    if (this.#received.length === 0 && !(await this.#more())) {
      if (framing.kind === "close") this.#complete = !this.#broken;
      this.#framing = { kind: "none" };
      return undefined;
    }
    const size = framing.kind === "length" ? Math.min(framing.left, this.#received.length) : this.#received.length;
    const data = this.#received.subarray(0, size);
    this.#received = this.#received.subarray(size);
    if (framing.kind === "length") {
      framing.left -= size;
      this.#complete = framing.left === 0;
    }
    return data;
  }

  async #chunk(): Promise<Buffer | undefined> {
    const done = (complete: boolean): undefined => {
      this.#complete = complete;
      this.#framing = { kind: "none" };
    };
    const sizeLine = await this.#line();
    if (sizeLine === undefined) return done(false);
    if (!/^[0-9a-f]+(;.*)?$/iu.test(sizeLine)) throw new Error(`not a chunk size: ${JSON.stringify(sizeLine)}`);
    const size = Number.parseInt(sizeLine, 16);
    if (size === 0) {
      for (;;) {
        const trailer = await this.#line();
        if (trailer === undefined) return done(false);
        if (trailer === "") return done(true);
      }
    }
    while (this.#received.length < size + 2) if (!(await this.#more())) return done(false);
    const data = this.#received.subarray(0, size);
    if (this.#received.toString("latin1", size, size + 2) !== "\r\n") throw new Error("a chunk without its CRLF");
    this.#received = this.#received.subarray(size + 2);
    return data;
  }

  get complete(): boolean {
    return this.#complete;
  }

  /** True when the server has closed the connection; waits for it. False when bytes came instead. */
  async closedByServer(): Promise<boolean> {
    return this.#received.length === 0 && !(await this.#more());
  }

  /** The rest of the body. */
  async readBody(): Promise<Buffer> {
    const pieces: Buffer[] = [];
    for (let piece = await this.readSome(); piece !== undefined; piece = await this.readSome()) pieces.push(piece);
    return Buffer.concat(pieces);
  }

  /** A whole answer, after any 1xx ones. */
  async readReply(): Promise<HttpReply> {
    const interim: string[] = [];
    let head = await this.readHead();
    while (head.status < 200) {
      interim.push(head.statusLine);
      head = await this.readHead();
    }
    const body = await this.readBody();
    return { ...head, body, complete: this.#complete, interim };
  }

  /** Stops reading from the socket, so that the server cannot send more than the kernel's buffers hold. */
  pause(): void {
    this.#socket.pause();
  }

  resume(): void {
    this.#socket.resume();
  }

  /** No more will be sent; the answer can still be read. */
  end(): void {
    this.#socket.end();
  }

  /** Gone at once, as a browser whose tab was closed. */
  destroy(): void {
    this.#socket.destroy();
  }
}

/** One request on a connection of its own. */
export async function httpRequest(
  port: number,
  request: HttpRequest | string,
  options: { host?: string; deadlineMs?: number } = {},
): Promise<HttpReply> {
  const connection = await HttpConnection.open(port, options);
  try {
    await connection.sendRequest(typeof request === "string" ? { target: request } : request);
    return await connection.readReply();
  } finally {
    connection.destroy();
  }
}
