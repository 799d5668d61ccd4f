// Command-line options from the table of settings, and the Config that they and the environment make.

import type { Command } from "commander";
import { Option } from "commander";
import { loadConfig } from "../config/load.ts";
import type { Config, Setting, SettingName } from "../config/settings.ts";
import { settings } from "../config/settings.ts";

function optionFor(name: SettingName): Option {
  const setting: Setting<unknown> = settings[name];
  const { flag, placeholder, env, help, defaultText } = setting;
  const notes = [defaultText === undefined ? [] : `default: ${defaultText}`, `env: ${env}`].flat().join(", ");
  return new Option(placeholder === undefined ? `--${flag}` : `--${flag} <${placeholder}>`, `${help} (${notes})`);
}

/** Adds the options for some settings to a command. */
export function addSettings(command: Command, names: readonly SettingName[]): Command {
  for (const name of names) command.addOption(optionFor(name));
  return command;
}

/** The Config for what commander parsed and the environment. Throws ConfigError. */
export function readConfig(command: Command, names: readonly SettingName[]): Config {
  const given: Record<string, string | boolean | undefined> = command.opts();
  const flags = names.map((name): [SettingName, string | undefined] => {
    const value = given[optionFor(name).attributeName()];
    return [name, value === undefined ? undefined : String(value)];
  });
  return loadConfig({ flags: Object.fromEntries(flags), env: process.env, names });
}
