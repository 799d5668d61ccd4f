// The configurations that `tsgi config` prints: for a server or virtual host, and for .htaccess.
// Rules: the same options give the same text; nothing of this machine gets in that is not in the options.

import type { ListenAddress } from "../config/address.ts";
import { formatListenAddress } from "../config/address.ts";
import { ConfigError } from "../errors.ts";
import { cgiSite } from "./cgi.ts";
import type { Directive } from "./directives.ts";
import { blank, line, note } from "./directives.ts";
import { fcgidSite } from "./fcgid.ts";
import { htaccessCgi, htaccessFcgid, htaccessProxy, shellWord } from "./htaccess.ts";
import { backendOf, proxyFcgiGroups, proxyFcgiSite } from "./proxy-fcgi.ts";
import type { Site } from "./site.ts";
import { programArguments, referenceText } from "./site.ts";
import type { StatusMount } from "./status-mount.ts";
import { statusModules, statusSection } from "./status-mount.ts";

export const presetNames = ["proxy_fcgi", "fcgid", "cgi", "htaccess-cgi", "htaccess-fcgid", "htaccess-proxy"] as const;

export type PresetName = (typeof presetNames)[number];

export interface PresetOptions {
  readonly site: Site;
  /** Where the daemon listens; only the modes with a daemon use it. */
  readonly listen: ListenAddress;
  /** The folder with `tsgi`, `tsgi-cgi` and `tsgi-fcgid`. */
  readonly programs: string;
  /** The folder with `node`: the programs find it on the PATH. */
  readonly nodeFolder: string;
  readonly cacheDir: string | undefined;
  /** The daemon's status page; undefined: it is not in Apache. */
  readonly statusMount?: StatusMount | undefined;
  /** What the daemon is started with; undefined where that follows from the rest. */
  readonly daemonArguments?: readonly string[] | undefined;
}

/** A group of processes of the daemon, and what it serves. */
export interface GroupSites {
  readonly name: string;
  readonly listen: ListenAddress;
  /** Where each is mounted, with nothing else of a site. */
  readonly mounts: readonly Pick<Site, "target" | "mountPoint">[];
}

export interface GroupsOptions extends Pick<PresetOptions, "programs" | "statusMount"> {
  readonly groups: readonly GroupSites[];
  readonly documentRoot: string | undefined;
  /** What the daemon is started with. */
  readonly daemonArguments: readonly string[];
}

export function isPresetName(text: string): text is PresetName {
  return presetNames.some((name) => name === text);
}

function programCommand(program: string, { site, programs, cacheDir }: PresetOptions): string[] {
  return [`${programs}/${program}`, ...programArguments(site, cacheDir)];
}

function statusArguments(mount: StatusMount | undefined): string[] {
  return mount === undefined ? [] : ["--status", formatListenAddress(mount.address)];
}

function daemonCommand(options: PresetOptions): string[] {
  const { site, listen, programs, cacheDir, statusMount, daemonArguments } = options;
  if (daemonArguments !== undefined)
    return [`${programs}/tsgi`, "daemon", ...daemonArguments, ...statusArguments(statusMount)];
  const target = site.target.kind === "application" ? referenceText(site.target) : site.target.root;
  const command = [`${programs}/tsgi`, "daemon", target, "--listen", formatListenAddress(listen)];
  if (cacheDir !== undefined) command.push("--cache-dir", cacheDir);
  if (site.adapter !== undefined) command.push("--adapter", site.adapter);
  return [...command, ...statusArguments(statusMount)];
}

function daemonNote(command: readonly string[], statusMount: StatusMount | undefined): Directive {
  const modules = ["proxy proxy_fcgi alias dir mime env setenvif rewrite", ...(statusMount ? statusModules : [])];
  return note(
    [
      `For a server or a <VirtualHost>. Modules: ${modules.join(" ")}.`,
      "Keep the daemon running, with a socket that Apache's user may open:",
      `    ${command.map(shellWord).join(" ")}`,
    ].join("\n"),
  );
}

function proxyFcgi(options: PresetOptions): Directive[] {
  const { site, listen, statusMount } = options;
  return [
    daemonNote(daemonCommand(options), statusMount),
    blank,
    ...proxyFcgiSite(site, backendOf(listen)),
    ...statusSection(statusMount),
  ];
}

function fcgid(options: PresetOptions): Directive[] {
  return [
    note("For a server or a <VirtualHost>. Modules: fcgid alias dir mime env setenvif rewrite."),
    blank,
    line(
      "FcgidInitialEnv",
      ["PATH", [...new Set([options.nodeFolder, "/usr/bin", "/bin"])].join(":")],
      "mod_fcgid passes on no environment: the program must find node. At most 127 bytes.",
    ),
    line("FcgidInitialEnv", ["NODE_ENV", "production"]),
    ...fcgidSite(options.site, programCommand("tsgi-fcgid", options)),
  ];
}

function cgi(options: PresetOptions): Directive[] {
  const { site } = options;
  const modules = "For a server or a <VirtualHost>. Modules: cgid (with the MPM prefork: cgi)";
  const command = programCommand("tsgi-cgi", options);
  if (site.target.kind === "scripts") {
    return [
      note(`${modules} actions alias dir mime env setenvif rewrite. Apache's PATH must hold node.`),
      blank,
      ...cgiSite(site, `${options.programs}/tsgi-cgi`),
    ];
  }
  const wrapper = `${site.target.file.replace(/\.[^./]*$/, "")}.cgi`;
  return [
    note(
      [
        `${modules} alias dir mime env setenvif rewrite. Apache's PATH must hold node.`,
        `The executable ${wrapper} (chmod 755) has two lines:`,
        "    #!/bin/sh",
        `    exec ${command.map(shellWord).join(" ")}`,
      ].join("\n"),
    ),
    blank,
    ...cgiSite(site, wrapper),
  ];
}

/** .htaccess files are for one application; a folder of scripts needs the server's configuration. */
function requireApplication(name: PresetName, { site }: PresetOptions): void {
  if (site.target.kind === "scripts") {
    throw new ConfigError([`${name} is for one application: name its file in place of the folder ${site.target.root}`]);
  }
}

/** The directives of a preset; throws ConfigError for options that do not go together. */
export function preset(name: PresetName, options: PresetOptions): Directive[] {
  if (options.statusMount !== undefined && name !== "proxy_fcgi")
    throw new ConfigError([`--status-mount: the status page goes with proxy_fcgi, not with ${name}`]);
  switch (name) {
    case "proxy_fcgi":
      return proxyFcgi(options);
    case "fcgid":
      return fcgid(options);
    case "cgi":
      return cgi(options);
    case "htaccess-cgi":
      requireApplication(name, options);
      return htaccessCgi(programCommand("tsgi-cgi", options));
    case "htaccess-fcgid":
      requireApplication(name, options);
      return htaccessFcgid(programCommand("tsgi-fcgid", options));
    case "htaccess-proxy":
      requireApplication(name, options);
      return htaccessProxy(backendOf(options.listen), options.site.mountPoint, daemonCommand(options));
  }
}

/** Throws ConfigError where Apache could not tell two groups apart. */
function checkMounts(groups: readonly GroupSites[]): void {
  const owners = new Map<string, string>();
  const folders = new Map<string, string>();
  const issues: string[] = [];
  for (const { name, mounts } of groups) {
    for (const { mountPoint, target } of mounts) {
      const sharer = target.kind === "scripts" ? folders.get(target.root) : undefined;
      if (sharer !== undefined) issues.push(`groups.${sharer} and groups.${name} have the same scriptRoot`);
      if (target.kind === "scripts") folders.set(target.root, name);
      const owner = owners.get(mountPoint);
      const place = mountPoint === "" ? "/" : mountPoint;
      if (owner !== undefined) {
        issues.push(
          `groups.${owner} and groups.${name} are both mounted at ${place}: give each a mountPoint of its own`,
        );
      }
      owners.set(mountPoint, name);
    }
  }
  if (issues.length > 0) throw new ConfigError(issues);
}

/**
 * The directives for all groups of a configuration file. Only a daemon has groups, so there is one mode for them. Throws
 * ConfigError for options that do not go together.
 */
export function groupsPreset(name: PresetName, options: GroupsOptions): Directive[] {
  const { groups, documentRoot, programs, statusMount, daemonArguments } = options;
  if (name !== "proxy_fcgi") {
    const mounts = groups.reduce((count, group) => count + group.mounts.length, 0);
    throw new ConfigError([`${name} is for one application, and the configuration file has ${mounts}: name one`]);
  }
  checkMounts(groups);
  const proxied = groups.map((group) => ({
    name: group.name,
    backend: backendOf(group.listen),
    sites: group.mounts.map((mount) => ({ ...mount, documentRoot })),
  }));
  return [
    daemonNote([`${programs}/tsgi`, "daemon", ...daemonArguments, ...statusArguments(statusMount)], statusMount),
    blank,
    ...proxyFcgiGroups(proxied, documentRoot),
    ...statusSection(statusMount),
  ];
}
