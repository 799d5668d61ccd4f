// What one setting is: an entry of the table in settings.ts.
// Rules: a parser throws an Error that says what it expected, and whoever calls it adds what was given and where; the name
// of the environment variable follows from the flag.

import { resolve } from "node:path";

export interface Setting<Value, Flag extends string = string> {
  /** Without the dashes. */
  readonly flag: Flag;
  /** What stands for the value in the help text; undefined for a switch, whose text is "true". */
  readonly placeholder: string | undefined;
  readonly env: string;
  readonly default: Value;
  /** The default as the help text shows it; undefined when there is nothing to show. */
  readonly defaultText: string | undefined;
  readonly help: string;
  /** Throws an Error whose message says what is expected. For a list, the text of all its items. */
  readonly parse: (text: string) => Value;
  /** For a list, whose flag may be repeated: makes the value of items that are separate already. */
  readonly parseItems?: ((items: readonly string[]) => Value) | undefined;
  /** What a relative one counts from matters: a file or folder, or an address that may be one. */
  readonly place?: "path" | "address" | undefined;
  /** Whether it is written in octal digits, so that a number would be read as another one. */
  readonly isOctal?: boolean | undefined;
  /** Whether each process group may have its own. */
  readonly isPerGroup: boolean;
}

type Entry<Value, Flag extends string> = Omit<Setting<Value, Flag>, "env" | "isPerGroup">;

function envOf(flag: string): string {
  return `TSGI_${flag.toUpperCase().replaceAll("-", "_")}`;
}

/** The key of the configuration file for a flag: the same name in camelCase. */
export function keyOf({ flag }: Pick<Setting<unknown>, "flag">): string {
  return flag.replace(/-([a-z])/g, (_, letter: string) => letter.toUpperCase());
}

/** A setting of the whole server, or of a command. */
export function define<const Flag extends string, Value>(
  entry: Entry<Value, Flag>,
): Setting<Value, Flag> & { readonly isPerGroup: false } {
  return { ...entry, env: envOf(entry.flag), isPerGroup: false };
}

/** A setting that each process group may have for itself. */
export function definePerGroup<const Flag extends string, Value>(
  entry: Entry<Value, Flag>,
): Setting<Value, Flag> & { readonly isPerGroup: true } {
  return { ...entry, env: envOf(entry.flag), isPerGroup: true };
}

/** The text of a path or address that means the same in every folder; `folder` is what a relative one counts from. */
export function placeText({ place }: Pick<Setting<unknown>, "place">, text: string, folder: string): string {
  if (place === "path" && text !== "") return resolve(folder, text);
  if (place === "address" && /^unix:[^/]/.test(text)) return `unix:${resolve(folder, text.slice("unix:".length))}`;
  return text;
}
