// One connection that speaks FastCGI: bytes between the wire and the codec, and the limits around it.
// Rules: without KEEP_CONN the connection is closed after END_REQUEST; an application that does not read stops the
// reading; a peer that is not a web server is dropped and logged once; bytes for a new request are parsed when the request
// has its turn; a connection is handed over only where nothing is begun, in either direction.

import type { Socket } from "node:net";
import type { StoppingError } from "../errors.ts";
import { ClientGoneError, messageOf } from "../errors.ts";
import type { FcgiEvent, FcgiLimits } from "../fastcgi/connection.ts";
import { FcgiConnection } from "../fastcgi/connection.ts";
import type { Admission, Waiter } from "./admission.ts";
import type { Service } from "./dispatch.ts";
import type { HandOver } from "./fastcgi-server.ts";
import type { RequestClock } from "./request-clock.ts";
import type { RequestEvent, RequestHost } from "./request.ts";
import { FcgiRequest } from "./request.ts";
import type { StreamHandle } from "./socket-handle.ts";
import { SpoolingFlow } from "./spool.ts";
import type { Traffic } from "./traffic.ts";
import type { WireOwner } from "./wire.ts";
import { Wire } from "./wire.ts";

export interface ConnectionOptions {
  readonly service: Service;
  /** Answers 503 to a request that gets no turn. */
  readonly refusing: Service;
  readonly admission: Admission;
  /** Undefined: a request may take any time. */
  readonly clock: RequestClock | undefined;
  readonly traffic: Traffic;
  readonly limits: FcgiLimits;
  /** From BEGIN_REQUEST to the end of PARAMS, ms. */
  readonly paramsTimeoutMs: number;
  /** For a peer that has no request, or stalls within one, ms; 0 waits for ever. */
  readonly idleTimeoutMs: number;
  /** Whether the peer is mod_fcgid, which sends the whole body before it reads and hides a broken connection. */
  readonly isBehindFcgid: boolean;
  /** Whether the peer was told that its request is taken: a connection that drains waits for it, as long as for PARAMS. */
  readonly isGreeted?: boolean | undefined;
  /** Whether this connection came too many: its request is refused, and it is closed after that answer. */
  readonly isOverloaded: boolean;
  /** Called for each request that was refused for want of room. */
  readonly onShed: () => void;
  /** Called once when the connection has closed. */
  readonly onClose: (connection: SocketConnection) => void;
}

const nothing = Buffer.alloc(0);

/** Whether what comes next may begin a request: it has its turn, waits for it, or is refused with a 503. */
type Turn = "none" | "taken" | "awaited" | "refused";

export class SocketConnection implements RequestHost, Waiter, WireOwner {
  readonly #wire: Wire;
  readonly #options: ConnectionOptions;
  readonly #codec: FcgiConnection;
  #request: FcgiRequest | undefined;
  #paramsTimer: NodeJS.Timeout | undefined;
  #isReadingParams = false;
  #isInputPaused = false;
  #isFlooded = false;
  #keepConn = false;
  #hasBegun = false;
  #turn: Turn = "none";
  /** What came while the turn is awaited. */
  #held: Buffer = nothing;
  /** Since when the next request waits for its turn, here or elsewhere before; undefined while none does. */
  awaitedSinceMs: number | undefined;
  #isActivity = false;
  #isParsing = false;
  #isDraining = false;
  #isFlushing = false;
  #handOver: HandOver | undefined;
  #isClosing = false;
  #hasPeerEnded = false;

  /** Takes the connection over, as `Wire` has it. */
  constructor(source: Socket | StreamHandle, options: ConnectionOptions) {
    this.#options = options;
    this.#codec = new FcgiConnection(options.limits);
    this.#wire = new Wire(source, this, options.idleTimeoutMs);
  }

  /** As `Wire.openSoon`. */
  openSoon(): void {
    this.#wire.openSoon();
  }

  /** Leaves as soon as no request is running, which may be at once: to `handOver`, or by closing where there is none. */
  drain(handOver: HandOver | undefined): void {
    this.#isDraining = true;
    this.#handOver = handOver;
    if (handOver === undefined && this.#turn === "awaited" && !this.#options.admission.isWaiting(this)) this.refused();
    else this.#settle();
  }

  /** Gives a running request up, and closes at once. */
  cut(reason: StoppingError): void {
    this.#request?.expire(reason);
    this.#wire.destroy();
  }

  /** The request whose bytes are held has its turn. */
  admitted(): void {
    this.#goOn("taken");
  }

  /** It waited too long. */
  refused(): void {
    this.#goOn("refused");
  }

  // What a request does with its connection.

  write(frames: readonly Uint8Array[]): boolean {
    const isOpen = !this.#wire.isClosed;
    return isOpen && !this.#isClosing ? this.#wire.write(frames) : isOpen; // `drained` says why
  }

  drained(): Promise<void> {
    return this.#wire.drained();
  }

  pause(): void {
    this.#isInputPaused = true;
    this.#wire.pause();
  }

  resume(): void {
    this.#isInputPaused = false;
    this.#resumeReading();
  }

  requestEnded(): void {
    // Input that is still on its way has to be read: closing at once would reset the connection. Who hands it over does
    // not close it.
    const hasWholeInput = this.#codec.hadWholeInput;
    this.#takeRequest();
    this.resume();
    const isLast = this.#isDraining && this.#handOver === undefined && !hasWholeInput;
    if (!this.#keepConn || this.#options.isOverloaded || isLast) this.#close(hasWholeInput);
    this.#settle();
  }

  /** What was written still goes out, and input is read to its end: a reset would take the response with it. */
  breakOff(): void {
    this.#takeRequest();
    this.#close();
    this.#settle();
  }

  // What comes from the wire.

  /** Takes bytes from the wire, or those that came before it was ours. They are not kept. */
  receive(bytes: Buffer): void {
    if (this.#isClosing) return;
    if (this.#turn === "none") this.#askTurn();
    if (this.#turn === "awaited") this.#hold(bytes);
    else this.#parse(bytes);
  }

  #parse(bytes: Buffer): void {
    let events: readonly FcgiEvent[];
    try {
      events = this.#codec.receive(bytes);
    } catch (error) {
      this.#options.service.log.warn({ code: "TSGI1001", reason: messageOf(error) }, "FastCGI peer dropped");
      this.#wire.destroy();
      return;
    }
    this.#isParsing = true;
    for (const event of events) this.#handle(event);
    this.#isParsing = false;
    if (this.#isReadingParams) this.#startParamsTimer();
    this.#settle();
  }

  /** Bytes for no request are about to be parsed: there may be one in them. */
  #askTurn(): void {
    const { admission, isOverloaded } = this.#options;
    if (isOverloaded) this.#turn = "refused";
    else if (admission.enter()) this.#turn = "taken";
    else {
      this.awaitedSinceMs ??= performance.now();
      this.#turn = admission.wait(this, this.awaitedSinceMs) || this.#canLeave ? "awaited" : "refused";
    }
  }

  #hold(bytes: Buffer): void {
    this.#held = Buffer.concat([this.#held, bytes]);
    this.#wire.pause();
    this.#settle();
  }

  /** Goes on with what was held. */
  #goOn(turn: "taken" | "refused"): void {
    const held = this.#held;
    this.#held = nothing;
    this.#turn = turn;
    this.#parse(held);
    this.#resumeReading();
    if (this.#hasPeerEnded && !this.#isClosing) this.peerEnded();
  }

  #handle(event: FcgiEvent): void {
    switch (event.type) {
      case "begin":
        this.#isReadingParams = true;
        this.#hasBegun = true;
        this.#keepConn = event.keepConn;
        break;
      case "request":
        this.#stopParamsTimer();
        this.#begin(event);
        break;
      case "stdin":
        this.#request?.pushInput(this.#wire.keep(event.data));
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
        if (this.#isFlooded) this.#wire.pause();
        if (event.close) this.#close();
        break;
    }
  }

  #begin(event: RequestEvent): void {
    if (!this.#codec.isLive(event.id)) return; // refused by what came after it in the same packet
    const { clock, service, refusing, traffic, onShed } = this.#options;
    const request = new FcgiRequest(this, this.#codec, event);
    const spool = this.#options.isBehindFcgid ? new SpoolingFlow(this) : undefined;
    this.#request = request;
    const startedMs = clock === undefined && service.meter === undefined ? undefined : performance.now();
    const queuedMs = this.awaitedSinceMs === undefined ? 0 : performance.now() - this.awaitedSinceMs;
    this.awaitedSinceMs = undefined;
    if (this.#turn === "refused") {
      traffic.shed += 1;
      request.begin(refusing, spool, startedMs, queuedMs);
      onShed();
      return;
    }
    this.#isActivity = traffic.began(event.params);
    request.begin(service, spool, startedMs, queuedMs);
    if (startedMs !== undefined && this.#request === request) clock?.watch(request, startedMs);
  }

  /** The request has ended, or is given up: the connection knows it no longer. */
  #takeRequest(): FcgiRequest | undefined {
    const request = this.#request;
    if (request === undefined) return undefined;
    this.#request = undefined;
    this.#options.clock?.forget(request);
    if (this.#turn === "taken") this.#options.traffic.ended(this.#isActivity);
    return request;
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
  peerEnded(): void {
    this.#hasPeerEnded = true;
    if (this.#turn === "awaited") return;
    if (this.#request?.hasWholeInput === true) {
      this.#wire.probe();
      return;
    }
    this.#takeRequest()?.abort(new ClientGoneError());
    this.#close();
    this.#settle();
  }

  idle(): void {
    if (this.#isFree && this.#turn !== "awaited") this.#close();
    else if (this.#wire.isBlocked || this.#request?.isInputAwaited === true) {
      this.#options.service.log.warn(
        { code: "TSGI1102", idleTimeoutMs: this.#options.idleTimeoutMs },
        "FastCGI peer dropped: it stalled",
      );
      this.#wire.destroy();
    } else this.#wire.restartIdle();
  }

  failed(error: Error): void {
    this.#options.service.log.debug({ err: error }, "FastCGI connection failed");
  }

  closed(): void {
    this.#isClosing = true;
    clearTimeout(this.#paramsTimer);
    this.#takeRequest()?.abort(new ClientGoneError());
    this.#giveTurnBack();
    this.#options.onClose(this);
  }

  writable(): void {
    this.#isFlooded = false;
    this.#resumeReading();
  }

  #resumeReading(): void {
    if (!this.#isInputPaused && !this.#isFlooded && this.#turn !== "awaited") this.#wire.resume();
  }

  /** Whether there is no request: none runs, and none has begun to come. */
  get #isFree(): boolean {
    return this.#request === undefined && !this.#isReadingParams;
  }

  /** Between two requests, and before the first: whoever waits for that goes on. Does nothing at any other time. */
  #settle(): void {
    if (this.#isParsing || !this.#isFree) return;
    if (this.#turn !== "awaited") this.#giveTurnBack();
    if (this.#isClosing) return;
    if (this.#hasPeerEnded && this.#turn !== "awaited") this.#close();
    else if (this.#isDraining) this.#leave();
  }

  #giveTurnBack(): void {
    const { admission } = this.#options;
    if (this.#turn === "taken") admission.leave();
    else if (this.#turn === "awaited") admission.cancel(this);
    this.#turn = "none";
    this.#held = nothing;
  }

  #leave(): void {
    if (this.#canLeave) this.#flushThen(this.#handOver);
    else if (this.#handOver === undefined && this.#turn !== "awaited") {
      if (this.#options.isGreeted === true && !this.#hasBegun) return this.#startParamsTimer();
      this.#wire.endNow(); // Apache holds it idle: nothing is lost by not lingering
    }
  }

  /** Whether it can be handed over, but for what is still being written. */
  get #canLeave(): boolean {
    return this.#handOver !== undefined && this.#codec.isIdle && !this.#wire.isClosed;
  }

  /** Hands the connection over, when all that was written has left. */
  #flushThen(handOver: HandOver | undefined): void {
    if (handOver === undefined || this.#isFlushing) return;
    this.#isFlushing = this.#wire.flush(() => {
      this.#isFlushing = false;
      this.#settle();
    });
    if (this.#isFlushing) return;
    const held = this.#held;
    this.#giveTurnBack();
    this.#isClosing = true;
    const { handle, unread } = this.#wire.release();
    const bytes = Buffer.concat([held, ...unread]);
    const waitedMs = this.awaitedSinceMs === undefined ? 0 : performance.now() - this.awaitedSinceMs;
    handOver({ handle, bytes: bytes.length === 0 ? undefined : bytes, waitedMs });
  }

  #close(hasWholeInput = false): void {
    if (this.#isClosing) return;
    this.#isClosing = true;
    this.#stopParamsTimer();
    this.#wire.end(hasWholeInput);
  }

  #startParamsTimer(): void {
    const { paramsTimeoutMs, service } = this.#options;
    this.#paramsTimer ??= setTimeout(() => {
      service.log.warn({ code: "TSGI1103", paramsTimeoutMs }, "FastCGI peer dropped: PARAMS did not end in time");
      this.#wire.destroy();
    }, paramsTimeoutMs);
  }

  #stopParamsTimer(): void {
    this.#isReadingParams = false;
    clearTimeout(this.#paramsTimer);
    this.#paramsTimer = undefined;
  }
}
