// The responses of node-fastcgi: node:http's, with a CGI head (RFC 3875 section 6) in place of the status line.
// Rules: what makes a response ours is an own property, since Express swaps the prototype; no header of the connection
// leaves, and no chunked encoding: the web server frames the body; 1xx answers are its own, so ours do nothing.

import type { IncomingMessage, OutgoingHttpHeaders } from "node:http";
import { ServerResponse as HttpResponse } from "node:http";
import { RequestSocket } from "./request-socket.ts";

type HeaderArgument = OutgoingHttpHeaders | readonly unknown[];

/** What node:http's responses have beside their public face, the same from Node 20 to 26. */
interface ResponseInternals {
  _header: string | null;
  _hasBody: boolean;
  chunkedEncoding: boolean;
  _storeHeader(statusLine: string, headers: HeaderArgument): void;
}

const inherited = HttpResponse.prototype as unknown as ResponseInternals;
/** Headers of Apache's connection with the client. */
const connectionHeaders = /^(?:connection|keep-alive|proxy-connection|te|trailer|transfer-encoding|upgrade):.*\r\n/gim;

/** Makes the head, and tells the socket how long the body will be. */
function storeHeader(this: HttpResponse & ResponseInternals, statusLine: string, headers: HeaderArgument): void {
  this.removeHeader("transfer-encoding"); // and node:http does not think of chunks
  this.removeHeader("trailer");
  inherited._storeHeader.call(this, statusLine.replace(/^HTTP\/1\.\d/, "Status:"), headers);
  this.chunkedEncoding = false;
  const head = (this._header ?? "").replace(connectionHeaders, "");
  this._header = head;
  const length = /^content-length: *(\d{1,15})\r$/im.exec(head)?.[1];
  const { socket } = this;
  if (!(socket instanceof RequestSocket)) return;
  socket.expectBody(length === undefined || !this._hasBody ? undefined : Number(length));
}

function continueSilently(callback?: () => void): void {
  if (callback !== undefined) process.nextTick(callback);
}

function hintSilently(_hints: unknown, callback?: () => void): void {
  continueSilently(callback);
}

/** Answers a responder's request. Made by the server. */
export class ServerResponse extends HttpResponse {
  constructor(request: IncomingMessage) {
    super(request);
    const own = {
      _storeHeader: storeHeader,
      writeContinue: continueSilently,
      writeProcessing: continueSilently,
      writeEarlyHints: hintSilently,
    };
    Object.assign(this, own);
  }
}

/** Answers an authorizer's request: the web server goes on with the request only after status 200. */
export class AuthorizerResponse extends ServerResponse {
  constructor(request: IncomingMessage) {
    super(request);
    this.setHeader("Content-type", "text/plain");
  }

  /** Gives the web server a variable for whoever handles the request next. */
  setVariable(name: string, value: string): void {
    this.setHeader(`Variable-${name}`, value);
  }

  /** Answers 200. */
  allow(): void {
    this.statusCode = 200;
    this.end();
  }

  /** Answers 403. */
  deny(): void {
    this.statusCode = 403;
    this.end();
  }
}
