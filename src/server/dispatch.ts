// From variables and a sink to a running exchange: what every way in (FastCGI, CGI, HTTP) does with a request.
// Rules: the route is found first, the environ is made once, the application is called when it is loaded; whatever fails
// on the way is answered and logged here, once.

import { messageOf, OverloadedError, RequestTimeoutError, StoppingError, TsgiError } from "../errors.ts";
import type { Variables } from "../gateway/environ.ts";
import { createEnviron, requestIdOf } from "../gateway/environ.ts";
import { ErrorLines } from "../gateway/errors-stream.ts";
import type { InputFlow } from "../gateway/input.ts";
import { parseContentLength, RequestInput } from "../gateway/input.ts";
import type { ResponseSink } from "../gateway/response.ts";
import { Exchange } from "../gateway/run.ts";
import type { Application, Environ, Log, Transport } from "../spec.ts";
import type { Background } from "./background.ts";
import type { Route, Router } from "./route.ts";

/** What requests of one process share. */
export interface Service {
  readonly router: Pick<Router, "route">;
  readonly log: Log;
  readonly background: Background;
  readonly transport: Transport;
  readonly isMultiprocess: boolean;
  readonly isRunOnce: boolean;
  /** Whether stderr is Apache's error log already: then a failure is not sent there a second time. */
  readonly isLogApaches: boolean;
}

export interface Incoming {
  readonly variables: Variables;
  readonly sink: ResponseSink;
  readonly flow: InputFlow;
  /** Writes one line to Apache's error log, or in its place to ours. */
  readonly emitError: (line: string) => void;
  readonly isAuthorizer: boolean;
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

/** One request's life between transport and application. */
class Dispatch {
  readonly #service: Service;
  readonly #incoming: Incoming;
  readonly #errors: ErrorLines;
  readonly #method: string;
  readonly #path: string;
  readonly #requestId: string;
  #script = "";

  constructor(service: Service, incoming: Incoming) {
    const { variables } = incoming;
    this.#service = service;
    this.#incoming = incoming;
    this.#errors = new ErrorLines(incoming.emitError);
    this.#method = variables["REQUEST_METHOD"] ?? "GET";
    this.#path = variables["REQUEST_URI"] ?? "";
    this.#requestId = requestIdOf(variables, nextRequestId());
  }

  begin(): Dispatched {
    const { variables, flow } = this.#incoming;
    let refusal: unknown;
    let length: number | undefined;
    let route: Route | undefined;
    try {
      length = parseContentLength(variables["CONTENT_LENGTH"]);
      route = this.#service.router.route(variables);
    } catch (error) {
      refusal = error;
    }
    const input = new RequestInput(flow, this.#incoming.isAuthorizer ? 0 : length);
    const exchange = this.#createExchange(input);
    if (route === undefined) exchange.refuse(refusal, this.#requestId);
    else this.#run(route, exchange, input);
    return { exchange, input };
  }

  #createExchange(input: RequestInput): Exchange {
    return new Exchange({
      sink: this.#incoming.sink,
      input,
      errors: this.#errors,
      method: this.#method,
      isAuthorizer: this.#incoming.isAuthorizer,
      observer: {
        failed: (error, wasHeadSent) => {
          if (this.#incoming.takesFailure?.(error, wasHeadSent) !== true) this.#reportFailure(error, wasHeadSent);
        },
        warned: (message, error) => this.#service.log.warn({ ...this.#fields(), err: error }, message),
        ended: this.#incoming.onEnd,
        closing: this.#service.background.add,
      },
    });
  }

  #run(route: Route, exchange: Exchange, input: RequestInput): void {
    this.#script = route.script;
    const environ = this.#createEnviron(route, exchange, input);
    const start = (application: Application): void => exchange.run(application, environ);
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
      waitUntil: service.background.add,
      lazy: {
        signal: () => exchange.signal,
        gone: (callback) => exchange.onGone(callback),
        log: () => service.log.child({ request_id: this.#requestId }),
        atEnd: (work) => exchange.atEnd(work),
      },
    });
  }

  #fields(): Record<string, unknown> {
    return { request_id: this.#requestId, method: this.#method, path: this.#path, script: this.#script };
  }

  #reportFailure(error: unknown, wasHeadSent: boolean): void {
    if (error instanceof OverloadedError) return; // whoever had no room tells it once for many requests
    const outcome = wasHeadSent ? "the response was broken off" : "an error page was sent";
    if (error instanceof RequestTimeoutError || error instanceof StoppingError) {
      const elapsedMs = "elapsedMs" in error ? Math.round(error.elapsedMs) : undefined;
      const fields = { ...this.#fields(), code: error.code, reason: error.message, elapsedMs };
      this.#service.log.warn(fields, `request given up: ${outcome}`);
    } else if (error instanceof TsgiError && error.status < 500) {
      // The client's doing, or a file that is not there: no stack of ours says more than the sentence does.
      const fields = { ...this.#fields(), code: error.code, reason: error.message };
      this.#service.log[error.fault === "peer" ? "info" : "warn"](fields, `request refused: ${outcome}`);
    } else this.#service.log.error({ ...this.#fields(), err: error }, `request failed: ${outcome}`);
    if (this.#service.isLogApaches) return;
    this.#errors.flush();
    this.#errors.write(`tsgi: ${summaryOf(error)} [request ${this.#requestId}]\n`);
  }
}

/** Starts the request; the response goes to the sink, now or later. */
export function dispatch(service: Service, incoming: Incoming): Dispatched {
  return new Dispatch(service, incoming).begin();
}
