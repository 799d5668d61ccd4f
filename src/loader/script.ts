// Chooses the script of a request from the file name that the web server gives: SCRIPT_FILENAME -> a file inside a root.
// Rules: from left to right, as Apache's own directory walk does: folders go on, and the first name that is no folder is the
// script or nothing is. Nothing is guessed, decoded, cut or tried again further back. "not-found" (404) is for what is not
// there, "refused" (403) for what is there and must not run.
import { realpathSync, statSync } from "node:fs";
import type { Stats } from "node:fs";
import { extname, sep } from "node:path";
import { LoadError, messageOf, systemCodeOf } from "../errors.ts";

export interface ScriptMatch {
  /** Real path of the script: what was checked is what gets loaded. */
  readonly file: string;
  /** What follows the script in the path, "" or "/...", spelled as it was given. */
  readonly rest: string;
}

const scriptExtensions: ReadonlySet<string> = new Set([".ts", ".mts", ".cts", ".js", ".mjs", ".cjs", ".tsx", ".jsx"]);

/**
 * A script that was found is found again for this long without a look at the disk. It stands for a real path: what changes
 * in that time is noticed late, but no other file runs than the one that was checked.
 */
const rememberedMs = 1_000;
const maxRemembered = 1_000;

interface Remembered {
  readonly file: string;
  readonly until: number;
}

/** By root, then by the script's path as it was asked for. */
const remembered = new Map<string, Map<string, Remembered>>();

/**
 * Finds the script that `path` names inside `root`, both absolute. `path` may be text, or bytes as latin-1 as they are in
 * an environ. Throws LoadError "not-found" or "refused" with the reason.
 */
export function findScript(root: string, path: string): ScriptMatch {
  if (!path.startsWith("/") || path.includes("\0") || /\/\.\.(?:\/|$)/.test(path)) throw absent(path);
  const scripts = remembered.get(root) ?? new Map<string, Remembered>();
  const now = performance.now();
  for (let end = path.indexOf("/", 1); ; end = path.indexOf("/", end + 1)) {
    const asked = end === -1 ? path : path.slice(0, end);
    const known = scripts.get(asked);
    if (known !== undefined && now < known.until) return { file: known.file, rest: path.slice(asked.length) };
    if (end === -1) break;
  }
  const match = walk(root, path);
  if (remembered.size >= maxRemembered) remembered.clear();
  if (scripts.size >= maxRemembered) scripts.clear();
  scripts.set(path.slice(0, path.length - match.rest.length), { file: match.file, until: now + rememberedMs });
  remembered.set(root, scripts);
  return match;
}

function walk(root: string, path: string): ScriptMatch {
  const realRoot = realRootOf(root);
  const components = path.split("/").slice(1);
  let place = "";
  for (const [index, component] of components.entries()) {
    if (component === "" || component === ".") throw absent(path);
    place += `/${nameOf(component)}`;
    const status = statusOf(place);
    if (status === undefined) throw absent(path);
    if (status.isDirectory()) continue;
    const file = realPathOf(place, path);
    const reason = whyRefused({ place, file, roots: [realRoot, root].map(withSeparator), status });
    if (reason !== undefined) throw new LoadError("refused", `${place} is not served: ${reason}`);
    const rest = components.slice(index + 1);
    return { file, rest: rest.length === 0 ? "" : `/${rest.join("/")}` };
  }
  throw absent(path);
}

interface Candidate {
  readonly place: string;
  readonly file: string;
  /** The root, real path first, with a separator at the end. */
  readonly roots: readonly string[];
  readonly status: Stats;
}

function whyRefused({ place, file, roots, status }: Candidate): string | undefined {
  const [realRoot = ""] = roots;
  if (!file.startsWith(realRoot)) return `it lies outside the script root ${realRoot}`;
  const root = roots.find((folder) => place.startsWith(folder));
  const asked = root === undefined ? [] : place.slice(root.length).split(sep);
  const components = [...asked, ...file.slice(realRoot.length).split(sep)];
  if (components.some((component) => component.startsWith("."))) return "a name in its path starts with a dot";
  if (components.includes("node_modules")) return "it lies in node_modules";
  if (!status.isFile()) return "it is not a regular file";
  for (const name of [place, file]) {
    if (!scriptExtensions.has(extname(name))) return `its name does not end in ${[...scriptExtensions].join(", ")}`;
    if (/\.d\.[cm]?ts$/.test(name)) return "it is a declaration file";
  }
  return (status.mode & 0o002) === 0 ? undefined : "it is writable for everybody";
}

function statusOf(place: string): Stats | undefined {
  try {
    return statSync(place, { throwIfNoEntry: false });
  } catch (error) {
    if (systemCodeOf(error) === "ENAMETOOLONG") return undefined;
    throw new LoadError("refused", `${place} cannot be looked at: ${messageOf(error)}`, error);
  }
}

function realPathOf(place: string, path: string): string {
  try {
    return realpathSync.native(place);
  } catch {
    throw absent(path); // Gone since the look at its status.
  }
}

function realRootOf(root: string): string {
  try {
    return realpathSync.native(root);
  } catch (error) {
    throw new LoadError("not-found", `the script root ${root} cannot be used: ${messageOf(error)}`, error);
  }
}

/** A component as a file name: bytes in latin-1 become the UTF-8 text that they are, anything else is a name already. */
function nameOf(component: string): string {
  if (!/[\u0080-\u00FF]/.test(component) || /[^\0-\u00FF]/.test(component)) return component;
  const text = Buffer.from(component, "latin1").toString("utf8");
  return text.includes("\uFFFD") ? component : text;
}

function withSeparator(folder: string): string {
  return folder.endsWith(sep) ? folder : `${folder}${sep}`;
}

function absent(path: string): LoadError {
  return new LoadError("not-found", `no script for ${JSON.stringify(path)}`);
}
