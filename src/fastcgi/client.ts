// The web server's side of FastCGI, without I/O: requests as bytes, response bytes as events. The warm CGI relay and the
// tests speak through it.
// Rules: it is as strict as a peer may be. A record for an id that has no request, or after the end of its stream, is
// FcgiPeerError, since a real web server would give it to the wrong client.
// FastCGI 1.0, sections 3 to 6, from the other end.

import { FcgiPeerError } from "../errors.ts";
import { PairReader, encodePairs } from "./pairs.ts";
import type { Params } from "./pairs.ts";
import {
  HEADER_BYTES,
  KEEP_CONN,
  MAX_CONTENT_BYTES,
  NULL_REQUEST_ID,
  RecordReader,
  RecordType,
  Role,
  asBuffer,
  encodeRecord,
  writeHeader,
} from "./record.ts";

export interface FcgiRequest {
  readonly params: Readonly<Params>;
  /** The body; an authorizer has none. */
  readonly stdin?: Uint8Array;
  /** 1 to 65535, default 1. */
  readonly id?: number;
  /** One of `Role`, default RESPONDER. */
  readonly role?: number;
  /** Default false. */
  readonly keepConn?: boolean;
  /** The most content bytes in a PARAMS or STDIN record, default 65535; pairs are cut wherever that falls. */
  readonly recordBytes?: number;
}

/** What the application side sent. `data` is a view of the bytes that were received. */
export type FcgiClientEvent =
  | { readonly type: "stdout" | "stderr"; readonly id: number; readonly data: Uint8Array }
  | { readonly type: "end"; readonly id: number; readonly appStatus: number; readonly protocolStatus: number }
  | { readonly type: "values"; readonly values: Params }
  | { readonly type: "unknown-type"; readonly recordType: number };

/** A whole BEGIN_REQUEST record. */
function encodeBegin(id: number, role: number, flags: number): Buffer {
  return encodeRecord(RecordType.BEGIN_REQUEST, id, Buffer.of(role >>> 8, role, flags, 0, 0, 0, 0, 0));
}

/** A whole stream: its content cut into records of at most `recordBytes`, then the empty record that ends it. */
export function encodeStream(type: number, id: number, content: Uint8Array, recordBytes = MAX_CONTENT_BYTES): Buffer {
  const parts: Uint8Array[] = [];
  for (let at = 0; at < content.length; at += recordBytes) {
    const piece = content.subarray(at, at + recordBytes);
    const header = Buffer.allocUnsafe(HEADER_BYTES);
    writeHeader(header, 0, { type, id, contentLength: piece.length });
    parts.push(header, piece);
  }
  parts.push(encodeRecord(type, id, Buffer.alloc(0)));
  return Buffer.concat(parts);
}

/** A GET_VALUES record that asks for these names. */
export function encodeGetValues(names: readonly string[]): Buffer {
  const asked = encodePairs(Object.fromEntries(names.map((name) => [name, ""])));
  return encodeRecord(RecordType.GET_VALUES, NULL_REQUEST_ID, asked);
}

/** The streams of a request that are not over. */
type OpenStreams = Set<"stdout" | "stderr">;

/** Speaks to one application over one connection. */
export class FcgiClient {
  readonly #reader: RecordReader;
  readonly #requests = new Map<number, OpenStreams>();
  #events: FcgiClientEvent[] = [];
  #record = { type: 0, id: 0 };
  readonly #body = Buffer.alloc(8);
  #bodyBytes = 0;
  #values: PairReader | undefined;

  constructor() {
    this.#reader = new RecordReader({
      header: (type, id, contentLength) => this.#onHeader(type, id, contentLength),
      content: (bytes, start, end) => this.#onContent(bytes, start, end),
      contentEnd: () => this.#onContentEnd(),
    });
  }

  /** A whole request; from now on records for its id are expected. */
  request(request: FcgiRequest): Buffer {
    const { id = 1, role = Role.RESPONDER, recordBytes } = request;
    const head = this.begin(request);
    if (role === Role.AUTHORIZER) return head;
    return Buffer.concat([head, encodeStream(RecordType.STDIN, id, request.stdin ?? Buffer.alloc(0), recordBytes)]);
  }

  /** A request without its body, whose records and end are to follow. */
  begin({ id = 1, role = Role.RESPONDER, keepConn = false, params, recordBytes }: FcgiRequest): Buffer {
    this.#requests.set(id, new Set(["stdout", "stderr"]));
    return Buffer.concat([
      encodeBegin(id, role, keepConn ? KEEP_CONN : 0),
      encodeStream(RecordType.PARAMS, id, encodePairs(params), recordBytes),
    ]);
  }

  /** Takes what the application sent, in pieces of any size. Throws FcgiPeerError. */
  receive(bytes: Uint8Array): readonly FcgiClientEvent[] {
    this.#events = [];
    this.#reader.push(asBuffer(bytes));
    return this.#events;
  }

  #onHeader(type: number, id: number, contentLength: number): void {
    this.#record = { type, id };
    this.#bodyBytes = 0;
    if (id === NULL_REQUEST_ID && type === RecordType.GET_VALUES_RESULT) {
      this.#values = new PairReader("GET_VALUES_RESULT", MAX_CONTENT_BYTES);
    } else if (id === NULL_REQUEST_ID && type === RecordType.UNKNOWN_TYPE) {
      requireEight(type, contentLength);
    } else {
      const open = this.#requests.get(id);
      const stream = streamOf(type);
      if (open === undefined)
        throw new FcgiPeerError(`a record of type ${type} for the id ${id}, which has no request`);
      if (stream === undefined) {
        if (type !== RecordType.END_REQUEST) throw new FcgiPeerError(`a record of type ${type} from an application`);
        requireEight(type, contentLength);
      } else if (!open.has(stream)) {
        throw new FcgiPeerError(`${stream} of the request id ${id} goes on after its end`);
      } else if (contentLength === 0) open.delete(stream);
    }
  }

  #onContent(bytes: Buffer, start: number, end: number): void {
    const stream = streamOf(this.#record.type);
    if (stream !== undefined) {
      this.#events.push({ type: stream, id: this.#record.id, data: bytes.subarray(start, end) });
    } else if (this.#record.type === RecordType.GET_VALUES_RESULT) {
      this.#values?.push(bytes, start, end);
    } else {
      bytes.copy(this.#body, this.#bodyBytes, start, end);
      this.#bodyBytes += end - start;
    }
  }

  #onContentEnd(): void {
    const { type, id } = this.#record;
    if (type === RecordType.GET_VALUES_RESULT && this.#values !== undefined) {
      this.#events.push({ type: "values", values: this.#values.finish() });
    } else if (type === RecordType.UNKNOWN_TYPE) {
      this.#events.push({ type: "unknown-type", recordType: this.#body.readUInt8(0) });
    } else if (type === RecordType.END_REQUEST) {
      this.#requests.delete(id);
      const appStatus = this.#body.readUInt32BE(0);
      this.#events.push({ type: "end", id, appStatus, protocolStatus: this.#body.readUInt8(4) });
    }
  }
}

function streamOf(type: number): "stdout" | "stderr" | undefined {
  if (type === RecordType.STDOUT) return "stdout";
  return type === RecordType.STDERR ? "stderr" : undefined;
}

function requireEight(type: number, contentLength: number): void {
  if (contentLength !== 8) {
    throw new FcgiPeerError(`a record of type ${type} has ${contentLength} bytes of content, not 8`);
  }
}
