// Collects what one compilation reads or looks for: sources, and the tsconfig.json and package.json files that apply to them.
// Rules: a file's signature is taken before its content is read, so that a result never claims newer inputs than it has.
// Files that were looked for and are absent count too: a tsconfig.json that appears later changes the result.
import { readFileSync } from "node:fs";
import { dirname, extname, isAbsolute, join, resolve } from "node:path";
import { signatureOf, watchFile } from "./watch.ts";
import type { Watch, WatchedFile } from "./watch.ts";

/** What an import without or with another extension may stand for. */
const endings = [".ts", ".tsx", ".mts", ".cts", ".js", ".jsx", ".mjs", ".cjs", ".json"];

export class Inputs {
  readonly #files = new Map<string, WatchedFile>();
  readonly #absent = new Set<string>();
  readonly #folders = new Set<string>();

  get watch(): Watch {
    return { files: [...this.#files.values()], absent: [...this.#absent].filter((path) => !this.#files.has(path)) };
  }

  /** A path that differs from what was recorded. Reading is over: nothing may be added after this. */
  findChange(): string | undefined {
    for (const { path, signature } of this.#files.values()) if (signatureOf(path) !== signature) return path;
    for (const path of this.#absent) if (!this.#files.has(path) && signatureOf(path) !== "") return path;
    return undefined;
  }

  /** Records a source file, to be called before its content is read, and the settings that apply to it. */
  addSource(path: string): void {
    this.addFile(path);
    this.#addSettings(dirname(path));
  }

  /** Records a file or folder as it is now; answers whether it is there. */
  addFile(path: string): boolean {
    if (this.#files.has(path)) return true;
    const file = watchFile(path, Date.now());
    if (file.signature === "") this.#absent.add(path);
    else this.#files.set(path, file);
    return file.signature !== "";
  }

  /** Records where Node and esbuild would have found what an import names, had it been there. */
  addMissing(specifier: string, folder: string): void {
    if (/^\.{0,2}\//.test(specifier) || specifier === "." || specifier === "..") {
      const base = resolve(folder, specifier);
      for (const ending of ["", ...endings]) this.addFile(`${base}${ending}`);
      for (const ending of endings) this.addFile(join(base, `index${ending}`));
      const stem = base.slice(0, base.length - extname(base).length);
      if (/^\.[cm]?jsx?$/.test(extname(base))) for (const ending of endings) this.addFile(`${stem}${ending}`);
      return;
    }
    const name = specifier.split("/", specifier.startsWith("@") ? 2 : 1).join("/");
    for (const above of ancestors(folder)) this.addFile(join(above, "node_modules", name, "package.json"));
  }

  /** Records the package.json that decides what importing a file of an installed package means. */
  addPackageOf(path: string): void {
    for (const above of ancestors(dirname(path))) {
      if (this.#files.has(join(above, "package.json"))) return;
      if (signatureOf(join(above, "package.json")) !== "") {
        this.addFile(join(above, "package.json"));
        return;
      }
    }
  }

  #addSettings(folder: string): void {
    if (this.#folders.has(folder)) return;
    this.#folders.add(folder);
    const isUnder = (names: readonly string[]): string | undefined =>
      names.map((name) => join(folder, name)).find((path) => this.addFile(path));
    const settings = isUnder(["tsconfig.json", "jsconfig.json"]);
    if (settings !== undefined) this.#addExtended(settings, new Set());
    isUnder(["package.json"]);
    if (dirname(folder) !== folder) this.#addSettings(dirname(folder));
  }

  /** The files that a tsconfig.json extends; found by a search of its text, since a name too many does no harm. */
  #addExtended(settings: string, seen: Set<string>): void {
    if (seen.has(settings)) return;
    seen.add(settings);
    for (const name of extendedNames(readText(settings))) {
      const isPath = name.startsWith(".") || isAbsolute(name);
      const bases = isPath
        ? [resolve(dirname(settings), name)]
        : ancestors(dirname(settings)).map((above) => join(above, "node_modules", name));
      for (const base of bases) {
        if (!isPath) this.addFile(join(base, "package.json"));
        for (const path of [`${base}.json`, join(base, "tsconfig.json"), base]) {
          if (this.addFile(path)) this.#addExtended(path, seen);
        }
      }
    }
  }
}

function extendedNames(text: string): string[] {
  const values = [...text.matchAll(/"extends"\s*:\s*(\[[^\]]*\]|"[^"]*")/g)].map(([, value = ""]) => value);
  return [...values.join(" ").matchAll(/"([^"]*)"/g)].map(([, name = ""]) => name);
}

/** A folder and all that hold it, the nearest first. */
function ancestors(folder: string): string[] {
  const all = [folder];
  for (let above = folder; above !== dirname(above);) all.push((above = dirname(above)));
  return all;
}

function readText(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return ""; // A folder, or gone since: then there is nothing to extend.
  }
}
