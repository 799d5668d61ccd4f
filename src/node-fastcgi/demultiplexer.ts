// The records of one connection, told apart by request: what `fastcgi/connection.ts` does for web servers that send one
// request at a time, for peers that multiplex, and with the filter role. Pure: bytes in, calls out.
// Rules: an id is live from its BEGIN_REQUEST to `end`; records for any other id are told and dropped; a management record
// that we do not know is told, and answered by whoever hears it; anything that cannot be skipped is FcgiPeerError.
// FastCGI 1.0, sections 3 to 6.

import { FcgiPeerError } from "../errors.ts";
import type { Params } from "../fastcgi/pairs.ts";
import { PairReader } from "../fastcgi/pairs.ts";
import { KEEP_CONN, NULL_REQUEST_ID, RecordReader, RecordType, Role } from "../fastcgi/record.ts";

/** Who hears what came. A call may end requests; nothing may throw. */
export interface RecordListener {
  /** A request begins. It is live when this returns, unless this has ended it. */
  begin(id: number, role: number, keepConn: boolean): void;
  params(id: number, params: Params): void;
  /** A piece of STDIN or DATA, a view of what was received; undefined at its end. */
  input(id: number, stream: "stdin" | "data", bytes: Buffer | undefined): void;
  abort(id: number): void;
  /** A record for an id that is not live, or a BEGIN_REQUEST for one that is. */
  stray(id: number, isInUse: boolean): void;
  values(names: readonly string[]): void;
  unknown(type: number): void;
}

interface Live {
  readonly role: number;
  /** Undefined once PARAMS are complete. */
  pairs: PairReader | undefined;
}

type Target = "skip" | "begin" | "params" | "stdin" | "data" | "values";

const maxGetValuesBytes = 16_384;

export class Demultiplexer {
  readonly #listener: RecordListener;
  readonly #maxParamsBytes: number;
  readonly #reader: RecordReader;
  readonly #live = new Map<number, Live>();
  #target: Target = "skip";
  #id = 0;
  readonly #beginBody = Buffer.alloc(8);
  #beginBytes = 0;
  #values: PairReader | undefined;

  constructor(listener: RecordListener, maxParamsBytes: number) {
    this.#listener = listener;
    this.#maxParamsBytes = maxParamsBytes;
    this.#reader = new RecordReader({
      header: (type, id, contentLength) => this.#onHeader(type, id, contentLength),
      content: (bytes, start, end) => this.#onContent(bytes, start, end),
      contentEnd: () => this.#onContentEnd(),
    });
  }

  /** Takes what the web server sent, in pieces of any size. Throws FcgiPeerError when it cannot go on. */
  push(bytes: Buffer): void {
    this.#reader.push(bytes);
  }

  /** The request with this id has ended: what still comes for it is stray. */
  end(id: number): void {
    this.#live.delete(id);
  }

  /** Drops all that comes from now on. */
  stop(): void {
    this.#reader.stop();
  }

  #onHeader(type: number, id: number, contentLength: number): void {
    this.#target = "skip";
    this.#id = id;
    if (id === NULL_REQUEST_ID) this.#onManagementHeader(type);
    else if (type === RecordType.BEGIN_REQUEST) this.#onBeginHeader(contentLength);
    else {
      const live = this.#live.get(id);
      if (live === undefined) this.#listener.stray(id, false);
      else this.#onRequestHeader(type, live, contentLength);
    }
  }

  #onManagementHeader(type: number): void {
    if (type === RecordType.GET_VALUES) {
      this.#target = "values";
      this.#values = new PairReader("GET_VALUES", maxGetValuesBytes);
    } else this.#listener.unknown(type);
  }

  #onBeginHeader(contentLength: number): void {
    if (contentLength !== 8) throw new FcgiPeerError(`BEGIN_REQUEST has ${contentLength} bytes of content, not 8`);
    this.#target = "begin";
    this.#beginBytes = 0;
  }

  #onRequestHeader(type: number, live: Live, contentLength: number): void {
    const id = this.#id;
    if (type === RecordType.ABORT_REQUEST) this.#listener.abort(id);
    else if (type === RecordType.PARAMS) this.#onParamsHeader(live, contentLength);
    else if (type === RecordType.STDIN || type === RecordType.DATA) {
      const stream = type === RecordType.STDIN ? "stdin" : "data";
      if (live.pairs !== undefined) throw new FcgiPeerError(`${stream} of request ${id} before the end of its PARAMS`);
      if (stream === "data" && live.role !== Role.FILTER) return;
      if (contentLength > 0) this.#target = stream;
      else this.#listener.input(id, stream, undefined);
    }
  }

  #onParamsHeader(live: Live, contentLength: number): void {
    const { pairs } = live;
    if (pairs === undefined) throw new FcgiPeerError(`PARAMS of request ${this.#id} after their end`);
    if (contentLength > 0) {
      this.#target = "params";
      return;
    }
    live.pairs = undefined;
    this.#listener.params(this.#id, pairs.finish());
  }

  #onContent(bytes: Buffer, start: number, end: number): void {
    switch (this.#target) {
      case "stdin":
      case "data":
        // The request may have ended since the record began.
        if (this.#live.has(this.#id)) this.#listener.input(this.#id, this.#target, bytes.subarray(start, end));
        break;
      case "params":
        this.#live.get(this.#id)?.pairs?.push(bytes, start, end);
        break;
      case "begin":
        bytes.copy(this.#beginBody, this.#beginBytes, start, end);
        this.#beginBytes += end - start;
        break;
      case "values":
        this.#values?.push(bytes, start, end);
        break;
      case "skip":
        break;
    }
  }

  #onContentEnd(): void {
    if (this.#target === "begin") this.#begin(this.#id);
    else if (this.#target === "values" && this.#values !== undefined) {
      this.#listener.values(Object.keys(this.#values.finish()));
      this.#values = undefined;
    }
  }

  #begin(id: number): void {
    if (this.#live.has(id)) {
      this.#listener.stray(id, true);
      return;
    }
    const role = this.#beginBody.readUInt16BE(0);
    const keepConn = (this.#beginBody.readUInt8(2) & KEEP_CONN) !== 0;
    this.#live.set(id, { role, pairs: new PairReader("PARAMS", this.#maxParamsBytes) });
    this.#listener.begin(id, role, keepConn);
  }
}
