// The programs that a server root starts: our daemon, and the small executables that mod_fcgid and CGI run.
// Rules: node is named with its absolute path, since Apache's PATH may not hold it; the working folder is the
// application's in every mode.

import { dirname, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { shellWord } from "../../apache/htaccess.ts";
import type { ServerMode } from "../../apache/server-root.ts";
import { serverRootNames } from "../../apache/server-root.ts";
import type { Site } from "../../apache/site.ts";
import { programArguments, referenceText } from "../../apache/site.ts";
import type { LogLevel } from "../../log.ts";
import type { ProxyTrust } from "../trusted-proxies.ts";

/** The folder of this package, with `bin` and `dist` in it. */
const packageRoot = resolve(fileURLToPath(new URL("../../..", import.meta.url)));

export const programsDir = resolve(packageRoot, "bin");

/** What a user must be able to read to run our programs. */
export const programFiles: readonly string[] = [process.execPath, packageRoot, programsDir];

/** The folder that the application finds itself in. */
export function workingFolder({ target }: Site): string {
  return target.kind === "application" ? dirname(target.file) : target.root;
}

export interface DaemonPlan {
  readonly site: Site;
  /** The server root. */
  readonly folder: string;
  readonly logLevel: LogLevel;
  /** The page of failed requests, an absolute path. */
  readonly errorPage?: string | undefined;
  /** Whether failed requests of this machine are shown their sources. */
  readonly isDebug?: boolean;
  /** URL path of the status page; undefined: there is none. */
  readonly statusMount?: string | undefined;
  /** Proxies in front of Apache whose word on the client counts, and their headers. */
  readonly proxies?: ProxyTrust | undefined;
}

function proxyFlags(proxies: ProxyTrust | undefined): readonly string[] {
  if (proxies === undefined || proxies.trustedProxies.length === 0) return [];
  const { trustedProxies, trustedProxyHeaders } = proxies;
  return ["--trusted-proxies", trustedProxies.join(","), "--trusted-proxy-headers", trustedProxyHeaders.join(",")];
}

/** The command line of the daemon for a server root. */
export function daemonCommand(plan: DaemonPlan): string[] {
  const { site, folder, logLevel, errorPage, isDebug, statusMount } = plan;
  const { target } = site;
  const command = [
    process.execPath,
    resolve(programsDir, "tsgi"),
    "daemon",
    target.kind === "application" ? referenceText(target) : target.root,
    "--listen",
    `unix:${folder}/${serverRootNames.daemonSocket}`,
    "--socket-mode",
    "0600",
    "--cache-dir",
    `${folder}/${serverRootNames.cache}`,
    "--log-level",
    logLevel,
    // Its processes name the server root: apachectl knows them by it.
    "--process-title",
    `tsgi: ${folder}`,
    "--reload",
  ];
  if (site.adapter !== undefined) command.push("--adapter", site.adapter);
  if (errorPage !== undefined) command.push("--error-page", errorPage);
  if (isDebug === true) command.push("--debug");
  if (statusMount !== undefined) command.push("--status", `unix:${folder}/${serverRootNames.statusSocket}`);
  command.push(...proxyFlags(plan.proxies));
  if (target.kind === "application") command.push("--mount-point", site.mountPoint === "" ? "/" : site.mountPoint);
  return command;
}

/** The command line that loads a site's one application, and compiles it into the cache of the server root. */
export function checkCommand({ site, folder }: DaemonPlan): string[] {
  const app = site.target.kind === "application" ? referenceText(site.target) : site.target.root;
  const cache = `${folder}/${serverRootNames.cache}`;
  const adapter = site.adapter === undefined ? [] : ["--adapter", site.adapter];
  return [process.execPath, resolve(programsDir, "tsgi"), "check", app, "--cache-dir", cache, ...adapter];
}

/** Nothing where no proxy is trusted: for a CGI program the variables alone cost some milliseconds. */
function proxyLines(proxies: ProxyTrust | undefined): readonly string[] {
  if (proxies === undefined || proxies.trustedProxies.length === 0) return [];
  const list = shellWord(proxies.trustedProxies.join(","));
  return [
    `TSGI_TRUSTED_PROXIES=${list} TSGI_TRUSTED_PROXY_HEADERS=${shellWord(proxies.trustedProxyHeaders.join(","))}`,
    "export TSGI_TRUSTED_PROXIES TSGI_TRUSTED_PROXY_HEADERS",
  ];
}

/** Apache gives its programs nothing of the environment that it was started with; frameworks ask for this. */
function nodeEnvLines(nodeEnv: string | undefined): readonly string[] {
  return nodeEnv === undefined ? [] : [`export NODE_ENV=${shellWord(nodeEnv)}`];
}

/** The executable for mod_fcgid or CGI: its name inside the server root, and its text. */
export function frontProgram(
  plan: DaemonPlan,
  mode: Exclude<ServerMode, "proxy_fcgi">,
): { name: string; text: string } {
  const { site, folder, logLevel, errorPage = "", isDebug, proxies } = plan;
  const program = mode === "fcgid" ? "tsgi-fcgid" : "tsgi-cgi";
  const words = programArguments(site, `${folder}/${serverRootNames.cache}`);
  const name = `${serverRootNames.programs}/${mode === "fcgid" ? "app.fcgi" : "app.cgi"}`;
  const text = [
    "#!/bin/sh",
    `PATH=${shellWord(dirname(process.execPath))}:$PATH TSGI_LOG_LEVEL=${logLevel}`,
    `TSGI_ERROR_PAGE=${shellWord(errorPage)} TSGI_DEBUG=${isDebug === true ? "on" : "off"}`,
    "export PATH TSGI_LOG_LEVEL TSGI_ERROR_PAGE TSGI_DEBUG",
    ...nodeEnvLines(process.env["NODE_ENV"]),
    ...proxyLines(proxies),
    `cd ${shellWord(workingFolder(site))} || exit 1`,
    `exec ${[resolve(programsDir, program), ...words].map(shellWord).join(" ")}`,
    "",
  ].join("\n");
  return { name, text };
}
