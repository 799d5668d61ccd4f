// The response of one request: startResponse's state machine and what may go out (PEP 3333 "The start_response()
// Callable", RFC 9110 sections 6.4 and 8.6).
// Rules: the head waits for the first non-empty chunk or the end; no body for HEAD, 204 and 304; never more bytes than
// Content-Length says, and never fewer without the client seeing it. Knows no transport: a sink does the sending.

import { ContractError } from "../errors.ts";
import type { Chunk, HeaderList, StartResponse, Write } from "../spec.ts";
import { byteLengthOf } from "./body.ts";
import { checkHeaders } from "./headers.ts";
import type { Status } from "./status.ts";
import { parseStatus } from "./status.ts";

export interface ResponseHead {
  readonly status: Status;
  readonly headers: HeaderList;
}

/**
 * Given to `write`, it sends the head at once, before there is any body: for adapters of applications that flush their
 * head. Any other empty chunk sends nothing (PEP 3333).
 */
export const headOnly: Uint8Array = new Uint8Array(0);

/** A file as Apache is told of it. */
export interface NamedFile {
  readonly header: string;
  /** Absolute, bytes as latin-1. */
  readonly path: string;
  readonly sizeBytes: number;
}

/** Where a response goes. One sink serves one request. */
export interface ResponseSink {
  /**
   * Sends what is given, in this order: the head (first call only), a piece of the body, the end. False asks the caller
   * to wait for `drained` before sending more. Does nothing when the peer has gone.
   */
  send(head: ResponseHead | undefined, data: Chunk | undefined, isLast: boolean): boolean;
  /** Settles when the peer can take more; rejects with ClientGoneError when it never will. */
  drained(): Promise<void>;
  /** Ends the response so that the client can see that it is not complete, as far as the transport allows it. */
  break(): void;
}

/** The header block of a CGI response (RFC 3875 section 6), latin-1, with its empty line. `Status` is always there. */
export function cgiHead(head: ResponseHead): string {
  let text = `Status: ${head.status.code} ${head.status.reason}\r\n`;
  for (const [name, value] of head.headers) text += `${name}: ${value}\r\n`;
  return `${text}\r\n`;
}

export interface ResponseOptions {
  readonly sink: ResponseSink;
  readonly method: string;
  /** Whether a body of known size gets a Content-Length; not for an authorizer, whose headers leak to the client. */
  readonly addsContentLength: boolean;
  /** Called once when the application sends more than its Content-Length. */
  readonly onExcess: (declared: number) => void;
  /** Sends a chunk for `write`, with the waiting that the request's life needs. */
  readonly write: Write;
}

export class Response {
  readonly #options: ResponseOptions;
  #head: ResponseHead | undefined;
  #declared: number | undefined;
  #isHeadSent = false;
  #isOver = false;
  #isBroken = false;
  #overReason: Error | undefined;
  #sentBytes = 0;
  #hasExcess = false;

  constructor(options: ResponseOptions) {
    this.#options = options;
  }

  get isHeadSent(): boolean {
    return this.#isHeadSent;
  }

  get isOver(): boolean {
    return this.#isOver;
  }

  /** Whether all of it has been sent. */
  get isComplete(): boolean {
    return this.#isOver && !this.#isBroken;
  }

  /** The status code that was or will be sent; undefined before startResponse. */
  get statusCode(): number | undefined {
    return this.#head?.status.code;
  }

  /** Bytes of body that went out. */
  get sentBytes(): number {
    return this.#sentBytes;
  }

  /** Whether there is any use in asking the application for more of its body. */
  get wantsMore(): boolean {
    return this.#head === undefined || (this.#hasBody(this.#head) && !this.#hasExcess);
  }

  readonly start: StartResponse = (status, headers, excInfo) => {
    if (this.#isOver) {
      throw this.#overReason ?? new ContractError("startResponse was called after the response had ended");
    }
    const isAgain = this.#head !== undefined;
    if (isAgain && (excInfo === undefined || excInfo === null)) {
      throw new ContractError("startResponse was called twice; the second time needs the error as third argument");
    }
    // eslint-disable-next-line typescript/only-throw-error -- PEP 3333: the application's own error goes on its way
    if (this.#isHeadSent) throw excInfo;
    const parsed = parseStatus(status);
    const checked = checkHeaders(headers);
    const list = parsed.code === 204 ? checked.list.filter(([name]) => !isContentLength(name)) : checked.list;
    this.#head = { status: parsed, headers: list };
    this.#declared = checked.contentLength;
    return this.#options.write;
  };

  /** Sends a chunk at once. False: wait for the sink's `drained`. An empty chunk sends nothing. */
  send(chunk: Chunk): boolean {
    const head = this.#startedHead();
    if (chunk.length === 0 && (chunk !== headOnly || this.#isHeadSent)) return true;
    return this.#sendData(head, chunk, false);
  }

  /**
   * Declares the length of a body that is there at once, unless the application has declared one. An empty one for HEAD tells
   * nothing of the body that GET would have (RFC 9110 section 8.6).
   */
  declareLength(bytes: number): void {
    const head = this.#startedHead();
    const { addsContentLength, method } = this.#options;
    if (this.#declared !== undefined || this.#isHeadSent || !addsContentLength || isBodyless(head)) return;
    if (bytes === 0 && method === "HEAD") return;
    this.#declared = bytes;
    this.#head = { status: head.status, headers: [...head.headers, ["Content-Length", String(bytes)]] };
  }

  /**
   * Lets Apache send a file in the place of a body, by a header that names it. False when that would be another response:
   * only a whole file with status 200 is meant.
   */
  replaceByFile({ header, path, sizeBytes }: NamedFile): boolean {
    const head = this.#startedHead();
    const { method } = this.#options;
    const isWhole = this.#declared === undefined || this.#declared === sizeBytes;
    const isPlain = head.headers.every(([name]) => !/^content-(?:encoding|range)$/i.test(name));
    const isAsked = method === "GET" || method === "HEAD";
    if (this.#isHeadSent || head.status.code !== 200 || !isWhole || !isPlain || !isAsked) return false;
    const others = head.headers.filter(([name]) => !isContentLength(name));
    this.#head = { status: head.status, headers: [...others, [header, path]] };
    this.#declared = undefined;
    return true;
  }

  /**
   * Sends the last chunk and the end together. Throws ContractError for a body that is shorter than its Content-Length,
   * without having ended the response. Where that is known before the head is sent, the head also says that the
   * connection closes: Apache would otherwise wait for the client's next request, and the client for the missing bytes.
   */
  finishWith(chunk: Chunk): void {
    const head = this.#startedHead();
    const total = this.#sentBytes + byteLengthOf(chunk);
    const isShort = this.#hasBody(head) && this.#declared !== undefined && total < this.#declared;
    if (isShort && total === 0) throw shortBody(total, this.#declared); // nothing was sent: an error page can be
    this.#isOver = !isShort;
    const closes = isShort && !this.#isHeadSent;
    this.#sendData(closes ? closing(head) : head, chunk, !isShort);
    if (isShort) throw shortBody(total, this.#declared);
  }

  /** The response was ended by us: `startResponse` tells an application that comes late why. */
  explain(reason: Error): void {
    this.#overReason = reason;
  }

  /** Ends the response without a complete body. */
  break(): void {
    this.#isOver = true;
    this.#isBroken = true;
    this.#options.sink.break();
  }

  #startedHead(): ResponseHead {
    if (this.#head === undefined) throw new ContractError("the application sent a body without calling startResponse");
    return this.#head;
  }

  #hasBody(head: ResponseHead): boolean {
    return this.#options.method !== "HEAD" && !isBodyless(head);
  }

  #sendData(head: ResponseHead, chunk: Chunk, isLast: boolean): boolean {
    const data = this.#hasBody(head) ? this.#withinLength(chunk) : undefined;
    const unsentHead = this.#isHeadSent ? undefined : head;
    this.#isHeadSent = true;
    if (data !== undefined) this.#sentBytes += byteLengthOf(data);
    return this.#options.sink.send(unsentHead, data, isLast);
  }

  #withinLength(chunk: Chunk): Chunk | undefined {
    if (chunk.length === 0) return undefined;
    if (this.#declared === undefined) return chunk;
    const room = this.#declared - this.#sentBytes;
    if (byteLengthOf(chunk) <= room) return chunk;
    if (!this.#hasExcess) this.#options.onExcess(this.#declared);
    this.#hasExcess = true;
    const bytes = typeof chunk === "string" ? Buffer.from(chunk) : chunk;
    return room === 0 ? undefined : bytes.subarray(0, room);
  }
}

function closing(head: ResponseHead): ResponseHead {
  return { status: head.status, headers: [...head.headers, ["Connection", "close"]] };
}

function shortBody(sent: number, declared: number | undefined): ContractError {
  return new ContractError(`the body has ${sent} bytes and Content-Length says ${declared}`);
}

function isContentLength(name: string): boolean {
  return name.toLowerCase() === "content-length";
}

function isBodyless(head: ResponseHead): boolean {
  return head.status.code === 204 || head.status.code === 304;
}
