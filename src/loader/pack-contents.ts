// What goes into a pack of the modules that a process has loaded: their code, and the files to watch.
// Rules: what a pack cannot hold stays outside and is loaded as ever: ES modules, native ones, modules that import at run time
// (their names count from their own file), and what does not compile by itself.
import { readFileSync } from "node:fs";
import { dirname, extname, resolve } from "node:path";
import { types } from "node:util";
import { Script } from "node:vm";
import { installFoldersOf, installMarksOf } from "./install-marks.ts";
import { wrapperStart } from "./pack.ts";
import type { Resolutions } from "./pack.ts";
import type { PackRecorder } from "./pack-recorder.ts";
import type { PackedModule } from "./pack-writer.ts";
import { loader } from "./packed-modules.ts";
import { lookAtFile } from "./packed-file.ts";
import type { PackedFile } from "./packed-file.ts";

/** More than this is not loaded for one request in earnest. */
const maxModules = 5000;
const maxBytes = 32 * 1024 * 1024;

export interface PackContents {
  readonly modules: readonly PackedModule[];
  readonly resolutions: Resolutions;
  readonly files: readonly PackedFile[];
  /** Modules that a pack cannot hold. */
  readonly outside: readonly string[];
}

/** What was loaded from node_modules folders until now, without the `known` files. The recorder records no more. */
export async function packContents(recorder: PackRecorder, known: ReadonlySet<string>): Promise<PackContents> {
  recorder.stop();
  const { resolutions } = recorder;
  const modules: PackedModule[] = [];
  const files: PackedFile[] = [];
  const outside: string[] = [];
  let bytes = 0;
  for (const file of recorder.installed(known)) {
    const watched = lookAtFile(file, Date.now());
    if (watched === undefined) continue; // too young: another process will do it
    const code = extname(file) === ".mjs" ? await convert(file, resolutions) : codeOf(file);
    if (code === undefined || (bytes += code.length) > maxBytes || modules.length === maxModules) {
      outside.push(file);
      continue;
    }
    modules.push({ file, code });
    files.push(watched);
  }
  return {
    modules,
    resolutions: Object.fromEntries([...resolutions].map(([folder, names]) => [folder, Object.fromEntries(names)])),
    files: [...files, ...watchInstalls(modules)],
    outside,
  };
}

/**
 * An ES module that says what `require` gives, as packages have it that support both: a CommonJS package costs nothing to
 * start, and one ES module in it would cost as much as all else. Others stay outside.
 */
async function convert(file: string, resolutions: Map<string, Map<string, string>>): Promise<string | undefined> {
  const text = readText(file);
  if (!/\bas\s*["']module\.exports["']/.test(text)) return undefined;
  const { convertEsModule } = await import("./compile.ts");
  const code = await convertEsModule(file, text);
  if (code === undefined) return undefined;
  const names = resolutions.get(dirname(file)) ?? new Map<string, string>();
  for (const [, name = ""] of code.matchAll(/\brequire\("(\.[^"]*)"\)/g)) names.set(name, resolve(dirname(file), name));
  resolutions.set(dirname(file), names);
  return asciiOf(`${code}\nmodule.exports = module.exports["module.exports"];`);
}

function codeOf(file: string): string | undefined {
  const isEsModule = types.isModuleNamespaceObject(loader._cache[file]?.exports);
  if (isEsModule || ![".js", ".cjs", ".json"].includes(extname(file))) return undefined;
  const text = readText(file);
  if (extname(file) === ".json") return `module.exports = JSON.parse(${literalOf(text)});`;
  const code = asciiOf(text.replace(/^#!/, "//"));
  if (code === undefined) return undefined;
  if (/\bimport\s*\(/.test(withoutComments(code))) return undefined; // types in comments import, too
  try {
    void new Script(`(${wrapperStart}${code}\n})`);
    return code;
  } catch {
    return undefined;
  }
}

/** JSON as a literal of JavaScript's, without the space between its tokens: some packages have a megabyte of it. */
function literalOf(json: string): string {
  let isInText = false;
  const compact = json.replaceAll(/\\.|"|\s+/g, (found) => {
    if (found === '"') isInText = !isInText;
    return isInText || found === '"' ? found : "";
  });
  return `'${escaped(compact.replaceAll(/['\\]/g, String.raw`\$&`))}'`;
}

function escaped(text: string): string {
  // eslint-disable-next-line no-control-regex -- all that is not ASCII
  return text.replaceAll(/[^\0-\x7F]/g, (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, "0")}`);
}

/**
 * A text with other characters escaped, since V8 takes twice as long for a text that has any; undefined where an escape could
 * mean something else: after a backslash, in a template that a function gets as it is written, for the ends of lines.
 */
function asciiOf(code: string): string | undefined {
  // eslint-disable-next-line no-control-regex -- all that is not ASCII
  if (!/[^\0-\x7F]/.test(code)) return code;
  if (/\\[^\0-\x7F]|[\u2028\u2029]/.test(code) || withoutComments(code).split("\n").some(mayShowRaw)) return undefined;
  return escaped(code);
}

/** Whether a function may get a template of this line as it is written, with a character that is not ASCII or a next line. */
function mayShowRaw(line: string): boolean {
  const parts = line.split("`");
  return parts.some((text, index) => {
    if (index % 2 === 1 || index === parts.length - 1 || !/[\w$)\]]$/.test(text)) return false;
    // eslint-disable-next-line no-control-regex -- all that is not ASCII
    return index + 2 >= parts.length || /[^\0-\x7F]/.test(parts[index + 1] ?? "");
  });
}

/** Without the comments that begin a line, and those for documentation. */
function withoutComments(code: string): string {
  return code.replaceAll(/^\s*\/\/.*$|(?<=^|\s)\/\*\*[^]*?\*\//gm, "");
}

function readText(file: string): string {
  return readFileSync(file, "utf8").replace(/^\uFEFF/, "");
}

/** The node_modules folders that modules came from, with the marks of who installed them. */
function watchInstalls(modules: readonly PackedModule[]): PackedFile[] {
  const folders = new Set(modules.flatMap(({ file }) => installFoldersOf(file)));
  return [...folders].flatMap(installMarksOf).flatMap((path) => {
    const file = lookAtFile(path, Infinity);
    return file === undefined ? [] : [file];
  });
}
