// Middleware as PEP 3333 has it: a function that takes an application and gives back another one ("Middleware: Components
// that Play Both Sides").
// Rules: what is written and what is returned go through the same change; a body keeps its kind (one piece, an array, an
// iteration that is synchronous or not); `close()` of the inner body is passed on, and so is an early end.

import type { Application, Body, Chunk, Environ, HeaderList, StartResponse } from "../spec.ts";
import { isChunk } from "./body.ts";
import { isPromise } from "./promise.ts";

/** Puts something around an application. It is called once, when the application is put together. */
export type Middleware = (application: Application) => Application;

/**
 * Several middlewares as one, the outermost first: `compose(log, auth)(application)` is `log(auth(application))`. Without
 * any, the application stays as it is.
 */
export function compose(...middlewares: readonly Middleware[]): Middleware {
  return (application) => middlewares.reduceRight((inner, middleware) => middleware(inner), application);
}

/** The head of a response, as the application gave it. */
export interface GivenHead {
  readonly status: string;
  readonly headers: HeaderList;
}

/** What a middleware makes of a response. What is left out stays as it is. */
export interface ResponseChange {
  readonly status?: string;
  readonly headers?: HeaderList;
  /**
   * Changes a piece of the body: one that was written, returned or yielded, never empty, cut anywhere. It must keep to the
   * Content-Length, or `headers` must leave that out (`withoutHeader`).
   */
  readonly chunk?: (chunk: Chunk) => Chunk;
}

/**
 * Middleware that changes responses. `change` is called for every head, again when an error replaces one, before anything
 * of it is sent; undefined lets the response pass as it is.
 */
export function changeResponse(change: (head: GivenHead, environ: Environ) => ResponseChange | undefined): Middleware {
  return (application) => (environ, startResponse) => {
    let chunkOf: ((chunk: Chunk) => Chunk) | undefined;
    const changed = (chunk: Chunk): Chunk => {
      if (chunkOf === undefined || !isChunk(chunk) || chunk.length === 0) return chunk;
      return chunkOf(chunk);
    };
    const start: StartResponse = (status, headers, excInfo) => {
      const wanted = change({ status, headers }, environ) ?? {};
      const write = startResponse(wanted.status ?? status, wanted.headers ?? headers, excInfo);
      chunkOf = wanted.chunk;
      return (chunk) => write(changed(chunk));
    };
    const body = application(environ, start);
    return isPromise(body) ? body.then((late) => mapBody(late, changed)) : mapBody(body, changed);
  };
}

/** The headers without all of a name, which may be in any case. */
export function withoutHeader(headers: HeaderList, name: string): HeaderList {
  const unwanted = name.toLowerCase();
  return headers.filter(([given]) => given.toLowerCase() !== unwanted);
}

/** The first value of a header, whose name may be in any case; undefined when there is none. */
export function headerOf(headers: HeaderList, name: string): string | undefined {
  const wanted = name.toLowerCase();
  return headers.find(([given]) => given.toLowerCase() === wanted)?.[1];
}

/**
 * A body with each piece changed. A string, bytes or an array is changed at once; anything else, and an array with a
 * `close()`, is read when it is asked for, and its `close()` closes `body`. What `change` throws goes to whoever asked.
 */
export function mapBody(body: Body, change: (chunk: Chunk) => Chunk): Body {
  if (isChunk(body)) return change(body);
  if (typeof body !== "object" || body === null) return body; // no body at all: the gateway says so
  if (Array.isArray(body) && !("close" in body)) return body.map((chunk: Chunk) => change(chunk));
  const close = closerOf(body);
  if (Symbol.asyncIterator in body) {
    const outer: AsyncIterable<Chunk> & Closable = {
      [Symbol.asyncIterator]: () => changing(body[Symbol.asyncIterator](), change),
      close,
    };
    return outer;
  }
  if (!(Symbol.iterator in body)) return body;
  const inner: Iterable<Chunk> = body;
  const outer: Iterable<Chunk> & Closable = {
    [Symbol.iterator]: () => changing(inner[Symbol.iterator](), change),
    close,
  };
  return outer;
}

interface Closable {
  close(): unknown;
}

/** Closes as the gateway does: by `close()`, or by `destroy()`, which a Node stream has. */
function closerOf(body: object): () => unknown {
  return () => {
    if ("close" in body && typeof body.close === "function") return body.close();
    if ("destroy" in body && typeof body.destroy === "function") return body.destroy();
    return undefined;
  };
}

interface AnyIterator<Step> {
  next(): Step;
  return?(value?: unknown): unknown;
}

type Step = IteratorResult<Chunk> | Promise<IteratorResult<Chunk>>;

/** The iteration with each piece changed; a synchronous one stays so. */
function changing<I extends AnyIterator<Step>>(inner: I, change: (chunk: Chunk) => Chunk): I {
  const changed = (step: IteratorResult<Chunk>): IteratorResult<Chunk> =>
    step.done === true ? step : { done: false, value: change(step.value) };
  const next = (): Step => {
    const step = inner.next();
    return isPromise(step) ? step.then(changed) : changed(step);
  };
  const outer = inner.return === undefined ? { next } : { next, return: (value?: unknown) => inner.return?.(value) };
  return outer as I;
}
