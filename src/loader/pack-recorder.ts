// Watches which installed modules a process loads, and by which names, to put them into a pack.
// Rules: it changes nothing of what is loaded; what a pack cannot hold stays outside and is loaded as ever: ES modules, native
// ones, modules that import at run time (their names count from their own file), and what does not compile by itself.
import { existsSync, readFileSync } from "node:fs";
import { dirname, extname, isAbsolute, join, resolve, sep } from "node:path";
import { types } from "node:util";
import { Script } from "node:vm";
import { wrapperStart } from "./pack.ts";
import type { PackedModule, Resolutions } from "./pack.ts";
import { loader } from "./packed-modules.ts";
import { signatureOf, watchFile } from "./watch.ts";
import type { WatchedFile } from "./watch.ts";

/** More than this is not loaded for one request in earnest. */
const maxModules = 5000;
const maxBytes = 32 * 1024 * 1024;

/** What package managers write when they have changed a node_modules folder. */
const installMarks = [".package-lock.json", ".yarn-integrity", ".yarn-state.yml", ".modules.yaml"];

export interface Recorded {
  readonly modules: readonly PackedModule[];
  readonly resolutions: Resolutions;
  readonly files: readonly WatchedFile[];
}

export class PackRecorder {
  readonly #resolutions = new Map<string, Map<string, string>>();
  readonly #skipped: string;
  readonly #original = loader._resolveFilename;
  readonly #recording: typeof loader._resolveFilename;

  /** Records from now on. `skipped` is a folder whose modules are none of the application's. */
  constructor(skipped: string) {
    this.#skipped = skipped + sep;
    const resolutions = this.#resolutions;
    const original = this.#original;
    this.#recording = function recordedResolution(this: unknown, ...parameters: Parameters<typeof original>): string {
      const [name, parent, , options] = parameters;
      const file = Reflect.apply(original, this, parameters);
      // eslint-disable-next-line typescript/no-unnecessary-condition -- Node asks for its main module without a parent
      if (typeof parent?.filename === "string" && options === undefined) {
        const folder = dirname(parent.filename);
        const names = resolutions.get(folder) ?? new Map<string, string>();
        resolutions.set(folder, names.set(name, file));
      }
      return file;
    };
    Object.assign(loader, { _resolveFilename: this.#recording });
  }

  /** What was loaded from node_modules folders until now, without the `known` files. Records no more. */
  async end(known: ReadonlySet<string>): Promise<Recorded> {
    if (loader._resolveFilename === this.#recording) Object.assign(loader, { _resolveFilename: this.#original });
    const modules: PackedModule[] = [];
    const files: WatchedFile[] = [];
    let bytes = 0;
    for (const [file, module] of Object.entries(loader._cache)) {
      if (module?.loaded !== true || known.has(file) || !this.#isInstalled(file)) continue;
      const watched = watchFile(file, Date.now());
      const code = extname(file) === ".mjs" ? await this.#convert(file) : codeOf(file, module);
      if (code === undefined || (bytes += code.length) > maxBytes || modules.length === maxModules) continue;
      modules.push({ file, code });
      files.push(watched);
    }
    const resolutions = Object.fromEntries([...this.#resolutions].map(([folder, names]) => [folder, Object.fromEntries(names)]));
    return { modules, resolutions, files: [...files, ...watchInstalls(modules)] };
  }

  /**
   * An ES module that says what `require` gives, as packages have it that support both: a CommonJS package costs nothing to
   * start, and one ES module in it would cost as much as all else. Others stay outside.
   */
  async #convert(file: string): Promise<string | undefined> {
    const text = readText(file);
    if (!/\bas\s*["']module\.exports["']/.test(text)) return undefined;
    const { convertEsModule } = await import("./compile.ts");
    const code = await convertEsModule(file, text);
    if (code === undefined) return undefined;
    const names = this.#resolutions.get(dirname(file)) ?? new Map<string, string>();
    for (const [, name = ""] of code.matchAll(/\brequire\("(\.[^"]*)"\)/g)) names.set(name, resolve(dirname(file), name));
    this.#resolutions.set(dirname(file), names);
    return `${code}\nmodule.exports = module.exports["module.exports"];`;
  }

  #isInstalled(file: string): boolean {
    return isAbsolute(file) && file.includes(`${sep}node_modules${sep}`) && !file.startsWith(this.#skipped);
  }
}

function codeOf(file: string, module: NodeJS.Module): string | undefined {
  if (![".js", ".cjs", ".json"].includes(extname(file)) || types.isModuleNamespaceObject(module.exports)) return undefined;
  const text = readText(file);
  if (extname(file) === ".json") return `module.exports = JSON.parse(${JSON.stringify(text.trim())});`;
  const code = text.replace(/^#!/, "//");
  const bare = code.replaceAll(/^\s*\/\/.*$|(?<=^|\s)\/\*\*[^]*?\*\//gm, ""); // types in comments import, too
  if (/\bimport\s*\(/.test(bare)) return undefined;
  try {
    void new Script(`(${wrapperStart}${code}\n})`);
    return code;
  } catch {
    return undefined;
  }
}

function readText(file: string): string {
  return readFileSync(file, "utf8").replace(/^\uFEFF/, "");
}

/** The node_modules folders that modules came from, with the marks of who installed them. */
function watchInstalls(modules: readonly PackedModule[]): WatchedFile[] {
  const name = `${sep}node_modules${sep}`;
  const folders = new Set<string>();
  for (const { file } of modules) {
    for (let at = file.indexOf(name); at !== -1; at = file.indexOf(name, at + 1)) {
      folders.add(file.slice(0, at + name.length - 1));
    }
  }
  const marks = [...folders].flatMap((folder) => installMarks.map((mark) => join(folder, mark)));
  return [...folders, ...marks.filter((path) => existsSync(path))].map((path) => ({ path, signature: signatureOf(path) }));
}
