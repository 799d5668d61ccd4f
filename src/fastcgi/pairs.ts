// Name-value pairs, the content of PARAMS, GET_VALUES and GET_VALUES_RESULT: decoding from pieces and encoding.
// Rules: a pair may be cut anywhere, also inside a length. A whole pair is decoded where it lies; only a cut one is
// carried over. The limit is checked on what has come and on what a pair announces, before anything is kept.
// FastCGI 1.0, section 3.4.

import { FcgiPeerError } from "../errors.ts";
import type { KnownName } from "./known-names.ts";
import { noNames } from "./known-names.ts";

/** Names and values as bytes in latin-1. No prototype, since names come from outside. */
export type Params = Record<string, string>;

/**
 * Strings cut from one longer string keep all of it alive. Below this size that is fine, and much faster than one native
 * call for each string; above it every string is made by itself.
 */
const SHARED_TEXT_BYTES = 4096;

const FIRST_CARRY_BYTES = 256;

/** Decodes pairs from pieces of a stream. Of two pairs with the same name the later one wins. */
export class PairReader {
  readonly #what: string;
  readonly #maxBytes: number;
  /** The names that were decoded, as long as they are such as came before; then their values are no more than a list. */
  #known: KnownName | undefined = noNames();
  readonly #values: string[] = [];
  #params: Params | undefined;
  /** Bytes pushed, and those of them that were whole pairs. */
  #received = 0;
  #decoded = 0;
  /** The beginning of a pair that is not complete. */
  #carry: Buffer | undefined;
  #carried = 0;

  /** `what` names the stream in errors; `maxBytes` limits all its pieces together. */
  constructor(what: string, maxBytes: number) {
    this.#what = what;
    this.#maxBytes = maxBytes;
  }

  /** Takes the next piece, `bytes` from `start` to `end`; nothing of it is kept. Throws FcgiPeerError beyond the limit. */
  push(bytes: Buffer, start: number, end: number): void {
    this.#received += end - start;
    if (this.#received > this.#maxBytes) throw this.#tooLong();
    let at = this.#carried === 0 ? start : this.#completeCarried(bytes, start, end);
    at = this.#decode(bytes, at, end);
    if (at < end) this.#carryOver(bytes, at, end);
  }

  /** All pairs; throws FcgiPeerError when the last one is incomplete. Call it once, at the end of the stream. */
  finish(): Params {
    if (this.#carried > 0) throw new FcgiPeerError(`${this.#what} ended inside a name-value pair`);
    this.#carry = undefined;
    return this.#params ?? this.#known?.object(this.#values) ?? (Object.create(null) as Params);
  }

  /** Decodes whole pairs and returns where the first incomplete one begins. */
  #decode(bytes: Buffer, start: number, end: number): number {
    const text = end - start <= SHARED_TEXT_BYTES ? bytes.toString("latin1", start, end) : undefined;
    let at = start;
    while (at < end) {
      const nameLength = readLength(bytes, at, end);
      if (nameLength < 0) break;
      const second = at + lengthBytes(bytes, at);
      const valueLength = readLength(bytes, second, end);
      if (valueLength < 0) break;
      const name = second + lengthBytes(bytes, second);
      const value = name + nameLength;
      const next = value + valueLength;
      if (next > end) {
        if (this.#decoded + next - at > this.#maxBytes) throw this.#tooLong();
        break;
      }
      const valueText = text?.slice(value - start, next - start) ?? bytes.toString("latin1", value, next);
      const known = this.#known?.after(bytes, name, value);
      if (known === undefined) this.#addUnknown(bytes.toString("latin1", name, value), valueText);
      else {
        this.#known = known;
        this.#values.push(valueText);
      }
      this.#decoded += next - at;
      at = next;
    }
    return at;
  }

  #addUnknown(name: string, value: string): void {
    this.#params ??= this.#known?.hashTable(this.#values) ?? (Object.create(null) as Params);
    this.#known = undefined;
    this.#params[name] = value;
  }

  /** Adds to the incomplete pair what it lacks; decodes it when that was all. Returns the first byte not taken. */
  #completeCarried(bytes: Buffer, start: number, end: number): number {
    let at = start;
    let size = this.#carriedSize();
    while (at < end) {
      const next = size < 0 ? at + 1 : Math.min(at + size - this.#carried, end);
      const carry = this.#carryOver(bytes, at, next);
      at = next;
      if (size < 0) size = this.#carriedSize();
      if (size === this.#carried) {
        this.#decode(carry, 0, size);
        this.#carried = 0;
        return at;
      }
    }
    return at;
  }

  /** Size of the incomplete pair with its lengths, or -1 while these are incomplete themselves. */
  #carriedSize(): number {
    if (this.#carry === undefined) return -1;
    const nameLength = readLength(this.#carry, 0, this.#carried);
    if (nameLength < 0) return -1;
    const second = lengthBytes(this.#carry, 0);
    const valueLength = readLength(this.#carry, second, this.#carried);
    if (valueLength < 0) return -1;
    const size = second + lengthBytes(this.#carry, second) + nameLength + valueLength;
    if (this.#decoded + size > this.#maxBytes) throw this.#tooLong();
    return size;
  }

  #carryOver(bytes: Buffer, start: number, end: number): Buffer {
    const needed = this.#carried + end - start;
    let carry = this.#carry;
    if (carry === undefined || carry.length < needed) {
      carry = Buffer.allocUnsafe(Math.max(FIRST_CARRY_BYTES, 2 * needed));
      this.#carry?.copy(carry, 0, 0, this.#carried);
      this.#carry = carry;
    }
    bytes.copy(carry, this.#carried, start, end);
    this.#carried = needed;
    return carry;
  }

  #tooLong(): FcgiPeerError {
    return new FcgiPeerError(`${this.#what} is longer than the limit of ${this.#maxBytes} bytes`);
  }
}

/** A length has four bytes when the first bit is set, however small it is. */
function lengthBytes(bytes: Buffer, at: number): number {
  return (bytes[at] ?? 0) < 0x80 ? 1 : 4;
}

/** The length at `at`, or -1 when it reaches beyond `end`. */
function readLength(bytes: Buffer, at: number, end: number): number {
  if (at >= end) return -1;
  const first = bytes[at] ?? 0;
  if (first < 0x80) return first;
  return at + 4 <= end ? bytes.readUInt32BE(at) - 0x8000_0000 : -1;
}

/** The pairs as one block, each length as short as it can be. Characters above U+00FF lose their upper bits. */
export function encodePairs(params: Readonly<Params>): Buffer {
  const parts: Buffer[] = [];
  for (const [name, value] of Object.entries(params)) {
    parts.push(encodeLength(name.length), encodeLength(value.length), Buffer.from(name + value, "latin1"));
  }
  return Buffer.concat(parts);
}

function encodeLength(length: number): Buffer {
  if (length < 0x80) return Buffer.of(length);
  const bytes = Buffer.allocUnsafe(4);
  bytes.writeUInt32BE(length + 0x8000_0000);
  return bytes;
}
