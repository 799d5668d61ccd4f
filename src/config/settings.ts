// THE table of settings: one entry each, with its flag, environment variable, default, parser and help.
// Rules: command-line options, environment variables, keys of the configuration file, help texts and the Config type all
// come from here. A new setting is one entry.

import type { AdapterName } from "../adapters/names.ts";
import { adapterNames } from "../adapters/names.ts";
import type { ServerMode } from "../apache/server-root.ts";
import { serverModes } from "../apache/server-root.ts";
import type { LogLevel } from "../log.ts";
import { logLevels } from "../log.ts";
import type { ListenAddress } from "./address.ts";
import type { EngineName } from "./engine.ts";
import { engineNames } from "./engine.ts";
import {
  atLeast,
  checkFolders,
  checkForwardedNames,
  checkPeers,
  commaList,
  countFrom,
  oneOf,
  parseAddress,
  parseHeaderName,
  parseHost,
  parseMountPoint,
  parsePermissions,
  parsePort,
  parsePositiveDuration,
  parseText,
} from "./parsers.ts";
import { logSettings } from "./log-settings.ts";
import { processSettings } from "./process-settings.ts";
import type { Setting } from "./setting.ts";
import { define, definePerGroup } from "./setting.ts";
import { parseSize } from "./units.ts";

const noText: string | undefined = undefined;
const noTexts: readonly string[] = [];
const defaultProxyHeaders: readonly string[] = ["X-Forwarded-For"];
const noAddress: ListenAddress | undefined = undefined;
const defaultEngine: EngineName = "tsgi";
const noAdapter: AdapterName | undefined = undefined;
const defaultLevel: LogLevel = "info";
const defaultMode: ServerMode = "proxy_fcgi";

export const settings = {
  listen: definePerGroup({
    flag: "listen",
    placeholder: "address",
    default: noAddress,
    defaultText: undefined,
    help: "where FastCGI connections come in: unix:/path, tcp:host:port or fd:0",
    parse: parseAddress,
    place: "address",
  }),
  socketMode: definePerGroup({
    flag: "socket-mode",
    placeholder: "mode",
    default: 0o660,
    defaultText: "0660",
    help: "permissions of the unix socket",
    parse: parsePermissions,
    isOctal: true,
  }),
  socketGroup: definePerGroup({
    flag: "socket-group",
    placeholder: "group",
    default: noText,
    defaultText: undefined,
    help: "group of the unix socket, by name or number: the group of Apache's user",
    parse: parseText,
  }),
  allow: definePerGroup({
    flag: "allow",
    placeholder: "addresses",
    default: noTexts,
    defaultText: undefined,
    help: "IP addresses or subnets that may connect over TCP, with commas between them; loopback always may",
    ...commaList(checkPeers),
  }),
  secretFile: definePerGroup({
    flag: "secret-file",
    placeholder: "file",
    default: noText,
    defaultText: undefined,
    help: "file with a secret that Apache has to send with each request, for a daemon on a network",
    parse: parseText,
    place: "path",
  }),
  trustedProxies: definePerGroup({
    flag: "trusted-proxies",
    placeholder: "addresses",
    default: noTexts,
    defaultText: undefined,
    help: "IP addresses or subnets of proxies in front of Apache whose word on the client counts, with commas between them",
    ...commaList(checkPeers),
  }),
  trustedProxyHeaders: definePerGroup({
    flag: "trusted-proxy-headers",
    placeholder: "names",
    default: defaultProxyHeaders,
    defaultText: "X-Forwarded-For",
    help: "headers that these proxies set on every request, with commas between them",
    ...commaList(checkForwardedNames),
  }),
  xSendfile: definePerGroup({
    flag: "x-sendfile",
    placeholder: "dirs",
    default: noTexts,
    defaultText: undefined,
    help: "folders whose files Apache's mod_xsendfile sends itself when the application gives wsgi.file_wrapper one, with commas between them",
    ...commaList(checkFolders),
  }),
  xSendfileHeader: definePerGroup({
    flag: "x-sendfile-header",
    placeholder: "name",
    default: "X-Sendfile",
    defaultText: "X-Sendfile",
    help: "the response header that tells it of the file",
    parse: parseHeaderName,
  }),
  engine: definePerGroup({
    flag: "engine",
    placeholder: "name",
    default: defaultEngine,
    defaultText: "tsgi",
    help: "what speaks FastCGI: tsgi, or the package node-fastcgi, to compare",
    parse: oneOf(engineNames),
  }),
  scriptRoot: definePerGroup({
    flag: "script-root",
    placeholder: "dir",
    default: noText,
    defaultText: undefined,
    help: "choose the script per request, from this folder only",
    parse: parseText,
    place: "path",
  }),
  authScript: definePerGroup({
    flag: "auth-script",
    placeholder: "file",
    default: noText,
    defaultText: undefined,
    help: "the script that tells Apache who may come in; the application's own unless given",
    parse: parseText,
    place: "path",
  }),
  mountPoint: definePerGroup({
    flag: "mount-point",
    placeholder: "path",
    default: noText,
    defaultText: undefined,
    help: "URL path of the application, where Apache does not say it",
    parse: parseMountPoint,
  }),
  cacheDir: definePerGroup({
    flag: "cache-dir",
    placeholder: "dir",
    default: noText,
    defaultText: undefined,
    help: "folder for compiled scripts, for this user alone",
    parse: parseText,
    place: "path",
  }),
  adapter: definePerGroup({
    flag: "adapter",
    placeholder: "kind",
    default: noAdapter,
    defaultText: undefined,
    help: `what kind of application it is, where its shape does not tell: ${adapterNames.join(", ")}`,
    parse: oneOf(adapterNames),
  }),
  maxParamsBytes: definePerGroup({
    flag: "max-params",
    placeholder: "size",
    default: 2 ** 20,
    defaultText: "1m",
    help: "most bytes of variables for one request",
    parse: atLeast(1024, "1k", parseSize),
  }),
  maxConnections: definePerGroup({
    flag: "max-connections",
    placeholder: "count",
    default: 1024,
    defaultText: "1024",
    help: "most connections at once: at least Apache's MaxRequestWorkers",
    parse: countFrom(1),
  }),
  paramsTimeoutMs: definePerGroup({
    flag: "params-timeout",
    placeholder: "time",
    default: 10_000,
    defaultText: "10s",
    help: "longest time from the begin of a request to the end of its variables",
    parse: parsePositiveDuration,
  }),
  idleTimeoutMs: definePerGroup({
    flag: "idle-timeout",
    placeholder: "time",
    default: 300_000,
    defaultText: "5m",
    help: "how long a connection may wait for its next request: longer than Apache's ttl",
    parse: parsePositiveDuration,
  }),
  logLevel: definePerGroup({
    flag: "log-level",
    placeholder: "level",
    default: defaultLevel,
    defaultText: "info",
    help: logLevels.join(", "),
    parse: oneOf(logLevels),
  }),
  ...logSettings,
  mode: define({
    flag: "mode",
    placeholder: "mode",
    default: defaultMode,
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
  documentRoot: define({
    flag: "document-root",
    placeholder: "dir",
    default: noText,
    defaultText: undefined,
    help: "folder of files that Apache serves itself, before it asks the application",
    parse: parseText,
    place: "path",
  }),
  serverRoot: define({
    flag: "server-root",
    placeholder: "dir",
    default: noText,
    defaultText: undefined,
    help: "folder for Apache's configuration, logs and state, to keep it",
    parse: parseText,
    place: "path",
  }),
  httpd: define({
    flag: "httpd",
    placeholder: "file",
    default: noText,
    defaultText: undefined,
    help: "Apache's program, where it is in no usual place",
    parse: parseText,
    place: "path",
  }),
  modulesDir: define({
    flag: "modules-dir",
    placeholder: "dir",
    default: noText,
    defaultText: undefined,
    help: "the folder of Apache's modules, where it is in no usual place",
    parse: parseText,
    place: "path",
  }),
  configFile: define({
    flag: "config",
    placeholder: "file",
    default: noText,
    defaultText: undefined,
    help: "configuration file; tsgi.config.ts, .js or .json of the working folder unless given",
    parse: parseText,
    place: "path",
  }),
  ...processSettings,
};

export type SettingName = keyof typeof settings;

const daemonOnly = new Set<SettingName>([
  "configFile",
  "reload",
  "touchFile",
  "control",
  "status",
  "controlToken",
  "pidFile",
]);

/** What a daemon is started with: its own settings and those of its groups. */
export const daemonSettings: readonly SettingName[] = (Object.keys(settings) as SettingName[]).filter(
  (name) => settings[name].isPerGroup || daemonOnly.has(name),
);

type ValueOf<Entry> = Entry extends Setting<infer Value> ? Value : never;

/** The values of all settings. */
export type Config = { readonly [Name in SettingName]: ValueOf<(typeof settings)[Name]> };
