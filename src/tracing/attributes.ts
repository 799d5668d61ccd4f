// What a span says of its request, and where the trace of the caller is found in it.
// Source: OpenTelemetry's semantic conventions for HTTP spans (1.23 and later), W3C Trace Context.

import type { Variables } from "../gateway/environ.ts";

export interface SpanStart {
  readonly name: string;
  readonly attributes: Readonly<Record<string, string | number>>;
}

/** Other methods share one name, since anybody can make them up. */
const knownMethods = new Set(["CONNECT", "DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT", "TRACE", "QUERY"]);
const maxLength = 1024;

/** Finds request headers in the variables of a request, for a propagator. */
export const variableGetter = {
  keys(variables: Variables): string[] {
    return Object.keys(variables)
      .filter((name) => name.startsWith("HTTP_"))
      .map((name) => name.slice("HTTP_".length).toLowerCase().replaceAll("_", "-"));
  },
  get(variables: Variables, header: string): string | undefined {
    return variables[`HTTP_${header.toUpperCase().replaceAll("-", "_")}`];
  },
};

type Values = Readonly<Record<string, string | number | undefined>>;

function urlValues(variables: Variables): Values {
  const target = variables["REQUEST_URI"] ?? "";
  const query = target.indexOf("?");
  const isSecure = /^(?:on|1)$/i.test(variables["HTTPS"] ?? "");
  return {
    "url.scheme": variables["REQUEST_SCHEME"] ?? (isSecure ? "https" : "http"),
    "url.path": query === -1 ? target : target.slice(0, query),
    "url.query": query === -1 ? undefined : target.slice(query + 1),
  };
}

function peerValues(variables: Variables): Values {
  const port = Number(variables["SERVER_PORT"]);
  return {
    "server.address": variables["SERVER_NAME"],
    "server.port": port > 0 ? port : undefined,
    "client.address": variables["REMOTE_ADDR"],
    "user_agent.original": variables["HTTP_USER_AGENT"],
    "network.protocol.version": variables["SERVER_PROTOCOL"]?.replace(/^HTTP\//, ""),
  };
}

/** The name and the attributes that are known when a request begins. */
export function spanAttributes(variables: Variables): SpanStart {
  const method = variables["REQUEST_METHOD"] ?? "GET";
  const isKnown = knownMethods.has(method);
  const methodValues: Values = isKnown
    ? { "http.request.method": method }
    : { "http.request.method": "_OTHER", "http.request.method_original": method };
  const attributes: Record<string, string | number> = {};
  for (const [name, value] of Object.entries({ ...methodValues, ...urlValues(variables), ...peerValues(variables) })) {
    if (value === undefined || value === "") continue;
    attributes[name] = typeof value === "string" ? value.slice(0, maxLength) : value;
  }
  return { name: isKnown ? method : "HTTP", attributes };
}
