// What the application gives to startResponse: status and headers, one by one (PEP 3333 "The start_response() Callable",
// RFC 9110 sections 5, 8 and 15.4.5, RFC 3875 section 6.2.2).
// Rules: nothing is changed and nothing is refused here, the gateway does that; every fault is reported, not only the first.

import { messageOf } from "../../errors.ts";
import { headerNamePattern, headerValuePattern, hopByHopNames, maxHeaderLineBytes } from "../headers.ts";
import { parseStatus } from "../status.ts";
import type { Report } from "./rules.ts";

/** What the rest of the checks needs of a head. */
export interface SeenHead {
  /** 0 for a status that cannot be sent. */
  readonly code: number;
  /** The declared length in bytes. */
  readonly declared: number | undefined;
  readonly hasContentType: boolean;
}

/** Apache merges or replaces these when they repeat, and servers differ in which one stays. */
const single: ReadonlySet<string> = new Set([
  "content-length",
  "content-type",
  "content-range",
  "date",
  "etag",
  "expires",
  "last-modified",
  "location",
  "retry-after",
  "server",
]);

function codeOf(status: unknown, report: Report): number {
  try {
    return parseStatus(status as string).code;
  } catch (error) {
    report("start-status", messageOf(error));
    return 0;
  }
}

function checkName(name: string, report: Report): void {
  const shown = JSON.stringify(name);
  if (!headerNamePattern.test(name)) report("header-name", `the header name ${shown} is malformed`);
  const lowerName = name.toLowerCase();
  if (hopByHopNames.has(lowerName)) report("header-hop-by-hop", `the header ${shown} is hop-by-hop`);
  if (lowerName === "status") report("header-status", `there is a header ${shown}`);
}

function checkValue(name: string, value: unknown, report: Report): void {
  const shown = JSON.stringify(name);
  if (typeof value !== "string") {
    report("header-value", `the header ${shown} has a value of type ${typeof value}, not a string`);
    return;
  }
  if (!headerValuePattern.test(value)) {
    report("header-value", `the header ${shown} has a value with a control character or one beyond latin-1`);
  }
  const length = name.length + value.length + 2;
  if (length > maxHeaderLineBytes) report("header-long", `the header ${shown} makes a line of ${length} bytes`);
}

/** The names in lower case, each with its first value. */
type Seen = Map<string, string>;

function checkLength(value: string, report: Report): void {
  if (!/^[0-9]{1,15}$/.test(value)) {
    report("content-length", `Content-Length is ${JSON.stringify(value)}, not a number of bytes`);
  }
}

function checkPair(pair: unknown, seen: Seen, report: Report): void {
  if (!Array.isArray(pair) || pair.length !== 2) {
    report("header-pair", "a header is no [name, value] pair");
    return;
  }
  const [name, value]: readonly unknown[] = pair;
  if (typeof name !== "string") {
    report("header-pair", `a header has a name of type ${typeof name}`);
    return;
  }
  checkName(name, report);
  checkValue(name, value, report);
  if (typeof value !== "string") return;
  const lowerName = name.toLowerCase();
  if (lowerName === "content-length") checkLength(value, report);
  if (seen.has(lowerName) && single.has(lowerName)) report("header-repeated", `the header ${name} is given twice`);
  else seen.set(lowerName, value);
}

function checkTogether(code: number, seen: Seen, report: Report): void {
  if (code === 204 || code === 304) {
    // 304 may repeat the length that a 200 would have had (RFC 9110 section 8.6).
    const odd = code === 204 ? ["content-type", "content-length"] : ["content-type"];
    for (const name of odd) if (seen.has(name)) report("bodyless-header", `there is a ${name} header with ${code}`);
  }
  if (code === 200 && seen.has("location")) report("location-status", "there is a Location header with status 200");
}

/** Reports what is wrong with a head; `headers` is a list already, or whatever was given in its place. */
export function checkHead(status: unknown, headers: unknown, report: Report): SeenHead {
  const code = codeOf(status, report);
  const seen: Seen = new Map();
  if (Array.isArray(headers)) for (const pair of headers) checkPair(pair, seen, report);
  else
    report(
      "start-headers",
      `the headers are ${headers === null ? "null" : `of the type ${typeof headers}`}, not a list`,
    );
  checkTogether(code, seen, report);
  const length = seen.get("content-length");
  const declared = length !== undefined && /^[0-9]{1,15}$/.test(length) ? Number(length) : undefined;
  return { code, declared, hasContentType: seen.has("content-type") };
}
