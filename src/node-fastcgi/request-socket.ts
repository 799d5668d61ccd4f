// The socket of one request, as node-fastcgi documents it: a stream.Duplex from STDIN to STDOUT with the public face of a
// net.Socket, and `params`, `dataStream` and `errorStream` beside it.
// Rules: END_REQUEST is sent once, when the writable side has finished; a socket that is destroyed before breaks its
// response off, so that nobody takes it for whole. Not more of a body leaves than its Content-Length says, and a body that
// is shorter is broken off too.

import type { IncomingMessage, ServerResponse } from "node:http";
import type { AddressInfo, Socket } from "node:net";
import { Duplex, Readable, Writable } from "node:stream";

/** How a request ends: "broken" lets the web server see that its response is not whole. */
export type Ending = "complete" | "failed" | "broken";

/** What a request may do with its connection. */
export interface RequestConnection {
  readonly socket: Socket;
  /** STDOUT. False asks to wait for `drained`. */
  output(id: number, bytes: Buffer): boolean;
  /** STDERR, and false as above. */
  error(id: number, bytes: Buffer): boolean;
  /** Calls back when more can be written; never, when the connection closes before. */
  drained(callback: () => void): void;
  /** Stops reading from the web server until everybody who held it has released it. */
  hold(stream: Readable): void;
  release(stream: Readable): void;
  end(request: RequestSocket, ending: Ending): void;
}

/** Bytes that wait on each side before the other is asked to wait. */
const highWaterBytes = 64 * 1024;

type Callback = (error?: Error | null) => void;

/** A stream of input of the request. */
class InputStream extends Readable {
  readonly #connection: RequestConnection;

  constructor(connection: RequestConnection) {
    super({ highWaterMark: highWaterBytes });
    this.#connection = connection;
  }

  override _read(): void {
    this.#connection.release(this);
  }

  override _destroy(error: Error | null, callback: Callback): void {
    this.#connection.release(this);
    callback(error);
  }
}

/** STDERR. */
class ErrorStream extends Writable {
  readonly #request: RequestSocket;

  constructor(request: RequestSocket) {
    super({ highWaterMark: highWaterBytes });
    this.#request = request;
    this.on("error", () => {});
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, callback: Callback): void {
    this.#request.writeError(chunk, callback);
  }
}

function familyOf(address: string): "IPv4" | "IPv6" {
  return address.includes(".") ? "IPv4" : "IPv6";
}

/** Where the body of a response begins and ends in what is written. */
interface BodyBounds {
  isInHead: boolean;
  /** Bytes of body that are still due. */
  left: number;
}

export class RequestSocket extends Duplex {
  readonly id: number;
  readonly role: number;
  /** The CGI variables. */
  params: Record<string, string> = {};
  /** The message that is answered on this socket; node:http looks for it under this name. */
  declare _httpMessage: ServerResponse | null | undefined;
  readonly #connection: RequestConnection;
  #dataStream: InputStream | undefined;
  #errorStream: ErrorStream | undefined;
  #isDataOver = false;
  #bounds: BodyBounds | undefined;
  #request: IncomingMessage | undefined;
  #isInputOver = false;
  #isEnded = false;
  #isAborted = false;

  constructor(connection: RequestConnection, id: number, role: number) {
    super({ readableHighWaterMark: highWaterBytes, writableHighWaterMark: highWaterBytes, autoDestroy: false });
    this.id = id;
    this.role = role;
    this.#connection = connection;
    // As node:http does: a connection that fails is no crash.
    this.on("error", () => {});
  }

  /** The FastCGI data stream, for the filter role; empty for others. */
  get dataStream(): Readable {
    if (this.#dataStream === undefined) {
      this.#dataStream = new InputStream(this.#connection);
      if (this.#isDataOver) this.#dataStream.push(null);
    }
    return this.#dataStream;
  }

  /** Each write becomes an entry of the web server's error log. */
  get errorStream(): Writable {
    this.#errorStream ??= new ErrorStream(this);
    return this.#errorStream;
  }

  /** The request's message, once its variables are complete. */
  get message(): IncomingMessage | undefined {
    return this.#request;
  }

  get hasErrorOutput(): boolean {
    return this.#errorStream !== undefined;
  }

  get isInputOver(): boolean {
    return this.#isInputOver && this.#isDataOver;
  }

  // What comes from the web server.

  pushInput(bytes: Buffer | undefined): void {
    if (this.#isInputOver) return;
    if (bytes === undefined) {
      this.#isInputOver = true;
      this.push(null);
      this.#inputEnded();
    } else if (!this.push(bytes)) this.#connection.hold(this);
  }

  pushData(bytes: Buffer | undefined): void {
    if (this.#isDataOver) return;
    if (bytes === undefined) {
      this.#isDataOver = true;
      this.#dataStream?.push(null);
      this.#inputEnded();
    } else if (!this.dataStream.push(bytes)) this.#connection.hold(this.dataStream);
  }

  #inputEnded(): void {
    if (!this.isInputOver || this.#request === undefined) return;
    this.#request.complete = true;
    this.#request.emit("complete");
  }

  /** The web server gave the request up, or is gone. */
  abort(): void {
    if (this.#isEnded) return;
    this.#isAborted = true;
    const request = this.#request;
    if (request !== undefined) {
      request.destroy(Object.assign(new Error("aborted"), { code: "ECONNRESET" }));
      if (!request.aborted) {
        // node:http stays silent where the request had been read; node-fastcgi does not.
        request.aborted = true;
        request.emit("aborted");
      }
    }
    this.destroy();
  }

  // What the HTTP messages do with it.

  /** Feeds a message with STDIN, and ends the response with it. */
  carry(request: IncomingMessage, response: ServerResponse): void {
    this.#request = request;
    this.pause();
    this.on("data", (bytes: Buffer) => {
      if (!request.push(bytes)) this.pause();
    });
    this.on("end", () => request.push(null));
    this.on("drain", () => response.emit("drain"));
    response.on("finish", () => this.end());
    response.assignSocket(this as unknown as Socket); // what node:http needs of a socket is here
  }

  /** The head of a response is about to be written, and a body of so many bytes. */
  expectBody(contentLength: number | undefined): void {
    this.#bounds = contentLength === undefined ? undefined : { isInHead: true, left: contentLength };
  }

  writeError(chunk: Buffer, callback: Callback): void {
    if (this.#isEnded || chunk.length === 0 || this.#connection.error(this.id, chunk)) callback();
    else this.#connection.drained(callback);
  }

  override _read(): void {
    this.#connection.release(this);
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, callback: Callback): void {
    const bytes = this.#bounds === undefined ? chunk : this.#withinBounds(this.#bounds, chunk);
    if (this.#isEnded || bytes.length === 0 || this.#connection.output(this.id, bytes)) callback();
    else this.#connection.drained(callback);
  }

  #withinBounds(bounds: BodyBounds, chunk: Buffer): Buffer {
    let headBytes = 0;
    if (bounds.isInHead) {
      const blank = chunk.indexOf("\r\n\r\n");
      if (blank === -1) return chunk;
      headBytes = blank + 4;
      bounds.isInHead = false;
    }
    const bodyBytes = Math.min(chunk.length - headBytes, bounds.left);
    bounds.left -= bodyBytes;
    return chunk.subarray(0, headBytes + bodyBytes);
  }

  override _final(callback: Callback): void {
    this.#end(this.#bounds === undefined || this.#bounds.left === 0 ? "complete" : "broken");
    callback();
    this.#releaseMessages();
  }

  override _destroy(error: Error | null, callback: Callback): void {
    this.#connection.release(this);
    this.#dataStream?.destroy();
    this.#end(this.#isAborted ? "failed" : "broken");
    callback(error);
  }

  #end(ending: Ending): void {
    if (this.#isEnded) return;
    this.#isEnded = true;
    this.#connection.end(this, ending);
  }

  /** After the response: its "close", and the end of a request that nobody has read. */
  #releaseMessages(): void {
    const response = this._httpMessage;
    response?.detachSocket(this as unknown as Socket);
    const request = this.#request;
    if (request?.readableDidRead === true && this.#isInputOver && !this.readableEnded) {
      this.once("end", () => this.destroy()); // somebody still reads what has come
    } else {
      if (request !== undefined && !request.readableEnded) dismiss(request);
      this.destroy();
    }
    if (response === null || response === undefined) return;
    response.destroyed = true;
    process.nextTick(() => response.emit("close"));
  }

  // The public face of net.Socket.

  get bufferSize(): number {
    return this.#connection.socket.writableLength;
  }

  get bytesRead(): number {
    return this.#connection.socket.bytesRead;
  }

  get bytesWritten(): number {
    return this.#connection.socket.bytesWritten;
  }

  get encrypted(): boolean {
    return /^(?:on|1)$/i.test(this.params["HTTPS"] ?? "");
  }

  get localAddress(): string {
    return this.params["SERVER_ADDR"] || "::";
  }

  get localPort(): number {
    return Number.parseInt(this.params["SERVER_PORT"] ?? "", 10) || 0;
  }

  get remoteAddress(): string {
    return this.params["REMOTE_ADDR"] || "::";
  }

  get remoteFamily(): "IPv4" | "IPv6" {
    return familyOf(this.remoteAddress);
  }

  get remotePort(): number {
    return Number.parseInt(this.params["REMOTE_PORT"] ?? "", 10) || 0;
  }

  address(): AddressInfo {
    return { address: this.localAddress, family: familyOf(this.localAddress), port: this.localPort };
  }

  ref(): this {
    this.#connection.socket.ref();
    return this;
  }

  unref(): this {
    this.#connection.socket.unref();
    return this;
  }

  setKeepAlive(enable?: boolean, initialDelay?: number): this {
    this.#connection.socket.setKeepAlive(enable, initialDelay);
    return this;
  }

  setNoDelay(noDelay?: boolean): this {
    this.#connection.socket.setNoDelay(noDelay);
    return this;
  }

  /** Of the whole connection, ms. */
  setTimeout(timeoutMs: number, callback?: () => void): this {
    if (callback !== undefined) this.once("timeout", callback);
    this.#connection.socket.setTimeout(timeoutMs);
    return this;
  }
}

/** Ends a request whose body nobody wanted; one that somebody was reading was cut short. */
function dismiss(request: IncomingMessage): void {
  if (request.readableDidRead) {
    request.destroy(Object.assign(new Error("aborted"), { code: "ECONNRESET" }));
    return;
  }
  request.complete = true;
  request.push(null);
  request.resume();
}
