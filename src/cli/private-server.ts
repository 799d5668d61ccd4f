// What `start-server` and `setup-server` share: their options, and the server that these describe.

import { resolve } from "node:path";
import type { Command } from "commander";
import type { Config, SettingName } from "../config/settings.ts";
import type { PrivateServer } from "../server/httpd/root.ts";
import { programFiles } from "../server/httpd/programs.ts";
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
] as const satisfies readonly SettingName[];

export interface RequestedServer {
  readonly server: PrivateServer;
  readonly config: Config;
}

/** Throws ConfigError, and BootError or LoadError for an application or folder that is not there. */
export async function readServer(app: string, command: Command): Promise<RequestedServer> {
  const config = await readSettings(command, serverSettings);
  const { mode, host, logLevel, hasAccessLog, isDebug, documentRoot, serverRoot, httpd, modulesDir } = config;
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
    programFiles,
    folder: serverRoot === undefined ? undefined : resolve(serverRoot),
    httpd: { httpd, modulesDir, path: process.env["PATH"] ?? "" },
  };
  return { server, config };
}

/** The URL of the site, with its mount point. */
export function urlOf({ host, site }: PrivateServer, port: number): string {
  return `http://${host.includes(":") ? `[${host}]` : host}:${port}${site.mountPoint}/`;
}
