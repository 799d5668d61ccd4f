// What `start-server` and `setup-server` share: their options, and the server that these describe.

import { resolve } from "node:path";
import type { Command } from "commander";
import type { Config, SettingName } from "../config/settings.ts";
import { serverRootNames as names } from "../apache/server-root.ts";
import type { PrivateServer, ServerRoot } from "../server/httpd/root.ts";
import { programFiles } from "../server/httpd/programs.ts";
import { ConfigError } from "../errors.ts";
import { readSettings } from "./options.ts";
import { realFolder, siteTarget } from "./target.ts";

export const serverSettings = [
  "configFile",
  "mode",
  "host",
  "port",
  "mountPoint",
  "documentRoot",
  "serverRoot",
  "adapter",
  "logLevel",
  "hasAccessLog",
  "errorPage",
  "isDebug",
  "trustedProxies",
  "trustedProxyHeaders",
  "httpd",
  "modulesDir",
  "statusMount",
] as const satisfies readonly SettingName[];

export interface RequestedServer {
  readonly server: PrivateServer;
  readonly config: Config;
}

/** Throws ConfigError, and BootError or LoadError for an application or folder that is not there. */
export async function readServer(app: string, command: Command): Promise<RequestedServer> {
  const config = await readSettings(command, serverSettings);
  const { mode, host, logLevel, hasAccessLog, isDebug, documentRoot, serverRoot, httpd, modulesDir } = config;
  const { statusMount } = config;
  if (statusMount !== undefined && mode !== "proxy_fcgi")
    throw new ConfigError([`--status-mount: only a daemon has a status page, and --mode ${mode} has none`]);
  const server = {
    site: {
      target: siteTarget(app, undefined),
      mountPoint: config.mountPoint ?? "",
      documentRoot: documentRoot === undefined ? undefined : realFolder(resolve(documentRoot)),
      adapter: config.adapter,
    },
    mode,
    host,
    logLevel,
    hasAccessLog,
    errorPage: config.errorPage === undefined ? undefined : resolve(config.errorPage),
    isDebug,
    proxies: config,
    statusMount,
    programFiles,
    folder: serverRoot === undefined ? undefined : resolve(serverRoot),
    httpd: { httpd, modulesDir, path: process.env["PATH"] ?? "" },
  };
  return { server, config };
}

function originOf(host: string, port: number): string {
  return `http://${host.includes(":") ? `[${host}]` : host}:${port}`;
}

/** The URL of the site, with its mount point. */
export function urlOf({ host, site }: PrivateServer, port: number): string {
  return `${originOf(host, port)}${site.mountPoint}/`;
}

/** Where the status page is, and the token that its reload needs; empty without one. */
export function statusLines({ host, statusMount }: PrivateServer, root: ServerRoot, port: number): string[] {
  if (statusMount === undefined) return [];
  const local = host === "0.0.0.0" || host === "::" ? "localhost" : host;
  return [`status page: ${originOf(local, port)}${statusMount}/ (control token: ${root.path(names.controlToken)})`];
}
