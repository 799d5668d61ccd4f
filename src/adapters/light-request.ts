// The Request of a fetch handler: an environ, until somebody asks for what only a Request of Node's can give (Fetch standard,
// section 5.4). Reading the whole body takes none.
// Rules: what has been read cannot be read again, here or there; a method that Node's Request refuses is not light.

import type { Environ } from "../spec.ts";
import { standInFor } from "./fetch-classes.ts";
import { followHeaders, LightHeaders } from "./light-headers.ts";
import { rawHeadersOf } from "./node-headers.ts";
import { hasRequestBody, realRequest } from "./real-request.ts";

/** Those that are written in one way only. */
const methods: ReadonlySet<string> = new Set(["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]);

/** See light-headers.ts. */
const state = Symbol("request");

interface State {
  readonly environ: Environ;
  readonly method: string;
  readonly url: string;
  readonly headers: LightHeaders;
  readonly hasBody: boolean;
  /** Its body has been asked for. */
  isRead: boolean;
  real: Request | undefined;
}

export class LightRequest {
  readonly [state]: State;

  constructor(environ: Environ, method: string, url: string) {
    const headers = new LightHeaders(rawHeadersOf(environ));
    const hasBody = hasRequestBody(environ, method);
    this[state] = { environ, method, url, headers, hasBody, isRead: false, real: undefined };
  }

  get method(): string {
    return this[state].method;
  }

  get url(): string {
    return this[state].url;
  }

  get headers(): LightHeaders {
    return this[state].headers;
  }

  get signal(): AbortSignal {
    return this[state].environ["tsgi.signal"];
  }

  get body(): ReadableStream<Uint8Array> | null {
    return this[state].hasBody ? realOf(this).body : null;
  }

  get bodyUsed(): boolean {
    const { real, isRead } = this[state];
    return real?.bodyUsed ?? isRead;
  }

  async arrayBuffer(): Promise<ArrayBuffer> {
    const { real } = this[state];
    return real === undefined ? new Uint8Array(await read(this[state])).buffer : await real.arrayBuffer();
  }

  async text(): Promise<string> {
    const { real } = this[state];
    return real === undefined ? textOf(await read(this[state])) : await real.text();
  }

  async json(): Promise<unknown> {
    const { real } = this[state];
    return real === undefined ? JSON.parse(textOf(await read(this[state]))) : await real.json();
  }
}

/** The whole body. Rejects with TypeError when it was asked for before. */
async function read(own: State): Promise<Buffer> {
  if (!own.hasBody) return Buffer.alloc(0);
  if (own.isRead) throw new TypeError("Body is unusable: Body has already been read");
  own.isRead = true;
  return await own.environ["wsgi.input"].bytes(Infinity);
}

function textOf(bytes: Buffer): string {
  const text = bytes.toString("utf8");
  return text.startsWith("\u{feff}") ? text.slice(1) : text;
}

/** The Request of a request; undefined where that takes the real one. */
export function lightRequest(environ: Environ, url: string): LightRequest | undefined {
  const { REQUEST_METHOD: method } = environ;
  return methods.has(method) ? new LightRequest(environ, method, url) : undefined;
}

function realOf(request: LightRequest): Request {
  const own = request[state];
  if (own.real === undefined) {
    const { environ, method, url, headers } = own;
    const real = realRequest(environ, { method, url, headers: [...headers] });
    if (own.isRead) void real.body?.getReader().cancel();
    followHeaders(headers, real.headers);
    own.real = real;
  }
  return own.real;
}

/** A value to give to Node's own classes. */
export function orReal(value: unknown): unknown {
  return value instanceof LightRequest ? realOf(value) : value;
}

/** To be called once, before one of them is made. */
export function standInRequests(): void {
  standInFor(
    { name: "Request", prototype: LightRequest.prototype, realOf: (given) => realOf(given as LightRequest) },
    {
      getters: [
        "cache",
        "credentials",
        "destination",
        "duplex",
        "integrity",
        "isHistoryNavigation",
        "isReloadNavigation",
        "keepalive",
        "mode",
        "redirect",
        "referrer",
        "referrerPolicy",
      ],
      methods: ["blob", "bytes", "clone", "formData"],
    },
  );
}
