// Fetch handlers as applications of the gateway: (Request) => Response, as Hono, itty-router and WinterTC runtimes have them.
// Rules: the body streams with the gateway's backpressure and is cancelled when nobody takes it; Set-Cookie headers stay
// apart; headers of the connection are Apache's; a body that is there at once leaves as one, with its length.

import type { ReadableStreamDefaultReader, ReadableStreamReadResult } from "node:stream/web";
import { ContractError } from "../errors.ts";
import { headOnly } from "../gateway/response.ts";
import type { Application, Body, Environ, StartResponse, Write } from "../spec.ts";
import { createFetchRequest } from "./fetch-request.ts";
import { takeParts } from "./light-response.ts";
import { isConnectionHeader } from "./node-headers.ts";

/** The third argument of a handler, as workers runtimes have it. */
export interface FetchContext {
  /** Keeps the process for work after the response. */
  waitUntil(work: Promise<unknown>): void;
  passThroughOnException(): void;
  readonly props: object;
}

/** A fetch handler. Its second argument, `env`, is the gateway's environ. */
export type FetchHandler = (request: Request, env: Environ, context: FetchContext) => Response | Promise<Response>;

/** As many chunks as a short body has at most: they are read before the head leaves, to tell its length. */
const maxEarlyChunks = 2;

/** A Response of a string gives it within this many microtasks. */
const microtasks = 8;

class HandlerContext implements FetchContext {
  readonly #environ: Environ;
  readonly props = {};

  constructor(environ: Environ) {
    this.#environ = environ;
  }

  readonly waitUntil = (work: Promise<unknown>): void => {
    this.#environ["tsgi.wait_until"](work);
  };

  readonly passThroughOnException = (): void => {};
}

function isObject(value: unknown): value is object {
  return typeof value === "object" && value !== null;
}

function isResponse(value: unknown): value is Response {
  if (value instanceof Response) return true;
  // Another implementation of Response, such as a polyfill's. That of node-fetch has a stream of Node's.
  if (!isObject(value) || !("status" in value && "headers" in value && "body" in value)) return false;
  const { headers, body } = value;
  const isStream = isObject(body) && ("getReader" in body || Symbol.asyncIterator in body);
  return isObject(headers) && Symbol.iterator in headers && (body === null || isStream);
}

interface Head {
  readonly status: number;
  readonly statusText: string;
  readonly headers: Iterable<readonly [string, string]>;
}

function start({ status, statusText, headers }: Head, startResponse: StartResponse): Write {
  const list: Array<readonly [string, string]> = [];
  for (const pair of headers) if (!isConnectionHeader(pair[0])) list.push(pair);
  return startResponse(statusText === "" ? String(status) : `${status} ${statusText}`.trimEnd(), list);
}

/** Bytes of a body that is read chunk by chunk; `close` cancels what was not read. */
class StreamedBody implements AsyncIterable<Uint8Array> {
  readonly #reader: ReadableStreamDefaultReader<Uint8Array>;
  #early: Array<Promise<ReadableStreamReadResult<Uint8Array>>> = [];

  constructor(stream: ReadableStream<Uint8Array>) {
    this.#reader = stream.getReader();
  }

  #read(): Promise<ReadableStreamReadResult<Uint8Array>> {
    return this.#early.shift() ?? this.#reader.read();
  }

  /** The whole body, where it is there without waiting; undefined for one to be read chunk by chunk. */
  async whole(): Promise<Uint8Array | undefined> {
    const chunks: Uint8Array[] = [];
    while (chunks.length <= maxEarlyChunks) {
      const read = this.#reader.read();
      this.#early.push(read);
      const result = await withoutWaiting(read);
      if (result === undefined) return undefined;
      if (result.done) return chunks.length === 1 ? chunks[0] : Buffer.concat(chunks);
      chunks.push(result.value);
    }
    return undefined;
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Uint8Array, void, undefined> {
    for (;;) {
      const { done, value } = await this.#read();
      if (done) return;
      yield value;
    }
  }

  async close(): Promise<void> {
    await this.#reader.cancel();
  }
}

/** What a read gave, where it gave it without waiting for anything outside this process; rejects as it does. */
async function withoutWaiting<T>(read: Promise<T>): Promise<T | undefined> {
  return (await Promise.race([read, aFewMicrotasks()])) ?? (await Promise.race([read, oneTurn()]));
}

async function aFewMicrotasks(): Promise<undefined> {
  for (let count = 0; count < microtasks; count += 1) await Promise.resolve();
  return undefined;
}

function oneTurn(): Promise<undefined> {
  return new Promise((resolve) => setImmediate(() => resolve(undefined)));
}

async function deliver(response: Response, startResponse: StartResponse): Promise<Body> {
  const parts = isObject(response) ? takeParts(response) : undefined;
  if (parts !== undefined) {
    start(parts, startResponse);
    return parts.body ?? "";
  }
  if (!isResponse(response)) throw new ContractError("the fetch handler did not return a Response");
  if (response.bodyUsed) throw new ContractError("the fetch handler returned a Response whose body has been read");
  const write = start(response, startResponse);
  const stream: ReadableStream<Uint8Array> | AsyncIterable<Uint8Array> | null = response.body;
  if (stream === null) return "";
  if (!("getReader" in stream)) return stream;
  const body = new StreamedBody(stream);
  try {
    const whole = await body.whole();
    if (whole !== undefined) return whole;
  } catch {
    return body; // reading it again fails again, after what came before the failure
  }
  void write(headOnly); // a stream: the client gets the head before the first chunk
  return body;
}

/** An application that answers with a fetch handler's Response. */
export function fromFetchHandler(handler: FetchHandler): Application {
  return async (environ, startResponse) => {
    const request = createFetchRequest(environ);
    const response = await handler(request, environ, new HandlerContext(environ));
    return await deliver(response, startResponse);
  };
}
