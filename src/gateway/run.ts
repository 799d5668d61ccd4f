// One request through one application: the policy of PEP 3333's server side.
// Rules: a failure before the head is a page without details, after it the response is broken; a client that went away
// is no failure; a request that is given up is one, and what the application makes of it is none; the body is closed
// exactly once on every path; the boundary reports a failure once. A body that is there at once takes a path without
// promises. Knows no transport: the server gives sink and reporting.

import { ClientGoneError, ContractError, messageOf, RequestOverError } from "../errors.ts";
import type { Application, Body, Chunk, Environ, FileHandleLike, FileLike, Write } from "../spec.ts";
import { BodySource, byteLengthOf, checkBody, checkChunk, isChunk, knownLengthOf, wholeOf } from "./body.ts";
import type { EndWork } from "./environ.ts";
import type { ErrorPage } from "./error-page.ts";
import { errorPageFor } from "./error-page.ts";
import type { ErrorLines } from "./errors-stream.ts";
import { wrappedFileOf } from "./file-wrapper.ts";
import type { RequestInput } from "./input.ts";
import type { NamedFile, ResponseSink } from "./response.ts";
import { Response } from "./response.ts";
import { isPromise } from "./promise.ts";

/** Something that went wrong and that the client does not see. */
export interface Warning {
  /** Stable, with a page of its own. */
  readonly code: string;
  readonly message: string;
  readonly error?: unknown;
}

/** How a response ended: as a whole, broken off by us, or given up because the client had gone. */
export type Outcome = "complete" | "broken" | "aborted";

/** What the server wants to know of a request. None of these may throw. */
export interface ExchangeObserver {
  /** The application, or our handling of it, failed. `wasHeadSent` tells a page from a broken response. */
  failed(error: unknown, wasHeadSent: boolean): void;
  /** Something to log that changed nothing for the client. */
  warned(warning: Warning): void;
  /** The client has gone: nobody waits for the response, which `ended` follows when the application has done its part. */
  gone?(exchange: Exchange): void;
  /** The response has ended, well or not. Called once. */
  ended(exchange: Exchange): void;
  /** The body is being closed, or other work is done at the end; `closing` settles after that, and never rejects. */
  closing(closing: Promise<void>): void;
}

/** Settles with how Apache is told of a file that it can send, and with undefined for any other; never rejects. */
export type FileNamer = (file: FileLike | FileHandleLike) => Promise<NamedFile | undefined>;

export interface ExchangeParts {
  readonly sink: ResponseSink;
  readonly input: RequestInput;
  readonly errors: ErrorLines;
  readonly method: string;
  readonly isAuthorizer: boolean;
  readonly observer: ExchangeObserver;
  /** The page for a request that failed before its head; the one of this package unless given. Must not throw. */
  readonly page?: ((error: unknown, requestId: string) => ErrorPage) | undefined;
  /** Where Apache sends files itself. */
  readonly nameFile?: FileNamer | undefined;
}

const done: Promise<void> = Promise.resolve();

function ignore(): void {}

/** What has to be closed after `body`; a string, bytes or a plain array has nothing. */
function sourceOf(body: Body): BodySource | undefined {
  return isChunk(body) || (Array.isArray(body) && !("close" in body)) ? undefined : new BodySource(body);
}

/** Whether a failure is what an application makes of its request being given up. */
function isDueTo(error: unknown, reason: Error | undefined): boolean {
  if (reason === undefined || !(error instanceof Error)) return false;
  const { cause, name } = error;
  return error === reason || cause === reason || name === "AbortError" || error instanceof RequestOverError;
}

export class Exchange {
  readonly #parts: ExchangeParts;
  readonly #response: Response;
  #requestId = "";
  #source: BodySource | undefined;
  /** Why the request was given up, by the client or by us. */
  #gone: Error | undefined;
  /** Who waits for the peer to take more. */
  #writers: Set<(reason: Error) => void> | undefined;
  #controller: AbortController | undefined;
  #endWorks: EndWork[] | undefined;
  /** Who is to be told when the request is given up. */
  #watchers: Array<() => void> | undefined;
  #isEnded = false;

  constructor(parts: ExchangeParts) {
    this.#parts = parts;
    this.#response = new Response({
      sink: parts.sink,
      method: parts.method,
      addsContentLength: !parts.isAuthorizer,
      onExcess: (declared) =>
        parts.observer.warned({
          code: "TSGI2104",
          message: `the body is longer than its Content-Length of ${declared} bytes: cut`,
        }),
      write: this.#write,
    });
  }

  /** The status code that the client got, or would have got; 0 when the request failed before any. */
  get statusCode(): number {
    return this.#response.statusCode ?? 0;
  }

  get sentBytes(): number {
    return this.#response.sentBytes;
  }

  /** Known once the exchange has ended. */
  get outcome(): Outcome {
    if (this.#response.isComplete) return "complete";
    return this.#gone instanceof ClientGoneError ? "aborted" : "broken";
  }

  /** The request's signal, made when first asked for. */
  get signal(): AbortSignal {
    if (this.#controller === undefined) {
      this.#controller = new AbortController();
      if (this.#gone !== undefined) this.#controller.abort(this.#gone);
    }
    return this.#controller.signal;
  }

  /** Calls back when the request is given up, by the client or by us; at once when it has been. */
  onGone(callback: () => void): void {
    if (this.#gone !== undefined) callback();
    else (this.#watchers ??= []).push(callback);
  }

  /** Calls the application and sees its response through. Never throws; `observer.ended` tells the end. */
  run(application: Application, environ: Environ): void {
    this.#requestId = environ["tsgi.request_id"];
    try {
      if (this.#gone !== undefined) throw this.#gone; // while the application was being loaded
      const body = application(environ, this.#response.start);
      if (isPromise(body)) void body.then(this.#deliver, this.#fail); // both settle everything themselves
      else this.#deliver(body);
    } catch (error) {
      this.#fail(error);
    }
  }

  /** Answers without an application: it could not be found or loaded. */
  refuse(error: unknown, requestId: string): void {
    this.#requestId = requestId;
    this.#fail(error);
  }

  /** The peer has gone: the signal fires, waiting reads and writes end, the body is closed. */
  abort(reason: Error): void {
    if (this.#isEnded || this.#gone !== undefined) return;
    this.#stop(reason);
    this.#parts.observer.gone?.(this);
    if (this.#source !== undefined) void this.#close(this.#source);
  }

  /**
   * Ends a request that takes too long, or will never end, in this call: the signal fires, waiting reads and writes fail with
   * the reason, then the client gets the reason's status as a page (500 for an error that is not ours), or a broken response
   * where the head was sent. What the application does of it later is silent.
   */
  expire(reason: unknown): void {
    if (!this.#isEnded && this.#gone === undefined) this.#giveUp(reason);
  }

  /** Has `work` done once when the request has ended and its body is closed; now when that has been. */
  atEnd(work: EndWork): void {
    if (this.#isEnded) this.#finish([work], done);
    else if (this.#endWorks === undefined) this.#endWorks = [work];
    else this.#endWorks.push(work);
  }

  /** An error that nobody caught, in a process that serves this request alone: it is this request's failure. */
  failUncaught(error: unknown): void {
    this.#fail(error);
  }

  /** Whether the application waits for its client: to send more of the body, or to take more of the response. */
  get waitsForClient(): boolean {
    return this.#parts.input.isAwaited || (this.#writers !== undefined && this.#writers.size > 0);
  }

  /** What was sent of a response that goes on: 0 while nobody has got anything. Undefined when it is over. */
  get progress(): number | undefined {
    if (this.#isEnded || this.#gone !== undefined) return undefined;
    return this.#response.isHeadSent ? 1 + this.#response.sentBytes : 0;
  }

  #giveUp(error: unknown): void {
    const reason = error instanceof Error ? error : new Error(messageOf(error));
    this.#stop(reason);
    this.#response.explain(reason);
    this.#reportFailure(error);
    this.#end();
  }

  readonly #write: Write = (chunk: Chunk): Promise<void> => {
    try {
      if (this.#gone !== undefined) throw this.#gone;
      if (this.#isEnded) throw new RequestOverError("write");
      checkChunk(chunk, 0);
      if (this.#response.send(chunk)) return done;
      const drained = this.#drained();
      drained.catch(ignore); // an application may not wait for it
      return drained;
    } catch (error) {
      const refused = Promise.reject(error);
      refused.catch(ignore);
      return refused;
    }
  };

  readonly #deliver = (body: Body): void => {
    try {
      checkBody(body);
      this.#source = sourceOf(body);
      if (this.#gone !== undefined) throw this.#gone;
      const { nameFile } = this.#parts;
      const file = nameFile === undefined ? undefined : wrappedFileOf(body);
      if (file === undefined || nameFile === undefined) this.#deliverRead(body);
      else void this.#deliverNamed(nameFile(file), body); // it never rejects
    } catch (error) {
      this.#fail(error);
    }
  };

  #deliverRead(body: Body): void {
    if (this.#deliverWhole(body)) this.#end();
    else if (!isChunk(body)) void this.#pump(this.#source ?? new BodySource(body)); // it never rejects
  }

  async #deliverNamed(naming: Promise<NamedFile | undefined>, body: Body): Promise<void> {
    try {
      const named = await naming;
      if (this.#isEnded) return;
      if (this.#gone !== undefined) throw this.#gone;
      if (named === undefined || !this.#response.replaceByFile(named)) {
        this.#deliverRead(body);
        return;
      }
      this.#parts.errors.flush();
      this.#response.finishWith("");
      this.#end();
    } catch (error) {
      this.#fail(error);
    }
  }

  /** The path without promises. False when the body has to be read piece by piece. */
  #deliverWhole(body: Body): boolean {
    const length = isChunk(body) ? byteLengthOf(body) : knownLengthOf(body);
    const whole = wholeOf(body, length);
    if (length !== undefined) this.#response.declareLength(length);
    if (whole === undefined) return false;
    this.#parts.errors.flush();
    this.#response.finishWith(whole);
    return true;
  }

  async #pump(source: BodySource): Promise<void> {
    try {
      for (let index = 0; this.#response.wantsMore; index += 1) {
        const step = source.next();
        const { done: isDone, value } = isPromise(step) ? await step : step;
        if (this.#isEnded) return;
        if (this.#gone !== undefined) throw this.#gone;
        if (isDone === true) {
          source.markDone();
          break;
        }
        checkChunk(value, index);
        if (!this.#sendIfAny(value)) await this.#drained();
      }
      this.#parts.errors.flush();
      this.#response.finishWith("");
      this.#end();
    } catch (error) {
      this.#fail(error);
    }
  }

  /** Settles when the peer can take more; rejects when the request is given up. */
  #drained(): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#writers ??= new Set();
      this.#writers.add(reject);
      const settled = (): unknown => this.#writers?.delete(reject);
      this.#parts.sink.drained().then(resolve, reject).finally(settled).catch(ignore);
    });
  }

  /** An empty chunk may come before startResponse: it asks for nothing to be sent. */
  #sendIfAny(chunk: Chunk): boolean {
    return chunk.length === 0 || this.#response.send(chunk);
  }

  readonly #fail = (error: unknown): void => {
    if (this.#isEnded) this.#failLate(error);
    else if (this.#gone !== undefined || error instanceof ClientGoneError) {
      this.#gone ??= error instanceof Error ? error : new ClientGoneError();
      if (!this.#response.isOver) this.#response.break();
      this.#end();
    } else {
      this.#reportFailure(error);
      this.#end();
    }
  };

  /** After the end: worth a line, unless it is what became of our giving the request up. */
  #failLate(error: unknown): void {
    if (this.#source !== undefined) void this.#close(this.#source); // a body that came late
    const { observer } = this.#parts;
    const isExpected = this.#gone instanceof ClientGoneError || isDueTo(error, this.#gone);
    if (isExpected) return;
    observer.warned({ code: "TSGI2105", message: "the application failed after its response had ended", error });
  }

  #reportFailure(error: unknown): void {
    const wasHeadSent = this.#response.isHeadSent;
    this.#parts.observer.failed(error, wasHeadSent);
    this.#parts.errors.flush();
    if (!this.#response.isOver) this.#answerFailure(error, wasHeadSent);
  }

  /** Before anything is told to the client: whoever waits learns why. */
  #stop(reason: Error): void {
    this.#gone = reason;
    this.#parts.input.fail(reason);
    this.#controller?.abort(reason);
    for (const reject of this.#writers ?? []) reject(reason);
    for (const tell of this.#watchers ?? []) tell();
  }

  #answerFailure(error: unknown, wasHeadSent: boolean): void {
    if (wasHeadSent) {
      this.#response.break();
      return;
    }
    try {
      const page = (this.#parts.page ?? errorPageFor)(error, this.#requestId);
      this.#response.start(page.status, page.headers, error ?? new ContractError("an empty error was thrown"));
      this.#response.declareLength(byteLengthOf(page.body));
      this.#response.finishWith(page.body);
    } catch (pageError) {
      this.#parts.observer.warned({
        code: "TSGI4102",
        message: "the error page could not be sent",
        error: pageError,
      });
      this.#response.break();
    }
  }

  #end(): void {
    if (this.#isEnded) return;
    this.#isEnded = true;
    this.#parts.errors.flush();
    const closed = this.#source === undefined ? done : this.#close(this.#source);
    this.#parts.input.close();
    if (this.#endWorks !== undefined) this.#finish(this.#endWorks, closed);
    this.#parts.observer.ended(this);
  }

  /** Settles when the body is closed; never rejects. */
  #close(source: BodySource): Promise<void> {
    if (source.isClosed) return done;
    const { observer } = this.#parts;
    const closed = source.close().catch((error: unknown) => {
      observer.warned({ code: "TSGI2106", message: "closing the body failed", error });
    });
    observer.closing(closed);
    return closed;
  }

  #finish(works: readonly EndWork[], closed: Promise<void>): void {
    const { observer } = this.#parts;
    const finish = async (work: EndWork): Promise<void> => {
      try {
        await closed;
        await work();
      } catch (error) {
        observer.warned({ code: "TSGI2109", message: "work at the end of the request failed", error });
      }
    };
    for (const work of works) observer.closing(finish(work));
  }
}
