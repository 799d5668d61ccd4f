// A pack: a compiled application together with the installed CommonJS modules that it loads, in one text. A process that
// serves one request starts from it without looking for files, reading and compiling them one by one.
// Rules: it lies beside the entry that it belongs to and is believed only when that entry is fresh, no file that it holds has
// changed, no package was installed since, and the Node is the same; anything else counts as absent. Files appear whole, by
// rename, and a text's name carries the hash of its content.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { CacheEntry, ModuleFormat } from "./entry.ts";
import { isUnchanged } from "./packed-file.ts";
import type { PackedFile } from "./packed-file.ts";

/** Raised when the shape of the index or of the text changes. */
export const packFormat = 2;

/** Which file a name stands for, by the folder of the module that requires it. */
export type Resolutions = Readonly<Record<string, Readonly<Record<string, string>>>>;

export interface Pack {
  readonly format: typeof packFormat;
  readonly node: string;
  /** The bundle that it was made beside. */
  readonly bundle: string;
  /** What it was made with. */
  readonly tools: string;
  /** Name of the text; undefined when the application can only be an ES module. */
  readonly text: string | undefined;
  /** How often it was made anew with modules that were missing. */
  readonly passes: number;
  readonly moduleFormat: ModuleFormat;
  /** Whether any of its code may let a server listen. */
  readonly mayListen: boolean;
  /** Real paths: the application's script, then each module's. */
  readonly files: readonly string[];
  /** The line (from 1) at which each begins in the text. */
  readonly lines: readonly number[];
  /** Where the code of each begins and ends in the text, UTF-16 units. */
  readonly spans: readonly (readonly [start: number, end: number])[];
  readonly resolutions: Resolutions;
  readonly watch: readonly PackedFile[];
  /** Modules that were loaded and that a pack cannot hold. */
  readonly outside: readonly string[];
}

/** A pack is for the Node that made it. */
export const thisNode = `${process.version} ${process.arch}`;

/** The compiler's own files, as an entry knows them. */
export function toolsOf({ tools }: CacheEntry): string {
  return tools.map(({ signature }) => signature).join();
}

/**
 * The pack of an entry when it is there and still true, with its text: an expression whose value is an array of functions,
 * one for each module. Never throws.
 */
export function readPack(
  folder: string,
  entry: CacheEntry,
): { readonly pack: Pack; readonly text: string | undefined } | undefined {
  try {
    const pack = JSON.parse(readFileSync(join(folder, indexName(entry.bundle)), "utf8")) as Pack;
    if (pack.format !== packFormat || pack.node !== thisNode || pack.bundle !== entry.bundle) return undefined;
    if (pack.tools !== toolsOf(entry) || !pack.watch.every(isUnchanged)) return undefined;
    if (pack.text === undefined) return { pack, text: undefined };
    const text = readFileSync(join(folder, pack.text), "latin1");
    return text.length === (pack.spans.at(-1)?.[1] ?? 0) + textEnd.length ? { pack, text } : undefined;
  } catch {
    return undefined; // missing, half a file after a crash, or replaced just now by another process
  }
}

/** What stands between the code of one module and the next. */
export const moduleEnd = "\n},\n";
/** What follows the code of the last module. */
const textEnd = `${moduleEnd}]`;

/** What stands before a module's first line; Node gives a module the same five names. */
export const wrapperStart = "function (exports, require, module, __filename, __dirname) {";

/** What the names of all files of an application begin with. */
export function stemOf(bundle: string): string {
  return bundle.slice(0, bundle.indexOf("-"));
}

export function indexName(bundle: string): string {
  return `${stemOf(bundle)}.pack.json`;
}
