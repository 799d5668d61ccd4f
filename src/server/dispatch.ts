// From variables and a sink to a running exchange: what every way in (FastCGI, CGI, HTTP) does with a request.
// Rules: the route is found first, the environ is made once, the application is called when it is loaded; whatever fails
// on the way is answered and logged here, once. Every line about a request has its id and its script; which worker wrote
// it is in every line of a worker.

import { messageOf, OverloadedError, RequestTimeoutError, StoppingError, TsgiError } from "../errors.ts";
import type { EndWork, LazyParts, Variables } from "../gateway/environ.ts";
import { createEnviron, requestIdOf } from "../gateway/environ.ts";
import type { ErrorPage } from "../gateway/error-page.ts";
import { errorPageFor } from "../gateway/error-page.ts";
import { ErrorLines } from "../gateway/errors-stream.ts";
import type { InputFlow } from "../gateway/input.ts";
import { parseContentLength, RequestInput } from "../gateway/input.ts";
import type { ResponseSink } from "../gateway/response.ts";
import type { ExchangeObserver, FileNamer, Warning } from "../gateway/run.ts";
import { Exchange } from "../gateway/run.ts";
import { redactText } from "../log/redact.ts";
import type { ScopedRequest, RequestScope } from "../log/scope.ts";
import type { RequestMeter } from "../metrics/meter.ts";
import type { Application, Environ, Log, Transport } from "../spec.ts";
import type { Tracing } from "../tracing/tracing.ts";
import type { AccessLog, EndedRequest } from "./access-log.ts";
import type { Background } from "./background.ts";
import type { ErrorPages } from "./error-pages.ts";
import type { Observation } from "./observation.ts";
import { observe } from "./observation.ts";
import type { Route, Router } from "./route.ts";

/** What requests of one process share. */
export interface Service {
  readonly router: Pick<Router, "route">;
  readonly log: Log;
  readonly background: Background;
  readonly transport: Transport;
  readonly isMultiprocess: boolean;
  readonly isRunOnce: boolean;
  /** Whether our log is Apache's error log already: then nothing is sent there a second time. */
  readonly isLogApaches: boolean;
  /** Gets a line for each request, when it has ended. */
  readonly accessLog?: AccessLog | undefined;
  /** Knows whose code runs, for `console.*`. */
  readonly scope?: RequestScope | undefined;
  /** Measures every request. */
  readonly meter?: RequestMeter | undefined;
  /** Makes spans, where the application has set tracing up. */
  readonly tracing?: Tracing | undefined;
  /** The pages of failed requests, where they are not those of this package. */
  readonly errorPages?: ErrorPages | undefined;
  /** Changes an environ before the application gets it; `proxyTrust` makes one. */
  readonly mendEnviron?: ((environ: Environ) => void) | undefined;
  /** Throws for a peer that may not ask, and takes out what it proved itself with; `peerSecretCheck` makes one. */
  readonly checkPeer?: ((variables: Variables) => void) | undefined;
  /** Tells Apache which file to send, where it does that; `xSendfile` makes one. */
  readonly nameFile?: FileNamer | undefined;
}

export interface Incoming {
  readonly variables: Variables;
  readonly sink: ResponseSink;
  readonly flow: InputFlow;
  /** Writes one line to Apache's error log. False when it cannot: the request is over, or there is no Apache. */
  readonly emitError: (line: string) => boolean;
  readonly isAuthorizer: boolean;
  /** When the request began, on the clock of `performance.now`, where that is known already. */
  readonly startedMs?: number | undefined;
  /** What it waited for its turn before; 0 unless given. */
  readonly queuedMs?: number | undefined;
  readonly onEnd: (exchange: Exchange) => void;
  /** True when whoever asked answers and reports a failure itself: then it is not logged here. */
  readonly takesFailure?: (error: unknown, wasHeadSent: boolean) => boolean;
}

/** A request on its way: the transport feeds the input and tells the exchange when the peer is gone. */
export interface Dispatched {
  readonly exchange: Exchange;
  readonly input: RequestInput;
}

const processId = `${process.pid.toString(36)}${Date.now().toString(36)}`;
let lastRequest = 0;

function nextRequestId(): string {
  lastRequest += 1;
  return `${processId}-${lastRequest.toString(36)}`;
}

function summaryOf(error: unknown): string {
  return error instanceof Error ? `${error.name}: ${error.message}` : messageOf(error);
}

/** The code of a failure that is none of ours: the application threw it. */
const thrownCode = "TSGI2107";

/** What an application writes to `wsgi.errors`, in our log. */
const fromErrors = Object.freeze({ source: "wsgi.errors" });
const fromErrorsLate = Object.freeze({ source: "wsgi.errors", code: "TSGI2103" });

/** What an environ asks for when the application does. */
class LazyRequest implements LazyParts {
  readonly #request: { readonly log: Log };
  readonly #exchange: Exchange;

  constructor(request: { readonly log: Log }, exchange: Exchange) {
    this.#request = request;
    this.#exchange = exchange;
  }

  signal(): AbortSignal {
    return this.#exchange.signal;
  }

  log(): Log {
    return this.#request.log;
  }

  atEnd(work: EndWork): void {
    this.#exchange.atEnd(work);
  }

  gone(callback: () => void): void {
    this.#exchange.onGone(callback);
  }
}

/** One request's life between transport and application. */
class Dispatch implements ScopedRequest, ExchangeObserver {
  readonly #service: Service;
  readonly #incoming: Incoming;
  readonly #errors: ErrorLines;
  readonly #method: string;
  readonly #path: string;
  readonly #requestId: string;
  /** Undefined where nobody wants to know. */
  readonly #observation: Observation | undefined;
  older: ScopedRequest | undefined;
  newer: ScopedRequest | undefined;
  isUnfollowed = false;
  #script = "";
  #log: Log | undefined;
  /** When the application was called; undefined before, and where nobody wants to know. */
  #calledMs: number | undefined;
  #exchange: Exchange | undefined;
  #isEnded = false;

  constructor(service: Service, incoming: Incoming) {
    const { variables } = incoming;
    this.#service = service;
    this.#incoming = incoming;
    this.#errors = new ErrorLines((line) => this.#errorLine(line));
    this.#method = variables["REQUEST_METHOD"] ?? "GET";
    this.#path = variables["REQUEST_URI"] ?? "";
    this.#requestId = requestIdOf(variables, nextRequestId());
    const named = { id: this.#requestId, method: this.#method, target: this.#path };
    this.#observation = observe(service, incoming, named);
  }

  get log(): Log {
    return (this.#log ??= this.#service.log.child({ request_id: this.#requestId, script: this.#script }));
  }

  get progress(): number | undefined {
    return this.#exchange?.progress;
  }

  get waitsForClient(): boolean {
    return this.#exchange?.waitsForClient === true;
  }

  expire(error: unknown): void {
    this.#exchange?.expire(error);
  }

  begin(): Dispatched {
    const { variables, flow } = this.#incoming;
    let refusal: unknown;
    let length: number | undefined;
    let route: Route | undefined;
    try {
      this.#service.checkPeer?.(variables);
      length = parseContentLength(variables["CONTENT_LENGTH"]);
      route = this.#service.router.route(variables);
    } catch (error) {
      refusal = error;
    }
    const input = new RequestInput(flow, this.#incoming.isAuthorizer ? 0 : length);
    this.#observation?.begin(input);
    const exchange = this.#createExchange(input);
    this.#exchange = exchange;
    if (route === undefined) exchange.refuse(refusal, this.#requestId);
    else this.#run(route, exchange, input);
    return { exchange, input };
  }

  #createExchange(input: RequestInput): Exchange {
    return new Exchange({
      sink: this.#observation?.observed(this.#incoming.sink) ?? this.#incoming.sink,
      input,
      errors: this.#errors,
      method: this.#method,
      isAuthorizer: this.#incoming.isAuthorizer,
      nameFile: this.#service.nameFile,
      observer: this,
      // Variables of an authorizer hold the password: they are shown on no page.
      page:
        this.#service.errorPages === undefined || this.#incoming.isAuthorizer
          ? undefined
          : (error) => this.#pageFor(error),
    });
  }

  #pageFor(error: unknown): ErrorPage {
    const { variables } = this.#incoming;
    const failure = { error, requestId: this.#requestId, script: this.#script, variables };
    return this.#service.errorPages?.(failure, this.log) ?? errorPageFor(error, this.#requestId);
  }

  #run(route: Route, exchange: Exchange, input: RequestInput): void {
    this.#script = route.script;
    this.#observation?.routed(route);
    const environ = this.#createEnviron(route, exchange, input);
    const { scope, accessLog, mendEnviron } = this.#service;
    mendEnviron?.(environ);
    const observation = this.#observation;
    const call = (application: Application): void => {
      // One that was given up while its application loaded has ended before it runs.
      if (scope === undefined || this.#isEnded) exchange.run(application, environ);
      else scope.run(this, () => exchange.run(application, environ));
    };
    const start = (application: Application): void => {
      if (accessLog !== undefined) this.#calledMs = performance.now();
      if (observation === undefined) {
        call(application);
        return;
      }
      const called = observation.called(route, application, environ);
      observation.run(() => call(called));
    };
    if (typeof route.application === "function") start(route.application);
    else void route.application.then(start, (error: unknown) => exchange.refuse(error, this.#requestId));
  }

  #createEnviron(route: Route, exchange: Exchange, input: RequestInput): Environ {
    const service = this.#service;
    return createEnviron(this.#incoming.variables, {
      transport: service.transport,
      input,
      errors: this.#errors,
      isMultiprocess: service.isMultiprocess,
      isRunOnce: service.isRunOnce,
      script: route.script,
      mount: route.mount,
      requestId: this.#requestId,
      waitUntil: (work) => service.background.add(work, this.log),
      lazy: new LazyRequest(this, exchange),
    });
  }

  /** One line of `wsgi.errors`: to Apache's error log, and to ours where that is another one. */
  #errorLine(line: string): void {
    const wasSent = this.#incoming.emitError(line);
    if (wasSent && this.#service.isLogApaches) return;
    this.log.warn(this.#isEnded ? fromErrorsLate : fromErrors, redactText(line));
  }

  failed(error: unknown, wasHeadSent: boolean): void {
    this.#observation?.failed(error, wasHeadSent);
    if (this.#incoming.takesFailure?.(error, wasHeadSent) !== true) this.#reportFailure(error, wasHeadSent);
  }

  closing(closing: Promise<void>): void {
    this.#service.background.addClosing(closing);
  }

  gone(exchange: Exchange): void {
    this.#observation?.over(exchange);
  }

  warned({ code, message, error }: Warning): void {
    this.#service.log.warn({ ...this.#fields(), code, err: error }, message);
  }

  ended(exchange: Exchange): void {
    this.#isEnded = true;
    this.#observation?.over(exchange);
    const { scope, accessLog } = this.#service;
    scope?.ended(this);
    if (accessLog !== undefined) this.#logAccess(accessLog, exchange);
    this.#incoming.onEnd(exchange);
  }

  #logAccess(accessLog: AccessLog, { statusCode, sentBytes, outcome }: Exchange): void {
    const elapsedMs = this.#calledMs === undefined ? 0 : performance.now() - this.#calledMs;
    accessLog({
      ...this.#fields(),
      remote: this.#incoming.variables["REMOTE_ADDR"],
      status: statusCode,
      bytes: sentBytes,
      applicationMs: Math.round(elapsedMs * 1000) / 1000,
      outcome,
    });
  }

  #fields(): Pick<EndedRequest, "request_id" | "method" | "path" | "script"> {
    return { request_id: this.#requestId, method: this.#method, path: this.#path, script: this.#script };
  }

  #reportFailure(error: unknown, wasHeadSent: boolean): void {
    if (error instanceof OverloadedError) return; // whoever had no room tells it once for many requests
    const code = error instanceof TsgiError ? error.code : thrownCode;
    const outcome = wasHeadSent ? "the response was broken off" : "an error page was sent";
    if (error instanceof RequestTimeoutError || error instanceof StoppingError) {
      const elapsedMs = "elapsedMs" in error ? Math.round(error.elapsedMs) : undefined;
      const fields = { ...this.#fields(), code, reason: error.message, elapsedMs };
      this.#service.log.warn(fields, `request given up: ${outcome}`);
    } else if (error instanceof TsgiError && error.status < 500) {
      // The client's doing, or a file that is not there: no stack of ours says more than the sentence does.
      const fields = { ...this.#fields(), code, reason: error.message };
      this.#service.log[error.fault === "peer" ? "info" : "warn"](fields, `request refused: ${outcome}`);
    } else this.#service.log.error({ ...this.#fields(), code, err: error }, `request failed: ${outcome}`);
    if (this.#service.isLogApaches) return;
    this.#errors.flush();
    const summary = new ErrorLines(this.#incoming.emitError);
    summary.write(`tsgi: ${redactText(summaryOf(error))} [${code}] [request ${this.#requestId}]\n`);
  }
}

/** Starts the request; the response goes to the sink, now or later. */
export function dispatch(service: Service, incoming: Incoming): Dispatched {
  return new Dispatch(service, incoming).begin();
}
