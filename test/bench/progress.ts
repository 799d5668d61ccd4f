// What a person sees while it runs: on a terminal one line that is written over, elsewhere a line for each case.

export class Progress {
  readonly #total: number;
  readonly #isTerminal = process.stderr.isTTY;
  readonly #started = performance.now();
  #done = 0;
  #last = "";

  constructor(total: number) {
    this.#total = total;
  }

  /** One step begins. */
  step(group: string, detail: string): void {
    this.#done += 1;
    const seconds = (performance.now() - this.#started) / 1000;
    const place = `[${this.#done}/${this.#total}, ${seconds.toFixed(0)} s] ${group}`;
    if (this.#isTerminal) process.stderr.write(`\r\x1b[K${place}: ${detail}`.slice(0, process.stderr.columns ?? 80));
    else if (group !== this.#last) process.stderr.write(`${place}\n`);
    this.#last = group;
  }

  end(): void {
    if (this.#isTerminal) process.stderr.write("\r\x1b[K");
  }
}
