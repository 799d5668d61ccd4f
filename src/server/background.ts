// Work that goes on after a response (`tsgi.wait_until`).
// Rules: a rejection is logged and harms nothing; whoever ends the process waits here, with a deadline.

import type { Log } from "../spec.ts";

export class Background {
  readonly #works = new Set<Promise<unknown>>();
  readonly #log: Log;

  constructor(log: Log) {
    this.#log = log;
  }

  /** Counts `work` as running until it settles. `log` is that of the request that it belongs to. */
  readonly add = (work: Promise<unknown>, log: Log = this.#log): void => {
    const watched: Promise<unknown> = Promise.resolve(work)
      .catch((error: unknown) => {
        log.error({ code: "TSGI2108", err: error }, "work given to tsgi.wait_until failed");
      })
      .finally(() => {
        this.#works.delete(watched);
      });
    this.#works.add(watched);
  };

  get isIdle(): boolean {
    return this.#works.size === 0;
  }

  /** Settles when no work is left, or after `deadlineMs`. True when nothing is left. */
  async idle(deadlineMs: number): Promise<boolean> {
    if (this.#works.size === 0) return true;
    const { promise: expired, cancel } = deadline(deadlineMs);
    try {
      while (this.#works.size > 0) {
        if ((await Promise.race([expired, Promise.all(this.#works)])) === "expired") return false;
      }
      return true;
    } finally {
      cancel();
    }
  }
}

/** A promise for "expired" after `ms`, and how to take it back. The timer keeps the process alive. */
export function deadline(ms: number): { readonly promise: Promise<"expired">; readonly cancel: () => void } {
  let timer: NodeJS.Timeout | undefined;
  const promise = new Promise<"expired">((resolve) => {
    timer = setTimeout(() => resolve("expired"), ms);
  });
  return { promise, cancel: () => clearTimeout(timer) };
}
