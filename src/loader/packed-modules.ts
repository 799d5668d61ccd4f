// Runs the modules of a pack as Node runs CommonJS modules.
// Rules: each is a Module of Node's own in Node's own cache, so that modules outside the pack find those in it and the other
// way round; a name that the pack does not know, and every name as soon as somebody has changed Node's loader, is Node's.
import { Module as NodeModule } from "node:module";
import { basename, dirname, isAbsolute } from "node:path";
import type { Resolutions } from "./pack.ts";

/** The function around a module, which gets what Node gives it. */
export type ModuleWrapper = (
  ...given: [exports: unknown, require: Require, module: NodeJS.Module, file: string, folder: string]
) => void;
type Require = ((name: string) => unknown) & {
  resolve?: unknown;
  main?: unknown;
  extensions?: unknown;
  cache?: unknown;
  import?: unknown;
};

/** What CommonJS programs have always changed of Node's loader, and so what is there on every Node. */
interface Loader {
  new (file: string, parent?: NodeJS.Module): NodeJS.Module;
  readonly prototype: { require: unknown; _compile: unknown };
  readonly _cache: Record<string, NodeJS.Module | undefined>;
  readonly _extensions: Record<string, unknown>;
  readonly _load: (file: string, parent: NodeJS.Module | undefined, isMain: boolean) => unknown;
  readonly _nodeModulePaths: (folder: string) => string[];
  readonly _resolveFilename: (name: string, parent: NodeJS.Module, isMain: boolean, options?: unknown) => string;
  readonly _resolveLookupPaths: (name: string, parent: NodeJS.Module) => string[] | null;
}

// eslint-disable-next-line typescript/no-unsafe-type-assertion -- the types leave out what is not documented
export const loader = NodeModule as unknown as Loader;

/** A text of a program of ours, evaluated to the function around it. */
export interface ProgramPart {
  readonly wrapper: ModuleWrapper;
  readonly file: string;
  /** The file under which modules that Node loads find what it exports. */
  readonly knownAs: string;
  readonly require: NodeJS.Require;
  /** What its `require` has besides. */
  readonly more: object;
}

/** Runs it and gives its `module.exports`. Throws what its code throws. */
export function runPart({ wrapper, file, knownAs, require, more }: ProgramPart): unknown {
  const module = new loader(file);
  module.filename = file;
  loader._cache[knownAs] = module;
  const own = (id: string): unknown => require(id);
  wrapper(module.exports, Object.assign(own, more), module, file, dirname(file));
  return module.exports;
}

/** Answers whether the parts of Node's loader that others change are what they are now. */
function loaderWatch(): () => boolean {
  const { _extensions: extensions, _load: load, _resolveFilename: resolveFilename, prototype } = loader;
  const { ".js": script, ".json": json } = extensions;
  const { require, _compile: compile } = prototype;
  return () =>
    loader._load === load &&
    loader._resolveFilename === resolveFilename &&
    extensions[".js"] === script &&
    extensions[".json"] === json &&
    prototype.require === require &&
    prototype._compile === compile;
}

/** What `_nodeModulePaths` gives for a folder: of the folder above it, where Node goes through the letters of each one. */
function pathsByFolder(): (folder: string) => string[] {
  const { _nodeModulePaths: nodeModulePaths } = loader;
  const paths = new Map<string, readonly string[]>();
  const make = (folder: string): readonly string[] => {
    const above = dirname(folder);
    if (above === folder || loader._nodeModulePaths !== nodeModulePaths) return loader._nodeModulePaths(folder);
    return basename(folder) === "node_modules" ? of(above) : [`${folder}/node_modules`, ...of(above)];
  };
  const of = (folder: string): string[] => {
    const known = paths.get(folder) ?? make(folder);
    paths.set(folder, known);
    return [...known];
  };
  return of;
}

export interface PackedProgram {
  /** The application's script, then the modules. */
  readonly files: readonly string[];
  readonly functions: readonly ModuleWrapper[];
  readonly resolutions: Resolutions;
  /** The file that `tsgi` stands for, and what it exports. */
  readonly library: { readonly file: string; readonly load: () => unknown };
  /** What `import()` is in a module. */
  readonly importModule: (specifier: string, options?: ImportCallOptions) => Promise<unknown>;
}

/** Runs the application of a pack and gives its `module.exports`. Throws what its code throws. */
export function runPacked(program: PackedProgram): unknown {
  const { files, functions, resolutions, library, importModule } = program;
  const isLoaderUnchanged = loaderWatch();
  const wrappers = new Map(files.map((file, index) => [file, functions[index]]));
  const pathsOf = pathsByFolder();

  /** `parent` is undefined for what the application loads: what an ES module imports has none. */
  const load = (file: string, parent: NodeJS.Module | undefined): unknown => {
    if (file === library.file) return library.load();
    const known = loader._cache[file];
    if (known !== undefined) return known.exports;
    const wrapper = wrappers.get(file);
    if (wrapper === undefined)
      return isAbsolute(file) ? loader._load(file, parent, false) : process.getBuiltinModule(file);
    const module = new loader(file, parent);
    module.filename = file;
    module.paths = pathsOf(dirname(file));
    loader._cache[file] = module;
    let hasFailed = true;
    try {
      run(wrapper, module);
      hasFailed = false;
    } finally {
      if (hasFailed) delete loader._cache[file];
    }
    module.loaded = true;
    return module.exports;
  };

  const run = (wrapper: ModuleWrapper, module: NodeJS.Module, importOwn?: PackedProgram["importModule"]): void => {
    const folder = dirname(module.filename);
    const names = resolutions[folder];
    const isOwn = importOwn !== undefined;
    const require: Require = (name) => {
      const file = isAbsolute(name) || name.startsWith("node:") ? name : names?.[name];
      if (file !== undefined && isLoaderUnchanged()) return load(file, isOwn ? undefined : module);
      return isOwn ? loader._load(name, undefined, false) : module.require(name);
    };
    const resolve = (name: string, options?: object): string => loader._resolveFilename(name, module, false, options);
    resolve.paths = (name: string) => loader._resolveLookupPaths(name, module);
    require.resolve = resolve;
    require.main = process.mainModule;
    require.extensions = loader._extensions;
    require.cache = loader._cache;
    if (isOwn) require.import = importOwn;
    Reflect.apply(wrapper, module.exports, [module.exports, require, module, module.filename, folder]);
  };

  const [script = ""] = files;
  const [wrapper] = functions;
  const module = new loader(script);
  module.filename = script;
  module.paths = pathsOf(dirname(script));
  if (wrapper !== undefined) run(wrapper, module, importModule);
  return module.exports;
}
