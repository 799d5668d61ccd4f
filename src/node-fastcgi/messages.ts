// From the variables of a request to the `req` and `res` of node-fastcgi.
// Rules: a variable whose bytes are UTF-8 is that text, as node-fastcgi has it; any other keeps its bytes as latin-1.

import { isUtf8 } from "node:buffer";
import { IncomingMessage } from "node:http";
import type { Socket } from "node:net";
import type { Readable, Writable } from "node:stream";
import type { Params } from "../fastcgi/pairs.ts";
import { Role } from "../fastcgi/record.ts";
import type { RequestSocket } from "./request-socket.ts";
import { AuthorizerResponse, ServerResponse } from "./response.ts";

/** A request, with what node-fastcgi adds. */
export interface FastCgiMessage extends IncomingMessage {
  /** The CGI variables; the same object as `req.socket.params`. */
  readonly cgiParams: Record<string, string>;
  /** The same stream as `req.socket.dataStream`. */
  readonly data: Readable;
}

export interface Messages {
  readonly request: FastCgiMessage;
  readonly response: ServerResponse;
}

/** Text of bytes in latin-1. */
function decoded(value: string): string {
  // eslint-disable-next-line no-control-regex -- ASCII is what it looks for
  if (/^[\x00-\x7f]*$/.test(value)) return value;
  const bytes = Buffer.from(value, "latin1");
  return isUtf8(bytes) ? bytes.toString("utf8") : value;
}

/** An ordinary object, since applications call its methods. */
export function paramsOf(params: Params): Record<string, string> {
  const copy: Record<string, string> = {};
  for (const name in params) {
    if (name !== "__proto__") copy[decoded(name)] = decoded(params[name] ?? "");
  }
  return copy;
}

function urlOf(params: Record<string, string>): string {
  const { REQUEST_URI, SCRIPT_NAME = "", PATH_INFO = "", QUERY_STRING = "" } = params;
  if (REQUEST_URI !== undefined && REQUEST_URI !== "") return REQUEST_URI;
  return SCRIPT_NAME + PATH_INFO + (QUERY_STRING === "" ? "" : `?${QUERY_STRING}`);
}

/** What node:http's parser fills a message with: `headers` and its kin are made of these lines when first asked for. */
interface MessageInternals {
  _addHeaderLines(lines: readonly string[], count: number): void;
}

function addHeaders(request: IncomingMessage, params: Record<string, string>): void {
  const raw: string[] = [];
  for (const name in params) {
    const value = params[name] ?? "";
    if (name === "CONTENT_TYPE" || name === "CONTENT_LENGTH") {
      if (value !== "") raw.push(name.replace("_", "-"), value);
    } else if (name.startsWith("HTTP_") && name !== "HTTP_CONTENT_TYPE" && name !== "HTTP_CONTENT_LENGTH") {
      raw.push(name.slice("HTTP_".length).replaceAll("_", "-"), value);
    }
  }
  (request as unknown as MessageInternals)._addHeaderLines(raw, raw.length);
}

function setVersion(request: IncomingMessage, protocol: string | undefined): void {
  const match = /^HTTP\/(\d+)\.(\d+)$/.exec(protocol ?? "");
  if (match === null) return;
  request.httpVersion = `${match[1]}.${match[2]}`;
  request.httpVersionMajor = Number(match[1]);
  request.httpVersionMinor = Number(match[2]);
}

interface SocketHolder {
  readonly socket: RequestSocket;
}

const dataProperty: PropertyDescriptor & ThisType<SocketHolder> = {
  get(): Readable {
    return this.socket.dataStream;
  },
  configurable: true,
  enumerable: false,
};

/** The response lets go of its socket at the end: what it writes to after that is remembered. */
function errorProperty(socket: RequestSocket): PropertyDescriptor {
  return { get: (): Writable => socket.errorStream, configurable: true, enumerable: false };
}

/** The messages of the request, connected with its socket. */
export function createMessages(socket: RequestSocket): Messages {
  const { params } = socket;
  const request = new IncomingMessage(socket as unknown as Socket); // what node:http needs of a socket is there
  setVersion(request, params["SERVER_PROTOCOL"]);
  request.url = urlOf(params);
  request.method = params["REQUEST_METHOD"] ?? "GET";
  addHeaders(request, params);
  request.complete = socket.isInputOver;
  Object.assign(request, { cgiParams: params });
  Object.defineProperty(request, "data", dataProperty);
  const response = socket.role === Role.AUTHORIZER ? new AuthorizerResponse(request) : new ServerResponse(request);
  Object.assign(response, { stdout: socket });
  Object.defineProperty(response, "stderr", errorProperty(socket));
  socket.carry(request, response);
  if (request.complete) process.nextTick(() => request.emit("complete"));
  return { request: request as FastCgiMessage, response };
}
