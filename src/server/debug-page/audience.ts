// Who may see a developer's page: somebody at this machine, and nobody who only seems to be.
// Rules: the address of the client decides; a request that came through another proxy has the proxy's address, so it is
// refused; a name that a foreign site may have bound to 127.0.0.1 is refused, or its scripts could read the page.

import { isIP } from "node:net";
import { isLoopback } from "../../config/debug.ts";
import type { Variables } from "../../gateway/environ.ts";

const forwarding = ["HTTP_X_FORWARDED_FOR", "HTTP_FORWARDED", "HTTP_X_REAL_IP", "HTTP_X_FORWARDED_HOST", "HTTP_VIA"];

/** Names that no DNS server of a stranger answers for (RFC 6761 sections 6.2 and 6.3), and addresses. */
export function isLocalName(host: string): boolean {
  const name = host.replace(/:\d+$/, "").replace(/^\[(.*)\]$/, "$1");
  return isIP(name) !== 0 || /^(?:[a-z0-9-]+\.)*(?:localhost|test)$/i.test(name);
}

/** Why the one who asks gets the plain page; undefined when he may see the other one. */
export function whyNotShown(variables: Variables): string | undefined {
  const address = variables["REMOTE_ADDR"] ?? "";
  if (!isLoopback(address)) return `the request came from ${JSON.stringify(address)}, not from this machine`;
  // Those that `--trusted-proxies` took out count too: whoever sent them came through a proxy.
  const sent = (name: string): string => variables[name] ?? variables[`tsgi.original.${name}`] ?? "";
  const proxy = forwarding.find((name) => sent(name) !== "");
  if (proxy !== undefined) return `the request came through a proxy: it has ${proxy}`;
  const host = variables["HTTP_HOST"] ?? "localhost";
  if (!isLocalName(host))
    return `the host ${JSON.stringify(host)} is neither localhost, nor below .localhost or .test, nor an address`;
  return undefined;
}
