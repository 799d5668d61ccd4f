// Process groups: what each of them serves and with which settings; and the one server that they make up.
// Rules: flags and environment go before a group's own settings, these before the file's top level, and that before the
// defaults; an application named on the command line makes one group, whatever groups the file has; all problems are found
// before any is reported. Pure: nothing is opened, and whether a path is a folder is asked of the caller.

import { resolve } from "node:path";
import { ConfigError } from "../errors.ts";
import type { LogLevel } from "../log.ts";
import type { ListenAddress } from "./address.ts";
import { formatListenAddress } from "./address.ts";
import type { ConfigFile, FileGroup, GroupApplication } from "./file.ts";
import { defaultGroupName } from "./file.ts";
import type { ConfigSources } from "./load.ts";
import { resolveConfig } from "./load.ts";
import type { Config, SettingName } from "./settings.ts";
import { settings } from "./settings.ts";

/** A group of processes with a socket of its own. Its paths are absolute. */
export interface GroupConfig extends Config {
  readonly name: string;
  readonly listen: ListenAddress;
  /** Empty exactly when there is a script root. */
  readonly applications: readonly GroupApplication[];
  /** Variables for the group's workers, beside those of the daemon. */
  readonly env: Readonly<Record<string, string>>;
}

export interface ServerConfig {
  /** The path of the control socket, when it was chosen. */
  readonly control: string | undefined;
  /** Where the status page is served. */
  readonly status: ListenAddress | undefined;
  /** The file of the control token, when it was chosen; absolute. */
  readonly controlToken: string | undefined;
  readonly pidFile: string | undefined;
  readonly touchFile: string | undefined;
  /** Whether changed files of the application replace the workers. */
  readonly reload: boolean;
  /** The supervisor's own. */
  readonly logLevel: LogLevel;
  /** The supervisor's own; absolute. */
  readonly logFile: string | undefined;
  readonly configFile: string | undefined;
  /** At least one. */
  readonly groups: readonly GroupConfig[];
}

export interface ServerSources extends Omit<ConfigSources, "file"> {
  readonly file: ConfigFile | undefined;
  /** What the command line names: an application, or a folder of them. */
  readonly app: string | undefined;
  /** What relative paths of flags and variables count from. */
  readonly folder: string;
  readonly isFolder: (path: string) => boolean;
  /** For a single group that has no address: undefined makes that a problem. */
  readonly defaultListen?: ListenAddress | undefined;
}

const noTarget = "name an application (file.ts or file.ts#export) or a folder of them";
const twoTargets = "an application and --script-root do not go together: give one of them";
const noListen = "--listen is needed, for example --listen unix:/run/tsgi/app.sock";

/** Stands in a group that has none: that is a problem, so nobody sees it. */
const noAddress: ListenAddress = { kind: "fd", fd: -1 };

/** What a group serves, before it is known whether it is a folder. */
interface Target {
  readonly app: string | undefined;
  readonly applications: readonly GroupApplication[] | undefined;
  /** Absolute. */
  readonly scriptRoot: string | undefined;
}

/** The values of a file for one group, the top level's below its own. */
function valuesOf(file: ConfigFile | undefined, group: FileGroup | undefined): ConfigSources["file"] {
  return { ...file?.top.values, ...group?.values };
}

/** The config with absolute paths; those of a file are so already. */
function withAbsolutePaths(config: Config, folder: string): Config {
  const paths = (Object.keys(settings) as SettingName[]).flatMap((name) => {
    const value = config[name];
    const isPath = settings[name].place === "path" || name === "control";
    return isPath && typeof value === "string" ? [[name, resolve(folder, value)]] : [];
  });
  return { ...config, ...Object.fromEntries(paths) };
}

/** What two groups cannot both listen on; undefined for an address that is another one each time. */
function addressKey(address: ListenAddress, folder: string): string | undefined {
  if (address.kind === "unix") return `unix:${resolve(folder, address.path)}`;
  return address.kind === "tcp" && address.port === 0 ? undefined : formatListenAddress(address);
}

class ServerResolver {
  readonly #sources: ServerSources;
  /** A set: a wrong flag is wrong for every group, and told once. */
  readonly #issues: Set<string>;

  constructor(sources: ServerSources) {
    this.#sources = sources;
    this.#issues = new Set(sources.file?.issues);
  }

  resolve(): ServerConfig {
    const { file, app } = this.#sources;
    const groups =
      file?.groups === undefined || app !== undefined || this.#scriptRoot() !== undefined
        ? [this.#single()]
        : file.groups.map((group) => this.#group(group));
    const config = this.#config(undefined);
    this.#checkSockets(groups, config);
    if (this.#issues.size > 0) throw new ConfigError([...this.#issues]);
    const { control, status, controlToken, pidFile, touchFile, reload, logLevel, logFile } = config;
    const own = { control, status, controlToken, pidFile, touchFile, reload, logLevel, logFile };
    return Object.freeze({ ...own, configFile: file?.path, groups });
  }

  #config(group: FileGroup | undefined): Config {
    const { config, issues } = resolveConfig({ ...this.#sources, file: valuesOf(this.#sources.file, group) });
    for (const issue of issues) this.#issues.add(issue);
    return withAbsolutePaths(config, this.#sources.folder);
  }

  /** The script root of the command line or the environment. */
  #scriptRoot(): string | undefined {
    const { names, flags, env } = this.#sources;
    if (!names.includes("scriptRoot")) return undefined;
    const { scriptRoot } = resolveConfig({ names: ["scriptRoot"], flags, env }).config;
    return scriptRoot === undefined ? undefined : resolve(this.#sources.folder, scriptRoot);
  }

  /** The one group of a command line that says what to serve, or of a file without groups. */
  #single(): GroupConfig {
    const { app, file, folder, defaultListen } = this.#sources;
    const top = file?.top;
    const scriptRoot = this.#scriptRoot();
    if (app !== undefined && scriptRoot !== undefined) this.#issues.add(twoTargets);
    const config = this.#config(undefined);
    const listen = config.listen ?? defaultListen;
    if (listen === undefined && !this.#wasListenGiven) this.#issues.add(noListen);
    let target: Target = { app: undefined, applications: undefined, scriptRoot };
    if (app !== undefined) target = { app: resolve(folder, app), applications: undefined, scriptRoot: undefined };
    else if (scriptRoot === undefined && top !== undefined) target = { ...top, scriptRoot: top.values.scriptRoot };
    if (target.app === undefined && target.applications === undefined && target.scriptRoot === undefined) {
      this.#issues.add(noTarget);
    }
    return this.#served({ ...config, listen }, target, top);
  }

  /** A wrong address is a problem by itself: it is not missing too. */
  get #wasListenGiven(): boolean {
    const { flags, env } = this.#sources;
    return flags.listen !== undefined || (env["TSGI_LISTEN"] ?? "") !== "";
  }

  #group(group: FileGroup): GroupConfig {
    const config = this.#config(group);
    if (config.listen === undefined) {
      const example = `listen: "unix:/run/tsgi/${group.name}.sock"`;
      this.#issues.add(`${group.source}: listen is needed, for example ${example}`);
    }
    return this.#served(config, { ...group, scriptRoot: group.values.scriptRoot }, group);
  }

  #served(config: Config, target: Target, group: FileGroup | undefined): GroupConfig {
    const { file, isFolder } = this.#sources;
    const { app, applications = [] } = target;
    this.#checkMounted(group, applications);
    const isFolderGiven = app !== undefined && isFolder(app);
    const single = app === undefined || isFolderGiven ? [] : [{ mountPoint: config.mountPoint, app }];
    return Object.freeze({
      ...config,
      name: group?.name ?? defaultGroupName,
      listen: config.listen ?? noAddress,
      applications: app === undefined ? applications : single,
      scriptRoot: isFolderGiven ? app : target.scriptRoot,
      env: Object.freeze({ ...file?.top.env, ...group?.env }),
    });
  }

  /** What is wrong with applications that have mount points of their own. */
  #checkMounted(group: FileGroup | undefined, applications: GroupConfig["applications"]): void {
    const { flags, isFolder } = this.#sources;
    if (applications.length > 0 && flags.mountPoint !== undefined) {
      this.#issues.add("--mount-point does not go with applications, which have mount points of their own");
    }
    for (const { mountPoint = "", app } of applications.filter((each) => isFolder(each.app))) {
      const at = group?.at(`applications[${JSON.stringify(mountPoint === "" ? "/" : mountPoint)}]`);
      this.#issues.add(`${at} ${JSON.stringify(app)}: a folder: give it a group of its own, with scriptRoot`);
    }
  }

  #checkSockets(groups: readonly GroupConfig[], { control, status }: Config): void {
    const { folder, file } = this.#sources;
    const owners = new Map<string, string>();
    for (const { name, listen } of groups) {
      const key = addressKey(listen, folder);
      if (key === undefined || listen === noAddress) continue;
      const owner = owners.get(key);
      const sentence = `groups.${owner} and groups.${name} both listen on ${key}: give each an address of its own`;
      if (owner !== undefined) this.#issues.add(`${file?.shown}: ${sentence}`);
      owners.set(key, name);
    }
    if (control !== undefined && owners.has(`unix:${control}`)) {
      this.#issues.add(`unix:${control} cannot be both the control socket and the one that Apache connects to`);
    }
    const statusKey = status === undefined ? undefined : addressKey(status, folder);
    if (statusKey === undefined) return;
    if (statusKey === `unix:${control}` || owners.has(statusKey))
      this.#issues.add(`--status: ${statusKey} is taken by another socket of the daemon: choose another address`);
  }
}

/** Makes the server of all that was given; throws ConfigError with every problem. */
export function resolveServer(sources: ServerSources): ServerConfig {
  return new ServerResolver(sources).resolve();
}
