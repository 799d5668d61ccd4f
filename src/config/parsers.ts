// The parsers of settings: from the text that a person wrote to the value.
// Rules: pure; each throws an Error whose message says what it expected, and never repeats what it was given.

import { isIP } from "node:net";
import { messageOf } from "../errors.ts";
import { forwardedNames } from "../gateway/forwarded.ts";
import type { ListenAddress } from "./address.ts";
import { parseListenAddress } from "./address.ts";
import { parseSubnet } from "./subnet.ts";
import { parseDuration, parseSize } from "./units.ts";

type Parser<Value> = (text: string) => Value;

/** Permission bits of a socket. */
export function parsePermissions(text: string): number {
  if (!/^0?[0-7]{3}$/.test(text)) throw new Error("expected three octal digits such as 0660");
  const mode = Number.parseInt(text, 8);
  if ((mode & 0o600) !== 0o600) throw new Error("the owner must be able to read and write: expected 06xx");
  return mode;
}

export function parseUmask(text: string): number {
  if (!/^0?[0-7]{3}$/.test(text)) throw new Error("expected three octal digits such as 0022");
  return Number.parseInt(text, 8);
}

/** IP addresses and subnets. */
export function checkPeers(entries: readonly string[]): void {
  const wrong = entries.find((entry) => parseSubnet(entry) === undefined);
  if (wrong !== undefined) throw new Error(`expected IP addresses or subnets, but ${JSON.stringify(wrong)} is none`);
}

/** Headers of proxies, in any case. */
export function checkForwardedNames(names: readonly string[]): void {
  const wrong = names.find((name) => !forwardedNames.includes(name.toLowerCase()));
  if (wrong !== undefined) throw new Error(`${JSON.stringify(wrong)} is none of ${forwardedNames.join(", ")}`);
}

/** Absolute paths of folders. */
export function checkFolders(folders: readonly string[]): void {
  if (folders.some((folder) => !folder.startsWith("/"))) throw new Error("expected absolute paths of folders");
}

export function parseHeaderName(text: string): string {
  if (!/^[A-Za-z][A-Za-z0-9-]*$/.test(text)) throw new Error("expected the name of a header, such as X-Sendfile");
  return text;
}

/** "/" and "" become ""; anything else starts with a slash and ends without one. */
export function parseMountPoint(text: string): string {
  if (!text.startsWith("/") && text !== "") throw new Error("expected a URL path that starts with /");
  if (/[^!-~]|[?#%"'\\]|\/\/|\/\.{1,2}(\/|$)/.test(text)) {
    throw new Error("expected a plain URL path: ASCII without spaces, quotes, ?, #, %, // or . and ..");
  }
  return text.replace(/\/$/, "");
}

/** A mount point that is not the whole site. */
export function parseMountPath(text: string): string {
  const path = parseMountPoint(text);
  if (path === "") throw new Error("expected a URL path of its own, such as /tsgi-status");
  return path;
}

const maxCount = 9_999_999;

/** A whole number from `least` to `most`. */
export function countFrom(least: number, most: number = maxCount): Parser<number> {
  return (text) => {
    const count = /^\d{1,7}$/.test(text) ? Number(text) : -1;
    if (count < least || count > most) throw new Error(`expected a number from ${least} to ${most}`);
    return count;
  };
}

export function oneOf<Word extends string>(words: readonly Word[]): Parser<Word> {
  return (text) => {
    const found = words.find((word) => word === text);
    if (found === undefined) throw new Error(`expected one of ${words.join(", ")}`);
    return found;
  };
}

export function parsePort(text: string): number {
  if (!/^\d{1,5}$/.test(text) || Number(text) > 65_535) throw new Error("expected a port number, 0 to 65535");
  return Number(text);
}

export function parseHost(text: string): string {
  const host = text.replace(/^\[(.*)\]$/, "$1");
  if (isIP(host) === 0 && !/^[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?$/.test(host)) {
    throw new Error("expected an IP address or a host name of this machine");
  }
  return host;
}

export function parseSwitch(text: string): boolean {
  if (/^(true|yes|on|1)$/i.test(text)) return true;
  if (/^(false|no|off|0)$/i.test(text)) return false;
  throw new Error("expected on or off");
}

export function parseText(text: string): string {
  if (text === "" || text.includes("\0")) throw new Error("expected a value that is not empty");
  return text;
}

/** The name or number of a user or group. */
export function parseAccount(text: string): string {
  if (!/^(\d{1,10}|[A-Za-z_][A-Za-z0-9_.@\\-]*\$?)$/.test(text)) throw new Error("expected a name or a number");
  return text;
}

export function parseAddress(text: string): ListenAddress {
  try {
    return parseListenAddress(text);
  } catch (error) {
    throw new Error(messageOf(error).replace(/^"(?:[^"\\]|\\.)*" is not an address: /, ""), { cause: error });
  }
}

/** The path of a unix socket, from its address. */
export function parseUnixAddress(text: string): string {
  const address = text.startsWith("unix:") ? parseAddress(text) : undefined;
  if (address?.kind !== "unix") throw new Error("expected unix: and a path, as in unix:/run/tsgi/app.control");
  return address.path;
}

/** Where only this machine can ask. */
export function parseStatusAddress(text: string): ListenAddress {
  const address = parseAddress(text);
  const isLocal = address.kind === "unix" || (address.kind === "tcp" && /^(?:127(?:\.\d+){3}|::1)$/.test(address.host));
  if (!isLocal)
    throw new Error("expected unix:/path, or tcp: with an address of this machine, as in tcp:127.0.0.1:9001");
  return address;
}

export function atLeast(least: number, unit: string, parse: Parser<number>): Parser<number> {
  return (text) => {
    const value = parse(text);
    if (value < least) throw new Error(`expected at least ${unit}`);
    return value;
  };
}

/** 0 switches something off; anything else is at least `least`, for which `unit` stands. */
export function zeroOr(least: number, unit: string, parse: Parser<number>): Parser<number> {
  return (text) => {
    const value = parse(text);
    if (value !== 0 && value < least) throw new Error(`expected at least ${unit}, or 0 for none`);
    return value;
  };
}

/** Longer than 0. */
export const parsePositiveDuration = atLeast(1, "1ms", parseDuration);

/** In ms; 0 for none. */
export const parseOptionalDuration = zeroOr(1, "1ms", parseDuration);

/** MiB, which is what a number without a unit is here, as it is for Node. */
export function parseMebibytes(text: string): number {
  const isBare = /^\s*\d+\s*$/.test(text);
  const mebibytes = isBare ? Number(text) : Math.floor(parseSize(text) / 2 ** 20);
  if (mebibytes > 2 ** 22) throw new Error("expected a number of MiB, such as 512");
  return mebibytes;
}

/** The parsers of a list with commas between its items, given whole or in parts. `check` throws for a wrong item. */
export function commaList(check: (items: readonly string[]) => void): {
  readonly parse: Parser<readonly string[]>;
  readonly parseItems: (items: readonly string[]) => readonly string[];
} {
  const parseItems = (parts: readonly string[]): readonly string[] => {
    const items = parts.flatMap((part) => part.split(",")).map((item) => item.trim());
    check(items);
    return items;
  };
  return { parse: (text) => parseItems([text]), parseItems };
}

/** Patterns of URL paths: `*` at the end stands for anything. */
export function checkUrlPaths(paths: readonly string[]): void {
  for (const path of paths) {
    if (!/^\/[!-~]*$/.test(path) || /[?#]|\*./.test(path)) {
      throw new Error(
        `expected URL paths such as /health or /status/*, with * only at the end, but ${JSON.stringify(path)} is none`,
      );
    }
  }
}
