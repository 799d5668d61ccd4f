// The server that a command is to run, or to speak to, from its options, the environment and the configuration file.

import type { Command } from "commander";
import type { ListenAddress } from "../config/address.ts";
import type { ServerConfig, ServerSources } from "../config/groups.ts";
import { resolveServer } from "../config/groups.ts";
import { resolveConfig } from "../config/load.ts";
import type { ConfigSources } from "../config/load.ts";
import type { Setting } from "../config/setting.ts";
import { placeText } from "../config/setting.ts";
import type { SettingName } from "../config/settings.ts";
import { settings } from "../config/settings.ts";
import { ConfigError } from "../errors.ts";
import { findConfigFile, givenSettings } from "./options.ts";
import { isFolder } from "./target.ts";

/** All that a command was given to describe its server. Throws what findConfigFile throws. */
export async function readServerSources(
  command: Command,
  names: readonly SettingName[],
  app: string | undefined,
): Promise<ServerSources> {
  const given = givenSettings(command, names);
  return { ...given, file: await findConfigFile(given), app, folder: process.cwd(), isFolder };
}

/**
 * The server of a command: one group for an application or --script-root, else those of the configuration file. `names` are
 * the command's settings, "configFile" among them. Throws ConfigError, and BootError or LoadError for a file that cannot be
 * read. Whether the applications exist is not looked at.
 */
export async function readServerConfig(
  command: Command,
  names: readonly SettingName[],
  appArgument: string | undefined,
): Promise<ServerConfig> {
  return resolveServer(await readServerSources(command, names, appArgument));
}

export interface ControlSettings {
  /** The control socket's path, when it was chosen. */
  readonly control: string | undefined;
  /** Where the daemon listens, its first group when there are several. */
  readonly listen: ListenAddress | undefined;
}

/** How a running server is found; throws as readServerConfig does, but only for settings that matter for it. */
export async function readControlSettings(command: Command, names: readonly SettingName[]): Promise<ControlSettings> {
  const given = givenSettings(command, names);
  const file = await findConfigFile(given);
  const { config, issues } = resolveConfig({ ...given, file: { ...file?.top.values, ...file?.groups?.[0]?.values } });
  const all = [...(file?.issues ?? []), ...issues];
  if (all.length > 0) throw new ConfigError(all);
  return { control: config.control, listen: config.listen };
}

/** The given flags of some settings, as words of a command line that may run in any folder. */
export function argumentsFor({ flags }: Pick<ConfigSources, "flags">, names: readonly SettingName[]): string[] {
  return names.flatMap((name) => {
    const given = flags[name] ?? [];
    const setting: Setting<unknown> = settings[name];
    const texts = typeof given === "string" ? [given] : given;
    if (setting.placeholder === undefined) return texts.map(() => `--${setting.flag}`);
    return texts.flatMap((text) => [`--${setting.flag}`, placeText(setting, text, process.cwd())]);
  });
}
