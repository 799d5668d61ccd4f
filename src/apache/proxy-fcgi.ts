// A site on mod_proxy_fcgi: requests go to a daemon that runs all the time and takes any number of them at once.
// Rules: connections are kept and used again, so the worker is declared and its host is unique: Apache looks workers up by
// the part after the bar and would share one between two sockets with the same host.

import { createHash } from "node:crypto";
import type { ListenAddress } from "../config/address.ts";
import { ConfigError } from "../errors.ts";
import type { Directive } from "./directives.ts";
import { blank, block, line, note } from "./directives.ts";
import { scriptPattern } from "./published.ts";
import type { Site } from "./site.ts";
import {
  documentRoot,
  longestFirst,
  noTypeOfScripts,
  passAuthorization,
  rawUrl,
  scriptFolder,
  silenceSeconds,
  trustContentLength,
} from "./site.ts";

/** A daemon as Apache addresses it. */
export interface Backend {
  /** The part after the bar: `fcgi://host` or `http://host`, without a slash. */
  readonly origin: string;
  /** The whole address, such as `unix:/path|fcgi://host` or `fcgi://host:port`. */
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
export function backendOf(address: ListenAddress, scheme: "fcgi" | "http" = "fcgi"): Backend {
  switch (address.kind) {
    case "tcp": {
      const host = address.host.includes(":") ? `[${address.host}]` : address.host;
      const origin = `${scheme}://${host}:${address.port}`;
      return { origin, url: origin };
    }
    case "unix": {
      if (!address.path.startsWith("/") || address.path.includes("|")) {
        throw new ConfigError([`unix:${address.path}: Apache needs an absolute path without "|"`]);
      }
      const origin = `${scheme}://${hostOf(address.path)}`;
      return { origin, url: `unix:${address.path}|${origin}` };
    }
    case "fd":
      throw new ConfigError([`fd:${address.fd}: Apache needs the path of a unix socket, or a host and a port`]);
  }
}

/** A record's length has 16 bits and Apache writes it unchecked: with 65536 an upload's records would say 0. */
const bufferBytes = 32_768;

export const workerSettings = [
  "enablereuse=on",
  "flushpackets=on",
  `iobuffersize=${bufferBytes}`,
  `timeout=${silenceSeconds}`,
  `ttl=${reuseSeconds}`,
];
export const workerWhy = [
  "enablereuse: connections to the daemon are kept; ttl: but not longer than the daemon keeps them.",
  "flushpackets: what the application writes is sent at once. timeout: seconds without a byte.",
  "iobuffersize: a large response takes half of Apache's work that it takes with 8192 bytes at a time.",
].join("\n");
export const nocanonWhy = "nocanon: the path is not decoded and encoded again; with a query it needs GENERIC.";

const genericBackend = line(
  "ProxyFCGIBackendType",
  ["GENERIC"],
  "Variables as they are, without the changes that PHP-FPM expects.",
);

/** A section for what is mounted at "" or "/x". */
function atMount(mountPoint: string, body: readonly Directive[]): Directive {
  return block("Location", [mountPoint === "" ? "/" : mountPoint], body);
}

/** ProxyPass for an application; `settings` are those of a worker that is not declared elsewhere. */
export function passTo(mountPoint: string, backend: Backend, settings: readonly string[], why: string): Directive {
  const [place, target] = mountPoint === "" ? ["/", `${backend.url}/`] : [mountPoint, backend.url];
  return line("ProxyPass", [place, target, "nocanon", ...settings], why);
}

/** What holds for an application; `more` is added at its end. */
export function applicationSection(mountPoint: string, more: readonly Directive[] = []): Directive {
  const variable = line(
    "SetEnv",
    ["TSGI_MOUNT_POINT", mountPoint === "" ? "/" : mountPoint],
    "ProxyPass does not say where the application is mounted.",
  );
  return atMount(mountPoint, [genericBackend, passAuthorization, variable, ...more]);
}

/** What holds for scripts; `more` is added at its end. */
export function scriptsSection(backend: Backend, more: readonly Directive[] = []): Directive {
  return block(
    "FilesMatch",
    [scriptPattern],
    [noTypeOfScripts, genericBackend, passAuthorization, line("SetHandler", [`proxy:${backend.url}`]), ...more],
    "TypeScript files are applications: run by the daemon, never sent.",
  );
}

function siteOf(site: Site, backend: Backend): Directive[] {
  const { target, mountPoint } = site;
  if (target.kind === "application") {
    const why = [workerWhy, nocanonWhy].join("\n");
    return [passTo(mountPoint, backend, workerSettings, why), applicationSection(mountPoint)];
  }
  return [
    block("Proxy", [`${backend.origin}/`], [line("ProxySet", workerSettings, workerWhy)]),
    ...scriptFolder(site, target.root, [scriptsSection(backend)]),
  ];
}

/** A site whose requests go to the daemon behind `backend`, for a server or a virtual host. */
export function proxyFcgiSite(site: Site, backend: Backend): Directive[] {
  return [...rawUrl(), trustContentLength(), blank, ...documentRoot(site), ...siteOf(site, backend)];
}

/** Sites that a group of processes serves at one address. */
export interface ProxiedGroup {
  readonly name: string;
  readonly backend: Backend;
  readonly sites: readonly Site[];
}

interface ProxiedSite extends Site {
  readonly group: ProxiedGroup;
}

function declareWorkers(groups: readonly ProxiedGroup[]): Directive[] {
  return [
    note(`A worker of Apache's for each group of processes.\n${workerWhy}`),
    ...groups.map(({ name, backend }) =>
      block("Proxy", [backend.url], [line("ProxySet", workerSettings)], `Group ${name}.`),
    ),
  ];
}

function isBelow(mountPoint: string, other: string): boolean {
  return mountPoint !== other && mountPoint.startsWith(`${other}/`);
}

/** Which requests go where. Apache takes the first line that fits, so `sites` come with the longest mount point first. */
function passLines(sites: readonly ProxiedSite[]): Directive[] {
  const lines = sites.flatMap((site) => {
    const { mountPoint, target, group } = site;
    if (target.kind === "application") return [passTo(mountPoint, group.backend, [], `Group ${group.name}.`)];
    const why = `Group ${group.name}: a folder, whose files Apache looks for itself.`;
    return isInApplication(site, sites) ? [line("ProxyPass", [mountPoint, "!"], why)] : [];
  });
  return [
    note(`The longest mount points come first, since Apache takes the first that fits.\n${nocanonWhy}`),
    ...lines,
  ];
}

function isInApplication(site: Site, sites: readonly Site[]): boolean {
  return sites.some(({ target, mountPoint }) => target.kind === "application" && isBelow(site.mountPoint, mountPoint));
}

/** What holds at a mount point. A later section goes before an earlier one, so the longest mount point comes last. */
function sections(sites: readonly ProxiedSite[]): Directive[] {
  return sites.toReversed().flatMap((site) => {
    const { target, mountPoint, group } = site;
    if (target.kind === "application") return [applicationSection(mountPoint)];
    const why = "The application around it is mounted elsewhere.";
    const apart = atMount(mountPoint, [line("UnsetEnv", ["TSGI_MOUNT_POINT"], why)]);
    const folder = scriptFolder(site, target.root, [scriptsSection(group.backend)]);
    return isInApplication(site, sites) ? [apart].concat(folder) : folder;
  });
}

/** Several sites of several groups of processes; their mount points differ, and their document root is the same. */
export function proxyFcgiGroups(groups: readonly ProxiedGroup[], root: string | undefined): Directive[] {
  const sites = longestFirst(groups.flatMap((group) => group.sites.map((site) => ({ ...site, group }))));
  return [
    ...rawUrl(),
    trustContentLength(),
    blank,
    ...documentRoot({ documentRoot: root }),
    ...declareWorkers(groups),
    blank,
    ...passLines(sites),
    blank,
    ...sections(sites),
  ];
}
