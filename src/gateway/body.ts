// The body that an application returned, whatever its shape (PEP 3333 "Buffering and Streaming", "Handling the
// Content-Length Header").
// Rules: a string or byte array is one chunk; `close()`, or the iterator's `return()`, is called exactly once on every
// path, also when the body was never read; a chunk that is neither string nor bytes is refused with its place.

import { ContractError } from "../errors.ts";
import type { Body, Chunk } from "../spec.ts";

/** Whether a value can go out as it is. */
export function isChunk(value: unknown): value is Chunk {
  return typeof value === "string" || value instanceof Uint8Array;
}

function describe(value: unknown): string {
  if (value === null || value === undefined) return String(value);
  return typeof value === "object" ? `an object (${value.constructor?.name ?? "no prototype"})` : `a ${typeof value}`;
}

/** Throws ContractError unless `value` is a body. */
export function checkBody(value: unknown): asserts value is Body {
  if (isChunk(value)) return;
  const isIterable =
    typeof value === "object" && value !== null && (Symbol.asyncIterator in value || Symbol.iterator in value);
  if (!isIterable) {
    throw new ContractError(
      `the application returned ${describe(value)}; a body is a string, bytes, or something iterable of these`,
    );
  }
}

/** Throws ContractError unless `value`, the chunk number `index` of a body, can be sent. */
export function checkChunk(value: unknown, index: number): asserts value is Chunk {
  if (isChunk(value)) return;
  throw new ContractError(`chunk ${index} of the body is ${describe(value)}; it must be a string or a Uint8Array`);
}

/** Bodies up to this size (bytes) that are there at once leave as one chunk. */
const maxJoinedBytes = 64 * 1024;

/** The bytes that a chunk takes on the wire. */
export function byteLengthOf(chunk: Chunk): number {
  return typeof chunk === "string" ? Buffer.byteLength(chunk) : chunk.length;
}

/** Sum of the chunks' bytes; undefined when the body is not an array that is there at once. */
export function knownLengthOf(body: Body): number | undefined {
  if (!Array.isArray(body)) return undefined;
  let total = 0;
  for (const [index, chunk] of body.entries()) {
    checkChunk(chunk, index);
    total += byteLengthOf(chunk);
  }
  return total;
}

/** The body as one chunk, where that costs little; undefined for one to be read piece by piece. */
export function wholeOf(body: Body, knownLength: number | undefined): Chunk | undefined {
  if (isChunk(body)) return body;
  if (!Array.isArray(body) || "close" in body || knownLength === undefined || knownLength > maxJoinedBytes)
    return undefined;
  const chunks: readonly Chunk[] = body;
  const [first] = chunks;
  if (first === undefined) return "";
  if (chunks.length === 1) return first;
  if (chunks.every((chunk) => typeof chunk === "string")) {
    const text = chunks.join("");
    if (byteLengthOf(text) === knownLength) return text; // else halves of a character met
  }
  return Buffer.concat(chunks.map((chunk) => (typeof chunk === "string" ? Buffer.from(chunk) : chunk)));
}

type Iteration = IteratorResult<unknown> | Promise<IteratorResult<unknown>>;

interface AnyIterator {
  next(): Iteration;
  return?(): unknown;
}

function iteratorOf(body: Exclude<Body, Chunk>): AnyIterator {
  return Symbol.asyncIterator in body ? body[Symbol.asyncIterator]() : body[Symbol.iterator]();
}

/** Reads a body and closes it once. */
export class BodySource {
  readonly #body: Exclude<Body, Chunk>;
  #iterator: AnyIterator | undefined;
  #isDone = false;
  #isClosed = false;

  constructor(body: Exclude<Body, Chunk>) {
    this.#body = body;
  }

  /** The next step of the iteration. Throws, or rejects, with what the application threw. */
  next(): Iteration {
    this.#iterator ??= iteratorOf(this.#body);
    return this.#iterator.next();
  }

  /** The iteration ended by itself: only `close()` is still due. */
  markDone(): void {
    this.#isDone = true;
  }

  get isClosed(): boolean {
    return this.#isClosed;
  }

  /** Closes the body; does nothing the second time. Rejects with what the application's own clean-up threw. */
  async close(): Promise<void> {
    if (this.#isClosed) return;
    this.#isClosed = true;
    const body: object = this.#body;
    const iterator = this.#isDone ? undefined : this.#iterator;
    const leaveIterator = async (): Promise<unknown> => await iterator?.return?.();
    const closeBody = async (): Promise<void> => {
      if ("close" in body && typeof body.close === "function") await body.close();
      else if (!this.#isDone && "destroy" in body && typeof body.destroy === "function") body.destroy();
    };
    const outcomes = await Promise.allSettled([leaveIterator(), closeBody()]);
    for (const outcome of outcomes) if (outcome.status === "rejected") throw outcome.reason;
  }
}
