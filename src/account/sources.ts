// Where an application's own files lie, seen from the folder that is served: decides what of that folder may be sent.

import { existsSync, readdirSync, readFileSync, statSync } from "node:fs";
import { basename, dirname, join, relative, sep } from "node:path";
import type { SourcePlace } from "../apache/account.ts";
import { compile } from "../loader/compile.ts";

/** Whether `path` is `folder` or below it; both absolute and real. */
function isWithin(folder: string, path: string): boolean {
  return path === folder || path.startsWith(folder.endsWith(sep) ? folder : `${folder}${sep}`);
}

/** Files that say how to compile are looked for in every folder above an application, and hidden by their names. */
function isSource(path: string): boolean {
  return !/^(package|[jt]sconfig.*)\.json$/.test(basename(path)) && !path.includes(`${sep}node_modules${sep}`);
}

/** The folder of the package that a file belongs to, not above `folder`; the file's own folder without one. */
function packageOf(file: string, folder: string): string {
  for (let above = dirname(file); isWithin(folder, above); above = dirname(above)) {
    if (existsSync(join(above, "package.json"))) return above;
    if (above === folder) break;
  }
  return dirname(file);
}

/**
 * Compiles the application, which runs none of its code, to learn of what files it is made. `file` and `folder` are real
 * paths. Throws LoadError for an application that does not compile.
 */
export async function placeOfSources(file: string, folder: string): Promise<SourcePlace> {
  const outcome = await compile(file);
  if (!outcome.ok) throw outcome.error;
  const files = [file, ...outcome.compiled.watch.files.map(({ path }) => path)];
  const inside = files.filter((path) => isSource(path) && isWithin(folder, path));
  if (inside.length === 0) return { kind: "outside" };
  const home = packageOf(file, folder);
  const isApart = home !== folder && isWithin(folder, home) && inside.every((path) => isWithin(home, path));
  return isApart ? { kind: "below", paths: [relative(folder, home)] } : { kind: "here" };
}

/** How far down, and how many folders, a look for rules goes: it is for a note, and big trees are not worth the time. */
const maxDepth = 3;
const maxFolders = 500;

/** Folders below `folder` with rewrite rules of their own, to which ours do not apply; relative paths. */
export function foldersWithRules(folder: string): string[] {
  const found: string[] = [];
  const waiting = [{ path: folder, depth: 0 }];
  for (let seen = 0; seen < maxFolders; seen += 1) {
    const next = waiting.shift();
    if (next === undefined) break;
    const { path, depth } = next;
    if (depth > 0 && matches(join(path, ".htaccess"), /^\s*RewriteEngine\s+on\b/im)) found.push(relative(folder, path));
    if (depth < maxDepth)
      waiting.push(...foldersIn(path).map((name) => ({ path: join(path, name), depth: depth + 1 })));
  }
  return found;
}

/** Whether an .htaccess file above `folder`, as that of a daemon's folder, says which URL its application has. */
export function isBelowMountPoint(folder: string): boolean {
  for (let at = folder; at !== dirname(at);) {
    at = dirname(at);
    if (matches(join(at, ".htaccess"), /^\s*SetEnv\s+"?TSGI_MOUNT_POINT\b/im)) return true;
  }
  return false;
}

function foldersIn(path: string): string[] {
  try {
    const entries = readdirSync(path, { withFileTypes: true });
    return entries
      .filter((entry) => entry.isDirectory() && !/^(\.|node_modules$)/.test(entry.name))
      .map(({ name }) => name);
  } catch {
    return []; // not for us to read
  }
}

function matches(file: string, pattern: RegExp): boolean {
  try {
    // A pipe of that name would never end.
    return statSync(file).isFile() && pattern.test(readFileSync(file, "latin1"));
  } catch {
    return false; // there is none
  }
}
