// From defaults, environment and flags to one frozen Config.
// Rules: a flag goes before the environment, and that before the default; an empty variable is one that is not set; every
// problem is found before any is reported, and each names where its value came from.

import { ConfigError, messageOf } from "../errors.ts";
import type { Config, Setting, SettingName } from "./settings.ts";
import { settings } from "./settings.ts";

export interface ConfigSources {
  /** What was given on the command line, by setting; undefined where nothing was. */
  readonly flags: Readonly<Partial<Record<SettingName, string | undefined>>>;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** The settings that the command uses: variables for others are not looked at. */
  readonly names: readonly SettingName[];
}

interface Given {
  readonly source: string;
  readonly text: string;
}

function find(name: SettingName, { flags, env }: ConfigSources): Given | undefined {
  const { flag, env: variable } = settings[name];
  const fromFlag = flags[name];
  if (fromFlag !== undefined) return { source: `--${flag}`, text: fromFlag };
  const fromEnv = env[variable];
  return fromEnv === undefined || fromEnv === "" ? undefined : { source: variable, text: fromEnv };
}

/** Throws ConfigError with a sentence for every value that cannot be used. */
export function loadConfig(sources: ConfigSources): Config {
  const issues: string[] = [];
  const values = Object.entries(settings).map(([name, setting]: [string, Setting<unknown>]) => {
    const given = sources.names.some((used) => used === name) ? find(name as SettingName, sources) : undefined;
    if (given === undefined) return [name, setting.default];
    try {
      return [name, setting.parse(given.text)];
    } catch (error) {
      issues.push(`${given.source} ${JSON.stringify(given.text)}: ${messageOf(error)}`);
      return [name, setting.default];
    }
  });
  if (issues.length > 0) throw new ConfigError(issues);
  return Object.freeze(Object.fromEntries(values) as Config);
}
