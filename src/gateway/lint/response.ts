// startResponse, write and the order of calls, as lint follows them (PEP 3333 "The start_response() Callable", "The
// write() Callable", "Error Handling").
// Rules: every call goes on unchanged to the server's own function, and what that throws comes back; only the list of
// headers is copied, because some can be read only once.

import type { Chunk, Environ, HeaderList, StartResponse, Write } from "../../spec.ts";
import { byteLengthOf, isChunk } from "../body.ts";
import { guard, kindOf } from "./chunk.ts";
import type { SeenHead } from "./head.ts";
import { checkHead } from "./head.ts";
import type { Reporter } from "./reporter.ts";
import type { Report } from "./rules.ts";
import { isPromise } from "../promise.ts";

/** More than this, written without waiting, is memory that grows with the client's slowness; bytes. */
const maxUnawaitedBytes = 1024 * 1024;

const nothing: SeenHead = { code: 0, declared: undefined, hasContentType: false };

function copied(headers: unknown): unknown {
  const isList = typeof headers === "object" && headers !== null && Symbol.iterator in headers;
  return isList ? [...(headers as Iterable<unknown>)] : headers;
}

export class SeenResponse {
  readonly #environ: Environ;
  readonly #inner: StartResponse;
  readonly #report: Report;
  readonly #note: Report;
  #head: SeenHead | undefined;
  #givenBytes = 0;
  #unawaitedBytes = 0;
  /** A body was returned that is read piece by piece. */
  #isStreaming = false;
  /** startResponse threw the application's error back: it has to let it pass. */
  #mustFail = false;
  #wasMissed = false;
  #isOver = false;

  constructor(environ: Environ, startResponse: StartResponse, reporter: Reporter) {
    this.#environ = environ;
    this.#inner = startResponse;
    this.#report = reporter.report;
    this.#note = reporter.note;
  }

  /** True after the end of a response that nobody gave up: what the application does then, it does too late. */
  isLate(): boolean {
    const { "tsgi.signal": signal }: Partial<Environ> = this.#environ;
    return this.#isOver && !(signal?.aborted ?? false);
  }

  /** The startResponse for the application. */
  readonly start: StartResponse = (...given: readonly unknown[]) => {
    const [status, headers, excInfo] = given;
    const list = copied(headers);
    const head = this.#checkCall(given.length, status, list, excInfo);
    let write: Write;
    try {
      const args = [status, list, excInfo].slice(0, Math.max(given.length, 2)) as [string, HeaderList, unknown?];
      write = this.#inner(...args);
    } catch (error) {
      this.#mustFail = excInfo !== undefined && error === excInfo;
      throw error;
    }
    this.#head = head;
    if (typeof write !== "function") {
      this.#report("start-callable", `startResponse returned ${kindOf(write)}, not a function`);
      return write;
    }
    return this.#watched(write);
  };

  #checkCall(count: number, status: unknown, headers: unknown, excInfo: unknown): SeenHead {
    if (count < 2 || count > 3) this.#report("start-arguments", `startResponse was called with ${count} arguments`);
    if (count < 2) return nothing;
    if (this.isLate()) this.#report("start-late", "startResponse was called after the end");
    else if (this.#head !== undefined && (excInfo === undefined || excInfo === null)) {
      this.#report("start-once", "startResponse was called again, without an error as third argument");
    }
    return checkHead(status, headers, this.#report);
  }

  #watched(write: Write): Write {
    return (chunk) => {
      if (!isChunk(chunk)) this.#report("write-chunk", `write was called with ${kindOf(chunk)}`);
      else if (this.isLate()) this.#report("write-late", "write was called after the end");
      else {
        if (this.#isStreaming) this.#report("write-in-body", "write was called while the body was being read");
        this.give(chunk);
      }
      const written: unknown = write(chunk);
      if (!isPromise(written)) this.#report("start-callable", `write returned ${kindOf(written)}, not a promise`);
      else if (isChunk(chunk)) this.#follow(chunk, written);
      return written as Promise<void>;
    };
  }

  #follow(chunk: Chunk, written: Promise<unknown>): void {
    const bytes = byteLengthOf(chunk);
    const hasChanged = guard(chunk);
    if (this.#unawaitedBytes > 0 && this.#unawaitedBytes + bytes > maxUnawaitedBytes) {
      this.#report("write-unawaited", `more than ${maxUnawaitedBytes} bytes were written without waiting for any`);
    }
    this.#unawaitedBytes += bytes;
    const settled = (): void => {
      this.#unawaitedBytes -= bytes;
      if (hasChanged()) this.#note("chunk-changed", "bytes changed before their write had settled");
    };
    void written.then(settled, settled); // whether it failed is the application's business
  }

  /** A body is returned that will be read piece by piece. */
  stream(): void {
    this.#isStreaming = true;
  }

  /** A piece of the body, written, yielded or returned. */
  give(chunk: Chunk): void {
    this.#expectFailure();
    if (chunk.length === 0) return;
    const head = this.#head;
    if (head === undefined) {
      this.#wasMissed = true;
      this.#report("start-missing", "a piece of the body came before startResponse was called");
      return;
    }
    if (isBodyless(head)) {
      this.#report("bodyless-body", `there is a body with status ${head.code}`);
      return;
    }
    if (!head.hasContentType) this.#report("content-type", "there is a body and no Content-Type");
    this.#givenBytes += byteLengthOf(chunk);
    if (head.declared !== undefined && this.#givenBytes > head.declared) {
      this.#report("length-excess", `the body is longer than its Content-Length of ${head.declared}`);
    }
  }

  /** The application has given all of its body. */
  complete(): void {
    this.#expectFailure();
    const head = this.#head;
    if (head === undefined) {
      if (!this.#wasMissed) this.#report("start-missing", "the body ended and startResponse was not called");
      return;
    }
    const { declared } = head;
    if (declared === undefined || isBodyless(head) || this.#environ.REQUEST_METHOD === "HEAD") return;
    if (this.#givenBytes < declared) {
      this.#report("length-short", `the body has ${this.#givenBytes} bytes and its Content-Length is ${declared}`);
    }
  }

  /** Nothing of the application goes out any more. */
  end(): void {
    this.#mustFail = false;
    this.#isOver = true;
  }

  #expectFailure(): void {
    if (!this.#mustFail) return;
    this.#mustFail = false;
    this.#report("exc-info-trapped", "the application went on after startResponse had thrown its error back");
  }
}

function isBodyless(head: SeenHead): boolean {
  return head.code === 204 || head.code === 304;
}
