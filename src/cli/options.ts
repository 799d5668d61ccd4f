// Command-line options from the table of settings, and the Config that they, the environment and the configuration file make.

import type { Command } from "commander";
import { Option } from "commander";
import type { ConfigFile } from "../config/file.ts";
import type { ConfigSources } from "../config/load.ts";
import { loadConfig, resolveConfig } from "../config/load.ts";
import type { Setting } from "../config/setting.ts";
import type { Config, SettingName } from "../config/settings.ts";
import { settings } from "../config/settings.ts";
import { readConfigFile } from "./config-file.ts";

function optionFor(name: SettingName): Option {
  const setting: Setting<unknown> = settings[name];
  const { flag, placeholder, env, help, defaultText } = setting;
  const notes = [defaultText === undefined ? [] : `default: ${defaultText}`, `env: ${env}`].flat().join(", ");
  const option = new Option(
    placeholder === undefined ? `--${flag}` : `--${flag} <${placeholder}>`,
    `${help} (${notes})`,
  );
  if (setting.parseItems === undefined) return option;
  return option.argParser((text, earlier: readonly string[] | undefined) => [...(earlier ?? []), text]);
}

/** Adds the options for some settings to a command. */
export function addSettings(command: Command, names: readonly SettingName[]): Command {
  for (const name of names) command.addOption(optionFor(name));
  return command;
}

/** What the command line and the environment say about some settings. */
export function givenSettings(command: Command, names: readonly SettingName[]): ConfigSources {
  // Options that a command has from its parent may stand before or after its name.
  const given: Record<string, string | boolean | readonly string[] | undefined> = command.optsWithGlobals();
  const flags = names.map((name): [SettingName, string | readonly string[] | undefined] => {
    const value = given[optionFor(name).attributeName()];
    return [name, typeof value === "boolean" ? String(value) : value];
  });
  return { flags: Object.fromEntries(flags), env: process.env, names };
}

/**
 * The configuration file of a command that has "configFile" among its settings: the one that is named, or that of the working
 * folder. Throws ConfigError, and BootError or LoadError for a file that cannot be read.
 */
export async function findConfigFile({ flags, env, names }: ConfigSources): Promise<ConfigFile | undefined> {
  if (!names.includes("configFile")) return undefined;
  const { configFile, cacheDir } = resolveConfig({ flags, env, names: ["configFile", "cacheDir"] }).config;
  const source = flags.configFile === undefined ? settings.configFile.env : `--${settings.configFile.flag}`;
  const named = configFile === undefined ? undefined : { source, file: configFile };
  return await readConfigFile({ named, folder: process.cwd(), cacheDir });
}

/** The Config of flags, environment and the top level of the configuration file, in this order. Throws ConfigError. */
export async function readSettings(command: Command, names: readonly SettingName[]): Promise<Config> {
  const given = givenSettings(command, names);
  const file = await findConfigFile(given);
  return loadConfig({ ...given, file: file?.top.values }, file?.issues);
}
