// What of a served folder is an application, what is never sent to anybody, and the directives that see to it.
// Rules: the patterns hold for every file system, so letter case never matters; they are tested on names and paths below
// the folder only, since the folder's own path is the administrator's choice.

import type { Directive } from "./directives.ts";
import { block, line, regexLiteral } from "./directives.ts";

/** File names that are applications when a folder is served: run, never sent. */
export const scriptPattern = String.raw`(?i)\.[cm]?tsx?$`;

interface Hidden {
  readonly why: string;
  /** Whole file names, as alternatives of a regular expression. */
  readonly names: readonly string[];
}

const hiddenNames: readonly Hidden[] = [
  {
    why: "Hidden files and files with secrets.",
    names: [String.raw`\.(?!well-known/)[^/]*`, String.raw`[^/]*\.env(\.[^/]*)?`],
  },
  {
    why: "Sources that are no applications, and copies such as app.ts~ and app.ts.bak.",
    names: [String.raw`[^/]*\.d\.[cm]?ts`, String.raw`[^/]*\.[cm]?tsx?[^a-z0-9/][^/]*`, String.raw`[^/]*\.(jsx|cjs)`],
  },
  {
    why: "Backups and logs.",
    names: [
      String.raw`[^/]*[~#]`,
      String.raw`[^/]*\.(bak|old|orig|rej|save|sw[a-p]|tmp)`,
      String.raw`[^/]*\.log([.-][^/]*)?`,
    ],
  },
  {
    why: "Files of package managers and tools.",
    names: [
      String.raw`(package(-lock)?|npm-shrinkwrap|[jt]sconfig[^/]*)\.json`,
      String.raw`yarn\.lock|pnpm-(lock|workspace)\.yaml|bun\.lockb?|deno\.(jsonc?|lock)`,
      String.raw`[^/]*\.config\.([cm]?[jt]s|json)|[^/]*\.tsbuildinfo`,
      String.raw`(docker-)?compose[^/]*\.ya?ml|Dockerfile[^/]*`,
    ],
  },
];

/** Folders with nothing for visitors; `.well-known` is for them (RFC 8615). */
const hiddenFolders = String.raw`node_modules|\.(?!well-known(/|$))[^/]*`;

/** For `folder`, which is served: what in it is there for other reasons than to be visited. */
export function hideFolders(folder: string): Directive {
  const below = `(?i)^${regexLiteral(folder.replace(/\/+$/, ""))}/(.*/)?(${hiddenFolders})(/|$)`;
  return block("DirectoryMatch", [below], [line("Require", ["all", "denied"])], "Folders that are not for visitors.");
}

/** For the section of a served folder: the files that are never sent. */
export function hideNames(): Directive[] {
  return hiddenNames.map(({ why, names }) =>
    block("FilesMatch", [`(?i)^(${names.join("|")})$`], [line("Require", ["all", "denied"])], why),
  );
}

/** For the section of a folder of which nothing is run: the sources too are never sent. */
export function hideScripts(): Directive {
  return block("FilesMatch", [scriptPattern], [line("Require", ["all", "denied"])], "Sources are never sent.");
}

/**
 * What the conditions below test: a path's hidden folders, hidden names and sources, also with more path behind them,
 * which a server with `AcceptPathInfo On` would ignore.
 */
const hiddenPaths: readonly { readonly why: string; readonly pattern: string }[] = [
  { why: "Folders that are not for visitors.", pattern: `/(${hiddenFolders})/` },
  ...hiddenNames.map(({ why, names }) => ({ why, pattern: `/(${names.join("|")})(/|$)` })),
  { why: "Sources.", pattern: String.raw`\.[cm]?tsx?(/|$)` },
];

/** For a .htaccess file: hidden folders do not exist, not even in a folder below that has rewrite rules of its own. */
export function noHiddenFolders(): Directive {
  const why = "Folders that are not for visitors do not exist, whatever rules the folders below have.";
  const pattern = `(?i)/(${hiddenFolders})(/|$)`;
  return block("IfModule", ["mod_alias.c"], [line("RedirectMatch", [404, pattern], why)]);
}

/**
 * Conditions of mod_rewrite that hold for a path that may be sent: hidden names, hidden folders and sources fail.
 * `path` is a test string that gives the path below the folder, with its first slash.
 */
export function publishedConditions(path: string): Directive[] {
  return hiddenPaths.map(({ why, pattern }) => line("RewriteCond", [path, `!(?i)${pattern}`], why));
}

/** The same as an expression for `<If>`, on the path of the URL. No pattern has a comma, which delimits them here. */
export function publishedExpression(): string {
  return hiddenPaths.map(({ pattern }) => `%{REQUEST_URI} !~ m,${pattern},i`).join(" && ");
}
