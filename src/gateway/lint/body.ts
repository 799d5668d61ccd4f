// The body, from both ends: what the application gives, and how the server reads and closes it (PEP 3333 "Buffering and
// Streaming", "Specification Details").
// Rules: what was synchronous stays so, an array stays an array, and every call goes on to the application's own body. A
// body that nobody closed can be noticed only when it is collected as garbage.

import type { Body, Chunk } from "../../spec.ts";
import { isChunk } from "../body.ts";
import { guard, kindOf } from "./chunk.ts";
import type { Reporter } from "./reporter.ts";
import type { Report } from "./rules.ts";
import type { SeenResponse } from "./response.ts";
import { isPromise } from "../promise.ts";

type Iteration = IteratorResult<unknown> | Promise<IteratorResult<unknown>>;

interface AnyIterator {
  next(): Iteration;
  return?(value?: unknown): unknown;
}

type Streamed = Exclude<Body, Chunk>;

/** What is known of a body; it holds nothing of the object that the server has. */
interface Life {
  readonly note: Report;
  isClosed: boolean;
  isDone: boolean;
}

const unclosed = new FinalizationRegistry<Life>((life) => {
  if (!life.isClosed) life.note("close-missing", "a body was never closed");
});

function isStreamed(body: unknown): body is Streamed {
  return typeof body === "object" && body !== null && (Symbol.asyncIterator in body || Symbol.iterator in body);
}

function never(): boolean {
  return false;
}

/** Watches one iteration. */
class SeenIteration {
  readonly #inner: AnyIterator;
  readonly #life: Life;
  readonly #response: SeenResponse;
  readonly #report: Report;
  #isPending = false;
  #index = 0;
  #hasChanged: () => boolean = never;

  constructor(inner: AnyIterator, life: Life, response: SeenResponse, report: Report) {
    this.#inner = inner;
    this.#life = life;
    this.#response = response;
    this.#report = report;
  }

  next(): Iteration {
    this.#checkAsked();
    let step: Iteration;
    try {
      step = this.#inner.next();
    } catch (error) {
      throw this.#failed(error);
    }
    if (typeof step !== "object" || step === null || !isPromise(step)) return this.#took(step);
    this.#isPending = true;
    return step.then(this.#took, (error: unknown) => {
      throw this.#failed(error);
    });
  }

  #checkAsked(): void {
    if (this.#life.isDone || this.#life.isClosed) this.#report("body-reread", "the body was read beyond its end");
    if (this.#isPending) this.#report("body-overlap", "a piece was asked for while another one was being made");
    if (this.#hasChanged())
      this.#report("chunk-changed", `chunk ${this.#index - 1} changed before the next was asked for`);
    this.#hasChanged = never;
  }

  readonly #took = (step: IteratorResult<unknown>): IteratorResult<unknown> => {
    this.#isPending = false;
    if (typeof step !== "object" || step === null) return step;
    const { done, value } = step;
    if (done === true) {
      this.#life.isDone = true;
      this.#response.complete();
    } else if (isChunk(value)) {
      this.#hasChanged = guard(value);
      this.#response.give(value);
    } else this.#report("body-chunk", `chunk ${this.#index} of the body is ${kindOf(value)}`);
    this.#index += 1;
    return step;
  };

  #failed(error: unknown): unknown {
    this.#isPending = false;
    this.#response.end();
    return error;
  }
}

class LintedBody {
  readonly #body: Streamed;
  readonly #life: Life;
  readonly #response: SeenResponse;
  readonly #report: Report;
  #wasIterated = false;

  constructor(body: Streamed, response: SeenResponse, reporter: Reporter) {
    this.#body = body;
    this.#life = { note: reporter.note, isClosed: false, isDone: Array.isArray(body) };
    this.#response = response;
    this.#report = reporter.report;
  }

  /** A body of the same kind for the server. */
  wrapped(): Body {
    const close = (): unknown => this.#close();
    const body = this.#body;
    let outer: object;
    if (Array.isArray(body)) outer = Object.assign([...body], { close });
    else if (Symbol.asyncIterator in body) {
      outer = { close, [Symbol.asyncIterator]: () => this.#iterate(body[Symbol.asyncIterator]()) };
    } else outer = { close, [Symbol.iterator]: () => this.#iterate((body as Iterable<Chunk>)[Symbol.iterator]()) };
    unclosed.register(outer, this.#life, this.#life);
    return outer as Body;
  }

  #iterate(inner: AnyIterator): AnyIterator {
    if (this.#wasIterated) this.#report("body-reread", "the body was read a second time");
    this.#wasIterated = true;
    const iteration = new SeenIteration(inner, this.#life, this.#response, this.#report);
    const next = (): Iteration => iteration.next();
    if (inner.return === undefined) return { next };
    return { next, return: (value) => inner.return?.(value) };
  }

  /** As the gateway closes a body that is not wrapped: by `close()`, or `destroy()` when it was not read to its end. */
  #close(): unknown {
    if (this.#life.isClosed) this.#report("close-once", "a body was closed twice");
    this.#life.isClosed = true;
    unclosed.unregister(this.#life);
    this.#response.end();
    const body: object = this.#body;
    if ("close" in body && typeof body.close === "function") return body.close();
    if (!this.#life.isDone && "destroy" in body && typeof body.destroy === "function") return body.destroy();
    return undefined;
  }
}

/** Checks what the application returned, and gives back what the server gets in its place. */
export function lintBody(body: unknown, response: SeenResponse, reporter: Reporter): Body {
  const { report } = reporter;
  if (isChunk(body)) {
    response.give(body);
    response.complete();
    response.end();
    return body;
  }
  if (!isStreamed(body)) {
    report("body-kind", `the application returned ${kindOf(body)}`);
    response.end();
    return body as Body;
  }
  if (!Array.isArray(body)) {
    response.stream();
    return new LintedBody(body, response, reporter).wrapped();
  }
  for (const [index, chunk] of body.entries()) {
    if (isChunk(chunk)) response.give(chunk);
    else report("body-chunk", `chunk ${index} of the body is ${kindOf(chunk)}`);
  }
  response.complete();
  if ("close" in body) return new LintedBody(body, response, reporter).wrapped();
  response.end();
  return body as Body;
}
