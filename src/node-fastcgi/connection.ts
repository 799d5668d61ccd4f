// One FastCGI connection of the drop-in for node-fastcgi: a socket, the requests on it, and the records between them.
// Rules: what a request writes waits for the turn of the event loop to end, so that a small response leaves in one write;
// input that nobody takes stops the socket; a connection that the web server keeps is kept, and any other is half-closed
// after its last END_REQUEST and read to its end, since closing with unread input would reset what was sent.

import type { Socket } from "node:net";
import type { Readable } from "node:stream";
import { FcgiPeerError } from "../errors.ts";
import { encodeOutput, encodeStderr } from "../fastcgi/output.ts";
import type { Params } from "../fastcgi/pairs.ts";
import { encodePairs } from "../fastcgi/pairs.ts";
import { encodeEnd, encodeRecord, NULL_REQUEST_ID, ProtocolStatus, RecordType, Role } from "../fastcgi/record.ts";
import { Demultiplexer } from "./demultiplexer.ts";
import { createMessages, paramsOf } from "./messages.ts";
import type { Messages } from "./messages.ts";
import type { Ending, RequestConnection } from "./request-socket.ts";
import { RequestSocket } from "./request-socket.ts";

/** What a connection asks of its server. */
export interface ConnectionHost {
  readonly isMultiplexing: boolean;
  /** Whether mod_fcgid started us: it sends all input before it reads, and kills a process that breaks a response off. */
  readonly isBehindFcgid: boolean;
  hasRole(role: number): boolean;
  /** The answers to GET_VALUES. */
  valuesOf(names: readonly string[]): Params;
  request(role: number, messages: Messages): void;
  protocolError(error: Error): void;
  /** False when nobody listens. */
  clientError(error: Error, socket: Socket): boolean;
  timedOut(socket: Socket): boolean;
  closed(connection: Connection): void;
}

const maxParamsBytes = 2 ** 20;
/** Up to here output waits for more of the same turn. */
const gatherBytes = 16_384;
/** How long a peer may take to close its side after we closed ours, ms. */
const lingerMs = 5000;
const nothing = Buffer.alloc(0);

export class Connection implements RequestConnection {
  readonly socket: Socket;
  readonly #host: ConnectionHost;
  readonly #demultiplexer: Demultiplexer;
  readonly #requests = new Map<number, RequestSocket>();
  /** Requests after which the connection is to be closed. */
  readonly #closers = new Set<number>();
  readonly #holders = new Set<Readable>();
  #queue: Uint8Array[] = [];
  #queuedBytes = 0;
  #isFlushScheduled = false;
  #waiting: Array<() => void> = [];
  #isLast = false;
  #isClosing = false;
  #hasPeerEnded = false;
  #lingerTimer: NodeJS.Timeout | undefined;

  /** Takes over a socket that was made with `allowHalfOpen`. */
  constructor(socket: Socket, host: ConnectionHost) {
    this.socket = socket;
    this.#host = host;
    this.#demultiplexer = new Demultiplexer(
      {
        begin: (id, role, keepConn) => this.#begin(id, role, keepConn),
        params: (id, params) => this.#start(id, params),
        input: (id, stream, bytes) => this.#input(id, stream, bytes),
        abort: (id) => this.#requests.get(id)?.abort(),
        stray: (id, isInUse) => this.#stray(id, isInUse),
        values: (names) => this.#answerValues(names),
        unknown: (type) => this.#answerUnknown(type),
      },
      maxParamsBytes,
    );
    socket.on("data", (bytes: Buffer) => this.#receive(bytes));
    socket.on("end", () => this.#peerEnded());
    socket.on("drain", () => this.#drained());
    socket.on("timeout", () => this.#timedOut());
    socket.on("error", (error) => {
      if (!host.clientError(error, socket)) socket.destroy();
    });
    socket.on("close", () => this.#closed());
  }

  /** Closes as soon as no request is running. */
  drain(): void {
    this.#isLast = true;
    if (this.#requests.size === 0) this.#close();
  }

  // What a request does with its connection.

  output(id: number, data: Buffer): boolean {
    return this.#write(encodeOutput({ id, data, last: false }, false));
  }

  error(id: number, data: Buffer): boolean {
    return this.#write(encodeStderr(id, data));
  }

  drained(callback: () => void): void {
    this.#waiting.push(callback);
  }

  hold(stream: Readable): void {
    if (this.#host.isBehindFcgid || this.#isClosing) return;
    this.#holders.add(stream);
    this.socket.pause();
  }

  release(stream: Readable): void {
    if (this.#holders.delete(stream) && this.#holders.size === 0) this.socket.resume();
  }

  end(request: RequestSocket, ending: Ending): void {
    const { id } = request;
    if (this.#requests.get(id) !== request) return;
    this.#requests.delete(id);
    this.#demultiplexer.end(id);
    this.release(request);
    if (ending === "complete") this.#write(encodeOutput({ id, last: true }, request.hasErrorOutput));
    else if (ending === "broken" && this.#requests.size === 0 && !this.#host.isBehindFcgid) {
      this.#close(); // Apache takes any END_REQUEST for a whole response
      return;
    } else this.#write([encodeEnd(id, { appStatus: 1, protocolStatus: ProtocolStatus.REQUEST_COMPLETE })]);
    this.#flush();
    this.#settle();
  }

  // What comes from the socket.

  #receive(bytes: Buffer): void {
    if (this.#isClosing) return;
    try {
      this.#demultiplexer.push(bytes);
    } catch (error) {
      this.#host.protocolError(error instanceof Error ? error : new FcgiPeerError(String(error)));
      this.socket.destroy();
    }
  }

  #begin(id: number, role: number, keepConn: boolean): void {
    const isRefused = !this.#host.hasRole(role);
    const isMany = this.#requests.size > 0 && !this.#host.isMultiplexing;
    if (!keepConn && !isMany) this.#closers.add(id);
    if (!isRefused && !isMany) {
      this.#requests.set(id, new RequestSocket(this, id, role));
      return;
    }
    this.#demultiplexer.end(id);
    const protocolStatus = isMany ? ProtocolStatus.CANT_MPX_CONN : ProtocolStatus.UNKNOWN_ROLE;
    this.#write([encodeEnd(id, { appStatus: 1, protocolStatus })]);
    this.#settle();
  }

  #start(id: number, params: Params): void {
    const request = this.#requests.get(id);
    if (request === undefined) return;
    request.params = paramsOf(params);
    if (request.role !== Role.FILTER) request.pushData(undefined);
    if (request.role === Role.AUTHORIZER) request.pushInput(undefined);
    this.#host.request(request.role, createMessages(request));
  }

  #input(id: number, stream: "stdin" | "data", bytes: Buffer | undefined): void {
    const request = this.#requests.get(id);
    if (stream === "stdin") request?.pushInput(bytes);
    else request?.pushData(bytes);
  }

  #stray(id: number, isInUse: boolean): void {
    const why = isInUse ? "already in use" : "is invalid, ignoring record";
    this.#host.protocolError(new FcgiPeerError(`Request id ${id} ${why}`));
  }

  #answerValues(names: readonly string[]): void {
    const content = encodePairs(this.#host.valuesOf(names));
    this.#write([encodeRecord(RecordType.GET_VALUES_RESULT, NULL_REQUEST_ID, content)]);
  }

  #answerUnknown(type: number): void {
    const content = Buffer.of(type, 0, 0, 0, 0, 0, 0, 0);
    this.#write([encodeRecord(RecordType.UNKNOWN_TYPE, NULL_REQUEST_ID, content)]);
  }

  /** No more will come. A request whose input is complete may still be answered: the peer may have half-closed. */
  #peerEnded(): void {
    this.#hasPeerEnded = true;
    for (const request of this.#requests.values()) if (!request.isInputOver) request.abort();
    if (this.#requests.size === 0) this.#close();
    else this.socket.write(nothing); // tells, on a unix socket, whether anyone is there to read
  }

  #timedOut(): void {
    let isHeard = false;
    for (const request of this.#requests.values()) {
      const { message, _httpMessage: response } = request;
      isHeard = request.emit("timeout", this.socket) || isHeard;
      isHeard = message?.emit("timeout", request) === true || isHeard;
      isHeard = response?.emit("timeout", request) === true || isHeard;
    }
    if (!this.#host.timedOut(this.socket) && !isHeard) this.socket.destroy();
  }

  #closed(): void {
    this.#isClosing = true;
    this.#demultiplexer.stop();
    clearTimeout(this.#lingerTimer);
    for (const request of this.#requests.values()) request.abort();
    this.#requests.clear();
    this.#host.closed(this);
  }

  // What goes to the socket.

  #write(frames: readonly Uint8Array[]): boolean {
    if (this.#isClosing || this.socket.destroyed) return true;
    for (const frame of frames) {
      this.#queue.push(frame);
      this.#queuedBytes += frame.length;
    }
    if (this.#queuedBytes >= gatherBytes) return this.#flush();
    if (!this.#isFlushScheduled) {
      this.#isFlushScheduled = true;
      setImmediate(() => {
        this.#isFlushScheduled = false;
        this.#flush();
      });
    }
    return !this.socket.writableNeedDrain;
  }

  /** False asks to wait for `drained`. */
  #flush(): boolean {
    const queue = this.#queue;
    const bytes = this.#queuedBytes;
    if (queue.length === 0 || this.socket.destroyed) return true;
    this.#queue = [];
    this.#queuedBytes = 0;
    if (bytes < gatherBytes)
      return this.socket.write(queue.length === 1 ? (queue[0] ?? nothing) : Buffer.concat(queue));
    this.socket.cork();
    let canTakeMore = true;
    for (const frame of queue) canTakeMore = this.socket.write(frame);
    this.socket.uncork();
    return canTakeMore;
  }

  #drained(): void {
    for (const callback of this.#waiting.splice(0)) callback();
  }

  /** After the end of a request: closes when it was the last that this connection is for. */
  #settle(): void {
    if (this.#requests.size > 0) return;
    if (this.#isLast || this.#hasPeerEnded || this.#closers.size > 0) this.#close();
  }

  /** Half-closes, and waits for the peer to do the same. */
  #close(): void {
    if (this.#isClosing) return;
    this.#flush();
    this.#isClosing = true;
    this.#demultiplexer.stop();
    this.#holders.clear();
    this.socket.end(() => {
      if (!this.socket.destroyed) this.#lingerTimer = setTimeout(() => this.socket.destroy(), lingerMs);
    });
    this.socket.resume();
  }
}
