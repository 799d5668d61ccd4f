// Watches which installed modules a process loads, and by which names, to put them into a pack.
// Rules: it changes nothing of what is loaded; what this package itself loads is none of the application's.
import { dirname, isAbsolute, sep } from "node:path";
import { loader } from "./packed-modules.ts";

export class PackRecorder {
  /** Which file a name stands for, by the folder of the module that requires it. */
  readonly resolutions = new Map<string, Map<string, string>>();
  /** What was there before, and what this package has loaded since. */
  readonly #foreign = new Set(Object.keys(loader._cache));
  readonly #original = loader._resolveFilename;
  readonly #recording: typeof loader._resolveFilename;

  /** Records from now on. `ownFolder` is where this package's own modules are. */
  constructor(ownFolder: string) {
    const record = this.#record.bind(this, ownFolder + sep);
    const original = this.#original;
    this.#recording = function recordedResolution(this: unknown, ...parameters: Parameters<typeof original>): string {
      const [name, parent, , options] = parameters;
      const file = Reflect.apply(original, this, parameters);
      // eslint-disable-next-line typescript/no-unnecessary-condition -- Node asks for its main module without a parent
      if (typeof parent?.filename === "string" && options === undefined) record(parent.filename, name, file);
      return file;
    };
    Object.assign(loader, { _resolveFilename: this.#recording });
  }

  /** Records no more. */
  stop(): void {
    if (loader._resolveFilename === this.#recording) Object.assign(loader, { _resolveFilename: this.#original });
  }

  /** The modules from node_modules folders that were loaded until now, without the `known` files. */
  installed(known: ReadonlySet<string>): string[] {
    return Object.keys(loader._cache).filter(
      (file) =>
        !known.has(file) &&
        !this.#foreign.has(file) &&
        isAbsolute(file) &&
        file.includes(`${sep}node_modules${sep}`) &&
        loader._cache[file]?.loaded === true,
    );
  }

  #record(ownFolder: string, requiring: string, name: string, file: string): void {
    const isForeign = requiring.startsWith(ownFolder) || this.#foreign.has(requiring);
    if (isForeign && loader._cache[file] === undefined) this.#foreign.add(file);
    if (isForeign) return;
    const folder = dirname(requiring);
    const names = this.resolutions.get(folder) ?? new Map<string, string>();
    this.resolutions.set(folder, names.set(name, file));
  }
}
