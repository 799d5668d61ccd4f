// `wsgi.errors` (PEP 3333 "Input and Error Streams"): text that becomes lines of Apache's error log.
// Rules: one entry per line, since Apache neither joins nor splits what it is given; an entry stays under the 8 KB that
// Apache logs of one record; a NUL would end the entry and is shown instead. The part of a line that waits is bounded.

import type { ErrorStream } from "../spec.ts";

/** UTF-16 units, of three bytes of UTF-8 at the most: below the 7,999 bytes that mod_fcgid keeps of an entry. */
const maxEntryChars = 2600;

/** Where a text is cut that is longer than an entry: never between the halves of a character. */
function cutOf(text: string): number {
  const last = text.charCodeAt(maxEntryChars - 1);
  return last >= 0xd800 && last <= 0xdbff ? maxEntryChars - 1 : maxEntryChars;
}

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
    if (this.#pending.length <= maxEntryChars) return;
    const whole = this.#pending;
    const rest = whole.length % maxEntryChars;
    const cut = cutOf(whole.slice(whole.length - rest - maxEntryChars));
    const kept = whole.length - rest - maxEntryChars + cut;
    this.#line(whole.slice(0, kept));
    this.#pending = whole.slice(kept);
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
    let rest = text;
    while (rest.length > maxEntryChars) {
      const cut = cutOf(rest);
      this.#emit(rest.slice(0, cut));
      rest = rest.slice(cut);
    }
    this.#emit(rest);
  }
}
