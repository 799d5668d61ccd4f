// `wsgi.errors` (PEP 3333 "Input and Error Streams"): text that becomes lines of Apache's error log.
// Rules: one entry per line, since Apache neither joins nor splits what it is given; an entry stays under the 8 KB that
// Apache logs of one record; a NUL would end the entry and is shown instead. The part of a line that waits is bounded.

import type { ErrorStream } from "../spec.ts";

const maxEntryChars = 4000;

export class ErrorLines implements ErrorStream {
  readonly #emit: (line: string) => void;
  #pending = "";

  /** `emit` gets each line without its line end; it must not throw. */
  constructor(emit: (line: string) => void) {
    this.#emit = emit;
  }

  write(text: string): void {
    const lines = (this.#pending + text).split("\n");
    this.#pending = lines.pop() ?? "";
    for (const line of lines) this.#line(line);
    while (this.#pending.length > maxEntryChars) {
      this.#line(this.#pending.slice(0, maxEntryChars));
      this.#pending = this.#pending.slice(maxEntryChars);
    }
  }

  writelines(lines: Iterable<string>): void {
    for (const line of lines) this.write(line);
  }

  flush(): void {
    const rest = this.#pending;
    this.#pending = "";
    if (rest !== "") this.#line(rest);
  }

  #line(line: string): void {
    const text = line.replaceAll("\r", "").replaceAll("\0", "\\0");
    if (text === "") return;
    for (let start = 0; start < text.length; start += maxEntryChars) {
      this.#emit(text.slice(start, start + maxEntryChars));
    }
  }
}
