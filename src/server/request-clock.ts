// How long a request may take in this process (`--request-timeout`).
// Rules: the time runs from the end of its PARAMS to its END_REQUEST; a request that is answered before the application
// returns never meets the clock; one timer serves all requests.

import { RequestTimeoutError } from "../errors.ts";
import { Deadlines } from "./deadlines.ts";

/** A request that can be ended from outside. */
export interface Expirable {
  expire(reason: RequestTimeoutError): void;
}

export class RequestClock {
  readonly #running: Deadlines<Expirable>;
  #timedOut = 0;

  constructor(timeoutMs: number) {
    this.#running = new Deadlines(timeoutMs, (request, elapsedMs) => {
      this.#timedOut += 1;
      request.expire(new RequestTimeoutError(timeoutMs, elapsedMs));
    });
  }

  /** How many requests have run out of time. */
  get timedOut(): number {
    return this.#timedOut;
  }

  /** The request began at `sinceMs` (`performance.now`) and goes on. */
  watch(request: Expirable, sinceMs: number): void {
    this.#running.add(request, sinceMs);
  }

  /** The request has ended. */
  forget(request: Expirable): void {
    this.#running.remove(request);
  }
}
