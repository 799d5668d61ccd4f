// What the application side sends for a request: STDOUT, STDERR and END_REQUEST records.
// Rules: a small piece leaves as one buffer, a large one is framed around its own memory. No empty STDOUT or STDERR but
// at the end of its stream. Records are not padded: padding costs bytes and Apache ignores alignment.
// FastCGI 1.0, sections 3.3, 5.3 to 5.5.

import {
  END_RECORD_BYTES,
  HEADER_BYTES,
  MAX_CONTENT_BYTES,
  ProtocolStatus,
  RecordType,
  asBuffer,
  encodeRecord,
  writeEnd,
  writeHeader,
} from "./record.ts";

/** Up to here copying a body costs less than a second buffer in the same write. */
const SMALL_BYTES = 16_384;

/** Content of a full record: the largest multiple of eight, so that large copies on both sides stay aligned. */
const FULL_CONTENT_BYTES = MAX_CONTENT_BYTES - (MAX_CONTENT_BYTES % 8);

/** mod_fcgid cuts what is longer than 7999 bytes, mod_proxy_fcgi logs every 8192 bytes as an entry of its own. */
const STDERR_CONTENT_BYTES = 7992;

const COMPLETE = { appStatus: 0, protocolStatus: ProtocolStatus.REQUEST_COMPLETE } as const;

/** A piece of the response. `head` is latin-1 and precedes `data`; a string in `data` is UTF-8. */
interface OutputPiece {
  readonly id: number;
  readonly head?: string | undefined;
  readonly data?: Uint8Array | string | undefined;
  /** Ends STDOUT and the request. */
  readonly last: boolean;
}

/** The records of a piece; none when there is nothing to say. `endStderr` closes that stream too, with the last piece. */
export function encodeOutput(piece: OutputPiece, endStderr: boolean): readonly Uint8Array[] {
  const { data, last } = piece;
  const headBytes = piece.head === undefined ? 0 : piece.head.length;
  const dataBytes = data === undefined ? 0 : typeof data === "string" ? Buffer.byteLength(data) : data.length;
  const contentBytes = headBytes + dataBytes;
  if (contentBytes > SMALL_BYTES) return encodeLarge(piece, endStderr);

  const endBytes = last ? trailerBytes(endStderr) : 0;
  if (contentBytes === 0 && endBytes === 0) return [];
  const bytes = Buffer.allocUnsafe((contentBytes === 0 ? 0 : HEADER_BYTES + contentBytes) + endBytes);
  let at = 0;
  if (contentBytes > 0) {
    at = writeHeader(bytes, 0, { type: RecordType.STDOUT, id: piece.id, contentLength: contentBytes });
    if (piece.head !== undefined) at += bytes.write(piece.head, at, headBytes, "latin1");
    if (typeof data === "string") bytes.write(data, at, dataBytes, "utf8");
    else if (data !== undefined) bytes.set(data, at);
    at += dataBytes;
  }
  if (last) writeTrailer(bytes, at, piece.id, endStderr);
  return [bytes];
}

function encodeLarge(piece: OutputPiece, endStderr: boolean): readonly Uint8Array[] {
  const head = Buffer.from(piece.head ?? "", "latin1");
  const data = typeof piece.data === "string" ? Buffer.from(piece.data) : (piece.data ?? Buffer.alloc(0));
  const buffers: Uint8Array[] = [];
  let headAt = 0;
  let dataAt = 0;
  while (headAt < head.length || dataAt < data.length) {
    const headEnd = Math.min(headAt + FULL_CONTENT_BYTES, head.length);
    const dataEnd = Math.min(dataAt + FULL_CONTENT_BYTES - (headEnd - headAt), data.length);
    const start = Buffer.allocUnsafe(HEADER_BYTES + headEnd - headAt);
    const contentLength = headEnd - headAt + dataEnd - dataAt;
    head.copy(start, writeHeader(start, 0, { type: RecordType.STDOUT, id: piece.id, contentLength }), headAt, headEnd);
    buffers.push(start);
    if (dataEnd > dataAt) buffers.push(data.subarray(dataAt, dataEnd));
    headAt = headEnd;
    dataAt = dataEnd;
  }
  if (piece.last) {
    const trailer = Buffer.allocUnsafe(trailerBytes(endStderr));
    writeTrailer(trailer, 0, piece.id, endStderr);
    buffers.push(trailer);
  }
  return buffers;
}

function trailerBytes(endStderr: boolean): number {
  return (endStderr ? 2 * HEADER_BYTES : HEADER_BYTES) + END_RECORD_BYTES;
}

/** The ends of the streams and of the request. */
function writeTrailer(target: Uint8Array, start: number, id: number, endStderr: boolean): void {
  let at = writeHeader(target, start, { type: RecordType.STDOUT, id, contentLength: 0 });
  if (endStderr) at = writeHeader(target, at, { type: RecordType.STDERR, id, contentLength: 0 });
  writeEnd(target, at, id, COMPLETE);
}

/** STDERR records, none for no bytes. A string is UTF-8; a long one is cut between characters. */
export function encodeStderr(id: number, data: Uint8Array | string): readonly Uint8Array[] {
  const bytes = typeof data === "string" ? Buffer.from(data) : asBuffer(data);
  const records: Uint8Array[] = [];
  let at = 0;
  while (at < bytes.length) {
    const end = cutBetweenCharacters(bytes, at, at + STDERR_CONTENT_BYTES);
    records.push(encodeRecord(RecordType.STDERR, id, bytes.subarray(at, end)));
    at = end;
  }
  return records;
}

/** The last place up to `limit` where no UTF-8 sequence is cut; `limit` itself where the bytes are not UTF-8. */
function cutBetweenCharacters(bytes: Buffer, start: number, limit: number): number {
  if (limit >= bytes.length) return bytes.length;
  for (let at = limit; at > limit - 4 && at > start; at -= 1) {
    if ((bytes.readUInt8(at) & 0xc0) !== 0x80) return at;
  }
  return limit;
}
