// Where a daemon listens, as text and as data. Pure: nothing is opened or looked up here.
// Rules: the three forms are `unix:/path`, `tcp:host:port` and `fd:number`; an IPv6 address stands in brackets.

import { ConfigError } from "../errors.ts";

export type ListenAddress =
  | { readonly kind: "unix"; readonly path: string }
  | { readonly kind: "tcp"; readonly host: string; readonly port: number }
  | { readonly kind: "fd"; readonly fd: number };

/** The bytes that fit into a unix socket's address on Linux; other systems take a few less and say so themselves. */
export const maxSocketPathBytes = 107;

const maxPort = 65_535;

function malformed(text: string, expected: string): ConfigError {
  return new ConfigError([`${JSON.stringify(text)} is not an address: ${expected}`]);
}

function parseUnix(text: string, path: string): ListenAddress {
  if (path === "") throw malformed(text, "a path must follow unix:");
  if (path.includes("\0")) throw malformed(text, "a path has no NUL byte");
  const length = Buffer.byteLength(path);
  if (length > maxSocketPathBytes) {
    throw malformed(text, `the path of a unix socket has at most ${maxSocketPathBytes} bytes, this one has ${length}`);
  }
  return { kind: "unix", path };
}

function parseTcp(text: string, rest: string): ListenAddress {
  const match = /^(?:\[([0-9a-fA-F:.%]+)\]|([^:[\]/\s]+)):(\d{1,5})$/.exec(rest);
  const host = match?.[1] ?? match?.[2];
  const port = Number(match?.[3]);
  if (host === undefined) throw malformed(text, "after tcp: a host and a port are needed, as in tcp:127.0.0.1:9000");
  if (port > maxPort) throw malformed(text, `a port is at most ${maxPort}`);
  return { kind: "tcp", host, port };
}

/** Reads `unix:/run/app.sock`, `tcp:127.0.0.1:9000`, `tcp:[::1]:9000` or `fd:0`; throws ConfigError. */
export function parseListenAddress(text: string): ListenAddress {
  const colon = text.indexOf(":");
  const rest = text.slice(colon + 1);
  switch (colon === -1 ? "" : text.slice(0, colon)) {
    case "unix":
      return parseUnix(text, rest);
    case "tcp":
      return parseTcp(text, rest);
    case "fd":
      if (!/^\d{1,4}$/.test(rest))
        throw malformed(text, "after fd: the number of an open socket is needed, as in fd:0");
      return { kind: "fd", fd: Number(rest) };
    default:
      throw malformed(text, "it is unix:/path, tcp:host:port or fd:number");
  }
}

/** The text that `parseListenAddress` reads back as the same address. */
export function formatListenAddress(address: ListenAddress): string {
  switch (address.kind) {
    case "unix":
      return `unix:${address.path}`;
    case "tcp":
      return `tcp:${address.host.includes(":") ? `[${address.host}]` : address.host}:${address.port}`;
    case "fd":
      return `fd:${address.fd}`;
  }
}
