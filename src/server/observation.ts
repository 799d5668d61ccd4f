// What is measured and told of one request: to the meter, to listeners of events, and to the application's tracing.
// Rules: only made where somebody wants to know; the request is over at its end or when its client has gone, whichever is
// first, and is told of once; nothing here changes what the client gets, but for the application that a listener returned.
// That is never asked for an authorizer, whose environ has the password and whose answer lets people in.

import { OverloadedError, RequestTimeoutError, StoppingError, TsgiError } from "../errors.ts";
import type { RequestFacts } from "../events.ts";
import { emit, listeners } from "../events.ts";
import type { Variables } from "../gateway/environ.ts";
import type { RequestInput } from "../gateway/input.ts";
import type { ResponseHead, ResponseSink } from "../gateway/response.ts";
import type { Exchange } from "../gateway/run.ts";
import type { FailureKind } from "../metrics/figures.ts";
import type { MeasuredRequest, RequestMeter } from "../metrics/meter.ts";
import type { Application, Chunk, Environ, Log } from "../spec.ts";
import type { RequestSpan, Tracing } from "../tracing/tracing.ts";
import type { Route } from "./route.ts";

/** Who wants to know. */
export interface Observers {
  readonly log: Log;
  readonly meter?: RequestMeter | undefined;
  readonly tracing?: Tracing | undefined;
}

export interface ObservedRequest {
  readonly variables: Variables;
  readonly startedMs?: number | undefined;
  readonly queuedMs?: number | undefined;
  readonly isAuthorizer: boolean;
}

type Named = Pick<MeasuredRequest, "id" | "method" | "target">;

/** Which kind of failure an error is; undefined for those that are an answer like others. */
function failureOf(error: unknown): FailureKind | undefined {
  if (error instanceof RequestTimeoutError || error instanceof StoppingError) return "timedOut";
  if (!(error instanceof TsgiError)) return "application";
  if (error.fault === "peer") return "protocol";
  return error.status < 500 || error instanceof OverloadedError ? undefined : "application";
}

/** Tells when the head goes through it. */
class ObservedSink implements ResponseSink {
  readonly #sink: ResponseSink;
  readonly #onHead: (head: ResponseHead) => void;

  constructor(sink: ResponseSink, onHead: (head: ResponseHead) => void) {
    this.#sink = sink;
    this.#onHead = onHead;
  }

  send(head: ResponseHead | undefined, data: Chunk | undefined, isLast: boolean): boolean {
    if (head !== undefined) this.#onHead(head);
    return this.#sink.send(head, data, isLast);
  }

  drained(): Promise<void> {
    return this.#sink.drained();
  }

  break(): void {
    this.#sink.break();
  }
}

export class Observation implements MeasuredRequest {
  readonly id: string;
  readonly method: string;
  readonly target: string;
  readonly startedMs: number;
  readonly queuedMs: number;
  calledMs: number | undefined;
  script = "";
  status = 0;
  failure: FailureKind | undefined;
  bytesIn = 0;
  bytesOut = 0;
  earlier: MeasuredRequest | undefined;
  later: MeasuredRequest | undefined;
  readonly #observers: Observers;
  readonly #variables: Variables;
  readonly #isAuthorizer: boolean;
  #input: RequestInput | undefined;
  #span: RequestSpan | undefined;
  #file = "";
  #isOver = false;

  constructor(observers: Observers, { variables, startedMs, queuedMs, isAuthorizer }: ObservedRequest, named: Named) {
    this.id = named.id;
    this.method = named.method;
    this.target = named.target;
    this.startedMs = startedMs ?? performance.now();
    this.queuedMs = queuedMs ?? 0;
    this.#observers = observers;
    this.#variables = variables;
    this.#isAuthorizer = isAuthorizer;
  }

  /** The request begins; `input` is where its body comes in. */
  begin(input: RequestInput): void {
    this.#input = input;
    this.#observers.meter?.began(this);
    this.#span = this.#observers.tracing?.start(this.#variables, "");
  }

  /** The sink that its response is to go to. */
  observed(sink: ResponseSink): ResponseSink {
    if (listeners.responseStarted === undefined) return sink;
    return new ObservedSink(sink, ({ status, headers }) => {
      const elapsedMs = performance.now() - this.startedMs;
      emit("responseStarted", { ...this.#facts(), status: status.code, headers, elapsedMs }, this.#observers.log);
    });
  }

  /** Its application was found, and may have to be loaded. */
  routed(route: Route): void {
    this.script = route.name ?? route.script;
    this.#file = route.script;
  }

  /** Its application is about to be called. Gives the one that shall be. */
  called(route: Route, application: Application, environ: Environ): Application {
    this.calledMs = typeof route.application === "function" ? this.startedMs : performance.now();
    // The application may set its tracing up while it is loaded.
    this.#span ??= this.#observers.tracing?.start(this.#variables, route.script);
    this.#span?.found(route.script, this.id, environ.REMOTE_ADDR);
    if (listeners.requestStarted === undefined || this.#isAuthorizer) return application;
    const event = { ...this.#facts(), environ, application, queuedMs: this.queuedMs };
    return emit("requestStarted", event, this.#observers.log) ?? application;
  }

  /** Does `work` as a part of the request. */
  run(work: () => void): void {
    if (this.#span === undefined) work();
    else this.#span.run(work);
  }

  failed(error: unknown, wasHeadSent: boolean): void {
    this.failure ??= failureOf(error);
    if (this.failure !== undefined) this.#span?.failed(error);
    if (listeners.requestException === undefined) return;
    emit("requestException", { ...this.#facts(), error, wasHeadSent }, this.#observers.log);
  }

  /** The request is over, at least for its client. Only the first call counts. */
  over({ statusCode, sentBytes, outcome }: Exchange): void {
    if (this.#isOver) return;
    this.#isOver = true;
    const nowMs = performance.now();
    this.status = statusCode;
    this.bytesIn = this.#input?.receivedBytes ?? 0;
    this.bytesOut = sentBytes;
    if (outcome === "aborted") this.failure = "aborted";
    this.#observers.meter?.ended(this, nowMs);
    this.#span?.end(statusCode, this.failure);
    if (listeners.requestFinished !== undefined) this.#tellFinished(nowMs);
  }

  #tellFinished(nowMs: number): void {
    const { status, failure, bytesIn, bytesOut, queuedMs, calledMs, startedMs } = this;
    const applicationMs = calledMs === undefined ? undefined : nowMs - calledMs;
    const counts = { status, failure, bytesIn, bytesOut, queuedMs, applicationMs, elapsedMs: nowMs - startedMs };
    emit("requestFinished", { ...this.#facts(), ...counts }, this.#observers.log);
  }

  #facts(): RequestFacts {
    return { requestId: this.id, method: this.method, path: this.target, script: this.#file };
  }
}

function isAnyoneListening(): boolean {
  const { requestStarted, responseStarted, requestException, requestFinished } = listeners;
  return (requestStarted ?? responseStarted ?? requestException ?? requestFinished) !== undefined;
}

/** Undefined where nobody wants to know. */
export function observe(observers: Observers, request: ObservedRequest, named: Named): Observation | undefined {
  const isWanted = observers.meter !== undefined || observers.tracing !== undefined || isAnyoneListening();
  return isWanted ? new Observation(observers, request, named) : undefined;
}
