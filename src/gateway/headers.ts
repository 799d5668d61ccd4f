// The rules for response headers (RFC 9110 section 5, PEP 3333 "The start_response() Callable", and what Apache takes).
// Rules: a header that could split the response, that belongs to the connection, or that Apache would answer with its own
// 500 is refused here with an error that names it; values pass as latin-1 bytes, unchanged.

import { ContractError } from "../errors.ts";
import type { HeaderList } from "../spec.ts";

/** Apache reads header lines of a CGI-like response into a buffer of 8,192 bytes; 8,189 fit with CRLF and NUL. */
export const maxHeaderLineBytes = 8189;

/** A token of RFC 9110 section 5.6.2. */
export const headerNamePattern = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;
// eslint-disable-next-line no-control-regex -- control characters are what it looks for
export const headerValuePattern = /^[\t\x20-\x7e\x80-\xff]*$/;

/** RFC 2616 section 13.5.1, as PEP 3333 cites it: these belong to the server's connection. */
export const hopByHopNames: ReadonlySet<string> = new Set([
  "connection",
  "keep-alive",
  "proxy-authenticate",
  "proxy-authorization",
  "te",
  "trailer",
  "trailers",
  "transfer-encoding",
  "upgrade",
]);

/** What a header is to the gateway, by its name. */
export type HeaderKind = "malformed" | "hop-by-hop" | "status" | "length" | "other";

/** Names come from applications, which may make them of anything: no more are remembered, and no longer ones. */
const maxRememberedNames = 200;
const maxRememberedLength = 64;
const remembered = new Map<string, HeaderKind>();

export function headerKind(name: string): HeaderKind {
  const known = remembered.get(name);
  if (known !== undefined) return known;
  const kind = kindOf(name);
  if (remembered.size < maxRememberedNames && name.length <= maxRememberedLength && kind !== "malformed") {
    remembered.set(Buffer.from(name, "latin1").toString("latin1"), kind); // not a part of a longer text, which stays with it
  }
  return kind;
}

function kindOf(name: string): HeaderKind {
  if (!headerNamePattern.test(name)) return "malformed";
  const lowerName = name.toLowerCase();
  if (hopByHopNames.has(lowerName)) return "hop-by-hop";
  if (lowerName === "status") return "status";
  return lowerName === "content-length" ? "length" : "other";
}

/** What the gateway itself needs to know of the headers. */
export interface CheckedHeaders {
  readonly list: HeaderList;
  /** The declared length in bytes; undefined when there is none. */
  readonly contentLength: number | undefined;
}

function refuse(name: unknown, why: string): never {
  throw new ContractError(`response header ${JSON.stringify(name)} ${why}`);
}

function checkPair(name: unknown, value: unknown): HeaderKind {
  const kind = typeof name === "string" ? headerKind(name) : "malformed";
  if (typeof name !== "string" || kind === "malformed") refuse(name, "has a malformed name");
  if (typeof value !== "string") refuse(name, `has a value of type ${typeof value}, not a string`);
  if (!headerValuePattern.test(value)) {
    refuse(name, "has a value with a control character or one beyond latin-1; encodeText() makes bytes of a text");
  }
  if (name.length + value.length + 2 > maxHeaderLineBytes) {
    refuse(name, `is longer than the ${maxHeaderLineBytes} bytes that Apache takes in a line`);
  }
  return kind;
}

function parseLength(value: string, earlier: number | undefined): number {
  if (!/^[0-9]{1,15}$/.test(value)) refuse("Content-Length", `has a malformed value ${JSON.stringify(value)}`);
  const length = Number(value);
  if (earlier !== undefined && earlier !== length) refuse("Content-Length", "is given twice with different values");
  return length;
}

/** Copies and checks the headers of a startResponse call; throws ContractError for the first that cannot be sent. */
export function checkHeaders(headers: HeaderList): CheckedHeaders {
  if (typeof headers !== "object" || headers === null || typeof headers[Symbol.iterator] !== "function") {
    throw new ContractError("headers must be a list of [name, value] pairs");
  }
  const list: Array<readonly [string, string]> = [];
  let contentLength: number | undefined;
  for (const pair of headers) {
    if (!Array.isArray(pair) || pair.length !== 2) throw new ContractError("a header must be a [name, value] pair");
    const [name, value] = pair;
    const kind = checkPair(name, value);
    if (kind === "hop-by-hop") refuse(name, "is hop-by-hop: it belongs to Apache's connection with the client");
    if (kind === "status") refuse(name, "would replace the status; give it as the first argument");
    if (kind === "length") {
      const first = contentLength === undefined;
      contentLength = parseLength(value, contentLength);
      if (!first) continue;
    }
    list.push([name, value]);
  }
  return { list, contentLength };
}
