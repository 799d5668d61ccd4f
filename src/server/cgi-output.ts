// The response of a CGI program: the header block and the body on one descriptor, which belongs to nothing else.
// Rules: a small response leaves in one synchronous write, before any stream is made; larger ones are streamed with
// backpressure. CGI cannot say that a response broke off: only a Content-Length that Apache trusts shows it.

import { closeSync, createWriteStream, fstatSync, writeSync } from "node:fs";
import { createRequire } from "node:module";
import type * as Net from "node:net";
import type { Writable } from "node:stream";
import { ClientGoneError, systemCodeOf } from "../errors.ts";
import type { ResponseHead, ResponseSink } from "../gateway/response.ts";
import { cgiHead } from "../gateway/response.ts";
import type { Chunk } from "../spec.ts";
import { whenDrained } from "./drained.ts";
import type { SpoolingFlow } from "./spool.ts";

/** What is written synchronously, in all: less than any pipe or socket buffer holds, so that it cannot block. */
const maxSyncBytes = 32 * 1024;

/** The stream of a descriptor of any kind. */
export function openStream(fd: number): Writable {
  const kind = fstatSync(fd);
  return kind.isFIFO() || kind.isSocket()
    ? new (createRequire(import.meta.url)("node:net") as typeof Net).Socket({ fd, readable: false, writable: true })
    : createWriteStream("", { fd });
}

function ignore(): void {}

/** What goes out: bytes, or a text of one byte for each character. */
type Output = Buffer | string;

/** Head and data in one piece: as a text where both are ASCII, since Node takes a tenth of a millisecond to join bytes first. */
function joined(head: ResponseHead | undefined, data: Chunk | undefined): Output | undefined {
  if (head === undefined) return data === undefined ? undefined : Buffer.from(data);
  const text = cgiHead(head);
  if (data === undefined) return text;
  if (typeof data === "string") {
    const whole = text + data;
    if (Buffer.byteLength(whole) === whole.length) return whole;
  }
  return Buffer.concat([Buffer.from(text, "latin1"), Buffer.from(data)]);
}

export interface CgiOutputOptions {
  /** Called once when nobody reads the response any more. */
  readonly gone: () => void;
  /** Told while the application waits for a slow reader. */
  readonly flow: SpoolingFlow;
}

export class CgiOutput implements ResponseSink {
  readonly #fd: number;
  readonly #options: CgiOutputOptions;
  #settleEnd: () => void = ignore;
  /** Settles when the last byte has been handed to the system, or the peer has gone. */
  readonly finished: Promise<void> = new Promise((resolve) => {
    this.#settleEnd = resolve;
  });
  #stream: Writable | undefined;
  #isOver = false;
  #isBroken = false;
  #syncBytes = 0;

  constructor(fd: number, options: CgiOutputOptions) {
    this.#fd = fd;
    this.#options = options;
  }

  /** True when the response was broken off. */
  get isBroken(): boolean {
    return this.#isBroken;
  }

  send(head: ResponseHead | undefined, data: Chunk | undefined, isLast: boolean): boolean {
    if (this.#isOver) return true;
    let rest = joined(head, data);
    if (rest !== undefined && this.#stream === undefined) rest = this.#writeSync(rest);
    const canTakeMore = rest === undefined || rest.length === 0 || this.#openedStream().write(rest, "latin1");
    if (isLast) this.#end();
    return canTakeMore;
  }

  drained(): Promise<void> {
    if (this.#isOver) return Promise.reject(new ClientGoneError());
    if (this.#stream === undefined) return Promise.resolve();
    return this.#options.flow.whileBlocked(whenDrained(this.#stream));
  }

  break(): void {
    this.#isBroken = true;
    this.#end();
  }

  /** Whether `close` would close a pipe. */
  get isPipe(): boolean {
    if (this.#stream !== undefined) return false; // it closes what it has
    try {
      return fstatSync(this.#fd).isFIFO();
    } catch (error) {
      if (systemCodeOf(error) !== "EBADF") throw error; // the application has closed it
      return false;
    }
  }

  /** Gives the descriptor back, after the end: Apache learns from it that the response is whole. */
  close(): void {
    if (this.#stream !== undefined) return; // it closes what it has
    try {
      closeSync(this.#fd);
    } catch (error) {
      if (systemCodeOf(error) !== "EBADF") throw error; // the application has closed it
    }
  }

  #end(): void {
    if (this.#isOver) return;
    this.#isOver = true;
    if (this.#stream === undefined) this.#settleEnd();
    else this.#stream.end(this.#settleEnd);
  }

  #openedStream(): Writable {
    if (this.#stream === undefined) {
      this.#stream = openStream(this.#fd);
      this.#stream.on("error", () => this.#gone());
    }
    return this.#stream;
  }

  /** Writes what fits without waiting; gives back the rest. */
  #writeSync(output: Output): Output | undefined {
    const { length } = output;
    if (this.#syncBytes + length > maxSyncBytes) return output;
    this.#syncBytes += length;
    try {
      const isText = typeof output === "string";
      const written = isText ? writeSync(this.#fd, output, null, "latin1") : writeSync(this.#fd, output);
      if (written === length) return undefined;
      return isText ? output.slice(written) : output.subarray(written);
    } catch (error) {
      if (systemCodeOf(error) === "EAGAIN") return output;
      this.#gone();
      return undefined;
    }
  }

  #gone(): void {
    if (!this.#isOver) this.#options.gone();
    this.#isOver = true;
    this.#isBroken = true;
    this.#settleEnd();
  }
}
