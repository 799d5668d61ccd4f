// wsgi.input, wsgi.errors and tsgi.wait_until as the application uses them (PEP 3333 "Input and Error Streams").
// Rule: every call goes on unchanged; what is wrong with it is told first.

import type { Readable } from "node:stream";
import type { Environ, ErrorStream, InputStream } from "../../spec.ts";
import { kindOf } from "./chunk.ts";
import type { Report } from "./rules.ts";
import { isPromise } from "../promise.ts";

class LintedInput implements InputStream {
  readonly #inner: InputStream;
  readonly #report: Report;
  readonly #isLate: () => boolean;
  #isTaken = false;

  constructor(inner: InputStream, report: Report, isLate: () => boolean) {
    this.#inner = inner;
    this.#report = report;
    this.#isLate = isLate;
  }

  read(size?: number): Promise<Buffer> {
    this.#check("read", size);
    return this.#inner.read(size);
  }

  readline(size?: number): Promise<Buffer> {
    this.#check("readline", size);
    return this.#inner.readline(size);
  }

  readlines(hint?: number): Promise<Buffer[]> {
    this.#check("readlines", hint);
    return this.#inner.readlines(hint);
  }

  lines(): AsyncIterableIterator<Buffer> {
    this.#check("lines");
    return this.#inner.lines();
  }

  stream(): Readable {
    this.#check("stream");
    this.#isTaken = true;
    return this.#inner.stream();
  }

  text(limit?: number): Promise<string> {
    this.#check("text", limit);
    return this.#inner.text(limit);
  }

  json(limit?: number): Promise<unknown> {
    this.#check("json", limit);
    return this.#inner.json(limit);
  }

  bytes(limit?: number): Promise<Buffer> {
    this.#check("bytes", limit);
    return this.#inner.bytes(limit);
  }

  [Symbol.asyncIterator](): AsyncIterator<Buffer> {
    this.#check("[Symbol.asyncIterator]");
    return this.#inner[Symbol.asyncIterator]();
  }

  #check(method: string, size?: unknown): void {
    if (this.#isLate()) this.#report("input-late", `wsgi.input.${method} was called after the end`);
    else if (this.#isTaken) this.#report("input-shared", `wsgi.input.${method} was called after stream()`);
    const isSize = size === undefined || size === Infinity || (typeof size === "number" && size < 0);
    if (!isSize && !Number.isSafeInteger(size)) {
      const shown = typeof size === "number" ? String(size) : kindOf(size);
      this.#report("input-size", `wsgi.input.${method} was called with ${shown} for a number of bytes`);
    }
  }
}

class LintedErrors implements ErrorStream {
  readonly #inner: ErrorStream;
  readonly #report: Report;

  constructor(inner: ErrorStream, report: Report) {
    this.#inner = inner;
    this.#report = report;
  }

  write(text: string): void {
    if (typeof text !== "string") this.#report("errors-text", `wsgi.errors.write was called with ${kindOf(text)}`);
    this.#inner.write(text);
  }

  writelines(lines: Iterable<string>): void {
    const isList = typeof lines === "object" && lines !== null && Symbol.iterator in lines;
    const list = isList ? [...lines] : lines;
    if (!isList || [...list].some((line) => typeof line !== "string")) {
      this.#report("errors-text", "wsgi.errors.writelines was called with something else than an iterable of strings");
    }
    this.#inner.writelines(list);
  }

  flush(): void {
    this.#inner.flush();
  }
}

/** Puts checks around the parts of the environ that the application calls; it has passed `checkEnviron`. */
export function lintStreams(environ: Environ, report: Report, isLate: () => boolean): void {
  const { "wsgi.input": input, "wsgi.errors": errors, "tsgi.wait_until": waitUntil } = environ;
  if (typeof input === "object" && input !== null) environ["wsgi.input"] = new LintedInput(input, report, isLate);
  if (typeof errors === "object" && errors !== null) environ["wsgi.errors"] = new LintedErrors(errors, report);
  if (typeof waitUntil !== "function") return;
  environ["tsgi.wait_until"] = (work) => {
    if (!isPromise(work)) report("wait-until", `tsgi.wait_until was called with ${kindOf(work)}`);
    waitUntil.call(environ, work);
  };
}
