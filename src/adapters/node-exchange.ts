// One request through a Node application: a real IncomingMessage and ServerResponse whose socket leads to the gateway.
// Rules: a response that ends while the handler runs, or in one piece later, leaves as one body with its head; what is
// written before the end goes out in the next tick, with the gateway's backpressure; 'finish' comes when the last byte was
// taken and 'close' after it; whatever destroys request, response or socket gives the request up.

import type { ServerResponse } from "node:http";
import { ContractError, RequestOverError } from "../errors.ts";
import { onGone } from "../gateway/environ.ts";
import type { Body, Environ, StartResponse, Write } from "../spec.ts";
import { headOnly } from "../gateway/response.ts";
import type { MessageClasses } from "./message-classes.ts";
import type { WireHead } from "./node-headers.ts";
import { parseWireHead } from "./node-headers.ts";
import type { NodeRequest } from "./node-request.ts";
import { BodyPump, createRequest, detachAbortSignal, isConsumed } from "./node-request.ts";
import { adoptResponse, closeResponse, drainResponse } from "./node-response.ts";
import type { Piece } from "./piece.ts";
import { bytesOf, isShort, isUtf8, join, maxEarlyBytes, maxEarlyCharacters, ownCopy } from "./piece.ts";
import { RawResponse } from "./raw-response.ts";
import type { SocketOutlet } from "./node-socket.ts";
import { RequestSocket } from "./node-socket.ts";

type Taken = (error?: Error | null) => void;

/** How long the end of a response waits for the application to read the rest of the request, ms. */
const maxHoldMs = 30_000;

const destroyedText = "the application destroyed the request before its response was complete";

function abortedError(): Error {
  return Object.assign(new Error("aborted"), { code: "ECONNRESET" });
}

export class NodeExchange implements SocketOutlet {
  readonly environ: Environ;
  readonly request: NodeRequest;
  readonly response: ServerResponse;
  readonly socket: RequestSocket;
  readonly #startResponse: StartResponse;
  readonly #pump: BodyPump;
  #headText: string | undefined;
  #isChunked = false;
  /** Reads the head of a response that is written to the socket and not to `response`. */
  #raw: RawResponse | undefined;
  #head: WireHead | undefined;
  #write: Write | undefined;
  #pieces: Piece[] = [];
  #heldLength = 0;
  /** Whom to tell when the last of the pieces has been taken, and what these come to. */
  #taken: Taken | undefined;
  #waitingLength = 0;
  #isFlushDue = false;
  #isWriting = false;
  #isEnding = false;
  #reader: "none" | "held" | "released" = "none";
  #isSettled = false;
  /** Whether it was the gateway that gave the request up. */
  #isGone = false;
  #result: Body | undefined;
  #error: unknown;
  #hasFailed = false;
  #resolve: ((body: Body) => void) | undefined;
  #reject: ((error: unknown) => void) | undefined;

  constructor(environ: Environ, startResponse: StartResponse, classes: MessageClasses) {
    this.environ = environ;
    this.#startResponse = startResponse;
    this.socket = new RequestSocket(this);
    this.request = createRequest(classes.IncomingMessage, environ, this.socket);
    this.response = new classes.ServerResponse(this.request);
    adoptResponse(this.response, this);
    this.#pump = new BodyPump(this.request, {
      failed: (error) => this.#inputFailed(error),
      chunkCame: () => this.socket.touch(),
    });
    this.response.on("finish", () => this.#finished());
    // eslint-disable-next-line typescript/no-unsafe-type-assertion -- a socket as far as node:http looks
    this.response.assignSocket(this.socket as never);
  }

  /** Calls the handler and gives the response's body, or a promise of it; the head is told to startResponse. */
  run(handle: (exchange: NodeExchange) => unknown): Body | Promise<Body> {
    try {
      const returned = handle(this);
      if (returned instanceof Promise) returned.catch(this.fail);
    } catch (error) {
      this.fail(error);
    }
    this.#pump.endIfEmpty();
    if (this.#hasFailed) throw this.#error;
    if (this.#result !== undefined) return this.#result;
    onGone(this.environ, () => {
      this.#isGone = true;
      this.socket.destroy(this.#pump.hasBody && !this.#pump.isOver ? abortedError() : undefined);
    });
    this.socket.on("drain", () => drainResponse(this.response));
    return new Promise((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
    });
  }

  /** The handler failed: the gateway answers, or breaks the response off where the head was sent. */
  readonly fail = (error: unknown): void => {
    this.#giveUp(error);
  };

  /** `lost` is what the socket says of it: an error where the connection was lost inside the request, as on node:http. */
  #giveUp(error: unknown, lost?: Error): void {
    if (this.#isSettled) {
      if (this.#isGone) return; // what becomes of an application whose request was given up
      this.environ["tsgi.log"].warn({ err: error }, "the application failed after its response had ended");
      return;
    }
    this.#isSettled = true;
    this.#refuse(error);
    this.socket.destroy(lost);
  }

  #refuse(error: unknown): void {
    if (this.#reject === undefined) {
      this.#hasFailed = true;
      this.#error = error;
    } else this.#reject(error);
  }

  // What the response tells.

  headStored(text: string, isChunked: boolean): void {
    this.#headText = text;
    this.#isChunked = isChunked;
  }

  takesWhole(piece: Piece): boolean {
    const isFirst = this.#head === undefined && this.#pieces.length === 0 && !this.#isWriting && !this.#isSettled;
    return isFirst && isShort(piece) && this.socket.writableLength === 0 && this.socket.writableCorked === 0;
  }

  endWith(piece: Piece): void {
    this.socket.touch();
    this.#pieces.push(ownCopy(piece));
  }

  ended(): void {
    this.#isEnding = true;
    if (this.#hasAll) this.#settle();
  }

  /** Whether everything that was written has come here. */
  get #hasAll(): boolean {
    return this.socket.writableLength === this.#waitingLength;
  }

  // What the socket tells.

  take(pieces: readonly Piece[], taken: Taken): void {
    this.socket.touch();
    if (this.#isSettled) {
      process.nextTick(taken);
      return;
    }
    if (this.#headText === undefined) this.#takeRaw(pieces, taken);
    else this.#hold(pieces, taken);
  }

  #takeRaw(pieces: readonly Piece[], taken: Taken): void {
    try {
      this.#raw ??= new RawResponse();
      const head = this.#raw.push(Buffer.concat(pieces.map(bytesOf)));
      if (head === undefined) taken();
      else {
        this.#headText = head.text;
        this.#hold([{ chunk: head.rest, encoding: "latin1" }], taken);
      }
    } catch (error) {
      taken();
      this.fail(error);
    }
  }

  #hold(pieces: readonly Piece[], taken: Taken): void {
    const length = pieces.reduce((sum, { chunk }) => sum + chunk.length, 0);
    const most = pieces.every(isUtf8) ? maxEarlyCharacters : maxEarlyBytes;
    const isEarly = !this.#isWriting && this.#heldLength + length <= most;
    for (const piece of pieces) this.#pieces.push(isEarly ? ownCopy(piece) : piece);
    this.#heldLength += length;
    if (!this.#isFlushDue) {
      this.#isFlushDue = true;
      process.nextTick(() => this.#flush());
    }
    if (isEarly) {
      taken();
      return;
    }
    this.#taken = taken;
    this.#waitingLength = length;
  }

  wantBody(): void {
    this.#pump.flow();
  }

  finalized(): void {
    if (this.#raw !== undefined && this.#headText !== undefined) this.ended();
    else this.socket.destroy();
  }

  destroyed(error: Error | null): void {
    this.#pump.stop();
    if (this.#isSettled) return;
    if (this.#isEnding && this.#hasAll && !this.#isGone) {
      this.#reader = "released"; // all is with us, as it would be with the kernel: it goes out
      this.#settle();
      return;
    }
    if (!this.#isGone) this.#sendUnfinished();
    this.#isSettled = true;
    this.#refuse(this.#isGone ? new RequestOverError("the response") : (error ?? new ContractError(destroyedText)));
  }

  closing(): void {
    if (!this.response.writableFinished) this.request.destroy(abortedError());
  }

  timedOut(): void {
    const { request, response, socket } = this;
    const server = socket.server;
    const isSeen = [
      !request.complete && request.emit("timeout", socket),
      response.emit("timeout", socket),
      hasEmit(server) && server.emit("timeout", socket),
    ];
    if (!isSeen.includes(true)) socket.destroy();
  }

  #inputFailed(error: unknown): void {
    if (!this.#isSettled) this.#giveUp(error, abortedError());
    else this.request.destroy(abortedError());
  }

  // What goes to the gateway.

  /** Tells the gateway the head, once. On the wire of node:http it is UTF-8 when it leaves in one write with such text. */
  #startOnce(): WireHead {
    if (this.#head !== undefined) return this.#head;
    const [first] = this.#pieces;
    const text = this.#headText ?? "";
    const isText = first !== undefined && isUtf8(first) && !this.#isChunked;
    // eslint-disable-next-line no-control-regex -- whether there is any character beyond ASCII
    const wire = isText && /[^\x00-\x7f]/.test(text) ? Buffer.from(text).toString("latin1") : text;
    this.#head = parseWireHead(wire);
    this.#write = this.#startResponse(this.#head.status, this.#head.headers);
    return this.#head;
  }

  #takePieces(): Uint8Array | string {
    const data = join(this.#pieces);
    this.#pieces = [];
    this.#heldLength = 0;
    return data;
  }

  #flush(): void {
    this.#isFlushDue = false;
    if (this.#isSettled || this.#isWriting) return;
    if (this.#isEnding && this.#hasAll) this.#settle();
    else if (this.#pieces.length > 0) this.#send();
  }

  /** Writes what is there and waits until the gateway has taken it. */
  #send(): void {
    try {
      this.#startOnce();
    } catch (error) {
      this.fail(error);
      return;
    }
    const data = this.#takePieces();
    const taken = this.#taken;
    this.#taken = undefined;
    this.#isWriting = true;
    const settled = (error?: Error): void => {
      this.#isWriting = false;
      this.socket.touch();
      if (taken !== undefined) {
        this.#waitingLength = 0;
        taken(error);
      }
      if (error === undefined) this.#flush();
      else if (this.socket.destroyed) this.#giveUp(error);
      else this.socket.destroy();
    };
    void this.#write?.(data.length === 0 ? headOnly : data).then(() => settled(), settled);
  }

  /**
   * The application breaks off what it has begun: the client gets that much, so that it can see that it is not complete.
   * A head without a byte after it stays here, as on node:http: behind Apache a page says more than an empty response.
   */
  #sendUnfinished(): void {
    if (this.#headText === undefined || this.#head !== undefined || this.#pieces.length === 0) return;
    try {
      this.#startOnce();
      const data = this.#takePieces();
      void this.#write?.(data.length === 0 ? headOnly : data).catch(() => {}); // it is given up anyway
    } catch {
      // The head cannot be sent: then the gateway answers with its page.
    }
  }

  /** The response is complete but for what is held: that leaves with the end. */
  #settle(): void {
    if (this.#isSettled || this.#isWriting) return;
    const isHeld = this.#holds();
    if (this.#taken !== undefined || (isHeld && (this.#pieces.length > 0 || this.#head === undefined))) {
      this.#send();
      return;
    }
    if (isHeld) return;
    try {
      const isStreamed = this.#head !== undefined;
      const head = this.#startOnce();
      const data = this.#takePieces();
      this.#isSettled = true;
      // An iterator is a body of unknown length: the gateway must not give a length where node:http gave none.
      const body =
        head.hasLength || isStreamed || /^(?:204|304)/.test(head.status) ? data : (data === "" ? [] : [data]).values();
      if (this.#resolve === undefined) this.#result = body;
      else this.#resolve(body);
      if (this.#raw !== undefined) this.socket.destroy();
    } catch (error) {
      this.fail(error);
    }
  }

  /**
   * An application may answer while it still reads the request, and on node:http it goes on reading after that. The gateway's
   * request is over with its response, so the end waits for the reader.
   */
  #holds(): boolean {
    const { request } = this;
    if (this.#reader !== "none") return this.#reader === "held";
    if (!this.#pump.hasBody || this.#pump.isOver || !isConsumed(request) || request.destroyed) return false;
    if (request.isPaused() && request.listenerCount("readable") === 0) return false;
    this.#reader = "held";
    const release = (): void => {
      clearTimeout(timer);
      request.off("end", release);
      request.off("close", release);
      this.#reader = "released";
      this.#settle();
    };
    const timer = setTimeout(release, maxHoldMs);
    request.on("end", release);
    request.on("close", release);
    return true;
  }

  /** What node:http's server does when a response has finished. */
  #finished(): void {
    const { request, response, socket } = this;
    detachAbortSignal(request);
    if (!isConsumed(request)) this.#pump.dump();
    socket.stopTimer();
    // eslint-disable-next-line typescript/no-unsafe-type-assertion -- a socket as far as node:http looks
    response.detachSocket(socket as never);
    process.nextTick(() => {
      closeResponse(response);
      if (socket.listenerCount("close") > 0 && this.#pump.isOver) socket.destroy();
    });
  }
}

function hasEmit(value: unknown): value is { emit(name: string, ...values: unknown[]): boolean } {
  return typeof value === "object" && value !== null && "emit" in value && typeof value.emit === "function";
}
