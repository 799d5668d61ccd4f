// Where a server's configuration serves a folder: which virtual host, under which URL path, and whether as programs.

import { sep } from "node:path";
import { realPathOf } from "./access.ts";
import type { Configuration } from "./configuration.ts";
import type { ReadDirective } from "./directive-text.ts";
import { below } from "./find-apache.ts";

export interface ServedPlace {
  /** The directives of the main server, then those of the virtual host that serves the folder. */
  readonly scopes: readonly (readonly ReadDirective[])[];
  /** The folder that the URL leads to, as it is configured: a link in it or below it is seen by Apache. */
  readonly base: string;
  /** The folder that was asked for, as Apache gets to it. */
  readonly path: string;
  /** The URL path of the folder that was asked for, without a slash at its end. */
  readonly urlPath: string;
  /** By ScriptAlias: everything in it is run. */
  readonly isScriptAlias: boolean;
  readonly directive: ReadDirective;
}

export function named(directives: readonly ReadDirective[], name: string): ReadDirective[] {
  return directives.filter((one) => one.name.toLowerCase() === name.toLowerCase());
}

/** What follows `folder` in `path`: "" or "/..."; undefined when it lies elsewhere. */
export function pathBelow(folder: string, path: string): string | undefined {
  const base = folder.endsWith(sep) && folder !== sep ? folder.slice(0, -1) : folder;
  if (path === base) return "";
  if (base === sep) return path;
  return path.startsWith(`${base}${sep}`) ? path.slice(base.length) : undefined;
}

interface Mapping {
  readonly base: string;
  readonly url: string;
  readonly isScriptAlias: boolean;
  readonly directive: ReadDirective;
}

function mappings(directives: readonly ReadDirective[], root: string): Mapping[] {
  return directives.flatMap((directive) => {
    const [first = "", second = ""] = directive.args;
    switch (directive.name.toLowerCase()) {
      case "documentroot":
        return [{ base: below(root, first), url: "", isScriptAlias: false, directive }];
      case "alias":
      case "scriptalias": {
        if (second === "") return [];
        const isScriptAlias = directive.name.toLowerCase() === "scriptalias";
        return [{ base: below(root, second), url: first.replace(/\/+$/, ""), isScriptAlias, directive }];
      }
      default:
        return [];
    }
  });
}

function rest(mapping: Mapping, folder: string): string | undefined {
  return pathBelow(mapping.base, folder) ?? pathBelow(realPathOf(mapping.base), realPathOf(folder));
}

/** A virtual host has the aliases of the main server too, and its folder unless it names one. */
function inherited(main: readonly Mapping[], own: readonly Mapping[]): Mapping[] {
  const hasRoot = own.some(({ url, isScriptAlias }) => url === "" && !isScriptAlias);
  return [...own, ...main.filter(({ directive }) => !hasRoot || directive.name.toLowerCase() !== "documentroot")];
}

/** The places of a folder, in each virtual host the longest way; first those of virtual hosts, which come before the main server. */
export function servedPlaces({ directives, root }: Configuration, folder: string): ServedPlace[] {
  const main = directives.filter((one) => one.name.toLowerCase() !== "virtualhost");
  const general = mappings(main, root);
  const hosts = named(directives, "VirtualHost").map(({ children = [] }) => ({
    scopes: [main, children],
    all: inherited(general, mappings(children, root)),
  }));
  return [...hosts, { scopes: [main], all: general }].flatMap(({ scopes, all }) => {
    const candidates = all.flatMap((mapping) => {
      const path = rest(mapping, folder);
      return path === undefined ? [] : { ...mapping, path: mapping.base + path, urlPath: mapping.url + path };
    });
    const [best] = candidates.sort((one, other) => other.base.length - one.base.length);
    return best === undefined ? [] : [{ ...best, scopes }];
  });
}

/** The last word of a directive that is not inside any section. */
export function serverSetting(scopes: readonly (readonly ReadDirective[])[], name: string): ReadDirective | undefined {
  return scopes.toReversed().flatMap((directives) => named(directives, name).slice(-1))[0];
}
