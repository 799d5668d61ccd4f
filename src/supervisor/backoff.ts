// The pause between crashes: from nothing to 30 s, twice as long each time, with jitter.
// Rules: a worker that was well for a while starts the count anew; a process that was killed from outside says nothing
// about the application. Pure: time and chance are parameters.

import type { RestartCause } from "./plan.ts";

/** The first pause, ms. */
const firstMs = 100;
const longestMs = 30_000;
/** How long a worker has to serve to count as well, ms. */
export const healthyMs = 10_000;

export class Backoff {
  #crashes = 0;
  #notBeforeMs = 0;

  /** Crashes without a healthy worker between. */
  get crashes(): number {
    return this.#crashes;
  }

  /** No worker should be started before. */
  get notBeforeMs(): number {
    return this.#notBeforeMs;
  }

  /** Counts a crash of a worker that had served for `servedMs`; `chance` is in [0, 1). */
  crashed(nowMs: number, servedMs: number, chance: number): void {
    this.#crashes = servedMs >= healthyMs ? 1 : this.#crashes + 1;
    const pauseMs = Math.min(longestMs, firstMs * 2 ** (this.#crashes - 1));
    this.#notBeforeMs = Math.max(this.#notBeforeMs, nowMs + pauseMs * (0.8 + 0.4 * chance));
  }

  /** There is a reason to hope: the files changed, someone asked for a reload, or workers are well. */
  reset(): void {
    this.#crashes = 0;
    this.#notBeforeMs = 0;
  }
}

export interface WorkerEnd {
  readonly cause: RestartCause;
  /** Whether it was asked to end. */
  readonly isExpected: boolean;
  readonly servedMs: number;
}

/** Whether the next worker has to wait for this end of one. */
export function isForBackoff({ cause, isExpected, servedMs }: WorkerEnd): boolean {
  // Replaced as soon as they serve, workers would be replaced for ever: these pause as crashes do.
  const isTooSoon = servedMs < healthyMs && (cause === "uncaught-error" || cause === "memory-limit");
  // To block takes longer than any pause, and a kill from outside says nothing of the application.
  return isTooSoon || (!isExpected && cause !== "signal" && cause !== "blocked");
}
