// What proxies in front of Apache say of a request: X-Forwarded-* and RFC 7239 Forwarded, as WSGITrustedProxies and
// WSGITrustedProxyHeaders of mod_wsgi have it.
// Rules: only a peer that is trusted is believed, and of it only the headers that are named; all other ones of the kind are
// taken out, so that no application believes them, and stay under `tsgi.original.NAME` alone. The list of addresses is
// walked from its right end for as long as each is a trusted proxy's, and what stands left of the client is cut off. A
// malformed value is no value.

import type { Environ } from "../spec.ts";
import type { Variables } from "./environ.ts";
import { mend, urlScheme } from "./environ.ts";
import { percentDecode } from "./url-path.ts";

/** What a header tells. */
type Topic = "client" | "scheme" | "host" | "port" | "server" | "prefix" | "script";

/** Of those for one topic the first that is named and well-formed counts. */
const topics: Readonly<Record<string, Topic>> = {
  "x-forwarded-for": "client",
  "x-client-ip": "client",
  "x-real-ip": "client",
  "x-forwarded-proto": "scheme",
  "x-forwarded-scheme": "scheme",
  "x-forwarded-https": "scheme",
  "x-forwarded-ssl": "scheme",
  "x-https": "scheme",
  "x-scheme": "scheme",
  "x-forwarded-host": "host",
  "x-host": "host",
  "x-forwarded-port": "port",
  "x-forwarded-server": "server",
  "x-forwarded-prefix": "prefix",
  "x-forwarded-script-name": "script",
  "x-script-name": "script",
};

const standard = "forwarded";

/** The headers that `--trusted-proxy-headers` takes. */
export const forwardedNames: readonly string[] = [...Object.keys(topics), standard];

const knownVariables = forwardedNames.map((name) => [variableOf(name), name] as const);

export interface ForwardedRule {
  /** In lower case. */
  readonly headers: ReadonlySet<string>;
  /** The address in its plain form, without port and brackets; undefined for what is none. */
  readonly addressOf: (text: string) => string | undefined;
  readonly isTrusted: (address: string) => boolean;
}

function variableOf(header: string): string {
  return `HTTP_${header.toUpperCase().replaceAll("-", "_")}`;
}

function itemsOf(text: string): readonly string[] {
  return text.split(",").map((item) => item.trim());
}

function unquoted(text: string): string {
  return /^".*"$/.test(text) ? text.slice(1, -1).replace(/\\(.)/g, "$1") : text;
}

type Elements = ReadonlyArray<ReadonlyMap<string, string>>;

/** The elements of Forwarded, each with its parameters (RFC 7239, section 4); undefined when one is malformed. */
function parseElements(text: string): Elements | undefined {
  const elements: Map<string, string>[] = [new Map()];
  const pattern = /\s*([!#$%&'*+\-.^_`|~0-9a-z]+)=("(?:[^"\\]|\\.)*"|[^\s",;]+)\s*([,;]|$)/giy;
  while (pattern.lastIndex < text.length) {
    const match = pattern.exec(text);
    if (match === null) return undefined;
    const [, name = "", value = "", separator] = match;
    elements.at(-1)?.set(name.toLowerCase(), unquoted(value));
    if (separator === ",") elements.push(new Map());
  }
  return elements.at(-1)?.size === 0 ? undefined : elements;
}

/** The same, with nothing in those that are malformed: what a client wrote first must not hide what proxies added to it. */
function parseForwarded(text: string): Elements {
  return parseElements(text) ?? text.split(",").map((element) => parseElements(element)?.[0] ?? new Map());
}

/** The address that a chain of proxies began with, and how many of its items were read. */
interface Walk {
  readonly client: string;
  readonly hops: number;
}

/** From the right: each item was written by the one after it, and the last one by the peer. */
function walk(chain: readonly string[], peer: string, { addressOf, isTrusted }: ForwardedRule): Walk {
  let client = peer;
  let hops = 0;
  while (hops < chain.length && isTrusted(client)) {
    const address = addressOf(chain[chain.length - 1 - hops] ?? "");
    if (address === undefined) break;
    client = address;
    hops += 1;
  }
  return { client, hops };
}

/** A proxy adds to a list or replaces it: the item that the outermost trusted one wrote, as far as there is one. */
function itemAt<Item>(items: readonly Item[], hops: number): Item | undefined {
  return items[Math.max(0, items.length - Math.max(1, hops))];
}

const changes: Readonly<Record<Exclude<Topic, "client">, (variables: Variables, value: string) => boolean>> = {
  scheme(variables, value) {
    const isSecure = /^(?:https|on|1|true|yes)$/i.test(value);
    if (!isSecure && !/^(?:http|off|0|false|no)$/i.test(value)) return false;
    mend(variables, "REQUEST_SCHEME", isSecure ? "https" : "http");
    if (isSecure) mend(variables, "HTTPS", "on");
    else delete variables["HTTPS"];
    return true;
  },
  host(variables, value) {
    if (!/^(?:[a-z0-9._~-]+|\[[0-9a-f:.]+\])(?::\d{1,5})?$/i.test(value)) return false;
    mend(variables, "HTTP_HOST", value);
    return true;
  },
  port(variables, value) {
    if (!/^\d{1,5}$/.test(value) || Number(value) < 1 || Number(value) > 65_535) return false;
    mend(variables, "SERVER_PORT", String(Number(value)));
    return true;
  },
  server(variables, value) {
    if (!/^(?:[a-z0-9._~-]+|\[[0-9a-f:.]+\])$/i.test(value)) return false;
    mend(variables, "SERVER_NAME", value);
    return true;
  },
  prefix(variables, value) {
    const path = mountOf(value);
    if (path === undefined) return false;
    mend(variables, "SCRIPT_NAME", percentDecode(path) + (variables["SCRIPT_NAME"] ?? ""));
    mendTarget(variables, "", path);
    return true;
  },
  script(variables, value) {
    const path = mountOf(value);
    if (path === undefined) return false;
    const old = variables["SCRIPT_NAME"] ?? "";
    mend(variables, "SCRIPT_NAME", percentDecode(path));
    mendTarget(variables, old, path);
    return true;
  },
};

/** A URL path as a SCRIPT_NAME, not decoded: "" for the root. */
function mountOf(text: string): string | undefined {
  const path = text.replace(/\/+$/, "");
  return path === "" || (/^\/[!-~]*$/.test(path) && !/[?#"<>\\]|\/\/|\/\.{1,2}(?:\/|$)|%(?![0-9a-f]{2})/i.test(path))
    ? path
    : undefined;
}

/** The target as the client sent it to the proxy, which has put `old` in the place of `prefix`. */
function mendTarget(variables: Variables, old: string, prefix: string): void {
  const target = variables["REQUEST_URI"];
  if (target?.startsWith(old === "" ? "/" : old) !== true) return;
  mend(variables, "REQUEST_URI", prefix + target.slice(old.length));
}

/** Takes the headers of the kind out, and gives those that may be believed. */
function takeHeaders(variables: Variables, mayBelieve: (name: string) => boolean): ReadonlyMap<string, string> {
  const believed = new Map<string, string>();
  for (const [variable, name] of knownVariables) {
    const value = variables[variable];
    if (value === undefined) continue;
    if (mayBelieve(name)) believed.set(name, value);
    variables[`tsgi.original.${variable}`] = value;
    delete variables[variable];
  }
  return believed;
}

class Forwarding {
  readonly #variables: Variables;
  readonly #rule: ForwardedRule;
  readonly #peer: string;
  /** Of the client's address: how many proxies have passed the request on. */
  #hops = 1;

  constructor(variables: Variables, rule: ForwardedRule, peer: string) {
    this.#variables = variables;
    this.#rule = rule;
    this.#peer = peer;
  }

  apply(believed: ReadonlyMap<string, string>): void {
    const settled = new Set<Topic>();
    if (believed.has(standard)) this.#applyStandard(believed.get(standard) ?? "", settled);
    for (const [name, topic] of Object.entries(topics)) {
      const value = believed.get(name);
      if (value === undefined || settled.has(topic)) continue;
      const kept = topic === "client" ? this.#applyClient(name, value) : this.#applyValue(topic, value);
      if (kept === undefined) continue;
      settled.add(topic);
      this.#variables[variableOf(name)] = kept;
    }
  }

  /** The part of the list that was believed; undefined for none. */
  #applyClient(name: string, value: string): string | undefined {
    const chain = itemsOf(value);
    if (name !== "x-forwarded-for" && chain.length > 1) return undefined; // one address, by whoever writes it
    const { client, hops } = walk(chain, this.#peer, this.#rule);
    if (hops === 0) return undefined;
    this.#setClient(client, hops);
    return chain.slice(-hops).join(", ");
  }

  #setClient(client: string, hops: number): void {
    this.#hops = hops;
    mend(this.#variables, "REMOTE_ADDR", client);
    for (const name of ["REMOTE_PORT", "REMOTE_HOST"]) delete this.#variables[name]; // the proxy's
  }

  #applyValue(topic: Exclude<Topic, "client">, value: string): string | undefined {
    const item = itemAt(itemsOf(value), this.#hops) ?? "";
    return changes[topic](this.#variables, item) ? item : undefined;
  }

  #applyStandard(text: string, settled: Set<Topic>): void {
    const elements = parseForwarded(text);
    if (elements.every(({ size }) => size === 0)) return;
    const chain = elements.map((element) => element.get("for") ?? "");
    const { client, hops } = walk(chain, this.#peer, this.#rule);
    if (hops > 0) this.#setClient(client, hops);
    const element = itemAt(elements, hops);
    settled.add("client");
    for (const [topic, parameter] of [
      ["scheme", "proto"],
      ["host", "host"],
    ] as const) {
      const value = element?.get(parameter);
      if (value !== undefined && changes[topic](this.#variables, value)) settled.add(topic);
    }
  }
}

/** Changes the environ to what trusted proxies say of the client. */
export function applyForwarded(environ: Environ, rule: ForwardedRule): void {
  const variables = environ as Record<string, unknown> as Variables; // only names of variables are touched
  const peer = rule.addressOf(variables["REMOTE_ADDR"] ?? "");
  const isTrusted = peer !== undefined && rule.isTrusted(peer);
  const believed = takeHeaders(variables, (name) => isTrusted && rule.headers.has(name));
  if (!isTrusted) return;
  new Forwarding(variables, rule, peer).apply(believed);
  environ["wsgi.url_scheme"] = urlScheme(variables);
}
