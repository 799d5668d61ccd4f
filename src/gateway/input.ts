// `wsgi.input`: the request body as the application reads it (PEP 3333 "Input and Error Streams").
// Rules: it ends at CONTENT_LENGTH, or with the producer's end, and never waits beyond it; bytes after CONTENT_LENGTH are
// dropped; a body that ends early is an error and not an end. What waits is bounded: the producer is paused at
// `highWaterBytes`. Reads are answered in the order in which they were asked.

import { Readable } from "node:stream";
import {
  ContractError,
  InputFormatError,
  InputTooLargeError,
  InputTruncatedError,
  RequestOverError,
} from "../errors.ts";
import type { InputStream } from "../spec.ts";

/** How the input stops and starts whoever feeds it. */
export interface InputFlow {
  pause(): void;
  resume(): void;
}

const highWaterBytes = 128 * 1024;
const lowWaterBytes = 32 * 1024;
/** What a queued chunk weighs beside its bytes, so that a body of tiny chunks is bounded too. */
const chunkOverheadBytes = 256;
/** How many consumed chunks the queue's array may still hold. */
const maxConsumedChunks = 1024;
const defaultLimitBytes = 1024 * 1024;
const empty = Buffer.alloc(0);
const lineFeed = 10;

function ignore(): void {}

/** The number in CONTENT_LENGTH; undefined when there is none. Throws InputFormatError (400) for anything else. */
export function parseContentLength(text: string | undefined): number | undefined {
  if (text === undefined || text === "") return undefined;
  if (!/^[0-9]{1,15}$/.test(text))
    throw new InputFormatError(`CONTENT_LENGTH is ${JSON.stringify(text)}, not a number`);
  return Number(text);
}

/** Whether a request has a body to be read: its length tells, and where none is said the transfer coding, which Apache has decoded. */
export function hasBody(variables: { readonly [name: string]: unknown }): boolean {
  const { CONTENT_LENGTH: length, HTTP_TRANSFER_ENCODING: coding } = variables;
  return length === undefined || length === "" ? coding !== undefined : Number(length) !== 0;
}

function checkSize(size: number | undefined, name: string): number {
  if (size === undefined || size < 0) return Infinity;
  if (size !== Infinity && !Number.isSafeInteger(size)) {
    throw new ContractError(`wsgi.input.${name}: the size must be a whole number of bytes, not ${String(size)}`);
  }
  return size;
}

export class RequestInput implements InputStream {
  readonly #flow: InputFlow;
  readonly #expected: number | undefined;
  #received = 0;
  #queue: Buffer[] = [];
  /** Where the queue begins in its array. */
  #first = 0;
  #queuedBytes = 0;
  #isPaused = false;
  #isEnded: boolean;
  #isClosed = false;
  #error: Error | undefined;
  #wake: (() => void) | undefined;
  #tail: Promise<unknown> | undefined;

  /** `expected` is CONTENT_LENGTH in bytes, undefined for a body that ends when the producer says so. */
  constructor(flow: InputFlow, expected: number | undefined) {
    this.#flow = flow;
    this.#expected = expected;
    this.#isEnded = expected === 0;
  }

  // The producer's side.

  /** Takes bytes from the peer. They are kept, not copied. */
  push(bytes: Buffer): void {
    if (this.#isEnded || this.#isClosed || this.#error !== undefined || bytes.length === 0) return;
    const room = this.#expected === undefined ? bytes.length : this.#expected - this.#received;
    const taken = bytes.length > room ? bytes.subarray(0, room) : bytes;
    this.#received += taken.length;
    this.#queue.push(taken);
    this.#queuedBytes += taken.length + chunkOverheadBytes;
    if (this.#received === this.#expected) this.#finish();
    else if (this.#queuedBytes >= highWaterBytes) this.#pause();
    this.#notify();
  }

  /** The peer has sent all it has. */
  end(): void {
    if (this.#isEnded || this.#error !== undefined) return;
    if (this.#expected === undefined || this.#isClosed) this.#finish(); // a closed one has dropped what came
    else this.fail(new InputTruncatedError(this.#expected, this.#received));
    this.#notify();
  }

  /** Nothing more will come, because of `error`: reads get what is there, then the error. */
  fail(error: Error): void {
    if (this.#isEnded || this.#isClosed || this.#error !== undefined) return;
    this.#error = error;
    this.#resume();
    this.#notify();
  }

  /** The request is over: what is left is dropped, the producer is set free, every later read throws why. */
  close(): void {
    this.#queue = [];
    this.#first = 0;
    this.#queuedBytes = 0;
    this.#isClosed = true;
    this.#resume();
    this.#notify();
  }

  /** How many bytes of the body were taken. */
  get receivedBytes(): number {
    return this.#received;
  }

  /** True while a read waits for the producer. */
  get isAwaited(): boolean {
    return this.#wake !== undefined;
  }

  /** True when the whole body has come, or has failed to. */
  get isComplete(): boolean {
    return this.#isEnded || this.#error !== undefined;
  }

  /** The whole body is here: the producer is free for what comes after it. */
  #finish(): void {
    this.#isEnded = true;
    this.#resume();
  }

  #pause(): void {
    if (this.#isPaused) return;
    this.#isPaused = true;
    this.#flow.pause();
  }

  #resume(): void {
    if (!this.#isPaused) return;
    this.#isPaused = false;
    this.#flow.resume();
  }

  #notify(): void {
    const wake = this.#wake;
    this.#wake = undefined;
    wake?.();
  }

  // The application's side.

  read(size?: number): Promise<Buffer> {
    return this.#inTurn(async () => await this.#collect(checkSize(size, "read")));
  }

  readline(size?: number): Promise<Buffer> {
    return this.#inTurn(async () => await this.#line(checkSize(size, "readline")));
  }

  readlines(hint?: number): Promise<Buffer[]> {
    return this.#inTurn(async () => {
      const limit = hint === undefined || hint <= 0 ? Infinity : hint;
      const lines: Buffer[] = [];
      for (let total = 0; total < limit;) {
        const line = await this.#line(Infinity);
        if (line.length === 0) break;
        lines.push(line);
        total += line.length;
      }
      return lines;
    });
  }

  async *lines(): AsyncGenerator<Buffer, void, undefined> {
    for (;;) {
      const line = await this.readline();
      if (line.length === 0) return;
      yield line;
    }
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Buffer, void, undefined> {
    for (;;) {
      const chunk = await this.#inTurn(() => this.#next());
      if (chunk === undefined) return;
      yield chunk;
    }
  }

  stream(): Readable {
    const stream = Readable.from(this, { objectMode: false, highWaterMark: highWaterBytes });
    stream.on("error", ignore); // nobody has to watch it: a body cut short must not end the process
    return stream;
  }

  bytes(limit: number = defaultLimitBytes): Promise<Buffer> {
    return this.#inTurn(async () => {
      const most = checkSize(limit, "bytes");
      if (this.#expected !== undefined && this.#expected > most) throw new InputTooLargeError(most);
      const body = await this.#collect(most === Infinity ? most : most + 1);
      if (body.length > most) throw new InputTooLargeError(most);
      return body;
    });
  }

  async text(limit: number = defaultLimitBytes): Promise<string> {
    return (await this.bytes(limit)).toString("utf8");
  }

  async json(limit: number = defaultLimitBytes): Promise<unknown> {
    const text = await this.text(limit);
    try {
      return JSON.parse(text);
    } catch (error) {
      throw new InputFormatError("the request body is not JSON", error);
    }
  }

  /** Runs a read after those asked before it. Its rejection counts as handled: a read may be given up on. */
  #inTurn<T>(operation: () => Promise<T>): Promise<T> {
    const turn = this.#tail === undefined ? operation() : this.#tail.then(operation);
    const tail = turn.then(ignore, ignore).then(() => {
      if (this.#tail === tail) this.#tail = undefined;
    });
    this.#tail = tail;
    return turn;
  }

  /** The next bytes, or undefined at the end. */
  async #next(): Promise<Buffer | undefined> {
    for (;;) {
      if (this.#isClosed) throw this.#error ?? new RequestOverError("wsgi.input");
      const chunk = this.#takeFirst();
      if (chunk !== undefined) {
        if (this.#queuedBytes <= lowWaterBytes) this.#resume();
        return chunk;
      }
      if (this.#error !== undefined) throw this.#error;
      if (this.#isEnded) return undefined;
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }

  /** In constant time, which `shift` does not promise. */
  #takeFirst(): Buffer | undefined {
    const chunk = this.#queue[this.#first];
    if (chunk === undefined) return undefined;
    this.#queue[this.#first] = empty; // lets go of its bytes
    this.#first += 1;
    this.#queuedBytes -= chunk.length + chunkOverheadBytes;
    if (this.#first === this.#queue.length || this.#first > maxConsumedChunks) {
      this.#queue = this.#queue.slice(this.#first);
      this.#first = 0;
    }
    return chunk;
  }

  #putBack(chunk: Buffer): void {
    if (this.#isClosed) return;
    this.#queuedBytes += chunk.length + chunkOverheadBytes;
    if (this.#first === 0) this.#queue.unshift(chunk);
    else {
      this.#first -= 1;
      this.#queue[this.#first] = chunk;
    }
  }

  async #collect(size: number): Promise<Buffer> {
    const parts = new Parts();
    let missing = size;
    while (missing > 0) {
      const chunk = await this.#next();
      if (chunk === undefined) break;
      if (chunk.length > missing) this.#putBack(chunk.subarray(missing));
      parts.add(chunk.subarray(0, missing));
      missing -= Math.min(missing, chunk.length);
    }
    return parts.joined();
  }

  async #line(size: number): Promise<Buffer> {
    const parts = new Parts();
    let missing = size;
    while (missing > 0) {
      const chunk = await this.#next();
      if (chunk === undefined) break;
      const found = chunk.indexOf(lineFeed);
      const length = Math.min(missing, found === -1 ? chunk.length : found + 1);
      if (length < chunk.length) this.#putBack(chunk.subarray(length));
      parts.add(chunk.subarray(0, length));
      missing -= length;
      if (found !== -1 && length === found + 1) break;
    }
    return parts.joined();
  }
}

/** This many small parts in a row are joined: each would weigh more than its bytes. */
const smallParts = 256;

/** The parts of one read. */
class Parts {
  readonly #parts: Buffer[] = [];
  #smallCount = 0;

  add(part: Buffer): void {
    this.#parts.push(part);
    this.#smallCount = part.length < smallParts ? this.#smallCount + 1 : 0;
    if (this.#smallCount < smallParts) return;
    this.#parts.push(Buffer.concat(this.#parts.splice(-smallParts)));
    this.#smallCount = 0;
  }

  joined(): Buffer {
    const [first] = this.#parts;
    if (first === undefined) return empty;
    return this.#parts.length === 1 ? first : Buffer.concat(this.#parts);
  }
}
