// How many requests run at once in this process, and who waits for a turn (`--max-concurrency`, `--queue-limit`,
// `--queue-timeout`).
// Rules: whoever asks first is admitted first, and nobody passes those who wait; who finds the queue full, or has waited
// too long, is refused at once. A turn that is given back admits the next one from the event loop, never from within the
// request that ended. Without a limit this is a counter.

import { Deadlines } from "./deadlines.ts";

export interface AdmissionLimits {
  /** Requests that run at once; 0 is no limit. */
  readonly maxConcurrency: number;
  /** How many may wait for a turn. */
  readonly queueLimit: number;
  /** How long each may wait, ms; with 0 nobody waits. */
  readonly queueTimeoutMs: number;
}

/** No limit: nobody waits. */
export const unlimited: AdmissionLimits = { maxConcurrency: 0, queueLimit: 0, queueTimeoutMs: 0 };

/** Who waits for a turn. Exactly one of these is called, once, unless it leaves before. */
export interface Waiter {
  /** It has its turn, and gives it back by `leave`. */
  admitted(): void;
  /** It waited too long, and has no turn. */
  refused(): void;
}

export class Admission {
  readonly #max: number;
  readonly #queueLimit: number;
  readonly #queue: Deadlines<Waiter>;
  #running = 0;
  #isScheduled = false;

  constructor(limits: AdmissionLimits) {
    this.#max = limits.maxConcurrency === 0 ? Infinity : limits.maxConcurrency;
    this.#queueLimit = limits.queueTimeoutMs === 0 ? 0 : limits.queueLimit;
    this.#queue = new Deadlines(limits.queueTimeoutMs, (waiter) => waiter.refused());
  }

  /** Turns that are taken. */
  get running(): number {
    return this.#running;
  }

  get waiting(): number {
    return this.#queue.size;
  }

  /** Takes a turn if there is one and nobody waits for it. */
  enter(): boolean {
    if (this.#running >= this.#max || this.#queue.size > 0) return false;
    this.#running += 1;
    return true;
  }

  /**
   * Waits for a turn, as it has since `sinceMs` (`performance.now`), here or elsewhere before; false when too many do. Those whose
   * turn was given back already count as having it.
   */
  wait(waiter: Waiter, sinceMs: number): boolean {
    if (this.#running + this.#queue.size >= this.#max + this.#queueLimit) return false;
    this.#queue.add(waiter, sinceMs);
    return true;
  }

  isWaiting(waiter: Waiter): boolean {
    return this.#queue.has(waiter);
  }

  /** Gives up waiting. */
  cancel(waiter: Waiter): void {
    this.#queue.remove(waiter);
  }

  /** Gives a turn back. */
  leave(): void {
    this.#running -= 1;
    if (this.#queue.size === 0 || this.#isScheduled) return;
    this.#isScheduled = true;
    setImmediate(() => this.#admit());
  }

  /** Turns that are given back meanwhile go to those who wait, in the same loop. */
  #admit(): void {
    while (this.#running < this.#max) {
      const next = this.#queue.first;
      if (next === undefined) break;
      this.#queue.remove(next);
      this.#running += 1;
      next.admitted();
    }
    this.#isScheduled = false;
  }
}
