// A Response of a text, of bytes or of nothing that is still what it was made of: most are only ever sent. Node's own, with its stream,
// takes longer than all the rest of a small request. Whoever reads it, or clones it, gets the real one (Fetch standard, section 5.5).
// Rules: what the real one would refuse, or take in a way of its own, is not light.

import { types } from "node:util";
import { headerNamePattern } from "../gateway/headers.ts";
import { nullBodyStatuses } from "../gateway/status.ts";
import type { HeaderList } from "../spec.ts";
import { fetchClasses, hasFetchClasses, standInFor } from "./fetch-classes.ts";
import { followHeaders, LightHeaders, pairsNow, plainValue } from "./light-headers.ts";

/** What a Response was made of. */
export interface ResponseParts {
  readonly status: number;
  readonly statusText: string;
  readonly headers: HeaderList;
  readonly body: ResponseBody;
}

type ResponseBody = string | Uint8Array<ArrayBuffer> | null;

/** See light-headers.ts. */
const state = Symbol("response");

interface Given {
  readonly body: ResponseBody;
  readonly status: number;
  readonly statusText: string;
  readonly headers: LightHeaders;
}

interface State extends Given {
  real: Response | undefined;
  /** It has been sent: a body comes only once. */
  isSent: boolean;
}

export class LightResponse {
  readonly [state]: State;

  constructor({ body, status, statusText, headers }: Given) {
    this[state] = { body, status, statusText, headers, real: undefined, isSent: false };
  }

  get status(): number {
    return this[state].status;
  }

  get statusText(): string {
    return this[state].statusText;
  }

  get ok(): boolean {
    const { status } = this[state];
    return status >= 200 && status <= 299;
  }

  get headers(): LightHeaders {
    return this[state].headers;
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
    return this[state].body === null ? null : realResponse(this).body;
  }

  get bodyUsed(): boolean {
    const { real, isSent } = this[state];
    return real?.bodyUsed ?? isSent;
  }
}

function realResponse(response: LightResponse): Response {
  const own = response[state];
  if (own.real === undefined) {
    const { body, status, statusText, headers } = own;
    const real = new (fetchClasses().Response)(body, { status, statusText, headers: [...headers] });
    if (!headers.has("content-type")) real.headers.delete("content-type");
    if (own.isSent) void real.body?.getReader().cancel();
    followHeaders(headers, real.headers);
    own.real = real;
  }
  return own.real;
}

/** Whether what can be seen of it is what it holds: an application can put properties, or a proxy, before that. */
function isUnchanged(value: object): value is LightResponse {
  if (Object.getPrototypeOf(value) !== LightResponse.prototype || types.isProxy(value)) return false;
  return Object.getOwnPropertyNames(value).length === 0;
}

/**
 * What to send of a Response that nobody has read or changed; undefined for any other value. It is asked once: then the body
 * is used up.
 */
export function takeParts(response: object): ResponseParts | undefined {
  if (!isUnchanged(response)) return undefined;
  const own = response[state];
  if (own.real !== undefined || own.isSent) return undefined;
  own.isSent = own.body !== null;
  const { body, status, statusText, headers } = own;
  return { body, status, statusText, headers: pairsNow(headers) };
}

/** To be called once, before one of them is made. */
export function standInResponses(): void {
  standInFor(
    {
      name: "Response",
      prototype: LightResponse.prototype,
      realOf: (response) => realResponse(response as LightResponse),
    },
    { getters: [], methods: ["arrayBuffer", "blob", "bytes", "clone", "formData", "json", "text"] },
  );
}

const typeOfText = "text/plain;charset=UTF-8";

/** The Response that `new Response(body, init)` makes; undefined where that takes the real one. */
export function lightResponse(body: unknown, init: unknown, type: string = typeOfText): LightResponse | undefined {
  const own = bodyOf(body);
  const given: unknown = init ?? {};
  if (own === undefined || typeof given !== "object") return undefined;
  const status = statusOf(given as ResponseInit);
  const lines = linesOf((given as ResponseInit).headers);
  if (status === undefined || lines === undefined) return undefined;
  if (own !== null && nullBodyStatuses.has(status.status)) return undefined;
  if (lines.some((text) => text.startsWith("application/wasm"))) return undefined; // V8 takes Node's own only
  if (typeof own === "string" && !hasLine(lines, "content-type")) lines.push("content-type", type);
  return new LightResponse({ body: own, ...status, headers: new LightHeaders(lines) });
}

/** A body that takes nothing of Node's; bytes are copied, since their owner may use them again. */
function bodyOf(body: unknown): ResponseBody | undefined {
  if (typeof body === "string") return body;
  if (body instanceof Uint8Array && body.buffer instanceof ArrayBuffer) return new Uint8Array(body);
  return body === undefined || body === null ? null : undefined;
}

/** The status that an init names, where it does as it stands; undefined for any other. */
function statusOf(init: { status?: unknown; statusText?: unknown }): Pick<Given, "status" | "statusText"> | undefined {
  const { status = 200, statusText = "" } = init;
  if (typeof status !== "number" || !Number.isInteger(status) || status < 200 || status > 599) return undefined;
  return typeof statusText === "string" && plainValue.test(statusText) ? { status, statusText } : undefined;
}

/** Headers as lines with names in small letters, each name once; undefined where that takes Node's own. */
function linesOf(headers: unknown): string[] | undefined {
  if (headers === undefined) return [];
  if (typeof headers !== "object" || headers === null) return undefined;
  if (hasFetchClasses() && Object.getPrototypeOf(headers) === fetchClasses().Headers.prototype) {
    return [...(headers as Headers)].flat();
  }
  const prototype: unknown = Object.getPrototypeOf(headers);
  if ((prototype !== Object.prototype && prototype !== null) || Object.getOwnPropertySymbols(headers).length > 0) {
    return undefined;
  }
  const lines: string[] = [];
  for (const [given, value] of Object.entries(headers as Record<string, unknown>)) {
    const name = given.toLowerCase();
    const text = typeof value === "number" ? String(value) : value;
    if (typeof text !== "string" || !headerNamePattern.test(given) || !plainValue.test(text)) return undefined;
    if (hasLine(lines, name)) return undefined;
    lines.push(name, text);
  }
  return lines;
}

function hasLine(lines: readonly string[], name: string): boolean {
  for (let index = 0; index < lines.length; index += 2) if (lines[index] === name) return true;
  return false;
}
