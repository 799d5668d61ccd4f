// `tsgi config`: prints Apache configuration, for an application or for all groups of the configuration file.

import { dirname, resolve } from "node:path";
import type { Command } from "commander";
import { render } from "../apache/directives.ts";
import type { Directive } from "../apache/directives.ts";
import type { GroupSites, PresetName, PresetOptions } from "../apache/presets.ts";
import { groupsPreset, isPresetName, preset, presetNames } from "../apache/presets.ts";
import type { SiteTarget } from "../apache/site.ts";
import type { StatusMount } from "../apache/status-mount.ts";
import { referenceText } from "../apache/site.ts";
import type { ListenAddress } from "../config/address.ts";
import { formatListenAddress } from "../config/address.ts";
import type { ConfigFile } from "../config/file.ts";
import type { GroupConfig, ServerSources } from "../config/groups.ts";
import { resolveServer } from "../config/groups.ts";
import { resolveConfig } from "../config/load.ts";
import type { Config, SettingName } from "../config/settings.ts";
import { ConfigError } from "../errors.ts";
import { parseAppReference } from "../loader/load.ts";
import { programsDir } from "../server/httpd/programs.ts";
import { configureAuth } from "./config-auth.ts";
import { configureBalancer } from "./config-balancer.ts";
import { configureSystemd, defaultListen } from "./config-systemd.ts";
import { addSettings } from "./options.ts";
import { argumentsFor, readServerSources } from "./server-config.ts";
import { reserveStdout } from "./stdout.ts";
import { isFolder } from "./target.ts";

const names = [
  "configFile",
  "listen",
  "mountPoint",
  "documentRoot",
  "cacheDir",
  "adapter",
  "status",
  "statusMount",
] as const satisfies readonly SettingName[];

const defaultApp = "/srv/app/app.ts";

/** The configuration may be for another machine, so nothing needs to be there; a slash at the end makes a folder. */
function targetOf(app: string): SiteTarget {
  const path = resolve(app);
  if (app.endsWith("/") || isFolder(path)) return { kind: "scripts", root: path };
  return { kind: "application", ...parseAppReference(app, process.cwd()) };
}

function hasTarget({ groups, top }: ConfigFile): boolean {
  return [groups, top.app, top.applications, top.values.scriptRoot].some((target) => target !== undefined);
}

/** Beside the socket of the application, unless `--status` says where. */
function statusMountOf({ status, statusMount }: Config, listen: ListenAddress): StatusMount | undefined {
  if (statusMount === undefined) return undefined;
  if (status !== undefined) return { mountPoint: statusMount, address: status };
  if (listen.kind !== "unix")
    throw new ConfigError(["--status-mount needs --status: where the daemon serves the status page"]);
  return { mountPoint: statusMount, address: { kind: "unix", path: `${listen.path.replace(/\.sock$/, "")}.status` } };
}

function presetOptions(config: Config, target: SiteTarget, mountPoint: string | undefined): PresetOptions {
  const { documentRoot, cacheDir, adapter, listen = defaultListen } = config;
  return {
    site: {
      target,
      mountPoint: mountPoint ?? "",
      documentRoot: documentRoot === undefined ? undefined : resolve(documentRoot),
      adapter,
    },
    listen,
    programs: programsDir,
    nodeFolder: dirname(process.execPath),
    cacheDir,
    statusMount: statusMountOf(config, listen),
  };
}

/** For an application that the command line names; a configuration file has the other settings. */
function forApplication(mode: PresetName, app: string, sources: ServerSources): Directive[] {
  const { file } = sources;
  const { config, issues } = resolveConfig({ ...sources, file: file?.top.values });
  const all = [...(file?.issues ?? []), ...issues];
  if (all.length > 0) throw new ConfigError(all);
  const options = presetOptions(config, targetOf(app), config.mountPoint);
  if (file === undefined) return preset(mode, options);
  const { target } = options.site;
  const served = target.kind === "scripts" ? target.root : referenceText(target);
  const listen = ["--listen", formatListenAddress(options.listen)];
  return preset(mode, { ...options, daemonArguments: [served, "--config", file.path, ...listen] });
}

function mountsOf({ applications, scriptRoot, mountPoint }: GroupConfig): GroupSites["mounts"] {
  if (scriptRoot !== undefined)
    return [{ target: { kind: "scripts", root: scriptRoot }, mountPoint: mountPoint ?? "" }];
  return applications.map(({ app, mountPoint }) => {
    const target = { kind: "application", ...parseAppReference(app, "/") } as const;
    return { target, mountPoint: mountPoint ?? "" };
  });
}

/** For all that the configuration file names. */
function forFile(mode: PresetName, file: ConfigFile, sources: ServerSources): Directive[] {
  const { groups } = resolveServer({ ...sources, defaultListen });
  const daemonArguments = [
    "--config",
    file.path,
    ...argumentsFor(sources, ["listen", "mountPoint", "cacheDir", "adapter"]),
  ];
  const sites = groups.map((group) => ({ name: group.name, listen: group.listen, mounts: mountsOf(group) }));
  const [group] = groups;
  const [mount, ...others] = sites.flatMap(({ mounts }) => mounts);
  if (group === undefined || mount === undefined || others.length > 0) {
    const { config } = resolveConfig({ ...sources, file: file.top.values });
    const documentRoot = config.documentRoot === undefined ? undefined : resolve(config.documentRoot);
    const statusMount = statusMountOf(config, group?.listen ?? defaultListen);
    return groupsPreset(mode, { groups: sites, documentRoot, programs: programsDir, statusMount, daemonArguments });
  }
  return preset(mode, { ...presetOptions(group, mount.target, mount.mountPoint), daemonArguments });
}

async function run(mode: string, app: string | undefined, command: Command): Promise<number> {
  if (!isPresetName(mode))
    throw new ConfigError([
      `${JSON.stringify(mode)}: expected one of ${presetNames.join(", ")}, systemd, auth, balancer`,
    ]);
  const print = reserveStdout(); // a configuration file may print, and its words are no directives
  const sources = await readServerSources(command, names, app);
  const { file } = sources;
  const isForFile = app === undefined && file !== undefined && hasTarget(file);
  await print(render(isForFile ? forFile(mode, file, sources) : forApplication(mode, app ?? defaultApp, sources)));
  return 0;
}

export function configure(command: Command): void {
  configureSystemd(command.command("systemd"));
  configureAuth(command.command("auth"));
  configureBalancer(command.command("balancer"), targetOf);
  command
    .argument("<mode>", presetNames.join(", "))
    .argument(
      "[app]",
      `application (file.ts or file.ts#export), or a folder of scripts; else all that the configuration file names, or ${defaultApp}`,
    );
  addSettings(command, names)
    .addHelpText(
      "after",
      "\nExamples:\n  $ tsgi config proxy_fcgi app.ts --mount-point /app\n  $ tsgi config htaccess-cgi app.ts > public_html/.htaccess",
    )
    .action(async (mode: string, app: string | undefined) => {
      process.exitCode = await run(mode, app, command);
    });
}
