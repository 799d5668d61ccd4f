// What Apache's configuration and .htaccess files together say about one folder and the files in it.
// Rules: merged in Apache's order: <Directory> from the root down, after each the .htaccess of that folder if it is allowed, then
// <DirectoryMatch>, <Files>, <Location>. <If> is not evaluated. Where no configuration is known, .htaccess files are taken to count.

import { dirname, join } from "node:path";
import { textOf } from "./access.ts";
import type { Configuration } from "./configuration.ts";
import { htaccessInForce, wildcard } from "./configuration.ts";
import type { ReadDirective } from "./directive-text.ts";
import { readDirectives } from "./directive-text.ts";
import { canOverride } from "./htaccess-directives.ts";
import type { ServedPlace } from "./served.ts";

/** A value and the directive that it comes from. */
export interface Said<Value> {
  readonly value: Value;
  readonly by: ReadDirective | undefined;
}

export interface Layer {
  readonly directives: readonly ReadDirective[];
  /** Where it stands: outside of every section, in a section for folders, in an .htaccess. */
  readonly scope: "server" | "folder" | "htaccess";
  /** What an .htaccess at this place may hold: AllowOverride as it is then. */
  readonly override: Override;
}

export interface Override {
  /** "all", or the classes in lower case. */
  readonly classes: ReadonlySet<string>;
  /** Names of AllowOverrideList in lower case. */
  readonly list: ReadonlySet<string>;
  /** Of AllowOverride Options=...; undefined: all. */
  readonly options: ReadonlySet<string> | undefined;
  readonly by: ReadDirective | undefined;
}

export interface HtaccessFile {
  readonly file: string;
  readonly directives: readonly ReadDirective[];
  readonly override: Override;
  /** False: AllowOverride None, so that Apache does not look at it. */
  readonly isRead: boolean;
}

export interface FolderSetup {
  readonly folder: string;
  readonly layers: readonly Layer[];
  readonly htaccess: readonly HtaccessFile[];
  /** undefined: no configuration is known that serves the folder. */
  readonly place: ServedPlace | undefined;
  readonly configuration: Configuration | undefined;
}

const everything: Override = { classes: new Set(["all"]), list: new Set(), options: undefined, by: undefined };
const nothing: Override = { classes: new Set(), list: new Set(), options: undefined, by: undefined };

function overrideOf(before: Override, directives: readonly ReadDirective[]): Override {
  let { classes, list, options, by } = before;
  for (const directive of directives) {
    const words = directive.args.map((arg) => arg.toLowerCase());
    if (directive.name.toLowerCase() === "allowoverride") {
      const named = words.find((word) => word.startsWith("options="));
      classes = new Set(words.filter((word) => word !== "none").map((word) => word.replace(/[=].*$/, "")));
      options = named === undefined ? undefined : new Set(named.slice("options=".length).split(","));
      by = directive;
    } else if (directive.name.toLowerCase() === "allowoverridelist") {
      list = new Set(words.filter((word) => word !== "none"));
    }
  }
  return { classes, list, options, by };
}

/** The folders from the root to `folder`, both included. */
function levels(folder: string): string[] {
  const parent = dirname(folder);
  return parent === folder ? [folder] : [...levels(parent), folder];
}

export function expression(pattern: string): RegExp | undefined {
  const flags = pattern.startsWith("(?i)") ? "i" : "";
  try {
    return new RegExp(pattern.replace(/^\(\?i\)/, ""), flags);
  } catch {
    return undefined; // an expression that only Apache's library knows
  }
}

function isDirectorySection({ name, children }: ReadDirective): boolean {
  return children !== undefined && name.toLowerCase() === "directory";
}

function matchesLevel({ args }: ReadDirective, level: string): boolean {
  const [pattern = ""] = args;
  if (pattern === "~") return false;
  const path = pattern.length > 1 ? pattern.replace(/\/+$/, "") : pattern;
  return /[*?[]/.test(path) ? wildcard(path).test(level) : path === level;
}

function matchesByExpression({ name, args }: ReadDirective, folder: string): boolean {
  const lower = name.toLowerCase();
  const pattern = lower === "directorymatch" ? args[0] : lower === "directory" && args[0] === "~" ? args[1] : undefined;
  return pattern !== undefined && expression(pattern)?.test(`${folder}/`) === true;
}

export interface SetupOptions {
  readonly folder: string;
  readonly place: ServedPlace | undefined;
  readonly configuration: Configuration | undefined;
}

/** The .htaccess of a folder, with what Apache takes of it; undefined when there is none. */
function htaccessAt(
  level: string,
  override: Override,
  configuration: Configuration | undefined,
): HtaccessFile | undefined {
  const file = join(level, ".htaccess");
  const text = textOf(file);
  if (text === undefined) return undefined;
  const directives = htaccessInForce(readDirectives(text, file).directives, configuration?.modules);
  return { file, directives, override, isRead: override.classes.size > 0 || override.list.size > 0 };
}

function layerOf({ directives, override }: HtaccessFile): Layer {
  const allowed = directives.filter((one) => canOverride(one, override) !== "forbidden");
  return { directives: allowed, scope: "htaccess", override };
}

export function folderSetup({ folder, place, configuration }: SetupOptions): FolderSetup {
  // What stands outside of sections comes before all of them.
  const scopes = place?.scopes ?? [];
  const layers = scopes.map((directives): Layer => ({ directives, scope: "server", override: nothing }));
  const htaccess: HtaccessFile[] = [];
  const sections = scopes.flat();
  let override = place === undefined ? everything : nothing;
  for (const level of place === undefined ? [folder] : levels(place.path)) {
    for (const section of sections.filter((one) => isDirectorySection(one) && matchesLevel(one, level))) {
      const { children: directives = [] } = section;
      layers.push({ directives, scope: "folder", override });
      override = overrideOf(override, directives);
    }
    const file = htaccessAt(level, override, configuration);
    if (file !== undefined) htaccess.push(file);
    if (file?.isRead === true) layers.push(layerOf(file));
  }
  for (const section of sections.filter((one) => matchesByExpression(one, place?.path ?? folder))) {
    layers.push({ directives: section.children ?? [], scope: "folder", override });
  }
  return { folder, layers, htaccess, place, configuration };
}
