// Which request the code that runs now belongs to, for lines that are printed without saying so (`console.log`).
// Rules: what an application does before its first `await` is known by a variable, which costs nothing. What comes after is
// known by AsyncLocalStorage, which costs 7 % of the server's time for an application that awaits a few times and 40 % for
// one that awaits fifty times (Node 20; next to nothing on Node 24). So it is switched on for the following requests by the
// first line that needs it: an application that never prints pays nothing, and one that does misses its request once.

import { AsyncLocalStorage } from "node:async_hooks";
import type { Log } from "../spec.ts";

/** A request as a printed line knows it. */
export interface PrintingRequest {
  /** Its lines carry the request's id and script. Made when first used. */
  readonly log: Log;
}

export interface ScopeOptions {
  /** One request at a time in this process, as under CGI and mod_fcgid: it lasts until its end, and nothing has to be asked. */
  readonly isExclusive: boolean;
}

export class RequestScope {
  readonly #isExclusive: boolean;
  #now: PrintingRequest | undefined;
  #running = 0;
  #storage: AsyncLocalStorage<PrintingRequest> | undefined;

  constructor({ isExclusive }: ScopeOptions) {
    this.#isExclusive = isExclusive;
  }

  /** Whether requests are followed through their promises. */
  get isFollowing(): boolean {
    return this.#storage !== undefined;
  }

  /** A request begins; `ended` must follow. */
  began(): void {
    this.#running += 1;
  }

  /** Runs the request's code, as much of it as runs at once. */
  run(request: PrintingRequest, work: () => void): void {
    const before = this.#now;
    this.#now = request;
    try {
      if (this.#storage === undefined) work();
      else this.#storage.run(request, work);
    } finally {
      if (!this.#isExclusive) this.#now = before;
    }
  }

  ended(request: PrintingRequest): void {
    this.#running -= 1;
    if (this.#isExclusive && this.#now === request) this.#now = undefined;
  }

  /** The request whose code runs now, as far as is known; asking without finding one is what switches the following on. */
  find(): PrintingRequest | undefined {
    const found = this.#now ?? this.#storage?.getStore();
    const isMissed = found === undefined && this.#running > 0 && !this.#isExclusive;
    if (isMissed) this.#storage ??= new AsyncLocalStorage();
    return found;
  }
}
