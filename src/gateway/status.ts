// The status an application gives: "200 OK", "200", or a code with a reason of its own (RFC 9110 section 15, RFC 9112 section 4).
// Rules: 200 to 599 only. A 1xx would reach the client as the final status, and Apache answers 500 to anything else.

import { ContractError } from "../errors.ts";
import { maxHeaderLineBytes } from "./headers.ts";

const reasons: Readonly<Record<number, string>> = {
  200: "OK",
  201: "Created",
  202: "Accepted",
  203: "Non-Authoritative Information",
  204: "No Content",
  205: "Reset Content",
  206: "Partial Content",
  207: "Multi-Status",
  208: "Already Reported",
  226: "IM Used",
  300: "Multiple Choices",
  301: "Moved Permanently",
  302: "Found",
  303: "See Other",
  304: "Not Modified",
  305: "Use Proxy",
  307: "Temporary Redirect",
  308: "Permanent Redirect",
  400: "Bad Request",
  401: "Unauthorized",
  402: "Payment Required",
  403: "Forbidden",
  404: "Not Found",
  405: "Method Not Allowed",
  406: "Not Acceptable",
  407: "Proxy Authentication Required",
  408: "Request Timeout",
  409: "Conflict",
  410: "Gone",
  411: "Length Required",
  412: "Precondition Failed",
  413: "Content Too Large",
  414: "URI Too Long",
  415: "Unsupported Media Type",
  416: "Range Not Satisfiable",
  417: "Expectation Failed",
  418: "I'm a Teapot",
  421: "Misdirected Request",
  422: "Unprocessable Content",
  423: "Locked",
  424: "Failed Dependency",
  425: "Too Early",
  426: "Upgrade Required",
  428: "Precondition Required",
  429: "Too Many Requests",
  431: "Request Header Fields Too Large",
  451: "Unavailable For Legal Reasons",
  500: "Internal Server Error",
  501: "Not Implemented",
  502: "Bad Gateway",
  503: "Service Unavailable",
  504: "Gateway Timeout",
  505: "HTTP Version Not Supported",
  506: "Variant Also Negotiates",
  507: "Insufficient Storage",
  508: "Loop Detected",
  510: "Not Extended",
  511: "Network Authentication Required",
};

export interface Status {
  readonly code: number;
  readonly reason: string;
}

/** The usual reason phrase of a status code, or "Unknown" for one that has none. */
export function reasonOf(code: number): string {
  return reasons[code] ?? "Unknown";
}

/** Statuses whose Response may not be given a body, not even an empty one (Fetch standard, "null body status"). */
export const nullBodyStatuses: ReadonlySet<number> = new Set([204, 205, 304]);

const statusPattern = /^([2-5][0-9]{2})(?: ([\t\x20-\x7e\x80-\xff]*))?$/;

/** What was read before: an application has few of them. */
const known = new Map<string, Status>();
const maxKnown = 100;

/** Reads a status; throws ContractError for one that cannot be sent. */
export function parseStatus(text: string): Status {
  const before = known.get(text);
  if (before !== undefined) return before;
  const status = readStatus(text);
  if (known.size < maxKnown) known.set(text, status);
  return status;
}

function readStatus(text: string): Status {
  const match = typeof text === "string" ? statusPattern.exec(text) : null;
  if (match === null) {
    throw new ContractError(`malformed status ${JSON.stringify(text)}: expected "200 OK" or "200", from 200 to 599`);
  }
  const code = Number(match[1]);
  const reason = match[2]?.replace(/^[ \t]+/, "") ?? "";
  if (`Status: ${code} ${reason}`.length > maxHeaderLineBytes) {
    throw new ContractError(`the reason phrase of the status ${code} is longer than Apache takes in a line`);
  }
  return { code, reason: reason === "" ? reasonOf(code) : reason };
}
