// FastCGI records: the numbers of the protocol, headers and fixed bodies, and the reader that cuts a byte stream into records.
// Rules: this file knows what a record is, not what a request is. Nothing is copied but a header that arrives in pieces.
// A version other than 1 may have any layout, so it can be neither parsed nor skipped: it is an error at its first byte.
// FastCGI 1.0, sections 3.3 (records), 4 (management records), 5.5 (FCGI_END_REQUEST), 8 (constants).

import { FcgiPeerError } from "../errors.ts";

/** The only protocol version there is. */
const VERSION = 1;
/** Bytes of a record header. */
export const HEADER_BYTES = 8;
/** The longest content of one record, in bytes. */
export const MAX_CONTENT_BYTES = 65_535;
/** The id of management records; requests have the others. */
export const NULL_REQUEST_ID = 0;
/** Bit of the flags in BEGIN_REQUEST: the web server closes the connection, not we. */
export const KEEP_CONN = 1;

/** Record types, FCGI_ left off. */
export const RecordType = {
  BEGIN_REQUEST: 1,
  ABORT_REQUEST: 2,
  END_REQUEST: 3,
  PARAMS: 4,
  STDIN: 5,
  STDOUT: 6,
  STDERR: 7,
  DATA: 8,
  GET_VALUES: 9,
  GET_VALUES_RESULT: 10,
  UNKNOWN_TYPE: 11,
} as const;

/** Roles in BEGIN_REQUEST, FCGI_ left off. */
export const Role = { RESPONDER: 1, AUTHORIZER: 2, FILTER: 3 } as const;

/** How a request ended, in END_REQUEST, FCGI_ left off. */
export const ProtocolStatus = { REQUEST_COMPLETE: 0, CANT_MPX_CONN: 1, OVERLOADED: 2, UNKNOWN_ROLE: 3 } as const;

/** What a record says about itself. `padding` is 0 when absent. */
interface RecordHeader {
  readonly type: number;
  readonly id: number;
  readonly contentLength: number;
  readonly padding?: number;
}

/** Writes a header at `at` and returns the place behind it. */
export function writeHeader(target: Uint8Array, at: number, header: RecordHeader): number {
  target[at] = VERSION;
  target[at + 1] = header.type;
  target[at + 2] = header.id >>> 8;
  target[at + 3] = header.id;
  target[at + 4] = header.contentLength >>> 8;
  target[at + 5] = header.contentLength;
  target[at + 6] = header.padding ?? 0;
  target[at + 7] = 0;
  return at + HEADER_BYTES;
}

/** The content of END_REQUEST. */
interface EndBody {
  readonly appStatus: number;
  readonly protocolStatus: number;
}

/** Bytes of a whole END_REQUEST record. */
export const END_RECORD_BYTES = 16;

/** Writes a whole END_REQUEST record at `at` and returns the place behind it. */
export function writeEnd(target: Uint8Array, at: number, id: number, body: EndBody): number {
  const content = writeHeader(target, at, { type: RecordType.END_REQUEST, id, contentLength: 8 });
  target[content] = body.appStatus >>> 24;
  target[content + 1] = body.appStatus >>> 16;
  target[content + 2] = body.appStatus >>> 8;
  target[content + 3] = body.appStatus;
  target[content + 4] = body.protocolStatus;
  target[content + 5] = 0;
  target[content + 6] = 0;
  target[content + 7] = 0;
  return content + 8;
}

/** A whole END_REQUEST record. */
export function encodeEnd(id: number, body: EndBody): Buffer {
  const record = Buffer.allocUnsafe(END_RECORD_BYTES);
  writeEnd(record, 0, id, body);
  return record;
}

/** A whole record. The content, at most MAX_CONTENT_BYTES, is copied; padding is zeros. */
export function encodeRecord(type: number, id: number, content: Uint8Array, padding = 0): Buffer {
  const record = Buffer.alloc(HEADER_BYTES + content.length + padding);
  writeHeader(record, 0, { type, id, contentLength: content.length, padding });
  record.set(content, HEADER_BYTES);
  return record;
}

/** The same bytes as a Buffer, not copied. */
export function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

/** Who gets the records: `header`, then `content` for each piece that arrives, then `contentEnd`, once per record. */
interface RecordHandler {
  readonly header: (type: number, id: number, contentLength: number) => void;
  /** `bytes` from `start` to `end`, never empty, is the next piece of the content. */
  readonly content: (bytes: Buffer, start: number, end: number) => void;
  readonly contentEnd: () => void;
}

/** Cuts a byte stream into records. It throws FcgiPeerError for a foreign version and what its handler throws. */
export class RecordReader {
  readonly #handler: RecordHandler;
  readonly #fragment = Buffer.allocUnsafe(HEADER_BYTES);
  #fragmentBytes = 0;
  #contentLeft = 0;
  #paddingLeft = 0;
  #stopped = false;

  constructor(handler: RecordHandler) {
    this.#handler = handler;
  }

  /** True when the next byte would begin a record. */
  get isBetweenRecords(): boolean {
    return !this.#stopped && this.#fragmentBytes === 0 && this.#contentLeft === 0 && this.#paddingLeft === 0;
  }

  /** Drops all that comes from now on, also the rest of what is being pushed. */
  stop(): void {
    this.#stopped = true;
  }

  push(bytes: Buffer): void {
    const end = bytes.length;
    let at = 0;
    while (at < end && !this.#stopped) {
      if (this.#contentLeft > 0) {
        at = this.#readContent(bytes, at);
      } else if (this.#paddingLeft > 0) {
        const skipped = Math.min(this.#paddingLeft, end - at);
        this.#paddingLeft -= skipped;
        at += skipped;
      } else {
        at = this.#readHeader(bytes, at);
      }
    }
  }

  #readContent(bytes: Buffer, at: number): number {
    const end = Math.min(at + this.#contentLeft, bytes.length);
    this.#contentLeft -= end - at;
    this.#handler.content(bytes, at, end);
    if (this.#contentLeft === 0) this.#handler.contentEnd();
    return end;
  }

  #readHeader(bytes: Buffer, at: number): number {
    if (this.#fragmentBytes === 0) {
      const version = bytes.readUInt8(at);
      if (version !== VERSION) throw foreignVersion(version);
      if (bytes.length - at >= HEADER_BYTES) {
        this.#open(bytes, at);
        return at + HEADER_BYTES;
      }
    }
    const end = Math.min(at + HEADER_BYTES - this.#fragmentBytes, bytes.length);
    bytes.copy(this.#fragment, this.#fragmentBytes, at, end);
    this.#fragmentBytes += end - at;
    if (this.#fragmentBytes === HEADER_BYTES) {
      this.#fragmentBytes = 0;
      this.#open(this.#fragment, 0);
    }
    return end;
  }

  #open(bytes: Buffer, at: number): void {
    this.#contentLeft = bytes.readUInt16BE(at + 4);
    this.#paddingLeft = bytes.readUInt8(at + 6);
    this.#handler.header(bytes.readUInt8(at + 1), bytes.readUInt16BE(at + 2), this.#contentLeft);
    if (this.#contentLeft === 0) this.#handler.contentEnd();
  }
}

function foreignVersion(version: number): FcgiPeerError {
  let guess = "";
  if (version >= 0x41 && version <= 0x5a) guess = ", perhaps HTTP";
  if (version === 0x16) guess = ", perhaps TLS";
  return new FcgiPeerError(`the peer does not speak FastCGI 1.0: a record begins with byte ${version}, not 1${guess}`);
}
