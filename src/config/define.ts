// The types of a configuration file, made from the table of settings, and the function that gives an editor hold of them.
// Rules: a key is a flag in camelCase; a value is what the flag takes as text, or the number, boolean or list that it means.

import type { SettingName, settings } from "./settings.ts";

type Settings = typeof settings;

type CamelCase<Text extends string> = Text extends `${infer First}-${infer Rest}`
  ? `${First}${Capitalize<CamelCase<Rest>>}`
  : Text;

type KeyOf<Name extends SettingName> = CamelCase<Settings[Name]["flag"]>;

/** What may be written for a value: words stay the words that are known, everything else may be text as well. */
type Written<Value> = Value extends boolean
  ? boolean
  : Value extends number
    ? number | string
    : Value extends string
      ? Value
      : Value extends readonly string[]
        ? string | readonly string[]
        : string;

/** A number would be read as decimal where octal digits are meant. */
type WrittenFor<Name extends SettingName> = Name extends "socketMode" | "umask"
  ? string
  : Written<NonNullable<Settings[Name]["default"]>>;

type Section<Names extends SettingName> = {
  readonly [Name in Names as KeyOf<Name>]?: WrittenFor<Name> | undefined;
};

type PerGroupName = {
  [Name in SettingName]: Settings[Name]["isPerGroup"] extends true ? Name : never;
}[SettingName];

interface Served {
  /** The one application: "app.ts" or "app.ts#export". A folder has its script chosen per request. */
  readonly app?: string | undefined;
  /** Several applications by their mount points, such as `{ "/shop": "shop.ts#application" }`. */
  readonly applications?: Readonly<Record<string, string>> | undefined;
  /** Variables for the workers' environment. */
  readonly env?: Readonly<Record<string, string | number | boolean | undefined>> | undefined;
}

/** A group of processes: settings that it does not have are those of the file's top level. */
export type GroupOptions = Section<PerGroupName> & Served;

/** What a configuration file exports. */
export type ConfigOptions = Section<Exclude<SettingName, "configFile">> &
  Served & {
    /** Groups of processes by name, each with a socket of its own. */
    readonly groups?: Readonly<Record<string, GroupOptions>> | undefined;
  };

/** Gives its argument back; it is there for its type: `export default defineConfig({ processes: 4 })`. */
export function defineConfig(config: ConfigOptions): ConfigOptions {
  return config;
}
