// The slowest requests of the last 15 minutes.
// Rules: a request that is not among the 10 slowest of its minute costs one comparison; memory is bounded by minutes.

import type { RequestRecord } from "./figures.ts";

export const shownRequests = 10;
export const slowestWindowMs: number = 15 * 60_000;
const minuteMs = 60_000;

interface Minute {
  readonly beganMs: number;
  /** The slowest first. */
  readonly records: RequestRecord[];
}

/** The 10 slowest, the slowest first. */
export function slowestOf(records: readonly RequestRecord[]): RequestRecord[] {
  return [...records].sort((a, b) => b.elapsedMs - a.elapsedMs).slice(0, shownRequests);
}

export class Slowest {
  #minutes: Minute[] = [];
  #endMs = -Infinity;
  #leastMs = 0;

  /** Whether a request that ends now is to be told to `add`. Times are those of `performance.now`. */
  wants(elapsedMs: number, nowMs: number): boolean {
    return elapsedMs > this.#leastMs || nowMs >= this.#endMs;
  }

  add(record: RequestRecord, nowMs: number): void {
    if (nowMs >= this.#endMs) this.#begin(nowMs);
    const records = this.#minutes.at(-1)?.records ?? [];
    records.push(record);
    records.sort((a, b) => b.elapsedMs - a.elapsedMs);
    if (records.length > shownRequests) records.pop();
    this.#leastMs = records.length < shownRequests ? 0 : (records.at(-1)?.elapsedMs ?? 0);
  }

  list(nowMs: number): RequestRecord[] {
    this.#forget(nowMs);
    return slowestOf(this.#minutes.flatMap(({ records }) => records));
  }

  #begin(nowMs: number): void {
    this.#forget(nowMs);
    this.#minutes.push({ beganMs: nowMs, records: [] });
    this.#endMs = nowMs + minuteMs;
  }

  /** A minute counts for as long as any of it is in the window. */
  #forget(nowMs: number): void {
    this.#minutes = this.#minutes.filter(({ beganMs }) => nowMs - beganMs < slowestWindowMs + minuteMs);
  }
}
