// The http.IncomingMessage of a request, made of an environ.
// Rules: the body is read from `wsgi.input` when somebody reads the request and not before; it flows no faster than it is
// consumed; a body that ends early destroys the request with "aborted", as a lost connection does on node:http.

import type { IncomingMessage } from "node:http";
import { IncomingMessage as PlainRequest } from "node:http";
import type { Socket } from "node:net";
import { hasBody } from "../gateway/input.ts";
import type { Environ } from "../spec.ts";
import { rawHeadersOf } from "./node-headers.ts";
import type { RequestSocket } from "./node-socket.ts";
import { requestTargetOf } from "./request-target.ts";

/** A request as a Node application gets it from this package. */
export interface NodeRequest extends IncomingMessage {
  /** The gateway's environ. */
  environ: Environ;
  /** The URL as the client sent it; only where the application is mounted below a path, as Express has it. */
  originalUrl?: string;
  /** The mount point; only where there is one. */
  baseUrl?: string;
}

interface Internals {
  _addHeaderLines(lines: readonly string[], count: number): void;
  _consuming: boolean;
  _dump(): void;
  readonly _readableState: { readonly resumeScheduled: boolean };
}

function internalsOf(request: IncomingMessage): Internals {
  // eslint-disable-next-line typescript/no-unsafe-type-assertion -- the same from Node 20 to 26, and in no type
  return request as unknown as Internals;
}

/** "HTTP/1.1" as node:http has it. What Apache speaks as HTTP/2 is HTTP/1.1 for what it calls. */
function versionOf(protocol: string): readonly [major: number, minor: number] {
  return protocol === "HTTP/1.0" ? [1, 0] : [1, 1];
}

/** The request's class where a server was made with one of its own. */
export type IncomingMessageClass = new (socket: Socket) => IncomingMessage;

export function createRequest(Class: IncomingMessageClass, environ: Environ, socket: RequestSocket): NodeRequest {
  // eslint-disable-next-line typescript/no-unsafe-type-assertion -- a socket as far as node:http looks
  const request = new Class(socket as unknown as Socket) as NodeRequest;
  const [major, minor] = versionOf(environ.SERVER_PROTOCOL);
  request.httpVersionMajor = major;
  request.httpVersionMinor = minor;
  request.httpVersion = `${major}.${minor}`;
  request.method = environ.REQUEST_METHOD;
  const { url, originalUrl } = requestTargetOf(environ);
  request.url = url;
  if (environ.SCRIPT_NAME !== "") {
    request.originalUrl = originalUrl;
    request.baseUrl = environ.SCRIPT_NAME;
  }
  const lines = rawHeadersOf(environ);
  internalsOf(request)._addHeaderLines(lines, lines.length);
  request.environ = environ;
  return request;
}

/** Since Node 26: what keeps `request.signal` from aborting when a request that was answered closes. */
const detachSignal = Object.getOwnPropertySymbols(PlainRequest.prototype).find(
  ({ description }) => description === "kDetachAbortSignal",
);

/** The request has been answered: that it closes now is no reason to abort its signal. */
export function detachAbortSignal(request: IncomingMessage): void {
  if (detachSignal !== undefined) (request as unknown as Record<symbol, () => void>)[detachSignal]?.();
}

/** Whether the application reads, or has read, the body. */
export function isConsumed(request: IncomingMessage): boolean {
  const { _consuming, _readableState } = internalsOf(request);
  return _consuming || _readableState.resumeScheduled;
}

export interface PumpEvents {
  chunkCame(): void;
  /** The input failed: it was cut short, or the client went away. */
  failed(error: unknown): void;
}

/** Moves the body from `wsgi.input` to the request. */
export class BodyPump {
  readonly #request: NodeRequest;
  readonly #events: PumpEvents;
  /** Whether the client announced a body. */
  readonly hasBody: boolean;
  #isRunning = false;
  #isOver = false;
  #more: (() => void) | undefined;

  constructor(request: NodeRequest, events: PumpEvents) {
    this.#request = request;
    this.hasBody = hasBody(request.environ);
    this.#events = events;
  }

  /** A request without a body ends at once; call it when the handler has returned, as node:http's parser does. */
  endIfEmpty(): void {
    if (!this.hasBody) this.#end();
  }

  /** The application wants (more of) the body. */
  flow(): void {
    if (this.#isOver || !this.hasBody) return;
    const more = this.#more;
    this.#more = undefined;
    if (more !== undefined) more();
    else if (!this.#isRunning) {
      this.#isRunning = true;
      void this.#run(); // it never rejects
    }
  }

  /** Whether all of the body has been handed over, or nothing of it will be any more. */
  get isOver(): boolean {
    return this.#isOver;
  }

  /** The response is out and nobody read the body: the request ends as if it had been read, as on node:http. */
  dump(): void {
    internalsOf(this.#request)._dump();
    this.#end();
  }

  /** Nothing more is handed over. */
  stop(): void {
    this.#isOver = true;
    this.#more?.();
  }

  #end(): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#request.complete = true;
    if (!this.#request.destroyed) this.#request.push(null);
  }

  async #run(): Promise<void> {
    const request = this.#request;
    try {
      for await (const chunk of request.environ["wsgi.input"]) {
        if (this.#isOver || request.destroyed) return;
        this.#events.chunkCame();
        if (!request.push(chunk)) {
          await new Promise<void>((resolve) => {
            this.#more = resolve;
          });
        }
      }
      this.#end();
    } catch (error) {
      if (this.#isOver) return;
      this.#isOver = true;
      this.#events.failed(error);
    }
  }
}
