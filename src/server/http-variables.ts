// The variables that Apache would pass for an HTTP request (RFC 3875 section 4.1), for the ways in without Apache.

import type { Variables } from "../gateway/environ.ts";
import { urlPathOf } from "../gateway/url-path.ts";
import type { HeaderList } from "../spec.ts";

export interface HttpRequest {
  readonly method: string;
  /** The request target: "/path?query", percent-encoded. */
  readonly target: string;
  readonly protocol: string;
  readonly scheme: "http" | "https";
  readonly serverName: string;
  readonly serverPort: number;
  readonly remoteAddress: string;
  readonly headers: HeaderList;
}

/** The headers of node:http's `rawHeaders`, which has names and values in turn. */
export function headerPairs(raw: readonly string[]): HeaderList {
  const pairs: Array<readonly [string, string]> = [];
  for (let index = 0; index + 1 < raw.length; index += 2) pairs.push([raw[index] ?? "", raw[index + 1] ?? ""]);
  return pairs;
}

function addHeaders(variables: Variables, headers: HeaderList): void {
  for (const [header, value] of headers) {
    if (!/^[A-Za-z0-9-]+$/.test(header)) continue; // as Apache does: another spelling cannot be told from these
    const name = header.toUpperCase().replaceAll("-", "_");
    const key = name === "CONTENT_TYPE" || name === "CONTENT_LENGTH" ? name : `HTTP_${name}`;
    const earlier = variables[key];
    const separator = key === "HTTP_COOKIE" ? "; " : ", ";
    variables[key] = earlier === undefined ? value : earlier + separator + value;
  }
}

/** SCRIPT_NAME is "" and PATH_INFO the whole decoded path: a mount point is cut off later, as for any request. */
export function httpVariables(request: HttpRequest): Variables {
  const { target } = request;
  const query = target.indexOf("?");
  const variables: Variables = Object.assign(Object.create(null) as Variables, {
    GATEWAY_INTERFACE: "CGI/1.1",
    SERVER_SOFTWARE: "tsgi",
    SERVER_PROTOCOL: request.protocol,
    SERVER_NAME: request.serverName,
    SERVER_PORT: String(request.serverPort),
    REMOTE_ADDR: request.remoteAddress,
    REQUEST_METHOD: request.method,
    REQUEST_SCHEME: request.scheme,
    REQUEST_URI: target,
    QUERY_STRING: query === -1 ? "" : target.slice(query + 1),
    SCRIPT_NAME: "",
    PATH_INFO: urlPathOf(target)?.text ?? "",
  });
  if (request.scheme === "https") variables["HTTPS"] = "on";
  addHeaders(variables, request.headers);
  return variables;
}
