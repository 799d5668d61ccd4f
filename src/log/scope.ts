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
  /** The scope's own: the requests that run and began before and after this one, and whether it is one that is not followed. */
  older: ScopedRequest | undefined;
  newer: ScopedRequest | undefined;
  isUnfollowed: boolean;
  /** What was sent of its response: 0 while nobody has got anything, undefined when it is over. */
  readonly progress: number | undefined;
  /** Whether its application waits for the client to send or to take more. */
  readonly waitsForClient: boolean;
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
  /** The first and the last to begin of those that run. They are a chain, since a set costs 16 us for each. */
  #oldest: ScopedRequest | undefined;
  #newest: ScopedRequest | undefined;
  /** How many of them are not followed. */
  #unfollowed = 0;
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
    this.#chain(request);
    try {
      if (this.#storage === undefined) work();
      else this.#storage.run(request, work);
    } finally {
      if (!this.#isExclusive) this.#now = before;
    }
  }

  ended(request: ScopedRequest): void {
    this.#unchain(request);
    if (this.#isExclusive && this.#now === request) this.#now = undefined;
  }

  #chain(request: ScopedRequest): void {
    request.isUnfollowed = this.#storage === undefined;
    if (request.isUnfollowed) this.#unfollowed += 1;
    request.older = this.#newest;
    if (this.#newest === undefined) this.#oldest = request;
    else this.#newest.newer = request;
    this.#newest = request;
  }

  #unchain(request: ScopedRequest): void {
    const { older, newer } = request;
    if (request.isUnfollowed) this.#unfollowed -= 1;
    request.isUnfollowed = false;
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
    if (found !== undefined || this.#isExclusive || this.#unfollowed === 0) return found;
    this.follow();
    return this.#unfollowed === 1 ? this.#running.find(({ isUnfollowed }) => isUnfollowed) : undefined;
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

  /** The requests that run and may wait for what an error ended that nobody caught: the one that is known, else all. */
  get suspects(): readonly ScopedRequest[] {
    const certain = this.#certain;
    if (certain === undefined) return this.#running;
    return certain.progress === undefined ? [] : [certain];
  }

  get #running(): ScopedRequest[] {
    const found: ScopedRequest[] = [];
    for (let request = this.#oldest; request !== undefined; request = request.newer) found.push(request);
    return found;
  }
}
