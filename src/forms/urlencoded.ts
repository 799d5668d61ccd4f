// application/x-www-form-urlencoded, as the URL standard parses it: nothing is malformed, a "%" without two hex digits is
// a percent sign, "+" is a space, and a name without "=" has an empty value.

import { FormLimitError } from "../errors.ts";
import type { FormField } from "./fields.ts";
import { FormText } from "./form-text.ts";
import type { FormLimits, FormOptions } from "./limits.ts";
import { limitsOf } from "./limits.ts";

/** Name and value as bytes, percent-decoded: the charset is the reader's matter. */
type RawPair = readonly [name: Buffer, value: Buffer];

const ampersand = 0x26;
const equals = 0x3d;
const plus = 0x2b;
const percent = 0x25;
const space = 0x20;
const nothing = Buffer.alloc(0);

function hexDigit(byte: number | undefined): number {
  if (byte === undefined) return -1;
  if (byte >= 0x30 && byte <= 0x39) return byte - 0x30;
  const letter = byte | 0x20;
  return letter >= 0x61 && letter <= 0x66 ? letter - 0x57 : -1;
}

/** Gives the very bytes where nothing is escaped. */
function decodePercent(encoded: Buffer): Buffer {
  if (!encoded.includes(percent) && !encoded.includes(plus)) return encoded;
  const decoded = Buffer.allocUnsafe(encoded.length);
  let length = 0;
  for (let index = 0; index < encoded.length; index += 1) {
    let byte = encoded[index] ?? 0;
    if (byte === plus) byte = space;
    else if (byte === percent) {
      const high = hexDigit(encoded[index + 1]);
      const low = hexDigit(encoded[index + 2]);
      if (high !== -1 && low !== -1) {
        byte = high * 16 + low;
        index += 2;
      }
    }
    decoded[length] = byte;
    length += 1;
  }
  return decoded.subarray(0, length);
}

/** Counts pairs and their bytes against the limits. */
class PairReader {
  readonly #limits: FormLimits;
  /** The longest that a pair within the limits can be, every byte of it escaped. */
  readonly #mostPairBytes: number;
  #rest: Buffer[] = [];
  #restBytes = 0;
  #pairs = 0;
  #fieldBytes = 0;

  constructor(limits: FormLimits) {
    this.#limits = limits;
    this.#mostPairBytes = 3 * (limits.nameBytes + limits.fieldBytes) + 1;
  }

  /** The pairs that `chunk` completes. */
  *push(chunk: Buffer): Generator<RawPair, void, undefined> {
    let start = 0;
    for (let end = chunk.indexOf(ampersand); end !== -1; end = chunk.indexOf(ampersand, start)) {
      this.#keep(chunk.subarray(start, end));
      const pair = this.end();
      if (pair !== undefined) yield pair;
      start = end + 1;
    }
    this.#keep(chunk.subarray(start));
  }

  /** The last pair, if there is one. */
  end(): RawPair | undefined {
    const [first = nothing, ...more] = this.#rest;
    if (first.length === 0) return undefined;
    const encoded = more.length === 0 ? first : Buffer.concat(this.#rest);
    this.#rest = [];
    this.#restBytes = 0;
    const middle = encoded.indexOf(equals);
    const name = decodePercent(middle === -1 ? encoded : encoded.subarray(0, middle));
    const value = decodePercent(middle === -1 ? nothing : encoded.subarray(middle + 1));
    this.#count(name.length, value.length);
    return [name, value];
  }

  #keep(bytes: Buffer): void {
    if (bytes.length === 0) return;
    this.#rest.push(bytes);
    this.#restBytes += bytes.length;
    if (this.#restBytes > this.#mostPairBytes) throw new FormLimitError("fieldBytes", this.#limits.fieldBytes);
  }

  #count(nameBytes: number, valueBytes: number): void {
    const limits = this.#limits;
    this.#pairs += 1;
    this.#fieldBytes += valueBytes;
    if (this.#pairs > limits.parts) throw new FormLimitError("parts", limits.parts);
    if (nameBytes > limits.nameBytes) throw new FormLimitError("nameBytes", limits.nameBytes);
    if (valueBytes > limits.fieldBytes) throw new FormLimitError("fieldBytes", limits.fieldBytes);
    if (this.#fieldBytes > limits.totalFieldBytes) throw new FormLimitError("totalFieldBytes", limits.totalFieldBytes);
  }
}

/** The fields of a body, as its bytes come in. */
export class UrlencodedFields {
  readonly #text: FormText;
  readonly #pairs: PairReader;

  constructor(charset: string | undefined, options: FormOptions) {
    this.#text = new FormText(charset, options);
    this.#pairs = new PairReader(limitsOf(options));
  }

  /** Reads on when the next field is asked for. */
  *push(chunk: Buffer): Generator<FormField, void, undefined> {
    for (const pair of this.#pairs.push(chunk)) yield this.#field(pair);
  }

  end(): FormField[] {
    const pair = this.#pairs.end();
    return pair === undefined ? [] : [this.#field(pair)];
  }

  #field([name, value]: RawPair): FormField {
    return this.#text.field(this.#text.of(name), this.#text.of(value));
  }
}

/** The fields of a query or body that is here as a whole. Throws FormLimitError. */
export function fieldsOf(encoded: Buffer, options: FormOptions): FormField[] {
  const fields = new UrlencodedFields(undefined, options);
  return [...fields.push(encoded), ...fields.end()];
}
