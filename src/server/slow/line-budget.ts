// How many lines about the same thing a log gets: trouble that comes in thousands must not fill a disk.
// Rule: what is left out is counted, and told with the next line that is not.

export class LineBudget {
  readonly #lines: number;
  readonly #windowMs: number;
  #left: number;
  #endMs = -Infinity;
  #leftOut = 0;

  /** `lines` in each `windowMs`. */
  constructor(lines: number, windowMs: number) {
    this.#lines = lines;
    this.#windowMs = windowMs;
    this.#left = lines;
  }

  /**
   * How many lines were left out since the last one that was not; undefined when there is to be no line now. `nowMs` is of
   * a monotonic clock.
   */
  take(nowMs: number): number | undefined {
    if (nowMs >= this.#endMs) {
      this.#endMs = nowMs + this.#windowMs;
      this.#left = this.#lines;
    }
    if (this.#left === 0) {
      this.#leftOut += 1;
      return undefined;
    }
    this.#left -= 1;
    const leftOut = this.#leftOut;
    this.#leftOut = 0;
    return leftOut;
  }
}
