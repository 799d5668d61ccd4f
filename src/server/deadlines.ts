// Things that all have the same time to live, and one timer for all of them.
// Rules: first in, first due, since the time is the same; leaving early costs no timer; the timer is made when there is
// something to wait for, and never keeps the process alive.

/** The longest delay that a Node timer keeps, ms; a longer one would fire at once. */
const maxDelayMs = 2 ** 31 - 1;

export class Deadlines<T extends object> {
  readonly #timeoutMs: number;
  readonly #onDue: (item: T, elapsedMs: number) => void;
  /** When each began, on the clock of `performance.now`. A Map keeps the order in which they came. */
  readonly #begun = new Map<T, number>();
  #timer: NodeJS.Timeout | undefined;

  /** `onDue` gets an item that is still there after `timeoutMs`, and no longer is when it is called. */
  constructor(timeoutMs: number, onDue: (item: T, elapsedMs: number) => void) {
    this.#timeoutMs = timeoutMs;
    this.#onDue = onDue;
  }

  get size(): number {
    return this.#begun.size;
  }

  has(item: T): boolean {
    return this.#begun.has(item);
  }

  /** The one that has waited longest. */
  get first(): T | undefined {
    for (const item of this.#begun.keys()) return item;
    return undefined;
  }

  /** Its time began at `sinceMs`, which never goes back from one call to the next. */
  add(item: T, sinceMs: number): void {
    this.#begun.set(item, sinceMs);
    if (this.#timer === undefined) this.#wait(sinceMs);
  }

  /** False when it was not there. */
  remove(item: T): boolean {
    return this.#begun.delete(item);
  }

  #wait(sinceMs: number): void {
    const delay = Math.max(1, Math.ceil(sinceMs + this.#timeoutMs - performance.now()));
    this.#timer = setTimeout(() => this.#ring(), Math.min(delay, maxDelayMs)).unref();
  }

  #ring(): void {
    this.#timer = undefined;
    const now = performance.now();
    for (const [item, sinceMs] of this.#begun) {
      if (sinceMs + this.#timeoutMs > now) {
        if (this.#timer === undefined) this.#wait(sinceMs);
        return;
      }
      this.#begun.delete(item);
      this.#onDue(item, now - sinceMs);
    }
  }
}
