// One socket that speaks FastCGI: bytes between node:net and the codec, and the clocks and limits around it.
// Rules: without KEEP_CONN the connection is half-closed after END_REQUEST and read to its end, since closing with
// unread input would reset what Apache has not read yet; an application that does not read stops the socket; a peer that
// is not a web server is dropped and logged once.

import type { Socket } from "node:net";
import { ClientGoneError, messageOf } from "../errors.ts";
import type { FcgiEvent, FcgiLimits } from "../fastcgi/connection.ts";
import { FcgiConnection } from "../fastcgi/connection.ts";
import type { Service } from "./dispatch.ts";
import { whenDrained } from "./drained.ts";
import type { RequestEvent, RequestHost } from "./request.ts";
import { FcgiRequest } from "./request.ts";
import { SpoolingFlow } from "./spool.ts";

export interface ConnectionOptions {
  readonly service: Service;
  readonly limits: FcgiLimits;
  /** From BEGIN_REQUEST to the end of PARAMS, ms. */
  readonly paramsTimeoutMs: number;
  /** For a peer that has no request, or stalls within one, ms; 0 waits for ever. */
  readonly idleTimeoutMs: number;
  /** Whether the peer is mod_fcgid, which sends the whole body before it reads and hides a broken connection. */
  readonly isBehindFcgid: boolean;
  /** Whether this connection came too many: it is closed after the answer that says so. */
  readonly isOverloaded: boolean;
  /** Called once when the socket has closed. */
  readonly onClose: (connection: SocketConnection) => void;
}

/** How long a peer may take to close its side after we closed ours, ms. */
const lingerMs = 5000;
const nothing = Buffer.alloc(0);

export class SocketConnection implements RequestHost {
  readonly #socket: Socket;
  readonly #options: ConnectionOptions;
  readonly #codec: FcgiConnection;
  #request: FcgiRequest | undefined;
  #paramsTimer: NodeJS.Timeout | undefined;
  #lingerTimer: NodeJS.Timeout | undefined;
  #isReadingParams = false;
  #isInputPaused = false;
  #isFlooded = false;
  #keepConn = false;
  #isDraining = false;
  #isClosing = false;
  #hasPeerEnded = false;

  /** Takes the socket over. It must have been made with `allowHalfOpen`. */
  constructor(socket: Socket, options: ConnectionOptions) {
    this.#socket = socket;
    this.#options = options;
    this.#codec = new FcgiConnection(options.limits);
    socket.on("data", (bytes: Buffer) => this.#receive(bytes));
    socket.on("end", () => this.#peerEnded());
    socket.on("drain", () => this.#drained());
    socket.on("error", (error) => options.service.log.debug({ err: error }, "FastCGI connection failed"));
    socket.on("close", () => this.#closed());
    socket.on("timeout", () => this.#idle());
    socket.setTimeout(options.idleTimeoutMs);
  }

  /** Closes as soon as no request is running, which may be at once. */
  drain(): void {
    this.#isDraining = true;
    this.#closeIfFree();
  }

  // What a request does with its connection.

  write(frames: readonly Uint8Array[]): boolean {
    const socket = this.#socket;
    if (socket.destroyed || this.#isClosing) return true;
    const [first] = frames;
    if (frames.length === 1 && first !== undefined) return socket.write(first);
    socket.cork();
    let canTakeMore = true;
    for (const frame of frames) canTakeMore = socket.write(frame);
    socket.uncork();
    return canTakeMore;
  }

  drained(): Promise<void> {
    return whenDrained(this.#socket);
  }

  pause(): void {
    this.#isInputPaused = true;
    this.#socket.pause();
  }

  resume(): void {
    this.#isInputPaused = false;
    if (!this.#isFlooded) this.#socket.resume();
  }

  requestEnded(): void {
    // Input that is still on its way has to be read: closing at once would reset the connection.
    const isInputDue = this.#request?.isStdinOver === false;
    this.#request = undefined;
    this.resume();
    if (!this.#keepConn || this.#options.isOverloaded || (this.#isDraining && isInputDue)) this.#close();
    else this.#closeIfFree();
  }

  /** What was written still goes out, and input is read to its end: a reset would take the response with it. */
  breakOff(): void {
    this.#request = undefined;
    this.#close();
  }

  /** Closes at once; a running request is aborted. */
  destroy(): void {
    this.#socket.destroy();
  }

  // What comes from the socket.

  #receive(bytes: Buffer): void {
    if (this.#isClosing) return;
    let events: readonly FcgiEvent[];
    try {
      events = this.#codec.receive(bytes);
    } catch (error) {
      this.#options.service.log.warn({ reason: messageOf(error) }, "FastCGI peer dropped");
      this.#socket.destroy();
      return;
    }
    for (const event of events) this.#handle(event);
    if (this.#isReadingParams && this.#paramsTimer === undefined) this.#startParamsTimer();
  }

  #handle(event: FcgiEvent): void {
    switch (event.type) {
      case "begin":
        this.#isReadingParams = true;
        this.#keepConn = event.keepConn;
        break;
      case "request":
        this.#stopParamsTimer();
        this.#begin(event);
        break;
      case "stdin":
        this.#request?.pushInput(asBuffer(event.data));
        break;
      case "stdin-end":
        this.#request?.endInput();
        break;
      case "abort":
        this.#abort(event.id, event.reason);
        break;
      case "reply":
        // A peer that asks and does not read the answers gets no more of our attention until it does.
        this.#isFlooded = !this.write([event.bytes]);
        if (this.#isFlooded) this.#socket.pause();
        if (event.close) this.#close();
        break;
    }
  }

  #begin(event: RequestEvent): void {
    if (!this.#codec.isLive(event.id)) return; // refused by what came after it in the same packet
    const request = new FcgiRequest(this, this.#codec, event);
    this.#request = request;
    request.begin(this.#options.service, this.#options.isBehindFcgid ? new SpoolingFlow(this) : undefined);
  }

  #abort(id: number, reason: string): void {
    this.#stopParamsTimer();
    const request = this.#request;
    request?.forget();
    request?.abort(new ClientGoneError(reason));
    // Section 5.4 wants an END_REQUEST, unless the codec has ended the request itself.
    if (this.#codec.isLive(id)) this.write(this.#codec.send({ type: "end", id, appStatus: 0, protocolStatus: 0 }));
    this.requestEnded();
  }

  /**
   * The peer sends no more. With a request whose input is complete it may be a half-close, and the response is still
   * wanted: an empty write tells, on a unix socket, whether anyone is there to read.
   */
  #peerEnded(): void {
    this.#hasPeerEnded = true;
    if (this.#request?.hasWholeInput === true) {
      this.#socket.write(nothing);
      return;
    }
    this.#request?.abort(new ClientGoneError());
    this.#request = undefined;
    this.#close();
  }

  #idle(): void {
    if (this.#request === undefined && !this.#isReadingParams) this.#close();
    else if (this.#socket.writableNeedDrain || this.#request?.isInputAwaited === true) {
      this.#options.service.log.warn(
        { idleTimeoutMs: this.#options.idleTimeoutMs },
        "FastCGI peer dropped: it stalled",
      );
      this.#socket.destroy();
    } else this.#socket.setTimeout(this.#options.idleTimeoutMs);
  }

  #closed(): void {
    this.#isClosing = true;
    this.#stopParamsTimer();
    clearTimeout(this.#lingerTimer);
    const request = this.#request;
    this.#request = undefined;
    request?.abort(new ClientGoneError());
    this.#options.onClose(this);
  }

  #drained(): void {
    this.#isFlooded = false;
    if (!this.#isInputPaused) this.#socket.resume();
  }

  #closeIfFree(): void {
    const isFree = this.#request === undefined && !this.#isReadingParams;
    if (!isFree) return;
    if (this.#hasPeerEnded) this.#close();
    else if (this.#isDraining) this.#socket.destroySoon(); // Apache holds it idle: nothing is lost by not lingering
  }

  /** Half-closes, and waits for the peer to do the same. */
  #close(): void {
    if (this.#isClosing) return;
    this.#isClosing = true;
    this.#stopParamsTimer();
    this.#socket.end();
    this.#socket.resume();
    this.#startLinger();
  }

  #startLinger(): void {
    if (this.#socket.destroyed) return;
    this.#lingerTimer = setTimeout(() => this.#socket.destroy(), lingerMs);
  }

  #startParamsTimer(): void {
    const { paramsTimeoutMs, service } = this.#options;
    this.#paramsTimer = setTimeout(() => {
      service.log.warn({ paramsTimeoutMs }, "FastCGI peer dropped: PARAMS did not end in time");
      this.#socket.destroy();
    }, paramsTimeoutMs);
  }

  #stopParamsTimer(): void {
    this.#isReadingParams = false;
    clearTimeout(this.#paramsTimer);
    this.#paramsTimer = undefined;
  }
}

function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
