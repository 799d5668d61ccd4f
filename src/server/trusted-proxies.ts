// `--trusted-proxies` and `--trusted-proxy-headers`: whose word on the client counts.
// Rules: without a list nothing is changed, as without WSGITrustedProxies; an IPv4 address inside an IPv6 one is the IPv4
// address, since that is what a dual-stack proxy writes.

import { isIP } from "node:net";
import { applyForwarded } from "../gateway/forwarded.ts";
import type { ForwardedRule } from "../gateway/forwarded.ts";
import type { Environ } from "../spec.ts";
import { addressList } from "./peers.ts";

export interface ProxyTrust {
  readonly trustedProxies: readonly string[];
  readonly trustedProxyHeaders: readonly string[];
}

/** The dotted form of ::ffff:a.b.c.d, however it is written; any other address as it is. */
function plainForm(address: string): string {
  if (isIP(address) !== 6) return address;
  const short = new URL(`http://[${address}]`).hostname.slice(1, -1);
  const [, high, low] = /^::ffff:([0-9a-f]{1,4}):([0-9a-f]{1,4})$/.exec(short) ?? [];
  if (high === undefined || low === undefined) return short;
  const bits = [Number.parseInt(high, 16), Number.parseInt(low, 16)];
  return bits.flatMap((half) => [half >> 8, half & 255]).join(".");
}

/** The address in what a proxy wrote: with or without a port, IPv6 with or without brackets. */
export function addressOf(text: string): string | undefined {
  const [, bracketed] = /^\[([^\]]*)\](?::\d{1,5})?$/.exec(text) ?? [];
  const [, withPort] = /^([0-9.]+):\d{1,5}$/.exec(text) ?? [];
  const address = bracketed ?? withPort ?? text;
  const isUsable = isIP(address) !== 0 && !address.includes("%") && (bracketed === undefined || isIP(address) === 6);
  return isUsable ? plainForm(address) : undefined;
}

/** What changes each environ; undefined when no proxy is trusted. Throws BootError for what is no address. */
export function proxyTrust({
  trustedProxies,
  trustedProxyHeaders,
}: ProxyTrust): ((environ: Environ) => void) | undefined {
  if (trustedProxies.length === 0) return undefined;
  const list = addressList(trustedProxies, "--trusted-proxies");
  const rule: ForwardedRule = {
    headers: new Set(trustedProxyHeaders.map((name) => name.toLowerCase())),
    addressOf,
    isTrusted: (address) => list.check(address, isIP(address) === 6 ? "ipv6" : "ipv4"),
  };
  return (environ) => applyForwarded(environ, rule);
}

function itemsOf(text: string | undefined): readonly string[] {
  return (text ?? "")
    .split(",")
    .map((item) => item.trim())
    .filter((item) => item !== "");
}

/** That of a program that Apache starts, which has no flags for it. Throws BootError. */
export function proxyTrustOf(environment: NodeJS.ProcessEnv): ((environ: Environ) => void) | undefined {
  const names = itemsOf(environment["TSGI_TRUSTED_PROXY_HEADERS"]);
  return proxyTrust({
    trustedProxies: itemsOf(environment["TSGI_TRUSTED_PROXIES"]),
    trustedProxyHeaders: names.length === 0 ? ["X-Forwarded-For"] : names,
  });
}
