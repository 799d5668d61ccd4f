// One request through one application in this process, without any server: for `tsgi request` and for tests.
// Rules: the same gateway as everywhere; the reply says whether it is complete, as a client would see it.

import { ClientGoneError } from "../errors.ts";
import type { Variables } from "../gateway/environ.ts";
import type { InputFlow } from "../gateway/input.ts";
import { normalMountPoint } from "../gateway/mount.ts";
import type { ResponseHead, ResponseSink } from "../gateway/response.ts";
import { createLog } from "../log.ts";
import type { Application, Chunk, HeaderList, Log } from "../spec.ts";
import { Background } from "./background.ts";
import { dispatch } from "./dispatch.ts";
import { httpVariables } from "./http-variables.ts";

export interface DirectRequest {
  readonly method: string;
  /** "/path?query" or a whole http(s) URL; percent-encoded. */
  readonly url: string;
  readonly headers?: HeaderList;
  /** Given as bytes it has a CONTENT_LENGTH, as chunks it has none, unless the headers say one. */
  readonly body?: Uint8Array | AsyncIterable<Uint8Array>;
  readonly mountPoint?: string | undefined;
  /** Absolute name of the application's file, for `tsgi.script`. */
  readonly script?: string;
  /** More variables, or other values for those that are made of the request. */
  readonly variables?: Readonly<Record<string, string>>;
  readonly log?: Log;
}

export interface DirectReply {
  readonly status: number;
  readonly reason: string;
  readonly headers: HeaderList;
  readonly body: Buffer;
  /** False when the response was broken off. */
  readonly complete: boolean;
  /** What was written to wsgi.errors, a line each. */
  readonly errors: string;
}

function ignore(): void {}

/** Collects a response. */
class CollectingSink implements ResponseSink {
  readonly #chunks: Buffer[] = [];
  #finish: (isComplete: boolean) => void = ignore;
  /** Settles at the end of the response: whether it is complete. */
  readonly finished: Promise<boolean> = new Promise((resolve) => {
    this.#finish = resolve;
  });
  head: ResponseHead | undefined;

  get body(): Buffer {
    return Buffer.concat(this.#chunks);
  }

  send(head: ResponseHead | undefined, data: Chunk | undefined, isLast: boolean): boolean {
    this.head ??= head;
    if (data !== undefined) this.#chunks.push(Buffer.from(data));
    if (isLast) this.#finish(true);
    return true;
  }

  async drained(): Promise<void> {}

  break(): void {
    this.#finish(false);
  }
}

function variablesOf(request: DirectRequest): Variables {
  const isTarget = request.url.startsWith("/");
  const url = new URL(isTarget ? "http://localhost" : request.url);
  const scheme = url.protocol === "https:" ? "https" : "http";
  const headers = request.headers ?? [];
  const hasHost = headers.some(([name]) => name.toLowerCase() === "host");
  const length = request.body instanceof Uint8Array ? String(request.body.length) : undefined;
  const variables = httpVariables({
    method: request.method,
    target: isTarget ? request.url : url.pathname + url.search,
    protocol: "HTTP/1.1",
    scheme,
    serverName: url.hostname,
    serverPort: Number(url.port || (scheme === "https" ? 443 : 80)),
    remoteAddress: "127.0.0.1",
    headers: hasHost ? headers : [["Host", url.host], ...headers],
  });
  if (length !== undefined) variables["CONTENT_LENGTH"] ??= length;
  return Object.assign(variables, request.variables);
}

/** Lets a body flow as fast as the application reads it. */
class Valve implements InputFlow {
  #open: Promise<void> = Promise.resolve();
  #release: () => void = ignore;
  #isShut = false;

  pause(): void {
    this.#open = new Promise((resolve) => {
      this.#release = resolve;
    });
  }

  resume(): void {
    this.#release();
  }

  /** Nobody reads any more. */
  shut(): void {
    this.#isShut = true;
    this.#release();
  }

  /** Settles when more may come: false when nobody wants it. */
  async opened(): Promise<boolean> {
    await this.#open;
    return !this.#isShut;
  }
}

async function feed(
  input: { push(bytes: Buffer): void; end(): void },
  body: DirectRequest["body"],
  valve: Valve,
): Promise<void> {
  const chunks = body instanceof Uint8Array ? [body] : (body ?? []);
  for await (const chunk of chunks) {
    if (!(await valve.opened())) return;
    input.push(Buffer.from(chunk));
  }
  input.end();
}

/** Runs the request to its end, `tsgi.wait_until` work included (10 s at most). Rejects only when `body` throws. */
export async function runDirect(application: Application, request: DirectRequest): Promise<DirectReply> {
  const log = request.log ?? createLog({ level: "silent" });
  const background = new Background(log);
  const lines: string[] = [];
  const valve = new Valve();
  const sink = new CollectingSink();
  const route = {
    application,
    script: request.script ?? "",
    mount: { mountPoint: normalMountPoint(request.mountPoint ?? "") },
  };
  const { exchange, input } = dispatch(
    {
      router: { route: () => route },
      log,
      background,
      transport: "http",
      isMultiprocess: false,
      isRunOnce: true,
      isLogApaches: true,
    },
    {
      variables: variablesOf(request),
      sink,
      flow: valve,
      emitError: (line) => lines.push(line) > 0,
      isAuthorizer: false,
      onEnd: () => valve.shut(),
    },
  );
  try {
    await feed(input, request.body, valve);
  } catch (error) {
    exchange.abort(new ClientGoneError());
    throw error;
  }
  const complete = await sink.finished;
  await background.idle(10_000);
  const { status, headers } = sink.head ?? { status: { code: 0, reason: "" }, headers: [] };
  return { status: status.code, reason: status.reason, headers, body: sink.body, complete, errors: lines.join("\n") };
}
