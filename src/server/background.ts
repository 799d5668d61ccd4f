// Work that goes on after a response (`tsgi.wait_until`), and the closing of what it was read from.
// Rules: a rejection is logged and harms nothing; whoever ends the process waits here, with a deadline.

import type { Log } from "../spec.ts";
import { deadline } from "./deadline.ts";

/** How long a closing is waited for, ms, from its beginning: that of a generator which is never done waiting never ends. */
const closingMs = 5000;

export class Background {
  /** Each with the time after which nobody waits for it, on the clock of performance.now(). */
  readonly #works = new Map<Promise<unknown>, number>();
  readonly #log: Log;

  constructor(log: Log) {
    this.#log = log;
  }

  /** Counts `work` as running until it settles. `log` is that of the request that it belongs to. */
  readonly add = (work: Promise<unknown>, log: Log = this.#log): void => this.#add(work, log, Infinity);

  /** The same for a closing, which is waited for up to 5 s. */
  addClosing(closing: Promise<void>): void {
    this.#add(closing, this.#log, performance.now() + closingMs);
  }

  #add(work: Promise<unknown>, log: Log, awaitedUntilMs: number): void {
    const watched: Promise<unknown> = Promise.resolve(work)
      .catch((error: unknown) => {
        log.error({ code: "TSGI2108", err: error }, "work given to tsgi.wait_until failed");
      })
      .finally(() => {
        this.#works.delete(watched);
      });
    this.#works.set(watched, awaitedUntilMs);
  }

  get isIdle(): boolean {
    return this.#works.size === 0;
  }

  /** Settles when no work is left to wait for, or after `deadlineMs`. True when none is left. */
  async idle(deadlineMs: number): Promise<boolean> {
    const endMs = performance.now() + deadlineMs;
    for (;;) {
      const nowMs = performance.now();
      const awaited = [...this.#works].filter(([, untilMs]) => untilMs > nowMs);
      if (awaited.length === 0) return true;
      if (nowMs >= endMs) return false;
      const untilMs = Math.min(endMs, ...awaited.map(([, until]) => until));
      const { promise: expired, cancel } = deadline(untilMs - nowMs);
      await Promise.race([expired, Promise.all(awaited.map(([work]) => work))]);
      cancel();
    }
  }
}
