// The application's side of one FastCGI connection, without I/O: bytes in, events out; commands in, bytes out.
// Rules: one request at a time (FCGI_MPXS_CONNS is 0). An id is live from its BEGIN_REQUEST to the END_REQUEST that we
// send, whether or not its input was complete. Records for an id that is not live are dropped; not one byte leaves for
// it. Input is never stored, except a name-value pair that is cut in two. What a peer may do wrong without harm gets an
// answer or is ignored; anything else is FcgiPeerError, and then the connection is dead.
// FastCGI 1.0, sections 3 to 6.

import { FcgiPeerError, UsageError } from "../errors.ts";
import { encodeOutput, encodeStderr } from "./output.ts";
import { PairReader, encodePairs } from "./pairs.ts";
import type { Params } from "./pairs.ts";
import {
  KEEP_CONN,
  NULL_REQUEST_ID,
  ProtocolStatus,
  RecordReader,
  RecordType,
  Role,
  asBuffer,
  encodeEnd,
  encodeRecord,
} from "./record.ts";

/** The roles that we play. */
export type RoleName = "RESPONDER" | "AUTHORIZER";

/** What happened. `data` in `stdin` is a view of the bytes that were received. */
export type FcgiEvent =
  /** A request was accepted; its PARAMS follow. */
  | { readonly type: "begin"; readonly id: number; readonly role: RoleName; readonly keepConn: boolean }
  /** PARAMS are complete. */
  | {
      readonly type: "request";
      readonly id: number;
      readonly role: RoleName;
      readonly keepConn: boolean;
      readonly params: Params;
    }
  | { readonly type: "stdin"; readonly id: number; readonly data: Uint8Array }
  /** No more input; follows `request` at once for an authorizer, which has none. */
  | { readonly type: "stdin-end"; readonly id: number }
  /** The web server gave the request up, at most once a request and at any time after `begin`. */
  | { readonly type: "abort"; readonly id: number; readonly reason: string }
  /** To be written at once; with `close` the connection ends after it and all further input is dropped. */
  | { readonly type: "reply"; readonly bytes: Uint8Array; readonly close: boolean };

/** What to send. Only a live id may be named. */
export type FcgiCommand =
  /**
   * STDOUT. `head` is latin-1 and precedes `data`; a string in `data` is UTF-8. `last` ends STDOUT and, with
   * REQUEST_COMPLETE, the request. `data` is not copied when it is large: leave it alone until it is written.
   */
  | {
      readonly type: "output";
      readonly id: number;
      readonly head?: string | undefined;
      readonly data?: Uint8Array | string | undefined;
      readonly last: boolean;
    }
  /** STDERR: one record, or more when it is longer than 7992 bytes. */
  | { readonly type: "stderr"; readonly id: number; readonly data: Uint8Array | string }
  /** END_REQUEST alone. A stream that was begun stays unfinished. */
  | { readonly type: "end"; readonly id: number; readonly appStatus: number; readonly protocolStatus: number };

export interface FcgiLimits {
  /** Bytes of all PARAMS content of a request. */
  readonly maxParamsBytes: number;
  /** What GET_VALUES tells about connections and requests; nothing is counted here. */
  readonly maxConnections: number;
}

/** The three names that the specification defines take 49 bytes. */
const MAX_GET_VALUES_BYTES = 16_384;

const NOTHING = new Uint8Array(0);

/** Where the web server is with its request. "complete": all input came. "aborted": it is dropped. */
type Phase = "params" | "stdin" | "complete" | "aborted";

interface LiveRequest {
  readonly id: number;
  readonly role: RoleName;
  readonly keepConn: boolean;
  readonly pairs: PairReader;
  phase: Phase;
  hasStdout: boolean;
  hasStderr: boolean;
}

/** What becomes of the content of the record that is being read. */
type Target = "skip" | "begin" | "params" | "stdin" | "values";

export class FcgiConnection {
  readonly #limits: FcgiLimits;
  readonly #reader: RecordReader;
  #events: FcgiEvent[] = [];
  #error: Error | undefined;
  #live: LiveRequest | undefined;
  #hadWholeInput = false;
  #target: Target = "skip";
  /** The BEGIN_REQUEST that is being read: its id, its body, and how much of that has come. */
  #beginId = 0;
  readonly #beginBody = Buffer.allocUnsafe(8);
  #beginBytes = 0;
  #values: PairReader | undefined;

  constructor(limits: FcgiLimits) {
    this.#limits = limits;
    this.#reader = new RecordReader({
      header: (type, id, contentLength) => this.#onHeader(type, id, contentLength),
      content: (bytes, start, end) => this.#onContent(bytes, start, end),
      contentEnd: () => this.#onContentEnd(),
    });
  }

  /** True when the connection waits for a next request and no record is incomplete: it may be closed or handed over. */
  get isIdle(): boolean {
    return this.#live === undefined && this.#error === undefined && this.#reader.isBetweenRecords;
  }

  /** True from `begin` to the END_REQUEST for this id, thus also after `abort`. */
  isLive(id: number): boolean {
    return this.#live?.id === id;
  }

  /**
   * Takes what the web server sent, in pieces of any size. Throws FcgiPeerError when it cannot go on, and the same error
   * ever after; what the same call had found before is lost then.
   */
  receive(bytes: Uint8Array): readonly FcgiEvent[] {
    if (this.#error !== undefined) throw this.#error;
    const before = this.#live;
    const events: FcgiEvent[] = [];
    this.#events = events;
    try {
      this.#reader.push(asBuffer(bytes));
    } catch (error) {
      if (error instanceof Error) this.#error = error;
      // A request whose "begin" never reached the caller was never there.
      if (this.#live !== before) this.#live = undefined;
      throw error;
    } finally {
      // An idle connection must not keep the last STDIN, and with it a socket's buffer, alive.
      this.#events = [];
    }
    return events;
  }

  /** The web server will send no more: a live request comes back as `abort`. May also be called after FcgiPeerError. */
  receiveEof(): readonly FcgiEvent[] {
    const events: FcgiEvent[] = [];
    this.#events = events;
    this.#reader.stop();
    const reason = this.#error instanceof FcgiPeerError ? this.#error.message : "the web server closed the connection";
    this.#abort(reason);
    this.#events = [];
    return events;
  }

  /** The records of a command, to be written in this order. Throws UsageError for an id that is not live. */
  send(command: FcgiCommand): readonly Uint8Array[] {
    const live = this.#live;
    if (live === undefined || live.id !== command.id) {
      throw new UsageError(`"${command.type}" for the FastCGI request id ${command.id}, which is not live`);
    }
    switch (command.type) {
      case "output": {
        const buffers = encodeOutput(command, live.hasStderr);
        if (buffers.length > 0) live.hasStdout = true;
        if (command.last) this.#release(live);
        return buffers;
      }
      case "stderr": {
        const records = encodeStderr(command.id, command.data);
        if (records.length > 0) live.hasStderr = true;
        return records;
      }
      case "end":
        this.#release(live);
        return [encodeEnd(command.id, command)];
    }
  }

  /** Whether the end of STDIN had come when the last request ended. What an AUTHORIZER gets there is not looked at. */
  get hadWholeInput(): boolean {
    return this.#hadWholeInput;
  }

  /** Forgets the live request. What is still to come of its record that is being read finds no request and is dropped. */
  #release(live: LiveRequest): void {
    this.#live = undefined;
    this.#hadWholeInput = live.phase === "complete" && live.role === "RESPONDER";
    if (!live.keepConn) this.#reader.stop();
  }

  #onHeader(type: number, id: number, contentLength: number): void {
    this.#target = "skip";
    const live = this.#live;
    if (id === NULL_REQUEST_ID) this.#onManagementHeader(type);
    else if (type === RecordType.BEGIN_REQUEST) this.#onBeginHeader(id, contentLength);
    else if (live !== undefined && live.id === id && live.phase !== "aborted") {
      if (type === RecordType.PARAMS) this.#onParamsHeader(live, contentLength);
      else if (type === RecordType.STDIN) this.#onStdinHeader(live, contentLength);
      else if (type === RecordType.ABORT_REQUEST) this.#abort("the web server sent FCGI_ABORT_REQUEST");
    }
  }

  #onManagementHeader(type: number): void {
    if (type === RecordType.GET_VALUES) {
      this.#target = "values";
      this.#values = new PairReader("GET_VALUES", MAX_GET_VALUES_BYTES);
    } else {
      this.#reply(encodeRecord(RecordType.UNKNOWN_TYPE, NULL_REQUEST_ID, Buffer.of(type, 0, 0, 0, 0, 0, 0, 0)));
    }
  }

  #onBeginHeader(id: number, contentLength: number): void {
    if (contentLength !== 8) {
      throw new FcgiPeerError(`BEGIN_REQUEST has ${contentLength} bytes of content, not 8`);
    }
    this.#target = "begin";
    this.#beginId = id;
    this.#beginBytes = 0;
  }

  #onParamsHeader(live: LiveRequest, contentLength: number): void {
    if (live.phase !== "params") throw new FcgiPeerError(`PARAMS for the request id ${live.id} after their end`);
    if (contentLength > 0) {
      this.#target = "params";
      return;
    }
    const { id, role, keepConn } = live;
    this.#events.push({ type: "request", id, role, keepConn, params: live.pairs.finish() });
    live.phase = role === "AUTHORIZER" ? "complete" : "stdin";
    if (role === "AUTHORIZER") this.#events.push({ type: "stdin-end", id });
  }

  #onStdinHeader(live: LiveRequest, contentLength: number): void {
    if (live.phase === "complete" || live.role === "AUTHORIZER") return;
    if (live.phase === "params") {
      throw new FcgiPeerError(`STDIN for the request id ${live.id} before the end of its PARAMS`);
    }
    if (contentLength > 0) {
      this.#target = "stdin";
      return;
    }
    live.phase = "complete";
    this.#events.push({ type: "stdin-end", id: live.id });
  }

  #onContent(bytes: Buffer, start: number, end: number): void {
    switch (this.#target) {
      case "stdin":
        if (this.#live !== undefined) {
          this.#events.push({ type: "stdin", id: this.#live.id, data: bytes.subarray(start, end) });
        }
        break;
      case "params":
        this.#live?.pairs.push(bytes, start, end);
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
    if (this.#target === "begin") {
      this.#begin(this.#beginId, this.#beginBody.readUInt16BE(0), (this.#beginBody.readUInt8(2) & KEEP_CONN) !== 0);
    } else if (this.#target === "values" && this.#values !== undefined) {
      this.#answerValues(this.#values.finish());
      this.#values = undefined;
    }
  }

  #begin(id: number, role: number, keepConn: boolean): void {
    if (this.#live?.id === id) return this.#refuseReuse(this.#live);
    if (this.#live !== undefined) {
      return this.#reply(encodeEnd(id, { appStatus: 0, protocolStatus: ProtocolStatus.CANT_MPX_CONN }));
    }
    if (role !== Role.RESPONDER && role !== Role.AUTHORIZER) {
      return this.#reply(encodeEnd(id, { appStatus: 0, protocolStatus: ProtocolStatus.UNKNOWN_ROLE }), !keepConn);
    }
    const name = role === Role.RESPONDER ? "RESPONDER" : "AUTHORIZER";
    const pairs = new PairReader("PARAMS", this.#limits.maxParamsBytes);
    this.#live = { id, role: name, keepConn, pairs, phase: "params", hasStdout: false, hasStderr: false };
    this.#events.push({ type: "begin", id, role: name, keepConn });
  }

  /** Whatever we did for the second request could be taken for the first one's: both end here. */
  #refuseReuse(live: LiveRequest): void {
    this.#abort(`the web server began another request with the id ${live.id} before this one had ended`);
    const refusal = { appStatus: 0, protocolStatus: ProtocolStatus.CANT_MPX_CONN };
    this.#release(live);
    this.#reply(live.hasStdout ? NOTHING : encodeEnd(live.id, refusal), true);
  }

  #abort(reason: string): void {
    const live = this.#live;
    if (live === undefined || live.phase === "aborted") return;
    live.phase = "aborted";
    this.#events.push({ type: "abort", id: live.id, reason });
  }

  #reply(bytes: Uint8Array, close = false): void {
    this.#events.push({ type: "reply", bytes, close });
    if (close) this.#reader.stop();
  }

  /** A name that we do not know is left out, as section 4.1 says. */
  #answerValues(asked: Params): void {
    const limit = String(this.#limits.maxConnections);
    const known: Params = { FCGI_MAX_CONNS: limit, FCGI_MAX_REQS: limit, FCGI_MPXS_CONNS: "0" };
    const answer = Object.fromEntries(Object.entries(known).filter(([name]) => asked[name] !== undefined));
    this.#reply(encodeRecord(RecordType.GET_VALUES_RESULT, NULL_REQUEST_ID, encodePairs(answer)));
  }
}
