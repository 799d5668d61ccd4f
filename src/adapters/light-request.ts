// The Request of a fetch handler: an environ, until somebody asks for what only a Request of Node's can give (Fetch standard,
// section 5.4). Reading the whole body takes none.
// Rules: what has been read cannot be read again, here or there; a method that Node's Request refuses is not light.

import type { Environ } from "../spec.ts";
import { standInFor } from "./fetch-classes.ts";
import { LightHeaders } from "./light-headers.ts";
import { rawHeadersOf } from "./node-headers.ts";
import { hasRequestBody, realRequest } from "./real-request.ts";

/** Those that are written in one way only. */
const methods: ReadonlySet<string> = new Set(["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]);

export class LightRequest {
  readonly #environ: Environ;
  readonly #method: string;
  readonly #url: string;
  #headers: LightHeaders | undefined;
  #isRead = false;
  #real: Request | undefined;

  private constructor(environ: Environ, url: string) {
    this.#environ = environ;
    this.#method = environ.REQUEST_METHOD;
    this.#url = url;
  }

  get method(): string {
    return this.#method;
  }

  get url(): string {
    return this.#url;
  }

  get headers(): LightHeaders {
    this.#headers ??= new LightHeaders(() => rawHeadersOf(this.#environ));
    return this.#headers;
  }

  get signal(): AbortSignal {
    return this.#environ["tsgi.signal"];
  }

  get body(): ReadableStream<Uint8Array> | null {
    return this.#hasBody ? LightRequest.realOf(this).body : null;
  }

  get bodyUsed(): boolean {
    return this.#real?.bodyUsed ?? this.#isRead;
  }

  async arrayBuffer(): Promise<ArrayBuffer> {
    if (this.#real !== undefined) return await this.#real.arrayBuffer();
    return new Uint8Array(await this.#read()).buffer;
  }

  async text(): Promise<string> {
    if (this.#real !== undefined) return await this.#real.text();
    const text = (await this.#read()).toString("utf8");
    return text.startsWith("\u{feff}") ? text.slice(1) : text;
  }

  async json(): Promise<unknown> {
    return JSON.parse(await this.text());
  }

  get #hasBody(): boolean {
    return hasRequestBody(this.#environ, this.#method);
  }

  /** The whole body. Rejects with TypeError when it was asked for before. */
  async #read(): Promise<Buffer> {
    if (!this.#hasBody) return Buffer.alloc(0);
    if (this.#isRead) throw new TypeError("Body is unusable: Body has already been read");
    this.#isRead = true;
    return await this.#environ["wsgi.input"].bytes(Infinity);
  }

  /** The Request of a request; undefined where that takes the real one. */
  static of(environ: Environ, url: string): LightRequest | undefined {
    return methods.has(environ.REQUEST_METHOD) ? new LightRequest(environ, url) : undefined;
  }

  static realOf(request: LightRequest): Request {
    if (request.#real === undefined) {
      const { method, url, headers } = request;
      request.#real = realRequest(request.#environ, { method, url, headers: [...headers] });
      if (request.#isRead) void request.#real.body?.getReader().cancel();
      LightHeaders.follow(headers, request.#real.headers);
    }
    return request.#real;
  }

  /** A value to give to Node's own classes. */
  static orReal(value: unknown): unknown {
    const isLight = typeof value === "object" && value !== null && #environ in value;
    return isLight ? LightRequest.realOf(value) : value;
  }
}

standInFor(
  { name: "Request", prototype: LightRequest.prototype, realOf: (given) => LightRequest.realOf(given as LightRequest) },
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
