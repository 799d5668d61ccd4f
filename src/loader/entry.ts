// One compiled script in the cache folder: an index file that says what it was made from, and the bundle it names.
// Rules: files appear whole, by rename. An index is believed only when every field of it has the right shape and the bundle
// has its length; anything else counts as absent and is written anew. A bundle's name carries the hash of its content, so a
// name never means two things. The last two bundles of a script stay, and who finds his bundle gone asks the index again.
import { readdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { checkWatch, fingerprint, signatureOf } from "./watch.ts";
import type { Watch, WatchedFile } from "./watch.ts";
import { removeQuietly, writeWhole } from "./whole-file.ts";

/** Raised when the shape of the index or the text around a bundle changes. */
const formatNumber = 1;

const bundleName = /^[\da-f]+-[\da-f]+\.mjs$/;

/** Other scripts' files that nobody has written for this long are removed when something is compiled. */
const forgottenMs = 30 * 24 * 3_600_000;
const abandonedMs = 10 * 60_000;

/** Which script a cache entry is for. All of it takes part in the entry's name. */
export interface EntryKey {
  /** Real path of the script. */
  readonly script: string;
  /** Folder of the running package's library: its own address is written into bundles that import "tsgi". */
  readonly packageRoot: string;
  readonly nodeMajor: string;
}

/** How the script itself is written; decides where its exports are looked for. */
export type ModuleFormat = "esm" | "cjs";

export interface CacheEntry {
  readonly format: typeof formatNumber;
  readonly key: EntryKey;
  /** For people who look; whether the compiler is the same is decided by `tools`. */
  readonly versions: { readonly tsgi: string; readonly esbuild: string };
  /** The compiler's own files. A changed one makes the entry stale; a missing one does not, for what has gone cannot differ. */
  readonly tools: readonly WatchedFile[];
  readonly bundle: string;
  readonly bundleBytes: number;
  readonly moduleFormat: ModuleFormat;
  readonly watch: Watch;
}

/** What a compiler hands over to be stored. */
export type NewEntry = Pick<CacheEntry, "key" | "versions" | "tools" | "moduleFormat" | "watch"> & {
  readonly code: string;
  /** Hash of `code`, hexadecimal. */
  readonly hash: string;
};

/** The entry of a script when it is there, whole and still true; undefined otherwise. Never throws for what it finds. */
export function readEntry(folder: string, key: EntryKey, nowMs: number): CacheEntry | undefined {
  const entry = readIndex(folder, key);
  if (entry === undefined) return undefined;
  if (bundleBytes(join(folder, entry.bundle)) !== entry.bundleBytes) return undefined;
  if (entry.tools.some((tool) => isChangedTool(tool))) return undefined;
  const { change, settled } = checkWatch(entry.watch, nowMs);
  if (change !== undefined) return undefined;
  if (settled === undefined) return entry;
  const aged = { ...entry, watch: settled };
  tryWriteIndex(folder, aged);
  return aged;
}

/** Stores a bundle, then the index that names it, then removes what is no longer needed. Throws the system's error. */
export function writeEntry(folder: string, entry: NewEntry, nowMs: number): CacheEntry {
  const previous = readIndex(folder, entry.key)?.bundle;
  const { code, hash, ...rest } = entry;
  const bundle = `${stemOf(entry.key)}-${hash}.mjs`;
  const bytes = Buffer.from(code);
  const stored: CacheEntry = { format: formatNumber, ...rest, bundle, bundleBytes: bytes.length };
  if (bundleBytes(join(folder, bundle)) !== bytes.length) writeWhole(folder, bundle, bytes);
  writeWhole(folder, `${stemOf(entry.key)}.json`, Buffer.from(JSON.stringify(stored)));
  removeOld(folder, stemOf(entry.key), [bundle, previous], nowMs);
  return stored;
}

function stemOf(key: EntryKey): string {
  return fingerprint([key.script, key.packageRoot, key.nodeMajor].join("\0"));
}

function isChangedTool(tool: WatchedFile): boolean {
  const signature = signatureOf(tool.path);
  return signature !== "" && signature !== tool.signature;
}

function bundleBytes(path: string): number {
  return statSync(path, { throwIfNoEntry: false })?.size ?? -1;
}

function readIndex(folder: string, key: EntryKey): CacheEntry | undefined {
  const stem = stemOf(key);
  try {
    const value: unknown = JSON.parse(readFileSync(join(folder, `${stem}.json`), "utf8"));
    return isEntry(value, stem) && isSameKey(value.key, key) ? value : undefined;
  } catch {
    return undefined; // Missing, half a file after a crash, or not ours: compile again.
  }
}

function isSameKey(one: EntryKey, other: EntryKey): boolean {
  return one.script === other.script && one.packageRoot === other.packageRoot && one.nodeMajor === other.nodeMajor;
}

function isEntry(value: unknown, stem: string): value is CacheEntry {
  if (!isRecord(value) || value["format"] !== formatNumber) return false;
  const { key, versions, tools, bundle, bundleBytes: length, moduleFormat, watch } = value;
  if (!hasStrings(key, ["script", "packageRoot", "nodeMajor"]) || !hasStrings(versions, ["tsgi", "esbuild"]))
    return false;
  if (typeof bundle !== "string" || !bundle.startsWith(`${stem}-`) || !bundleName.test(bundle)) return false;
  if (typeof length !== "number" || (moduleFormat !== "esm" && moduleFormat !== "cjs")) return false;
  return areFiles(tools) && isRecord(watch) && areFiles(watch["files"]) && areStrings(watch["absent"]);
}

function areFiles(value: unknown): boolean {
  return Array.isArray(value) && value.every((file) => isWatchedFile(file));
}

function isWatchedFile(value: unknown): boolean {
  if (!hasStrings(value, ["path", "signature"])) return false;
  return value["young"] === undefined || typeof value["young"] === "string";
}

function hasStrings(value: unknown, names: readonly string[]): value is Record<string, unknown> {
  return isRecord(value) && names.every((name) => typeof value[name] === "string");
}

function areStrings(value: unknown): boolean {
  return Array.isArray(value) && value.every((item) => typeof item === "string");
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function tryWriteIndex(folder: string, entry: CacheEntry): void {
  try {
    writeWhole(folder, `${stemOf(entry.key)}.json`, Buffer.from(JSON.stringify(entry)));
  } catch {
    // A full or read-only disk: the entry stays as it was, and its young files are compared by content once more.
  }
}

function removeOld(folder: string, stem: string, kept: readonly (string | undefined)[], nowMs: number): void {
  for (const name of readdirSync(folder)) {
    const path = join(folder, name);
    if (name.startsWith(`${stem}-`) && name.endsWith(".mjs")) {
      if (!kept.includes(name)) removeQuietly(path);
    } else if (
      /^[\da-f]+(?:-[\w.]+)?\.(?:mjs|json|pack|map|code|turn|proof)(?:\.[\w.]+\.tmp)?$/.test(name) &&
      name !== `${stem}.json`
    ) {
      const ageMs = nowMs - (statSync(path, { throwIfNoEntry: false })?.mtimeMs ?? nowMs);
      if (ageMs > (name.endsWith(".tmp") ? abandonedMs : forgottenMs)) removeQuietly(path);
    }
  }
}
