// `toFetchHandler`: an application as a function from Request to Response, for Hono and every server of that kind.
// Rules: the Response comes with the head; a body that is not there at once is a stream that the application fills as fast
// as it is read; a reader that cancels, or a request whose signal aborts, is a client that has gone.

import { ClientGoneError } from "../errors.ts";
import type { Variables } from "../gateway/environ.ts";
import type { InputFlow, RequestInput } from "../gateway/input.ts";
import { normalMountPoint } from "../gateway/mount.ts";
import type { ResponseHead, ResponseSink } from "../gateway/response.ts";
import { nullBodyStatuses } from "../gateway/status.ts";
import type { Application, Chunk, HeaderList, Log } from "../spec.ts";
import { addVariables, bridgedVariables, createBridgeService, routed } from "./bridge.ts";
import { dispatch } from "./dispatch.ts";

export interface FetchHandlerOptions {
  /** URL path of the application, when the request's URL has it; default "". */
  readonly mountPoint?: string;
  /** More variables for a request, such as REMOTE_ADDR, which a Request does not tell; undefined takes one away. */
  readonly variables?: (request: Request, ...rest: readonly unknown[]) => Readonly<Record<string, string | undefined>>;
  /** For failures, and lines written to `wsgi.errors`. The default writes to stderr. */
  readonly log?: Log;
}

/** Rejects only when the response is given up before its head. Later arguments go to `options.variables`. */
export type FetchListener = (request: Request, ...rest: readonly unknown[]) => Promise<Response>;

/** Bytes of response that may wait to be read. */
const highWaterBytes = 64 * 1024;

function asBytes(chunk: Chunk): Uint8Array<ArrayBuffer> {
  // A copy: a stream may pass the memory on to somebody else, and the application's buffer is its own.
  return Uint8Array.from(typeof chunk === "string" ? Buffer.from(chunk) : chunk);
}

/** Settles the promise of a Response and then fills its body. */
class FetchSink implements ResponseSink {
  readonly #onCancel: () => void;
  #resolve: (response: Response) => void = () => {};
  #reject: (error: Error) => void = () => {};
  /** The body, once it was more than one piece. */
  #controller: ReadableStreamDefaultController<Uint8Array> | undefined;
  #isClosed = false;
  #wake: Array<() => void> = [];
  readonly response: Promise<Response> = new Promise((resolve, reject) => {
    this.#resolve = resolve;
    this.#reject = reject;
  });

  constructor(onCancel: () => void) {
    this.#onCancel = onCancel;
  }

  send(head: ResponseHead | undefined, data: Chunk | undefined, isLast: boolean): boolean {
    if (this.#isClosed) return true;
    if (isLast && head !== undefined) {
      this.#isClosed = true;
      this.#resolve(responseOf(head, data === undefined ? null : asBytes(data)));
      return true;
    }
    if (head !== undefined) this.#resolve(responseOf(head, this.#openBody()));
    if (data !== undefined) this.#controller?.enqueue(asBytes(data));
    if (isLast) this.#close(() => this.#controller?.close());
    return this.#isClosed || (this.#controller?.desiredSize ?? 1) > 0;
  }

  drained(): Promise<void> {
    if (this.#isClosed) return Promise.reject(new ClientGoneError());
    if ((this.#controller?.desiredSize ?? 1) > 0) return Promise.resolve();
    return new Promise((resolve, reject) => {
      this.#wake.push(() => {
        if (this.#isClosed) reject(new ClientGoneError());
        else resolve();
      });
    });
  }

  break(): void {
    this.#reject(new ClientGoneError());
    this.#close(() => this.#controller?.error(new Error("the response was broken off")));
  }

  #openBody(): ReadableStream<Uint8Array> {
    const strategy = new ByteLengthQueuingStrategy({ highWaterMark: highWaterBytes });
    return new ReadableStream<Uint8Array>(
      {
        start: (controller) => {
          this.#controller = controller;
        },
        pull: () => this.#notify(),
        cancel: () => {
          this.#close(() => {});
          this.#onCancel();
        },
      },
      strategy,
    );
  }

  #close(finish: () => void): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    finish();
    this.#notify();
  }

  #notify(): void {
    for (const wake of this.#wake.splice(0)) wake();
  }
}

function responseOf(head: ResponseHead, body: Uint8Array<ArrayBuffer> | ReadableStream<Uint8Array> | null): Response {
  const { code, reason } = head.status;
  const headers = new Headers();
  for (const [name, value] of head.headers) headers.append(name, value);
  if (code === 205) headers.delete("Content-Length"); // what was meant to follow cannot
  return new Response(nullBodyStatuses.has(code) ? null : body, { status: code, statusText: reason, headers });
}

/** Reads a body as fast as the application wants it. */
class BodyReader implements InputFlow {
  readonly #reader: ReadableStreamDefaultReader<Uint8Array>;
  #isPaused = false;
  #wake: () => void = () => {};

  constructor(body: ReadableStream<Uint8Array>) {
    this.#reader = body.getReader();
  }

  pause(): void {
    this.#isPaused = true;
  }

  resume(): void {
    this.#isPaused = false;
    this.#wake();
  }

  /** Nobody reads any more. */
  cancel(): void {
    void this.#reader.cancel().catch(() => {}); // its source may have failed already, which changes nothing
  }

  /** Settles at the end of the body, well or not. Never rejects. */
  async feed(input: RequestInput, failed: () => void): Promise<void> {
    try {
      for (;;) {
        const { done, value } = await this.#reader.read();
        if (done) break;
        input.push(Buffer.from(value.buffer, value.byteOffset, value.byteLength));
        if (this.#isPaused) await this.#resumed();
      }
      input.end();
    } catch {
      failed();
    }
  }

  #resumed(): Promise<void> {
    return new Promise((resolve) => {
      this.#wake = resolve;
    });
  }
}

const openFlow: InputFlow = { pause: () => {}, resume: () => {} };

function variablesOf(request: Request, rest: readonly unknown[], { variables: more }: FetchHandlerOptions): Variables {
  const url = new URL(request.url);
  const scheme = url.protocol === "https:" ? "https" : "http";
  const headers: HeaderList = request.headers.has("host")
    ? [...request.headers]
    : [["host", url.host], ...request.headers];
  const http = {
    method: request.method,
    target: url.pathname + url.search,
    protocol: "HTTP/1.1",
    scheme,
    serverName: url.hostname,
    serverPort: Number(url.port || (scheme === "https" ? 443 : 80)),
    remoteAddress: "",
    headers,
  } as const;
  const variables = bridgedVariables(http, rest[0]);
  if (variables["REMOTE_ADDR"] === "") delete variables["REMOTE_ADDR"];
  if (more !== undefined) addVariables(variables, more(request, ...rest));
  return variables;
}

/** Makes a fetch handler of an application: `export default { fetch: toFetchHandler(application) }`. */
export function toFetchHandler(application: Application, options: FetchHandlerOptions = {}): FetchListener {
  const shared = createBridgeService(options.log);
  const mountPoint = normalMountPoint(options.mountPoint ?? "");
  return async (request, ...rest) => {
    const variables = variablesOf(request, rest, options);
    const { body, signal } = request;
    const reader = body === null ? undefined : new BodyReader(body);
    const gone = (): void => exchange.abort(new ClientGoneError());
    const sink = new FetchSink(gone);
    const { exchange, input } = dispatch(routed(shared, application, { mountPoint }), {
      variables,
      sink,
      flow: reader ?? openFlow,
      emitError: () => false,
      isAuthorizer: false,
      onEnd: () => {
        signal.removeEventListener("abort", gone);
        reader?.cancel();
      },
    });
    if (signal.aborted) gone();
    else signal.addEventListener("abort", gone, { once: true });
    if (reader === undefined) input.end();
    else void reader.feed(input, gone);
    return await sink.response;
  };
}
