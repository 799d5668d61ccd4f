// The requests of one process, as they begin and end: which run, which were slow, and all of them counted.
// Rules: a request is known here from its begin to its end and no longer; it costs two clock readings and no memory but for
// the few that are slow; whoever hands the counts on takes them here.

import type { Figures, RequestRecord } from "./figures.ts";
import { shownRequests, Slowest } from "./slowest.ts";
import type { EndedRequest, TallyCounts } from "./tally.ts";
import { Tally } from "./tally.ts";

/** A request as it is measured. The links are the meter's own. */
export interface MeasuredRequest extends EndedRequest {
  readonly id: string;
  readonly method: string;
  /** The request target, with its query. */
  readonly target: string;
  /** When it began, on the clock of `performance.now`. */
  readonly startedMs: number;
  /** When its application was called, on the same clock; undefined before. */
  readonly calledMs: number | undefined;
  earlier: MeasuredRequest | undefined;
  later: MeasuredRequest | undefined;
}

const maxPathLength = 256;

function recordOf(request: MeasuredRequest, nowMs: number, status: number | null): RequestRecord {
  const { id, method, target, script, startedMs } = request;
  const elapsedMs = Math.max(0, nowMs - startedMs);
  const query = target.indexOf("?");
  return {
    id,
    method,
    path: target.slice(0, query === -1 ? maxPathLength : Math.min(query, maxPathLength)),
    script,
    startedAt: new Date(Date.now() - elapsedMs).toISOString(),
    elapsedMs: Math.round(elapsedMs * 1000) / 1000,
    status,
  };
}

export class RequestMeter {
  /** What was counted since anyone wanted to know. */
  readonly #fresh = new Tally();
  readonly #untold = new Tally();
  readonly #interval = new Tally();
  readonly #all = new Tally();
  readonly #slowest = new Slowest();
  #first: MeasuredRequest | undefined;
  #last: MeasuredRequest | undefined;
  #running = 0;
  #changes = 0;
  #slowMs = Infinity;
  #onSlow: (request: MeasuredRequest, elapsedMs: number) => void = () => {};

  /** Grows with everything that happens. */
  get changes(): number {
    return this.#changes;
  }

  /** How many requests run. */
  get running(): number {
    return this.#running;
  }

  /** The request begins. */
  began(request: MeasuredRequest): void {
    const last = this.#last;
    request.earlier = last;
    if (last === undefined) this.#first = request;
    else last.later = request;
    this.#last = request;
    this.#running += 1;
    this.#changes += 1;
  }

  /** The request, which began, has ended now. Called once. */
  ended(request: MeasuredRequest, nowMs: number): void {
    const { earlier, later, calledMs } = request;
    if (earlier === undefined) this.#first = later;
    else earlier.later = later;
    if (later === undefined) this.#last = earlier;
    else later.earlier = earlier;
    request.earlier = undefined;
    request.later = undefined;
    this.#running -= 1;
    this.#changes += 1;
    this.#fresh.count(request, calledMs === undefined ? undefined : nowMs - calledMs);
    const elapsedMs = nowMs - request.startedMs;
    if (elapsedMs >= this.#slowMs) this.#onSlow(request, elapsedMs);
    if (this.#slowest.wants(elapsedMs, nowMs)) this.#slowest.add(recordOf(request, nowMs, request.status), nowMs);
  }

  /** What was counted since the last call, to be handed on. */
  take(): TallyCounts {
    this.#share();
    return this.#untold.take();
  }

  /** Of what was counted since the last call; at first since the process began. */
  takeInterval(): Figures {
    this.#share();
    const figures = this.#interval.figures();
    this.#interval.clear();
    return figures;
  }

  /** Of everything that was counted. */
  figures(): Figures {
    this.#share();
    return this.#all.figures();
  }

  /** What the application took for all requests together, ms. */
  get busyMs(): number {
    return this.#all.application.sumMs + this.#fresh.application.sumMs;
  }

  #share(): void {
    const counts = this.#fresh.take();
    for (const tally of [this.#untold, this.#interval, this.#all]) tally.add(counts);
  }

  /** The slowest requests that ended in the last 15 minutes. */
  slowest(): RequestRecord[] {
    return this.#slowest.list(performance.now());
  }

  /** From now on `onSlow` gets each request that has taken `slowMs` or longer when it ends. */
  watchSlow(slowMs: number, onSlow: (request: MeasuredRequest, elapsedMs: number) => void): void {
    this.#slowMs = slowMs;
    this.#onSlow = onSlow;
  }

  /** The requests that have been running for `ms` or longer, and for how long; the longest first. */
  longerThan(ms: number): (readonly [request: MeasuredRequest, elapsedMs: number])[] {
    const nowMs = performance.now();
    const found: (readonly [MeasuredRequest, number])[] = [];
    for (let next = this.#first; next !== undefined && nowMs - next.startedMs >= ms; next = next.later) {
      found.push([next, nowMs - next.startedMs]);
    }
    return found;
  }

  /** The requests that have been running longest. */
  longestRunning(): RequestRecord[] {
    const nowMs = performance.now();
    const records: RequestRecord[] = [];
    for (let next = this.#first; next !== undefined && records.length < shownRequests; next = next.later) {
      records.push(recordOf(next, nowMs, null));
    }
    return records;
  }
}
