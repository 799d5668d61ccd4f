// Which request the code that runs now belongs to, for lines that are printed without saying so (`console.log`), and for
// errors that nobody caught.
// Rules: what an application does before its first `await` is known by a variable, which costs nothing. What comes after is
// known by AsyncLocalStorage, which costs 7 % of the server's time for an application that awaits a few times and 40 % for
// one that awaits fifty times (Node 20; next to nothing on Node 24). So it is switched on for the following requests by the
// first line that needs it: an application that never prints pays nothing. That line, and others of requests that had begun
// by then, have their request if there is only one that they can be of.

import { AsyncLocalStorage } from "node:async_hooks";
import type { Log } from "../spec.ts";

/** A request as its code knows it. */
export interface ScopedRequest {
  /** Its lines carry the request's id and script. Made when first used. */
  readonly log: Log;
  /** The scope's own: the requests that are not followed and began before and after this one. */
  older: ScopedRequest | undefined;
  newer: ScopedRequest | undefined;
  /** What was sent of its response: 0 while nobody has got anything, undefined when it is over. */
  readonly progress: number | undefined;
  /** Ends it with an error: a page, or a broken response. */
  expire(error: unknown): void;
}

export interface ScopeOptions {
  /** One request at a time in this process, as under CGI and mod_fcgid: it lasts until its end, and nothing has to be asked. */
  readonly isExclusive: boolean;
  /** Follows requests from the first on, whatever it costs. */
  readonly isFollowing?: boolean;
}

export class RequestScope {
  readonly #isExclusive: boolean;
  #now: ScopedRequest | undefined;
  /** The first and the last to begin of those that run and are not followed. They are a chain, since a set costs 16 us for each. */
  #oldest: ScopedRequest | undefined;
  #newest: ScopedRequest | undefined;
  #storage: AsyncLocalStorage<ScopedRequest> | undefined;

  constructor({ isExclusive, isFollowing = false }: ScopeOptions) {
    this.#isExclusive = isExclusive;
    if (isFollowing) this.follow();
  }

  /** Follows the requests that begin from now on. */
  follow(): void {
    this.#storage ??= new AsyncLocalStorage();
  }

  /** Whether requests are followed through their promises. */
  get isFollowing(): boolean {
    return this.#storage !== undefined;
  }

  /** Runs the request's code, as much of it as runs at once. Called once for a request; `ended` must follow. */
  run(request: ScopedRequest, work: () => void): void {
    const before = this.#now;
    this.#now = request;
    try {
      if (this.#storage !== undefined) this.#storage.run(request, work);
      else {
        this.#chain(request);
        work();
      }
    } finally {
      if (!this.#isExclusive) this.#now = before;
    }
  }

  ended(request: ScopedRequest): void {
    this.#unchain(request);
    if (this.#isExclusive && this.#now === request) this.#now = undefined;
  }

  #chain(request: ScopedRequest): void {
    request.older = this.#newest;
    if (this.#newest === undefined) this.#oldest = request;
    else this.#newest.newer = request;
    this.#newest = request;
  }

  #unchain(request: ScopedRequest): void {
    const { older, newer } = request;
    if (this.#oldest === request) this.#oldest = newer;
    if (this.#newest === request) this.#newest = older;
    if (older !== undefined) older.newer = newer;
    if (newer !== undefined) newer.older = older;
    request.older = undefined;
    request.newer = undefined;
  }

  get #certain(): ScopedRequest | undefined {
    return this.#now ?? this.#storage?.getStore();
  }

  /** The request whose code runs now, as far as is known; asking without finding one is what switches the following on. */
  find(): ScopedRequest | undefined {
    const found = this.#certain;
    if (found !== undefined || this.#isExclusive || this.#oldest === undefined) return found;
    this.follow();
    return this.#oldest === this.#newest ? this.#oldest : undefined;
  }

  /**
   * Answers the request whose code an error that nobody caught surely comes from; false where none is known, or its response has
   * begun, which may go on, or is over.
   */
  fail(error: unknown): boolean {
    const request = this.#certain;
    if (request?.progress !== 0) return false;
    request.expire(error);
    return true;
  }

  /** The requests that run and whose error one may be that comes now: the one that is known, else all that are not followed. */
  get suspects(): readonly ScopedRequest[] {
    const certain = this.#certain;
    if (certain !== undefined) return [certain];
    const found: ScopedRequest[] = [];
    for (let request = this.#oldest; request !== undefined; request = request.newer) found.push(request);
    return found;
  }
}
