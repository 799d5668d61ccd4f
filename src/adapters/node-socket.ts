// The socket that `req.socket` and `res.socket` are: a Duplex without a connection, made for one request.
// Rules: what node:http writes to it is the response's body, handed to an outlet and acknowledged when the gateway has
// taken it; nothing can be read from it; destroying it gives the request up. It answers what frameworks ask of a socket.

import { Duplex } from "node:stream";
import type { Environ } from "../spec.ts";
import type { Piece } from "./piece.ts";

/** Where the bytes go, and who is told of the rest. */
export interface SocketOutlet {
  readonly environ: Environ;
  /** Takes pieces; `taken` is called once, when more may come. */
  take(pieces: readonly Piece[], taken: (error?: Error | null) => void): void;
  /** node:http wants the request's body to flow. */
  wantBody(): void;
  /** `end` was called on the socket, and everything before it has been taken. */
  finalized(): void;
  /** The socket was destroyed, by whom ever. */
  destroyed(error: Error | null): void;
  /** It is about to emit 'close'. */
  closing(): void;
  /** Nothing has happened for as long as `setTimeout` asked. */
  timedOut(): void;
}

const options = { decodeStrings: false, emitClose: false } as const;

export class RequestSocket extends Duplex {
  readonly #outlet: SocketOutlet;
  #timer: NodeJS.Timeout | undefined;
  /** True behind HTTPS, as on a TLS socket. */
  readonly encrypted: boolean;
  readonly connecting = false;
  readonly pending = false;
  timeout = 0;
  /** The server that the request was given to, where there is one. */
  server: unknown = undefined;

  constructor(outlet: SocketOutlet) {
    super(options);
    this.#outlet = outlet;
    this.encrypted = outlet.environ["wsgi.url_scheme"] === "https";
  }

  get remoteAddress(): string | undefined {
    return this.#outlet.environ.REMOTE_ADDR;
  }

  get remotePort(): number | undefined {
    return portOf(this.#outlet.environ.REMOTE_PORT);
  }

  get remoteFamily(): string | undefined {
    return familyOf(this.remoteAddress);
  }

  get localAddress(): string | undefined {
    const address = this.#outlet.environ["SERVER_ADDR"];
    return typeof address === "string" ? address : undefined;
  }

  get localPort(): number | undefined {
    return portOf(this.#outlet.environ.SERVER_PORT);
  }

  get localFamily(): string | undefined {
    return familyOf(this.localAddress);
  }

  get bufferSize(): number {
    return this.writableLength;
  }

  get bytesWritten(): number {
    return 0;
  }

  get bytesRead(): number {
    return 0;
  }

  get readyState(): string {
    return this.destroyed ? "closed" : "open";
  }

  address(): object {
    return { address: this.localAddress, family: this.localFamily, port: this.localPort };
  }

  setNoDelay(): this {
    return this;
  }

  setKeepAlive(): this {
    return this;
  }

  ref(): this {
    return this;
  }

  unref(): this {
    return this;
  }

  /** Calls back, and emits "timeout", when nothing was read or written for `timeoutMs`; 0 turns it off. */
  setTimeout(timeoutMs: number, callback?: () => void): this {
    this.stopTimer();
    this.timeout = timeoutMs;
    if (callback !== undefined) {
      if (timeoutMs > 0) this.once("timeout", callback);
      else this.removeListener("timeout", callback);
    }
    if (timeoutMs > 0 && !this.destroyed) {
      this.#timer = setTimeout(() => {
        this.emit("timeout");
        this.#outlet.timedOut();
      }, timeoutMs);
      this.#timer.unref();
    }
    return this;
  }

  /** Something was read or written: the time of `setTimeout` begins anew. */
  touch(): void {
    this.#timer?.refresh();
  }

  stopTimer(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
  }

  destroySoon(): void {
    this.end();
  }

  resetAndDestroy(): this {
    return this.destroy();
  }

  /** node:http calls it when somebody reads the request's body. */
  override resume(): this {
    this.#outlet.wantBody();
    return this;
  }

  override pause(): this {
    return this;
  }

  override _read(): void {}

  override _write(chunk: Uint8Array | string, encoding: BufferEncoding, taken: (error?: Error | null) => void): void {
    this.#outlet.take([{ chunk, encoding }], taken);
  }

  override _writev(
    pieces: Array<{ chunk: Uint8Array | string; encoding: BufferEncoding }>,
    taken: (error?: Error | null) => void,
  ): void {
    this.#outlet.take(pieces, taken);
  }

  override _final(done: () => void): void {
    done();
    this.#outlet.finalized();
  }

  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    this.stopTimer();
    this.#outlet.destroyed(error);
    done(this.listenerCount("error") > 0 ? error : null); // nobody has to watch it, as on node:http
    // As net.Socket does: it counts as closed now, and says so when its handle is closed.
    setImmediate(() => {
      this.#outlet.closing();
      this.emit("close", error !== null);
    });
  }
}

function portOf(text: string | undefined): number | undefined {
  return text === undefined || text === "" ? undefined : Number(text);
}

function familyOf(address: string | undefined): string | undefined {
  if (address === undefined) return undefined;
  return address.includes(":") ? "IPv6" : "IPv4";
}
