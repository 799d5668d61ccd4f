// What makes an http.ServerResponse ours.
// Rules: frameworks swap prototypes (Express does), so it is properties of the instance and never a subclass; the real
// methods do the work, and only what they would put on the wire beside the body is taken away: the head, chunk frames and
// 1xx responses, which Apache sends or not as it sees fit.

import { IncomingMessage, OutgoingMessage, ServerResponse } from "node:http";

/** What a response tells of itself. */
export interface ResponseListener {
  /** node:http has made the head: its text as for the wire, and whether it would send chunks. */
  headStored(text: string, isChunked: boolean): void;
  /** `end` was called, and everything before it has been written to the socket. */
  ended(): void;
}

const listenerKey = Symbol("tsgi listener");

/** The parts of node:http's response that are not in its types. They are the same from Node 20 to 26. */
interface Internals {
  [listenerKey]: ResponseListener;
  _header: string;
  _headerSent: boolean;
  _storeHeader(firstLine: string, headers: unknown): void;
  _finish(): void;
  _sent100: boolean;
  chunkedEncoding: boolean;
  constructor: { prototype: Internals };
}

/* eslint-disable typescript/no-unsafe-type-assertion, typescript/unbound-method -- see Internals; called with `this` */
const { _storeHeader: storeHeader } = OutgoingMessage.prototype as unknown as Internals;
const { _finish: finish } = ServerResponse.prototype as unknown as Internals;
/* eslint-enable typescript/no-unsafe-type-assertion, typescript/unbound-method */

function ownStoreHeader(this: Internals, firstLine: string, headers: unknown): void {
  storeHeader.call(this, firstLine, headers);
  const isChunked = this.chunkedEncoding;
  this.chunkedEncoding = false;
  this._headerSent = true; // nothing of it goes to the socket
  this[listenerKey].headStored(this._header, isChunked);
}

function ownFinish(this: Internals): void {
  finish.call(this);
  this[listenerKey].ended();
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
  Object.assign(response, {
    [listenerKey]: listener,
    _removedConnection: true, // it makes no header of its own for the connection
    _storeHeader: ownStoreHeader,
    _finish: ownFinish,
    writeContinue: ownWriteContinue,
    writeProcessing: ownWriteProcessing,
    writeEarlyHints: ownWriteEarlyHints,
  });
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
