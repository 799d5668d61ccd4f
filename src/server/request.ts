// One FastCGI request: where the protocol and the gateway meet, which know nothing of each other.
// Rules: each request has an asynchronous context of its own, so that what an application leaves in it
// (`AsyncLocalStorage.enterWith`) is not there for the next request of the connection; nothing is sent after the end; a
// response that fails after its head ends with the connection and without END_REQUEST, since Apache takes END_REQUEST for a
// complete answer whatever status it carries.

import { AsyncResource } from "node:async_hooks";
import { setImmediate as nextTurn } from "node:timers/promises";
import type { TsgiError } from "../errors.ts";
import { ReplayedRequestError } from "../errors.ts";
import type { FcgiCommand, FcgiConnection, FcgiEvent } from "../fastcgi/connection.ts";
import type { Variables } from "../gateway/environ.ts";
import type { InputFlow } from "../gateway/input.ts";
import { hasBody } from "../gateway/input.ts";
import type { ResponseHead, ResponseSink } from "../gateway/response.ts";
import { cgiHead } from "../gateway/response.ts";
import type { Chunk } from "../spec.ts";
import type { Dispatched, Service } from "./dispatch.ts";
import { dispatch } from "./dispatch.ts";
import type { SpoolingFlow } from "./spool.ts";

/** What a request may do with its connection. */
export interface RequestHost extends InputFlow {
  /** Writes frames; false asks to wait for `drained`. */
  write(frames: readonly Uint8Array[]): boolean;
  drained(): Promise<void>;
  /** END_REQUEST has been written: the connection is free for the next request, or closes. */
  requestEnded(): void;
  /** Closes the connection without an END_REQUEST. */
  breakOff(): void;
}

export type RequestEvent = Extract<FcgiEvent, { readonly type: "request" }>;

/** The service that answers every request with an error. */
export function refusing(service: Service, error: TsgiError): Service {
  const route = (): never => {
    throw error;
  };
  return { ...service, router: { route } };
}

/**
 * After so many bytes others have their turn: a peer that takes all at once would keep an application that makes a response
 * without waiting for anything from ever giving the event loop back.
 */
const maxBurstBytes = 1024 * 1024;

/** One STDERR record for one line of Apache's error log. */
function errorCommand(id: number, line: string): FcgiCommand {
  return { type: "stderr", id, data: line };
}

/**
 * Whether the first of the body has to be seen before the application is called. A balancer that lost a member gives its
 * request to another one, whatever its method, and has no body left: it then says that there is one and sends none.
 */
function mayBeReplayed(params: Variables): boolean {
  return params["BALANCER_NAME"] !== undefined && hasBody(params);
}

export class FcgiRequest extends AsyncResource implements ResponseSink, InputFlow {
  readonly #host: RequestHost;
  readonly #codec: FcgiConnection;
  readonly #event: RequestEvent;
  #isOver = false;
  /** Sent since others last had their turn. */
  #burstBytes = 0;
  #dispatched: Dispatched | undefined;
  #spool: SpoolingFlow | undefined;
  /** Calls the application, or answers in its place, once it is known whether there is a body. */
  #start: ((refusal: TsgiError | undefined) => void) | undefined;

  constructor(host: RequestHost, codec: FcgiConnection, event: RequestEvent) {
    super("FCGIREQUEST");
    this.#host = host;
    this.#codec = codec;
    this.#event = event;
  }

  /** Whether the peer has sent all that the request needs. */
  get hasWholeInput(): boolean {
    return !this.#isOver && this.#dispatched?.input.isComplete === true;
  }

  /** Whether the application waits for bytes that the peer has not sent. */
  get isInputAwaited(): boolean {
    return !this.#isOver && (this.#start !== undefined || this.#dispatched?.input.isAwaited === true);
  }

  pushInput(bytes: Buffer): void {
    if (this.#isOver) return;
    this.#startNow(undefined);
    if (this.#spool === undefined) this.#dispatched?.input.push(bytes);
    else this.#spool.push(bytes);
  }

  endInput(): void {
    if (this.#isOver) return;
    if (this.#start !== undefined) this.#startNow(new ReplayedRequestError());
    if (this.#spool === undefined) this.#dispatched?.input.end();
    else this.#spool.end();
  }

  /**
   * Calls the application; the response may be complete when this returns. The request began at `startedMs`, on the clock
   * of `performance.now`, and has waited `queuedMs` for its turn before.
   */
  begin(service: Service, spool: SpoolingFlow | undefined, startedMs?: number, queuedMs?: number): void {
    const { params, role } = this.#event;
    params["FCGI_ROLE"] = role;
    this.#spool = spool;
    if (role === "RESPONDER" && mayBeReplayed(params)) {
      this.#start = (refusal) =>
        this.#dispatch(refusal === undefined ? service : refusing(service, refusal), spool, startedMs, queuedMs);
    } else this.#dispatch(service, spool, startedMs, queuedMs);
  }

  #startNow(refusal: TsgiError | undefined): void {
    const start = this.#start;
    this.#start = undefined;
    start?.(refusal);
  }

  #dispatch(service: Service, spool: SpoolingFlow | undefined, startedMs?: number, queuedMs?: number): void {
    const { params, role, id } = this.#event;
    const dispatched = this.runInAsyncScope(dispatch, undefined, service, {
      variables: params,
      sink: this,
      flow: spool ?? this,
      isAuthorizer: role === "AUTHORIZER",
      startedMs,
      queuedMs,
      emitError: (line: string) => {
        const isLive = this.#isLive;
        if (isLive) this.#host.write(this.#codec.send(errorCommand(id, line)));
        return isLive;
      },
      onEnd: () => spool?.dispose(),
    });
    spool?.feed(dispatched.input);
    this.#dispatched = dispatched;
  }

  /** The peer has gone, or gave the request up. */
  abort(reason: Error): void {
    this.#start = undefined;
    this.#dispatched?.exchange.abort(reason);
    this.#spool?.dispose(); // the application may go on for long
  }

  /** Ends the request from our side: a page where the head was not sent, a broken connection where it was. */
  expire(reason: TsgiError): void {
    if (this.#start === undefined) this.#dispatched?.exchange.expire(reason);
    else this.#startNow(reason);
  }

  /** The request was ended without the application: nothing it still sends may leave. */
  forget(): void {
    this.#isOver = true;
    this.#start = undefined;
  }

  /** False once nothing may be sent for this request; its connection may serve another one by then. */
  get #isLive(): boolean {
    return !this.#isOver && this.#codec.isLive(this.#event.id);
  }

  pause(): void {
    if (!this.#isOver) this.#host.pause();
  }

  resume(): void {
    if (!this.#isOver) this.#host.resume();
  }

  send(head: ResponseHead | undefined, data: Chunk | undefined, isLast: boolean): boolean {
    if (!this.#isLive) return true;
    const text = head === undefined ? undefined : cgiHead(head);
    const frames = this.#codec.send({ type: "output", id: this.#event.id, head: text, data, last: isLast });
    const canTakeMore = this.#host.write(frames);
    if (isLast) {
      this.#isOver = true;
      this.#host.requestEnded();
    }
    for (const frame of frames) this.#burstBytes += frame.length;
    return canTakeMore && this.#burstBytes < maxBurstBytes;
  }

  drained(): Promise<void> {
    const isTurnOver = this.#burstBytes >= maxBurstBytes;
    if (isTurnOver) this.#burstBytes = 0;
    const drained = isTurnOver ? nextTurn().then(() => this.#host.drained()) : this.#host.drained();
    return this.#spool === undefined ? drained : this.#spool.whileBlocked(drained);
  }

  /**
   * mod_fcgid hides a broken connection: it adds its own error page to what it has sent, ends that as a complete response
   * and kills this process, for which the next requests wait for seconds. So the request ends properly there, and only a
   * Content-Length that was not kept tells the client. A relay reads the status.
   */
  break(): void {
    if (!this.#isLive) return;
    if (this.#spool !== undefined) {
      const failed = { type: "end", id: this.#event.id, appStatus: 1, protocolStatus: 0 } as const;
      this.#host.write(this.#codec.send(failed));
      this.#isOver = true;
      this.#host.requestEnded();
      return;
    }
    this.#isOver = true;
    this.#host.breakOff();
  }
}
