// A site on mod_proxy_fcgi: requests go to a daemon that runs all the time and takes any number of them at once.
// Rules: connections are kept and used again, so the worker is declared and its host is unique: Apache looks workers up by
// the part after the bar and would share one between two sockets with the same host.

import { createHash } from "node:crypto";
import type { ListenAddress } from "../config/address.ts";
import { ConfigError } from "../errors.ts";
import type { Directive } from "./directives.ts";
import { blank, block, line } from "./directives.ts";
import { scriptPattern } from "./published.ts";
import type { Site } from "./site.ts";
import {
  documentRoot,
  noTypeOfScripts,
  passAuthorization,
  rawUrl,
  scriptFolder,
  silenceSeconds,
  trustContentLength,
} from "./site.ts";

/** A daemon as Apache addresses it. */
export interface Backend {
  /** The part after the bar: `fcgi://host`, without a slash. */
  readonly origin: string;
  /** The whole address: `unix:/path|fcgi://host` or `fcgi://host:port`. */
  readonly url: string;
}

/** Longer than a connection of the daemon stays idle would make Apache use one that is being closed. */
const reuseSeconds = 60;

/** Older Apaches take no longer host name for a worker. */
const maxHostLength = 63;

/** A host name that no other socket has: the path, with everything but letters and digits spelled out, or its hash. */
function hostOf(path: string): string {
  const spelled = path
    .replace(/\.sock$/, "")
    .replace(/^\/+/, "")
    .replace(/[^a-z0-9]/gu, (char) => (char === "/" ? "." : `-${Buffer.from(char).toString("hex")}`));
  if (spelled.length <= maxHostLength) return spelled;
  return `tsgi-${createHash("sha256").update(path).digest("hex").slice(0, 32)}`;
}

/** The backend for a daemon that listens at `address`; throws ConfigError for one that Apache cannot reach. */
export function backendOf(address: ListenAddress): Backend {
  switch (address.kind) {
    case "tcp": {
      const host = address.host.includes(":") ? `[${address.host}]` : address.host;
      const origin = `fcgi://${host}:${address.port}`;
      return { origin, url: origin };
    }
    case "unix": {
      if (!address.path.startsWith("/") || address.path.includes("|")) {
        throw new ConfigError([`unix:${address.path}: Apache needs an absolute path without "|"`]);
      }
      const origin = `fcgi://${hostOf(address.path)}`;
      return { origin, url: `unix:${address.path}|${origin}` };
    }
    case "fd":
      throw new ConfigError([`fd:${address.fd}: Apache needs the path of a unix socket, or a host and a port`]);
  }
}

const workerSettings = ["enablereuse=on", "flushpackets=on", `timeout=${silenceSeconds}`, `ttl=${reuseSeconds}`];
const workerWhy = [
  "enablereuse: connections to the daemon are kept; ttl: but not longer than the daemon keeps them.",
  "flushpackets: what the application writes is sent at once. timeout: seconds without a byte.",
];

const genericBackend = line(
  "ProxyFCGIBackendType",
  ["GENERIC"],
  "Variables as they are, without the changes that PHP-FPM expects.",
);

function applicationSite(site: Site, backend: Backend): Directive[] {
  const place = site.mountPoint === "" ? "/" : site.mountPoint;
  const target = site.mountPoint === "" ? `${backend.url}/` : backend.url;
  return [
    line(
      "ProxyPass",
      [place, target, "nocanon", ...workerSettings],
      [...workerWhy, "nocanon: the path is not decoded and encoded again; with a query it needs GENERIC."].join("\n"),
    ),
    block(
      "Location",
      [place],
      [
        genericBackend,
        passAuthorization,
        line("SetEnv", ["TSGI_MOUNT_POINT", place], "ProxyPass does not say where the application is mounted."),
      ],
    ),
  ];
}

function scriptsSite(site: Site, root: string, backend: Backend): Directive[] {
  const run = block(
    "FilesMatch",
    [scriptPattern],
    [noTypeOfScripts, genericBackend, passAuthorization, line("SetHandler", [`proxy:${backend.url}`])],
    "TypeScript files are applications: run by the daemon, never sent.",
  );
  return [
    block("Proxy", [`${backend.origin}/`], [line("ProxySet", workerSettings, workerWhy.join("\n"))]),
    ...scriptFolder(site, root, [run]),
  ];
}

/** A site whose requests go to the daemon behind `backend`, for a server or a virtual host. */
export function proxyFcgiSite(site: Site, backend: Backend): Directive[] {
  const { target } = site;
  return [
    ...rawUrl(),
    trustContentLength(),
    blank,
    ...documentRoot(site),
    ...(target.kind === "application" ? applicationSite(site, backend) : scriptsSite(site, target.root, backend)),
  ];
}
