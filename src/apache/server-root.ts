// The whole configuration of a private Apache: what `tsgi start-server` and `tsgi setup-server` write.
// Rules: nothing of the system's own configuration is read; every path is inside the server root or the site; what a
// visitor may see is granted folder by folder.

import type { ListenAddress } from "../config/address.ts";
import { cgiSite } from "./cgi.ts";
import type { Directive } from "./directives.ts";
import { blank, block, line, note } from "./directives.ts";
import { fcgidSite } from "./fcgid.ts";
import { backendOf, proxyFcgiSite } from "./proxy-fcgi.ts";
import type { Site } from "./site.ts";
import type { StatusMount } from "./status-mount.ts";
import { statusModules, statusSection } from "./status-mount.ts";

export const serverModes = ["proxy_fcgi", "fcgid", "cgi"] as const;

export type ServerMode = (typeof serverModes)[number];

export type Mpm = "event" | "worker" | "prefork";

/** The names inside a server root. */
export const serverRootNames = {
  configuration: "httpd.conf",
  /** Apache's own state: only the user who starts it writes here. */
  run: "run",
  /** Sockets of the user that Apache's workers run as. */
  sockets: "sockets",
  logs: "logs",
  programs: "bin",
  /** An empty folder of documents. */
  documents: "htdocs",
  cache: "cache",
  errorLog: "logs/error_log",
  accessLog: "logs/access_log",
  daemonLog: "logs/daemon_log",
  pidFile: "run/httpd.pid",
  daemonPidFile: "run/daemon.pid",
  /** In place of the log files while a server runs in the foreground. */
  logPipe: "run/log",
  daemonSocket: "sockets/tsgi.sock",
  statusSocket: "sockets/status.sock",
  /** Beside the daemon's control socket. */
  controlToken: "sockets/tsgi.sock.control.token",
  apachectl: "apachectl",
} as const;

export interface LoadableModule {
  /** As in `proxy_fcgi`. */
  readonly name: string;
  readonly file: string;
}

export interface ServerRootOptions {
  readonly site: Site;
  readonly mode: ServerMode;
  /** The server root's absolute path. */
  readonly folder: string;
  readonly modules: readonly LoadableModule[];
  readonly mpm: Mpm;
  /** Whom Apache's workers become; undefined when Apache is started by somebody who is not root. */
  readonly account: { readonly user: string; readonly group: string } | undefined;
  readonly host: string;
  readonly port: number;
  /** The system's table of media types; undefined when there is none. */
  readonly mediaTypes: string | undefined;
  /** Apache's own word for the level, such as "warn". */
  readonly logLevel: string;
  readonly errorLog: string;
  /** undefined: requests are not logged. */
  readonly accessLog: string | undefined;
  readonly daemonAddress: ListenAddress;
  /** In the mode with a daemon. */
  readonly statusMount?: StatusMount | undefined;
  /** The executable that mod_fcgid or CGI starts. */
  readonly program: string;
}

/** So many requests, and with them processes, at once: a process of Node takes about 50 MB. */
const maxCgiRequests = 64;

const commonMediaTypes: readonly (readonly [type: string, extensions: string])[] = [
  ["text/html", ".html .htm"],
  ["text/css", ".css"],
  ["text/plain", ".txt"],
  ["application/json", ".json .map"],
  ["application/pdf", ".pdf"],
  ["application/wasm", ".wasm"],
  ["application/xml", ".xml"],
  ["application/zip", ".zip"],
  ["image/avif", ".avif"],
  ["image/gif", ".gif"],
  ["image/jpeg", ".jpg .jpeg"],
  ["image/png", ".png"],
  ["image/svg+xml", ".svg"],
  ["image/webp", ".webp"],
  ["image/vnd.microsoft.icon", ".ico"],
  ["audio/mpeg", ".mp3"],
  ["video/mp4", ".mp4"],
  ["video/webm", ".webm"],
  ["font/woff", ".woff"],
  ["font/woff2", ".woff2"],
];

/** The modules that a mode needs, in the order of loading; "mpm" and "cgi" stand for those of the MPM in use. */
export function requiredModules(
  options: Pick<ServerRootOptions, "site" | "mode" | "mpm" | "accessLog"> & { readonly statusMount?: unknown },
): string[] {
  const { site, mode, mpm, statusMount } = options;
  const modules = [`mpm_${mpm}`, "unixd", "authz_core", "alias", "dir", "mime", "env", "setenvif"];
  if (options.accessLog !== undefined) modules.push("log_config");
  if (site.documentRoot !== undefined) modules.push("rewrite");
  switch (mode) {
    case "proxy_fcgi":
      return [...modules, "proxy", "proxy_fcgi", ...(statusMount === undefined ? [] : statusModules)];
    case "fcgid":
      return [...modules, "fcgid"];
    case "cgi":
      if (site.target.kind === "scripts") modules.push("actions");
      return [...modules, mpm === "prefork" ? "cgi" : "cgid"];
  }
}

function bracketed(name: string): string {
  return name.includes(":") ? `[${name}]` : name;
}

function isWildcard(name: string): boolean {
  return name === "0.0.0.0" || name === "::";
}

function processLines(options: ServerRootOptions): Directive[] {
  const { folder, account } = options;
  const inside = (name: string): string => `${folder}/${name}`;
  const serverName = isWildcard(options.host) ? "localhost" : bracketed(options.host);
  return [
    line("ServerRoot", [folder]),
    ...options.modules.map(({ name, file }) => line("LoadModule", [`${name}_module`, file])),
    blank,
    line("Listen", [`${bracketed(options.host)}:${options.port}`]),
    line(
      "ServerName",
      [`${serverName}:${options.port}`],
      "The Host header goes first; this is for requests without one.",
    ),
    line("PidFile", [inside(serverRootNames.pidFile)]),
    line("DefaultRuntimeDir", [inside(serverRootNames.run)]),
    line(
      "Mutex",
      [`file:${inside(serverRootNames.run)}`, "default"],
      "Locks are files, so a killed server leaves no semaphore.",
    ),
    ...(account === undefined
      ? []
      : [
          line("User", [account.user], "Apache's workers run as this user, never as root."),
          line("Group", [account.group]),
        ]),
  ];
}

function logLines(options: ServerRootOptions): Directive[] {
  const errorLog = [line("ErrorLog", [options.errorLog]), line("LogLevel", [options.logLevel])];
  if (options.accessLog === undefined) return errorLog;
  return [
    ...errorLog,
    line("LogFormat", ['%h %l %u %t "%r" %>s %b %Dus', "tsgi"]),
    line("CustomLog", [options.accessLog, "tsgi"]),
  ];
}

function mediaTypeLines(file: string | undefined): Directive[] {
  const modules = line("AddType", ["text/javascript", ".js", ".mjs"], "Browsers refuse modules of any other type.");
  if (file !== undefined) return [line("TypesConfig", [file]), modules];
  return [
    line("TypesConfig", ["/dev/null"], "This system has no table of media types."),
    ...commonMediaTypes.map(([type, extensions]) => line("AddType", [type, ...extensions.split(" ")])),
    modules,
  ];
}

function serverLines(options: ServerRootOptions): Directive[] {
  const { folder, site } = options;
  const isRootServed = site.documentRoot !== undefined || (site.target.kind === "scripts" && site.mountPoint === "");
  return [
    line("ServerTokens", ["Prod"]),
    line("TraceEnable", ["Off"]),
    line("LimitRequestBody", [0], "Uploads are streamed to the application, which has limits of its own."),
    line(
      "EnableMMAP",
      ["Off"],
      "A file may be saved while it is being sent; mapped into memory that would end the process.",
    ),
    ...mediaTypeLines(options.mediaTypes),
    block(
      "Directory",
      ["/"],
      [line("Options", ["None"]), line("AllowOverride", ["None"]), line("Require", ["all", "denied"])],
      "Nothing is served but what is granted below.",
    ),
    ...(isRootServed ? [] : [line("DocumentRoot", [`${folder}/${serverRootNames.documents}`], "An empty folder.")]),
  ];
}

/** One process of Apache with few threads: its defaults would allow 400 requests at once. */
function cgiWorkers(mpm: Mpm): Directive[] {
  const why = "Each request to the application is a process, so only so many are served at once.";
  if (mpm === "prefork") return [line("MaxRequestWorkers", [maxCgiRequests], why)];
  return [
    line("StartServers", [1]),
    line("ServerLimit", [4], "Places for processes that end their last requests after a graceful restart."),
    line("ThreadsPerChild", [maxCgiRequests]),
    line("MaxRequestWorkers", [maxCgiRequests], why),
    line("MinSpareThreads", [1]),
    line("MaxSpareThreads", [maxCgiRequests]),
  ];
}

function siteLines(options: ServerRootOptions): Directive[] {
  const { folder } = options;
  switch (options.mode) {
    case "proxy_fcgi":
      return [...proxyFcgiSite(options.site, backendOf(options.daemonAddress)), ...statusSection(options.statusMount)];
    case "fcgid":
      return [
        line("FcgidIPCDir", [`${folder}/${serverRootNames.sockets}`]),
        line("FcgidProcessTableFile", [`${folder}/${serverRootNames.run}/fcgid_shm`]),
        line("Suexec", ["Off"], "Where suexec is installed, mod_fcgid would refuse to start for anyone but root."),
        ...fcgidSite(options.site, [options.program]),
      ];
    case "cgi":
      return [
        ...cgiWorkers(options.mpm),
        ...(options.mpm === "prefork"
          ? []
          : [
              line("ScriptSock", [`${folder}/${serverRootNames.run}/cgid.sock`]),
              line("CGIDScriptTimeout", [300], "Seconds without a byte from the application before Apache gives up."),
            ]),
        ...cgiSite(options.site, options.program),
      ];
  }
}

/** The tree of `httpd.conf`; throws ConfigError for what cannot be written. */
export function serverRoot(options: ServerRootOptions): Directive[] {
  return [
    note("A private Apache, written by tsgi. It is written anew at every start: changes here are lost."),
    blank,
    ...processLines(options),
    blank,
    ...logLines(options),
    blank,
    ...serverLines(options),
    blank,
    ...siteLines(options),
  ];
}
