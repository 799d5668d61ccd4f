// THE table of settings: one entry each, with its flag, environment variable, default, parser and help.
// Rules: command-line options, environment variables, help texts and the Config type all come from here; a parser throws an
// Error that says what it expected, and the loader adds what was given and where. A new setting is one entry.

import { isIP } from "node:net";
import type { ServerMode } from "../apache/server-root.ts";
import { serverModes } from "../apache/server-root.ts";
import { messageOf } from "../errors.ts";
import type { LogLevel } from "../log.ts";
import { logLevels } from "../log.ts";
import type { ListenAddress } from "./address.ts";
import { parseListenAddress } from "./address.ts";
import { parseDuration, parseSize } from "./units.ts";

export interface Setting<Value> {
  /** Without the dashes. */
  readonly flag: string;
  /** What stands for the value in the help text; undefined for a switch, whose text is "true". */
  readonly placeholder: string | undefined;
  readonly env: string;
  readonly default: Value;
  /** The default as the help text shows it; undefined when there is nothing to show. */
  readonly defaultText: string | undefined;
  readonly help: string;
  /** Throws an Error whose message says what is expected. */
  readonly parse: (text: string) => Value;
}

function define<Value>(setting: Omit<Setting<Value>, "env">): Setting<Value> {
  return { ...setting, env: `TSGI_${setting.flag.toUpperCase().replaceAll("-", "_")}` };
}

function parsePermissions(text: string): number {
  if (!/^0?[0-7]{3}$/.test(text)) throw new Error("expected three octal digits such as 0660");
  const mode = Number.parseInt(text, 8);
  if ((mode & 0o600) !== 0o600) throw new Error("the owner must be able to read and write: expected 06xx");
  return mode;
}

function parsePeers(text: string): readonly string[] {
  const entries = text.split(",").map((entry) => entry.trim());
  for (const entry of entries) {
    const [address = "", bits] = entry.split("/");
    const family = isIP(address);
    const maxBits = family === 6 ? 128 : 32;
    const isSubnet = bits === undefined || (/^\d{1,3}$/.test(bits) && Number(bits) <= maxBits);
    if (family === 0 || !isSubnet)
      throw new Error(`expected IP addresses or subnets, but ${JSON.stringify(entry)} is none`);
  }
  return entries;
}

/** "/" and "" become ""; anything else starts with a slash and ends without one. */
function parseMountPoint(text: string): string {
  if (!text.startsWith("/") && text !== "") throw new Error("expected a URL path that starts with /");
  if (/[^!-~]|[?#%"'\\]|\/\/|\/\.{1,2}(\/|$)/.test(text)) {
    throw new Error("expected a plain URL path: ASCII without spaces, quotes, ?, #, %, // or . and ..");
  }
  return text.replace(/\/$/, "");
}

function parseCount(text: string): number {
  const count = /^\d{1,7}$/.test(text) ? Number(text) : 0;
  if (count === 0) throw new Error("expected a number from 1 to 9999999");
  return count;
}

function oneOf<Word extends string>(words: readonly Word[]): (text: string) => Word {
  return (text) => {
    const found = words.find((word) => word === text);
    if (found === undefined) throw new Error(`expected one of ${words.join(", ")}`);
    return found;
  };
}

function parsePort(text: string): number {
  if (!/^\d{1,5}$/.test(text) || Number(text) > 65_535) throw new Error("expected a port number, 0 to 65535");
  return Number(text);
}

function parseHost(text: string): string {
  const host = text.replace(/^\[(.*)\]$/, "$1");
  if (isIP(host) === 0 && !/^[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?$/.test(host)) {
    throw new Error("expected an IP address or a host name of this machine");
  }
  return host;
}

function parseSwitch(text: string): boolean {
  if (/^(true|yes|on|1)$/i.test(text)) return true;
  if (/^(false|no|off|0)$/i.test(text)) return false;
  throw new Error("expected on or off");
}

function parseText(text: string): string {
  if (text === "" || text.includes("\0")) throw new Error("expected a value that is not empty");
  return text;
}

function parseAddress(text: string): ListenAddress {
  try {
    return parseListenAddress(text);
  } catch (error) {
    throw new Error(messageOf(error).replace(/^"(?:[^"\\]|\\.)*" is not an address: /, ""), { cause: error });
  }
}

function atLeast(least: number, unit: string, parse: (text: string) => number): (text: string) => number {
  return (text) => {
    const value = parse(text);
    if (value < least) throw new Error(`expected at least ${unit}`);
    return value;
  };
}

export const settings = {
  listen: define<ListenAddress | undefined>({
    flag: "listen",
    placeholder: "address",
    default: undefined,
    defaultText: undefined,
    help: "where FastCGI connections come in: unix:/path, tcp:host:port or fd:0",
    parse: parseAddress,
  }),
  socketMode: define({
    flag: "socket-mode",
    placeholder: "mode",
    default: 0o660,
    defaultText: "0660",
    help: "permissions of the unix socket",
    parse: parsePermissions,
  }),
  socketGroup: define<string | undefined>({
    flag: "socket-group",
    placeholder: "group",
    default: undefined,
    defaultText: undefined,
    help: "group of the unix socket, by name or number: the group of Apache's user",
    parse: parseText,
  }),
  allow: define<readonly string[]>({
    flag: "allow",
    placeholder: "addresses",
    default: [],
    defaultText: undefined,
    help: "IP addresses or subnets that may connect over TCP, with commas between them; loopback always may",
    parse: parsePeers,
  }),
  scriptRoot: define<string | undefined>({
    flag: "script-root",
    placeholder: "dir",
    default: undefined,
    defaultText: undefined,
    help: "choose the script per request, from this folder only",
    parse: parseText,
  }),
  mountPoint: define<string | undefined>({
    flag: "mount-point",
    placeholder: "path",
    default: undefined,
    defaultText: undefined,
    help: "URL path of the application, where Apache does not say it",
    parse: parseMountPoint,
  }),
  cacheDir: define<string | undefined>({
    flag: "cache-dir",
    placeholder: "dir",
    default: undefined,
    defaultText: undefined,
    help: "folder for compiled scripts, for this user alone",
    parse: parseText,
  }),
  maxParamsBytes: define({
    flag: "max-params",
    placeholder: "size",
    default: 2 ** 20,
    defaultText: "1m",
    help: "most bytes of variables for one request",
    parse: atLeast(1024, "1k", parseSize),
  }),
  maxConnections: define({
    flag: "max-connections",
    placeholder: "count",
    default: 1024,
    defaultText: "1024",
    help: "most connections at once: at least Apache's MaxRequestWorkers",
    parse: parseCount,
  }),
  paramsTimeoutMs: define({
    flag: "params-timeout",
    placeholder: "time",
    default: 10_000,
    defaultText: "10s",
    help: "longest time from the begin of a request to the end of its variables",
    parse: atLeast(1, "1ms", parseDuration),
  }),
  idleTimeoutMs: define({
    flag: "idle-timeout",
    placeholder: "time",
    default: 300_000,
    defaultText: "5m",
    help: "how long a connection may wait for its next request: longer than Apache's ttl",
    parse: atLeast(1, "1ms", parseDuration),
  }),
  logLevel: define<LogLevel>({
    flag: "log-level",
    placeholder: "level",
    default: "info",
    defaultText: "info",
    help: logLevels.join(", "),
    parse: oneOf(logLevels),
  }),
  mode: define<ServerMode>({
    flag: "mode",
    placeholder: "mode",
    default: "proxy_fcgi",
    defaultText: "proxy_fcgi",
    help: `how Apache reaches the application: ${serverModes.join(", ")}`,
    parse: oneOf(serverModes),
  }),
  host: define({
    flag: "host",
    placeholder: "host",
    default: "127.0.0.1",
    defaultText: "127.0.0.1",
    help: "address to listen on; 0.0.0.0 for every one of this machine",
    parse: parseHost,
  }),
  port: define({
    flag: "port",
    placeholder: "port",
    default: 8000,
    defaultText: "8000",
    help: "port to listen on; 0 for a free one",
    parse: parsePort,
  }),
  documentRoot: define<string | undefined>({
    flag: "document-root",
    placeholder: "dir",
    default: undefined,
    defaultText: undefined,
    help: "folder of files that Apache serves itself, before it asks the application",
    parse: parseText,
  }),
  serverRoot: define<string | undefined>({
    flag: "server-root",
    placeholder: "dir",
    default: undefined,
    defaultText: undefined,
    help: "folder for Apache's configuration, logs and state, to keep it",
    parse: parseText,
  }),
  hasAccessLog: define({
    flag: "access-log",
    placeholder: undefined,
    default: false,
    defaultText: undefined,
    help: "log every request",
    parse: parseSwitch,
  }),
  httpd: define<string | undefined>({
    flag: "httpd",
    placeholder: "file",
    default: undefined,
    defaultText: undefined,
    help: "Apache's program, where it is in no usual place",
    parse: parseText,
  }),
  modulesDir: define<string | undefined>({
    flag: "modules-dir",
    placeholder: "dir",
    default: undefined,
    defaultText: undefined,
    help: "the folder of Apache's modules, where it is in no usual place",
    parse: parseText,
  }),
};

export type SettingName = keyof typeof settings;

type ValueOf<Entry> = Entry extends Setting<infer Value> ? Value : never;

/** The values of all settings. */
export type Config = { readonly [Name in SettingName]: ValueOf<(typeof settings)[Name]> };
