// From defaults, configuration file, environment and flags to one frozen Config.
// Rules: a flag goes before the environment, that before the file, and that before the default; an empty variable is one
// that is not set; every problem is found before any is reported, and each names where its value came from.

import { ConfigError, messageOf } from "../errors.ts";
import type { Setting } from "./setting.ts";
import type { Config, SettingName } from "./settings.ts";
import { settings } from "./settings.ts";

/** Some of the settings, with values that have been checked. */
export type ConfigValues = { readonly [Name in SettingName]?: Config[Name] | undefined };

export interface ConfigSources {
  /** What was given on the command line, by setting; undefined where nothing was. A repeated flag gives all its texts. */
  readonly flags: Readonly<Partial<Record<SettingName, string | readonly string[] | undefined>>>;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** What a configuration file says. */
  readonly file?: ConfigValues | undefined;
  /** The settings that the command uses: values for others are not looked at. */
  readonly names: readonly SettingName[];
}

export interface ConfigOutcome {
  readonly config: Config;
  /** A sentence for every value that cannot be used; the config has the default in its place. */
  readonly issues: readonly string[];
}

interface Given {
  readonly source: string;
  readonly text: string | readonly string[];
}

function find(name: SettingName, { flags, env }: ConfigSources): Given | undefined {
  const { flag, env: variable } = settings[name];
  const fromFlag = flags[name];
  if (fromFlag !== undefined) return { source: `--${flag}`, text: fromFlag };
  const fromEnv = env[variable];
  return fromEnv === undefined || fromEnv === "" ? undefined : { source: variable, text: fromEnv };
}

/** The value of a text, or of several for a list. Throws an Error that says what is expected. */
export function parseGiven<Value>({ parse, parseItems }: Setting<Value>, text: string | readonly string[]): Value {
  if (typeof text === "string") return parse(text);
  if (parseItems !== undefined) return parseItems(text);
  throw new Error("expected one value, not a list");
}

/** Makes the Config and collects what is wrong. */
export function resolveConfig(sources: ConfigSources): ConfigOutcome {
  const issues: string[] = [];
  const values = Object.entries(settings).map(([key, setting]: [string, Setting<unknown>]) => {
    const name = key as SettingName;
    if (!sources.names.includes(name)) return [name, setting.default];
    const fallback = sources.file?.[name] ?? setting.default;
    const given = find(name, sources);
    if (given === undefined) return [name, fallback];
    try {
      return [name, parseGiven(setting, given.text)];
    } catch (error) {
      const shown = JSON.stringify(typeof given.text === "string" ? given.text : given.text.join(" "));
      issues.push(`${given.source} ${shown}: ${messageOf(error)}`);
      return [name, fallback];
    }
  });
  return { config: Object.freeze(Object.fromEntries(values) as Config), issues };
}

/** Throws ConfigError with a sentence for every value that cannot be used, after those that are `known` already. */
export function loadConfig(sources: ConfigSources, known: readonly string[] = []): Config {
  const { config, issues } = resolveConfig(sources);
  if (known.length + issues.length > 0) throw new ConfigError([...known, ...issues]);
  return config;
}
