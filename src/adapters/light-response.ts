// A Response of a text, of bytes or of nothing that is still what it was made of: most are only ever sent. Node's own, with its stream,
// takes longer than all the rest of a small request. Whoever reads it, or clones it, gets the real one (Fetch standard, section 5.5).
// Rules: what the real one would refuse, or take in a way of its own, is not light.

import { fetchClasses, hasFetchClasses, standInFor } from "./fetch-classes.ts";
import { LightHeaders, plainValue } from "./light-headers.ts";

/** What a Response was made of. */
export interface ResponseParts {
  readonly status: number;
  readonly statusText: string;
  /** Name, value, name, value. */
  readonly lines: readonly string[];
  readonly body: ResponseBody;
}

type ResponseBody = string | Uint8Array<ArrayBuffer> | null;

const tokenName = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;

/** Statuses that go without a body. */
const bodiless: ReadonlySet<number> = new Set([204, 205, 304]);

export class LightResponse {
  readonly #body: ResponseBody;
  readonly #status: number;
  readonly #statusText: string;
  readonly #headers: LightHeaders;
  #real: Response | undefined;

  constructor({ body, status, statusText, lines }: ResponseParts) {
    this.#body = body;
    this.#status = status;
    this.#statusText = statusText;
    this.#headers = new LightHeaders(() => lines);
  }

  get status(): number {
    return this.#status;
  }

  get statusText(): string {
    return this.#statusText;
  }

  get ok(): boolean {
    return this.#status >= 200 && this.#status <= 299;
  }

  get headers(): LightHeaders {
    return this.#headers;
  }

  get type(): string {
    return "default";
  }

  get url(): string {
    return "";
  }

  get redirected(): boolean {
    return false;
  }

  get body(): ReadableStream<Uint8Array> | null {
    return this.#body === null ? null : LightResponse.realOf(this).body;
  }

  get bodyUsed(): boolean {
    return this.#real?.bodyUsed ?? false;
  }

  static realOf(response: LightResponse): Response {
    if (response.#real === undefined) {
      const init = { status: response.#status, statusText: response.#statusText, headers: [...response.#headers] };
      response.#real = new (fetchClasses().Response)(response.#body, init);
      LightHeaders.follow(response.#headers, response.#real.headers);
    }
    return response.#real;
  }

  /** What to send of a Response that nobody has read; undefined for any other value. */
  static partsOf(response: object): ResponseParts | undefined {
    if (!(#body in response) || response.#real !== undefined) return undefined;
    const lines = LightHeaders.linesOf(response.#headers) ?? [...response.#headers].flat();
    return { status: response.#status, statusText: response.#statusText, lines, body: response.#body };
  }
}

standInFor(
  {
    name: "Response",
    prototype: LightResponse.prototype,
    realOf: (given) => LightResponse.realOf(given as LightResponse),
  },
  { getters: [], methods: ["arrayBuffer", "blob", "bytes", "clone", "formData", "json", "text"] },
);

const typeOfText = "text/plain;charset=UTF-8";

/** The Response that `new Response(body, init)` makes; undefined where that takes the real one. */
export function lightResponse(body: unknown, init: unknown, type: string = typeOfText): LightResponse | undefined {
  const own = bodyOf(body);
  const given: unknown = init ?? {};
  if (own === undefined || typeof given !== "object") return undefined;
  const status = statusOf(given as ResponseInit);
  const lines = linesOf((given as ResponseInit).headers);
  if (status === undefined || lines === undefined) return undefined;
  if (own !== null && bodiless.has(status.status)) return undefined;
  if (typeof own === "string" && !hasLine(lines, "content-type")) lines.push("content-type", type);
  return new LightResponse({ body: own, ...status, lines });
}

/** A body that takes nothing of Node's; bytes are copied, since their owner may use them again. */
function bodyOf(body: unknown): ResponseBody | undefined {
  if (typeof body === "string") return body;
  if (body instanceof Uint8Array && body.buffer instanceof ArrayBuffer) return new Uint8Array(body);
  return body === undefined || body === null ? null : undefined;
}

/** The status that an init names, where it does as it stands; undefined for any other. */
function statusOf(init: {
  status?: unknown;
  statusText?: unknown;
}): Pick<ResponseParts, "status" | "statusText"> | undefined {
  const { status = 200, statusText = "" } = init;
  if (typeof status !== "number" || !Number.isInteger(status) || status < 200 || status > 599) return undefined;
  return typeof statusText === "string" && plainValue.test(statusText) ? { status, statusText } : undefined;
}

/** The Response that `Response.json(data, init)` makes; undefined where that takes the real one. */
export function lightJson(data: unknown, init: unknown): LightResponse | undefined {
  const text: string | undefined = JSON.stringify(data);
  return text === undefined ? undefined : lightResponse(text, init, "application/json");
}

/** Headers as lines with names in small letters, each name once; undefined where that takes Node's own. */
function linesOf(headers: unknown): string[] | undefined {
  if (headers === undefined) return [];
  if (typeof headers !== "object" || headers === null) return undefined;
  if (hasFetchClasses() && Object.getPrototypeOf(headers) === fetchClasses().Headers.prototype) {
    return [...(headers as Headers)].flat();
  }
  const prototype: unknown = Object.getPrototypeOf(headers);
  if (prototype !== Object.prototype && prototype !== null) return undefined;
  const lines: string[] = [];
  for (const [given, value] of Object.entries(headers as Record<string, unknown>)) {
    const name = given.toLowerCase();
    const text = typeof value === "number" ? String(value) : value;
    if (typeof text !== "string" || !tokenName.test(given) || !plainValue.test(text)) return undefined;
    if (hasLine(lines, name)) return undefined;
    lines.push(name, text);
  }
  return lines;
}

function hasLine(lines: readonly string[], name: string): boolean {
  for (let index = 0; index < lines.length; index += 2) if (lines[index] === name) return true;
  return false;
}
