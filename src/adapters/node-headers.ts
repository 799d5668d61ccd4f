// Headers in both directions between CGI variables and node:http.
// Rules: names get their usual capitals back; a Cookie header that Apache joined out of several with a comma is joined with
// a semicolon, as node:http does; what belongs to a connection never leaves, since the connection is Apache's.

import type { HeaderKind } from "../gateway/headers.ts";
import { headerKind } from "../gateway/headers.ts";
import type { Environ, HeaderList } from "../spec.ts";

/** Names whose usual spelling is not one capital for each word. */
const irregular: ReadonlyMap<string, string> = new Map([
  ["dnt", "DNT"],
  ["etag", "ETag"],
  ["te", "TE"],
  ["soapaction", "SOAPAction"],
  ["www-authenticate", "WWW-Authenticate"],
  ["sec-ch-ua", "Sec-CH-UA"],
  ["sec-gpc", "Sec-GPC"],
  ["x-ua-compatible", "X-UA-Compatible"],
  ["http2-settings", "HTTP2-Settings"],
]);

/** Names come from clients: no more of them are remembered than this. */
const maxRememberedNames = 500;
const names = new Map<string, string>();

/** The usual spelling of a header's name, from a variable's name such as HTTP_USER_AGENT. */
function nameOf(variable: string): string {
  const known = names.get(variable);
  if (known !== undefined) return known;
  const lower = variable.slice(5).replaceAll("_", "-").toLowerCase();
  const name = irregular.get(lower) ?? lower.replace(/(^|-)([a-z])/g, (text) => text.toUpperCase());
  if (names.size < maxRememberedNames) names.set(variable, name);
  return name;
}

/** Apache joins several Cookie headers with ", " (RFC 6265 section 5.4 allows one only). */
function mendCookie(value: string): string {
  return value.includes(", ") ? value.replace(/, (?=[!#$%&'*+\-.^_`|~0-9A-Za-z]+=)/g, "; ") : value;
}

/** mod_fcgid says "0" for a request that has no body and said nothing of one. */
function isMadeUp({ CONTENT_LENGTH: length, REQUEST_METHOD: method }: Environ): boolean {
  return length === "0" && (method === "GET" || method === "HEAD");
}

/** The request's headers as node:http has them in `rawHeaders`: name, value, name, value. */
export function rawHeadersOf(environ: Environ): string[] {
  const list: string[] = [];
  for (const variable in environ) {
    if (!variable.startsWith("HTTP_")) continue;
    const value = environ[variable];
    if (typeof value !== "string") continue;
    list.push(nameOf(variable), variable === "HTTP_COOKIE" ? mendCookie(value) : value);
  }
  if (environ.CONTENT_TYPE !== undefined) list.push("Content-Type", environ.CONTENT_TYPE);
  if (environ.CONTENT_LENGTH !== undefined && !isMadeUp(environ)) list.push("Content-Length", environ.CONTENT_LENGTH);
  return list;
}

/**
 * Whether a response header stays here: it is about a connection, which is Apache's with the client (RFC 9110 section 7.6.1), or
 * is `Status`, which would be read as CGI's.
 */
function staysHere(kind: HeaderKind): boolean {
  return kind === "hop-by-hop" || kind === "status";
}

/** The same of a header's name. */
export function isConnectionHeader(name: string): boolean {
  return staysHere(headerKind(name));
}

export interface WireHead {
  readonly status: string;
  readonly headers: HeaderList;
  readonly hasLength: boolean;
}

function isBlank(code: number): boolean {
  return code === 0x20 || code === 0x09;
}

/** The value of a header line that ends at `end`; what stands around it is optional (RFC 9112 section 5). */
function valueBetween(text: string, colon: number, end: number): string {
  let start = colon + 1;
  let last = end;
  while (start < last && isBlank(text.charCodeAt(start))) start += 1;
  while (last > start && isBlank(text.charCodeAt(last - 1))) last -= 1;
  return text.slice(start, last);
}

/** Reads the head that node:http, or an application itself, wrote for the wire, without connection headers. */
export function parseWireHead(text: string): WireHead {
  const headers: Array<readonly [string, string]> = [];
  let hasLength = false;
  const first = text.indexOf("\r\n");
  let start = first + 2;
  for (let end = text.indexOf("\r\n", start); end > start; end = text.indexOf("\r\n", start)) {
    const colon = text.indexOf(":", start);
    const name = text.slice(start, colon);
    const kind = headerKind(name);
    if (colon !== -1 && colon < end && !staysHere(kind)) {
      if (kind === "length") hasLength = true;
      headers.push([name, valueBetween(text, colon, end)]);
    }
    start = end + 2;
  }
  return { status: text.slice("HTTP/1.1 ".length, first), headers, hasLength };
}
