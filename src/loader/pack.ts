// A pack: a compiled application together with the installed CommonJS modules that it loads, in one text. A process that
// serves one request starts from it without looking for files, reading and compiling them one by one.
// Rules: it lies beside the entry that it belongs to and is believed only when that entry is fresh, no file that it holds has
// changed, no package was installed since, and the Node is the same; anything else counts as absent. Files appear whole, by
// rename, and a text's name carries the hash of its content.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { CacheEntry, ModuleFormat } from "./entry.ts";
import { mayListen } from "./instance.ts";
import { isUnchanged } from "./packed-file.ts";
import type { PackedFile } from "./packed-file.ts";
import { fingerprint } from "./watch.ts";
import { removeQuietly, writeWhole } from "./whole-file.ts";

/** Raised when the shape of the index or of the text changes. */
const formatNumber = 2;

/** Which file a name stands for, by the folder of the module that requires it. */
export type Resolutions = Readonly<Record<string, Readonly<Record<string, string>>>>;

export interface Pack {
  readonly format: typeof formatNumber;
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
}

/** A module on its way into a pack. */
export interface PackedModule {
  readonly file: string;
  readonly code: string;
}

export interface NewPack extends Pick<Pack, "bundle" | "tools" | "moduleFormat" | "passes" | "resolutions" | "watch"> {
  /** The application first. None: it can only be an ES module. */
  readonly modules: readonly PackedModule[];
  /** The application's source map, JSON. */
  readonly map: string;
}

const thisNode = `${process.version} ${process.arch}`;

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
    if (pack.format !== formatNumber || pack.node !== thisNode || pack.bundle !== entry.bundle) return undefined;
    if (pack.tools !== toolsOf(entry) || !pack.watch.every(isUnchanged)) return undefined;
    if (pack.text === undefined) return { pack, text: undefined };
    const text = readFileSync(join(folder, pack.text), "latin1");
    return text.length === (pack.spans.at(-1)?.[1] ?? 0) + textEnd.length ? { pack, text } : undefined;
  } catch {
    return undefined; // missing, half a file after a crash, or replaced just now by another process
  }
}

/** Stores a pack and removes the one that it replaces. Throws the system's error. */
export function writePack(folder: string, pack: NewPack): void {
  const { modules, map, ...rest } = pack;
  const { code, lines, spans } = joined(modules);
  const name = modules.length === 0 ? undefined : `${stemOf(pack.bundle)}-${fingerprint(code)}.pack`;
  const before = readPackIndex(folder, pack.bundle)?.text;
  if (name !== undefined) {
    writeWhole(folder, `${name}.map`, Buffer.from(map));
    writeWhole(folder, name, Buffer.from(code));
  }
  const index: Pack = {
    format: formatNumber,
    node: thisNode,
    ...rest,
    text: name,
    mayListen: modules.length > 1 || modules.some(({ code: own }) => mayListen(own)),
    files: modules.map(({ file }) => file),
    lines,
    spans,
  };
  writeWhole(folder, indexName(pack.bundle), Buffer.from(JSON.stringify(index)));
  if (before !== undefined && before !== name) {
    for (const ending of ["", ".map", ".code"]) removeQuietly(join(folder, before + ending));
  }
}

/** The modules that a text was made of. */
export function modulesIn(pack: Pack, text: string): PackedModule[] {
  return pack.files.map((file, index) => ({ file, code: text.slice(...(pack.spans[index] ?? [0, 0])) }));
}

function joined(modules: readonly PackedModule[]): Pick<Pack, "lines" | "spans"> & { readonly code: string } {
  const lines: number[] = [];
  const spans: [number, number][] = [];
  let code = "[";
  let line = 1;
  for (const module of modules) {
    lines.push(line);
    const start = code.length + wrapperStart.length;
    spans.push([start, start + module.code.length]);
    code += `${wrapperStart}${module.code}${moduleEnd}`;
    line += 2 + (module.code.match(/\r\n|[\n\r\u2028\u2029]/g)?.length ?? 0);
  }
  return { code: `${code}]`, lines, spans };
}

const moduleEnd = "\n},\n";
/** What follows the code of the last module. */
const textEnd = `${moduleEnd}]`;

/** What stands before a module's first line; Node gives a module the same five names. */
export const wrapperStart = "function (exports, require, module, __filename, __dirname) {";

function readPackIndex(folder: string, bundle: string): Pack | undefined {
  try {
    return JSON.parse(readFileSync(join(folder, indexName(bundle)), "utf8")) as Pack;
  } catch {
    return undefined;
  }
}

function stemOf(bundle: string): string {
  return bundle.slice(0, bundle.indexOf("-"));
}

function indexName(bundle: string): string {
  return `${stemOf(bundle)}.pack.json`;
}
