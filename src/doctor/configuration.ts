// The configuration of an installed Apache, read as Apache would: Include, Define, IfModule and IfDefine are followed.
// Rules: only files are read and nothing is run; what may not be read is remembered, so that nobody takes half for all.

import { readdirSync } from "node:fs";
import { basename, dirname, isAbsolute, join, resolve } from "node:path";
import { statusOf, textOf } from "./access.ts";
import type { ReadDirective } from "./directive-text.ts";
import { readDirectives } from "./directive-text.ts";

export interface ConfigurationSource {
  readonly file: string;
  /** ServerRoot until the file says another. */
  readonly root: string;
  /** Names given with -D. */
  readonly defines: readonly string[];
  /** Environment of Apache, for ${NAME}. */
  readonly variables: Readonly<Record<string, string>>;
  /** Compiled in: "core", "http", "so". */
  readonly builtIn: readonly string[];
}

export interface Configuration {
  readonly file: string;
  readonly root: string;
  /** Without conditions and includes: only what is in force. */
  readonly directives: readonly ReadDirective[];
  /** Names without "mod_" and "_module", and the file where there is one. */
  readonly modules: ReadonlyMap<string, string>;
  /** Files that could not be read. */
  readonly unread: readonly string[];
}

const maxFiles = 500;

interface Reading {
  root: string;
  readonly defines: Map<string, string>;
  readonly modules: Map<string, string>;
  readonly unread: string[];
  files: number;
}

/** The name of a module as in "rewrite", from "mod_rewrite.c", "rewrite_module" or "mod_rewrite". */
export function moduleName(text: string): string {
  return text
    .replace(/\.c$/, "")
    .replace(/^mod_/, "")
    .replace(/_module$/, "");
}

function expanded(text: string, { defines }: Reading): string {
  return text.replace(/\$\{([A-Za-z_][\w.:-]*)\}/g, (whole, name: string) => defines.get(name) ?? whole);
}

/** A name with * and ? as a regular expression; "/" is matched by neither. */
export function wildcard(pattern: string): RegExp {
  const source = pattern
    .replace(/[.+^${}()|\\]/g, String.raw`\$&`)
    .replaceAll("*", "[^/]*")
    .replaceAll("?", "[^/]");
  return new RegExp(`^${source}$`);
}

function namesIn(folder: string, reading: Reading): string[] {
  try {
    return readdirSync(folder).sort();
  } catch {
    if (statusOf(folder) !== undefined) reading.unread.push(folder);
    return [];
  }
}

/** The files that an Include names, in Apache's order. */
function included(pattern: string, reading: Reading): string[] {
  const path = isAbsolute(pattern) ? pattern : join(reading.root, pattern);
  let found = ["/"];
  for (const part of path.split("/").filter(Boolean)) {
    found = /[*?[]/.test(part)
      ? found.flatMap((folder) =>
          namesIn(folder, reading)
            .filter((name) => wildcard(part).test(name))
            .map((name) => join(folder, name)),
        )
      : found.map((folder) => join(folder, part));
  }
  return found.flatMap((place) =>
    statusOf(place)?.isDirectory() === true ? namesIn(place, reading).map((name) => join(place, name)) : [place],
  );
}

function readFile(file: string, reading: Reading): ReadDirective[] {
  reading.files += 1;
  const text = reading.files > maxFiles ? undefined : textOf(file);
  if (text === undefined) {
    reading.unread.push(file);
    return [];
  }
  return inForce(readDirectives(text, file).directives, reading);
}

/** The condition of IfModule, IfDefine and their kind; undefined when the section is none of them. */
function holds({ name, args }: ReadDirective, reading: Reading): boolean | undefined {
  const [word = ""] = args;
  const wanted = word.replace(/^!/, "");
  const isTrue = (value: boolean): boolean => value !== word.startsWith("!");
  switch (name.toLowerCase()) {
    case "ifmodule":
      return isTrue(reading.modules.has(moduleName(wanted)));
    case "ifdefine":
      return isTrue(reading.defines.has(wanted));
    case "iffile":
      return isTrue(statusOf(resolve(reading.root, expanded(wanted, reading))) !== undefined);
    case "ifversion":
    case "ifdirective":
    case "ifsection":
      return true;
    default:
      return undefined;
  }
}

function inForce(directives: readonly ReadDirective[], reading: Reading): ReadDirective[] {
  return directives.flatMap((directive) => {
    if (directive.children !== undefined) {
      const condition = holds(directive, reading);
      if (condition !== undefined) return condition ? inForce(directive.children, reading) : [];
    }
    const args = directive.args.map((arg) => expanded(arg, reading));
    const [first = "", second = ""] = args;
    switch (directive.name.toLowerCase()) {
      case "include":
      case "includeoptional":
        return included(first, reading).flatMap((file) => readFile(file, reading));
      case "define":
        reading.defines.set(first, second);
        return [];
      case "undefine":
        reading.defines.delete(first);
        return [];
      case "serverroot":
        reading.root = first;
        break;
      case "loadmodule":
        reading.modules.set(moduleName(first), isAbsolute(second) ? second : join(reading.root, second));
        break;
    }
    const children = directive.children === undefined ? {} : { children: inForce(directive.children, reading) };
    return [{ ...directive, args, ...children }];
  });
}

/** Reads all of it. A file that cannot be read is in `unread`; the first one too. */
export function readConfiguration(source: ConfigurationSource): Configuration {
  const reading: Reading = {
    root: source.root,
    defines: new Map([
      ...Object.entries(source.variables),
      ...source.defines.map((name): [string, string] => [name, ""]),
    ]),
    modules: new Map(source.builtIn.map((name) => [name, ""])),
    unread: [],
    files: 0,
  };
  const directives = readFile(source.file, reading);
  return { file: source.file, root: reading.root, directives, modules: reading.modules, unread: reading.unread };
}

/** The same for an .htaccess: its conditions, with the modules of the server. Without them IfModule is taken to hold. */
export function htaccessInForce(
  directives: readonly ReadDirective[],
  modules: ReadonlyMap<string, string> | undefined,
): readonly ReadDirective[] {
  if (modules === undefined) {
    return directives.flatMap((one) =>
      /^ifmodule$/i.test(one.name) && one.args[0]?.startsWith("!") !== true
        ? htaccessInForce(one.children ?? [], undefined)
        : [one],
    );
  }
  return inForce(directives, { root: "/", defines: new Map(), modules: new Map(modules), unread: [], files: maxFiles });
}

/** The variables of Debian's envvars file, which `apachectl` reads before it starts Apache. */
export function readEnvvars(file: string): Record<string, string> {
  const found: Record<string, string> = { SUFFIX: "" };
  for (const [, name = "", value = ""] of (textOf(file) ?? "").matchAll(/^\s*(?:export\s+)?([A-Z_]\w*)=(.*)$/gm)) {
    found[name] = value
      .trim()
      .replace(/^(["'])(.*)\1$/, "$2")
      .replace(/\$\{?(\w+)\}?/g, (_, of: string) => found[of] ?? "");
  }
  return found;
}

/** Where a program's configuration is, from what `httpd -V` prints. */
export function defaultSource(versionText: string): { readonly file: string; readonly root: string } | undefined {
  const valueOf = (name: string): string | undefined => new RegExp(`-D ${name}="([^"]*)"`).exec(versionText)?.[1];
  const root = valueOf("HTTPD_ROOT");
  const file = valueOf("SERVER_CONFIG_FILE");
  return root === undefined || file === undefined ? undefined : { root, file: resolve(root, file) };
}

/** The folder of a configuration file that has Debian's envvars beside it. */
export function envvarsBeside(file: string): string {
  return basename(file) === "apache2.conf" ? join(dirname(file), "envvars") : "";
}
