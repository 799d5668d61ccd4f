// The syntax of a multipart body (RFC 2046 section 5.1.1, RFC 7578), checked in front of busboy.
// busboy 1.6 skips, cuts or misreads what it does not understand, without a word: a delimiter with something behind it, a
// part without a name, a second Content-Disposition, a name beyond its grammar. So nothing of the client but contents
// reaches it: this class finds the delimiters, reads each part's headers, counts, and passes delimiters and headers of
// our own around the contents. Pure: bytes in, bytes out, the first violation or limit throws.

import { FormLimitError, FormSyntaxError } from "../errors.ts";
import type { FormLimits } from "./limits.ts";
import type { PartHead } from "./part-head.ts";
import { parsePartHead } from "./part-head.ts";

const lineEnd = "\r\n";
const headEnd = "\r\n\r\n";
const dash = 0x2d;
const carriageReturn = 0x0d;
const lineFeed = 0x0a;
/** Blanks that may stand between a boundary and the end of its line. */
const maxPaddingBytes = 256;

type State = "preamble" | "boundary" | "head" | "start" | "content" | "closing" | "epilogue";

export class Framing {
  readonly #limits: FormLimits;
  /** Line end, two dashes and boundary: what ends a content. */
  readonly #delimiter: Buffer;
  #state: State = "preamble";
  /** What came and is not used yet. It begins as if a line had ended before the body. */
  #rest: Buffer = Buffer.from(lineEnd);
  #heads: PartHead[] = [];
  #isFile = false;
  #parts = 0;
  #files = 0;
  #contentBytes = 0;
  #fieldBytes = 0;
  #outsideBytes = 0;

  constructor(boundary: string, limits: FormLimits) {
    this.#limits = limits;
    this.#delimiter = Buffer.from(`${lineEnd}--${boundary}`, "latin1");
  }

  /** The head of the next part in order, once. */
  takeHead(): PartHead | undefined {
    return this.#heads.shift();
  }

  /** Gives the bytes for busboy that `chunk` makes certain. */
  *push(chunk: Buffer): Generator<Buffer, void, undefined> {
    let data = this.#rest.length === 0 ? chunk : Buffer.concat([this.#rest, chunk]);
    for (;;) {
      const state = this.#state;
      const used = yield* this.#step(data);
      data = data.subarray(used);
      if (this.#state === state) break;
    }
    this.#rest = data;
  }

  /** The body has ended. Throws unless its last boundary has come. */
  end(): void {
    if (this.#state === "epilogue" || (this.#state === "closing" && isBlank(this.#rest))) return;
    if (this.#parts === 0 && this.#state === "preamble")
      throw new FormSyntaxError("the body of the form has no boundary in it");
    throw new FormSyntaxError("the form ends before its last boundary");
  }

  /** Goes on in the present state; gives how many bytes are done with. Waits for more by leaving the state as it is. */
  *#step(data: Buffer): Generator<Buffer, number, undefined> {
    switch (this.#state) {
      case "preamble":
      case "epilogue":
        return this.#skip(data);
      case "boundary":
        return yield* this.#readBoundaryEnd(data);
      case "head":
        return yield* this.#readHead(data);
      case "start":
        return this.#readStart(data);
      case "content":
        return yield* this.#readContent(data);
      case "closing":
        return this.#readClosing(data);
    }
  }

  #skip(data: Buffer): number {
    const found = data.indexOf(this.#delimiter);
    if (found !== -1 && this.#state === "epilogue") {
      throw new FormSyntaxError("the form goes on after its last boundary");
    }
    const used = found === -1 ? this.#certainBytes(data) : found;
    this.#outsideBytes += used;
    if (this.#outsideBytes > this.#limits.headerBytes) {
      throw new FormSyntaxError(
        `the form has too much text ${this.#parts === 0 ? "before its first" : "after its last"} boundary`,
      );
    }
    if (found === -1) return used;
    this.#state = "boundary";
    return found + this.#delimiter.length;
  }

  /** After a boundary: the end of the line, or the two dashes of the last one. */
  *#readBoundaryEnd(data: Buffer): Generator<Buffer, number, undefined> {
    if (data[0] === dash) {
      if (data.length < 2) return 0;
      if (data[1] !== dash) throw new FormSyntaxError("a boundary of the form has something behind it");
      yield Buffer.concat([this.#delimiter, Buffer.from(`--${lineEnd}`)]);
      this.#outsideBytes = 0;
      this.#state = "closing";
      return 2;
    }
    const used = lineEndAfterBlanks(data);
    if (used === 0) return 0;
    this.#parts += 1;
    if (this.#parts > this.#limits.parts) throw new FormLimitError("parts", this.#limits.parts);
    this.#state = "head";
    return used;
  }

  #readClosing(data: Buffer): number {
    const used = lineEndAfterBlanks(data);
    if (used === 0) return 0;
    this.#state = "epilogue";
    return used - lineEnd.length; // a delimiter may follow at once
  }

  *#readHead(data: Buffer): Generator<Buffer, number, undefined> {
    const { headerBytes } = this.#limits;
    const end = data.indexOf(headEnd);
    if ((end === -1 ? data.length - headEnd.length : end) > headerBytes) {
      throw new FormLimitError("headerBytes", headerBytes);
    }
    if (end === -1) return 0;
    const block = data.toString("latin1", 0, end);
    if (`${lineEnd}${block}`.includes(this.#delimiter.toString("latin1"))) {
      throw new FormSyntaxError("a part of the form ends within its headers");
    }
    const head = parsePartHead(block, this.#limits);
    this.#begin(head);
    yield this.#ownHead();
    this.#state = "start";
    return end + lineEnd.length; // the empty line may belong to a delimiter: then the part has no content
  }

  #begin(head: PartHead): void {
    this.#heads.push(head);
    this.#isFile = head.isFile;
    this.#contentBytes = 0;
    if (!head.isFile) return;
    this.#files += 1;
    if (this.#files > this.#limits.files) throw new FormLimitError("files", this.#limits.files);
  }

  /** What busboy gets in place of the client's headers: with a file name it gives every part as a stream of bytes. */
  #ownHead(): Buffer {
    const own = `${lineEnd}Content-Disposition: form-data; name="${this.#parts}"; filename="part"${headEnd}`;
    return Buffer.concat([this.#delimiter, Buffer.from(own)]);
  }

  #readStart(data: Buffer): number {
    const length = Math.min(data.length, this.#delimiter.length);
    const mayBeDelimiter = data.subarray(0, length).equals(this.#delimiter.subarray(0, length));
    if (mayBeDelimiter && length < this.#delimiter.length) return 0;
    this.#state = "content";
    return mayBeDelimiter ? 0 : lineEnd.length;
  }

  *#readContent(data: Buffer): Generator<Buffer, number, undefined> {
    const found = data.indexOf(this.#delimiter);
    const used = found === -1 ? this.#certainBytes(data) : found;
    if (used > 0) {
      this.#count(used);
      yield data.subarray(0, used);
    }
    if (found === -1) return used;
    this.#state = "boundary";
    return found + this.#delimiter.length;
  }

  #count(bytes: number): void {
    const { fileBytes, fieldBytes, totalFieldBytes } = this.#limits;
    this.#contentBytes += bytes;
    if (this.#isFile) {
      if (this.#contentBytes > fileBytes) throw new FormLimitError("fileBytes", fileBytes);
      return;
    }
    this.#fieldBytes += bytes;
    if (this.#contentBytes > fieldBytes) throw new FormLimitError("fieldBytes", fieldBytes);
    if (this.#fieldBytes > totalFieldBytes) throw new FormLimitError("totalFieldBytes", totalFieldBytes);
  }

  /** How many bytes cannot be the beginning of a delimiter. A carriage return is only its first byte. */
  #certainBytes(data: Buffer): number {
    const last = data.lastIndexOf(carriageReturn);
    const length = data.length - last;
    const isBeginning =
      last !== -1 && length < this.#delimiter.length && data.subarray(last).equals(this.#delimiter.subarray(0, length));
    return isBeginning ? last : data.length;
  }
}

function isBlank(data: Buffer): boolean {
  return data.every((byte) => byte === 0x20 || byte === 0x09);
}

/** The bytes of the blanks and the line end at the beginning of `data`; 0 when more is needed to tell. */
function lineEndAfterBlanks(data: Buffer): number {
  let end = 0;
  while (data[end] === 0x20 || data[end] === 0x09) end += 1;
  const isWrong = end < data.length && (data[end] !== carriageReturn || (data[end + 1] ?? lineFeed) !== lineFeed);
  if (isWrong || end > maxPaddingBytes) throw new FormSyntaxError("a boundary of the form has something behind it");
  return end + 1 < data.length ? end + lineEnd.length : 0;
}
