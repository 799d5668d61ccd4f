// Things that all have the same time to live, and one timer for all of them.
// Rules: first in, first due, since the time is the same, unless one began before those that were there already; leaving early
// costs no timer; the timer is made when there is something to wait for, and never keeps the process alive.

/** The longest delay that a Node timer keeps, ms; a longer one would fire at once. */
const maxDelayMs = 2 ** 31 - 1;

export class Deadlines<T extends object> {
  readonly #timeoutMs: number;
  readonly #onDue: (item: T, elapsedMs: number) => void;
  /** When each began, on the clock of `performance.now`. A Map keeps the order in which they came. */
  readonly #begun = new Map<T, number>();
  #timer: NodeJS.Timeout | undefined;
  /** When the one began for which the timer rings. */
  #ringsForMs = 0;
  /** When the last one began; that none of them began before the one in front of it. */
  #lastMs = -Infinity;
  #isInOrder = true;

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

  /** The one that came first. */
  get first(): T | undefined {
    for (const item of this.#begun.keys()) return item;
    return undefined;
  }

  /** Its time began at `sinceMs`. */
  add(item: T, sinceMs: number): void {
    this.#isInOrder = this.#begun.size === 0 || (this.#isInOrder && sinceMs >= this.#lastMs);
    this.#lastMs = sinceMs;
    this.#begun.set(item, sinceMs);
    this.#ringFor(sinceMs);
  }

  /** False when it was not there. */
  remove(item: T): boolean {
    return this.#begun.delete(item);
  }

  /** Has the timer ring for one that began at `sinceMs`, unless it rings before. */
  #ringFor(sinceMs: number): void {
    if (this.#timer !== undefined && sinceMs >= this.#ringsForMs) return;
    clearTimeout(this.#timer);
    this.#ringsForMs = sinceMs;
    const delay = Math.max(1, Math.ceil(sinceMs + this.#timeoutMs - performance.now()));
    this.#timer = setTimeout(() => this.#ring(), Math.min(delay, maxDelayMs)).unref();
  }

  #ring(): void {
    this.#timer = undefined;
    const now = performance.now();
    for (const [item, sinceMs] of this.#begun) {
      if (sinceMs + this.#timeoutMs > now) {
        this.#ringFor(sinceMs);
        if (this.#isInOrder) return;
      } else {
        this.#begun.delete(item);
        this.#onDue(item, now - sinceMs);
      }
    }
  }
}
