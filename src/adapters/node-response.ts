// What makes an http.ServerResponse ours.
// Rules: frameworks swap prototypes (Express does), so it is properties of the instance and never a subclass; the real
// methods do the work, and only what they would put on the wire beside the body is taken away: the head, chunk frames and
// 1xx responses, which Apache sends or not as it sees fit. `end` with a short whole body, which is most of all responses,
// goes past the buffers of a connection that is not there.

import { IncomingMessage, OutgoingMessage, ServerResponse } from "node:http";
import type { Piece } from "./piece.ts";

/** What a response tells of itself. */
export interface ResponseListener {
  /** node:http has made the head: its text as for the wire, and whether it would send chunks. */
  headStored(text: string, isChunked: boolean): void;
  /** Whether `piece` may be given to `endWith` now: nothing was written before it, and it is short. */
  takesWhole(piece: Piece): boolean;
  /** Takes all of the body; `ended` follows. */
  endWith(piece: Piece): void;
  /** `end` was called, and everything before it has been written to the socket. */
  ended(): void;
}

const listenerKey = Symbol("tsgi listener");

/** The parts of node:http's response that are not in its types. They are the same from Node 20 to 26. */
interface Internals {
  [listenerKey]: ResponseListener;
  _header: string | null;
  _headerSent: boolean;
  _hasBody: boolean;
  _contentLength: number | null;
  _removedConnection: boolean;
  _storeHeader(firstLine: string, headers: unknown): void;
  _implicitHeader(): void;
  _finish(): void;
  end: End;
  finished: boolean;
  readonly strictContentLength: boolean;
  readonly writableCorked: number;
  once(name: string, listener: unknown): void;
  emit(name: string): void;
  writeContinue: unknown;
  writeProcessing: unknown;
  writeEarlyHints: unknown;
  _sent100: boolean;
  chunkedEncoding: boolean;
  constructor: { prototype: Internals };
}

type End = (this: Internals, chunk?: unknown, encoding?: unknown, callback?: unknown) => unknown;

/* eslint-disable typescript/no-unsafe-type-assertion, typescript/unbound-method -- see Internals; called with `this` */
const { _storeHeader: storeHeader, end } = OutgoingMessage.prototype as unknown as Internals;
const { _finish: finish } = ServerResponse.prototype as unknown as Internals;
/* eslint-enable typescript/no-unsafe-type-assertion, typescript/unbound-method */

function ownStoreHeader(this: Internals, firstLine: string, headers: unknown): void {
  storeHeader.call(this, firstLine, headers);
  const isChunked = this.chunkedEncoding;
  this.chunkedEncoding = false;
  this._headerSent = true; // nothing of it goes to the socket
  this[listenerKey].headStored(this._header ?? "", isChunked);
}

function ownFinish(this: Internals): void {
  finish.call(this);
  this[listenerKey].ended();
}

/**
 * Whether `ownEnd` may stand for `end`: that of Node 20 and 22, which keeps no marks of its own beside what is written here as
 * that of Node 24 does, and that was not replaced by somebody who watches what is ended.
 */
const isEndPlain = Number.parseInt(process.versions.node, 10) < 24 && String(end).includes("_implicitHeader");

/** A whole body; undefined for what the real `end` has to look at. */
function pieceOf(chunk: unknown, encoding: unknown): Piece | undefined {
  if (typeof chunk === "string") {
    const isUtf8 = encoding === undefined || encoding === null || encoding === "utf8" || encoding === "utf-8";
    return isUtf8 && chunk !== "" ? { chunk, encoding: "utf8" } : undefined;
  }
  const isBytes = chunk instanceof Uint8Array && chunk.length > 0 && typeof encoding !== "function";
  return isBytes ? { chunk, encoding: "utf8" } : undefined;
}

function takesWhole(response: Internals, piece: Piece): boolean {
  const isOpen = !response.finished && response._hasBody && response.writableCorked === 0;
  return isOpen && !response.strictContentLength && response[listenerKey].takesWhole(piece);
}

/** What the real `end` does, without its buffers. */
function ownEnd(this: Internals, chunk?: unknown, encoding?: unknown, callback?: unknown): unknown {
  // eslint-disable-next-line typescript/no-unsafe-type-assertion -- its prototype may have been changed
  const { end: inherited } = Object.getPrototypeOf(this) as Internals;
  if (inherited !== end) return inherited.call(this, chunk, encoding, callback);
  const piece = pieceOf(chunk, encoding);
  if (piece === undefined || !takesWhole(this, piece)) return end.call(this, chunk, encoding, callback);
  if (!this._header) {
    this._contentLength = Buffer.byteLength(piece.chunk);
    this._implicitHeader();
    if (!takesWhole(this, piece)) return end.call(this, chunk, encoding, callback); // 204, or a writeHead of somebody's
  }
  if (typeof callback === "function") this.once("finish", callback);
  this[listenerKey].endWith(piece);
  process.nextTick(emitFinish, this);
  this.finished = true;
  this._finish();
  return this;
}

function emitFinish(response: Internals): void {
  response.emit("finish");
}

function ownWriteContinue(this: Internals, callback?: () => void): void {
  this._sent100 = true;
  if (callback !== undefined) process.nextTick(callback);
}

function ownWriteProcessing(this: Internals, callback?: () => void): void {
  if (callback !== undefined) process.nextTick(callback);
}

function ownWriteEarlyHints(this: Internals, _hints: unknown, callback?: () => void): void {
  if (callback !== undefined) process.nextTick(callback);
}

/** Makes the response answer to `listener` instead of a connection. */
export function adoptResponse(response: ServerResponse, listener: ResponseListener): void {
  response.sendDate = false; // Apache sends one
  // eslint-disable-next-line typescript/no-unsafe-type-assertion -- see Internals
  const internals = response as unknown as Internals;
  internals[listenerKey] = listener;
  internals._removedConnection = true; // it makes no header of its own for the connection
  internals._storeHeader = ownStoreHeader;
  internals._finish = ownFinish;
  if (isEndPlain && internals.end === end) internals.end = ownEnd;
  internals.writeContinue = ownWriteContinue;
  internals.writeProcessing = ownWriteProcessing;
  internals.writeEarlyHints = ownWriteEarlyHints;
}

/** node:http's mark for "write gave false and 'drain' has not come": its socket's listener clears it, so ours must. */
const needDrain = Object.getOwnPropertySymbols(new ServerResponse(new IncomingMessage(undefined as never))).find(
  ({ description }) => description === "kNeedDrain",
);

/** What node:http does when the socket has drained. */
export function drainResponse(response: ServerResponse): void {
  if (needDrain === undefined) return;
  // eslint-disable-next-line typescript/no-unsafe-type-assertion -- a mark that is in no type
  const marks = response as unknown as Record<symbol, boolean>;
  if (response.writableEnded || marks[needDrain] !== true) return;
  marks[needDrain] = false;
  response.emit("drain");
}

/** What node:http does in the tick after the response has finished, or its connection closed. */
export function closeResponse(response: ServerResponse): void {
  // eslint-disable-next-line typescript/no-unsafe-type-assertion -- `closed` is read-only in the types
  const internals = response as unknown as { _closed: boolean; destroyed: boolean };
  if (internals._closed) return;
  internals.destroyed = true;
  internals._closed = true;
  response.emit("close");
}
