// The esbuild plugin that draws the line between an application and what it uses: its own files go into the bundle,
// installed packages stay where they are and are named by absolute address.
// Rules: a file is the application's own unless its real path lies in a node_modules folder. Own files are left to esbuild's
// resolver, so that tsconfig.json and package.json apply. What cannot be found fails where Node would fail: a static import
// at once, with its place; `require` and `import()` when they run, so that a try around them works.
// Known limit: installed packages are imported before the first own module runs, whatever the order of the imports.
import { readFile } from "node:fs/promises";
import { createRequire, isBuiltin } from "node:module";
import { extname, join, sep } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import type { Loader, OnLoadArgs, OnLoadResult, OnResolveArgs, OnResolveResult, Plugin, PluginBuild } from "esbuild";
import type { Inputs } from "./inputs.ts";
import { libraryMain, packageRoot } from "./package.ts";
import { addScope, applyEdits } from "./scope.ts";
import type { ScopedText, ScopeEdit } from "./scope.ts";

/** Marks an esbuild message about an import that leads nowhere. */
export const missingImport = Symbol("missing import");

const loaders: Readonly<Record<string, Loader>> = {
  ".ts": "ts",
  ".mts": "ts",
  ".cts": "ts",
  ".tsx": "tsx",
  ".js": "js",
  ".mjs": "js",
  ".cjs": "js",
  ".jsx": "jsx",
  ".json": "json",
};

const missingNamespace = "tsgi-missing";
const isNested = Symbol("resolve call of our own");

/** What one pass over an application needs and gathers. */
export interface Pass {
  readonly script: string;
  readonly inputs: Inputs;
  /** Text of each own module as esbuild got it. */
  readonly texts: Map<string, ScopedText>;
  /** From an earlier pass: words to be replaced, by file. */
  readonly edits: ReadonlyMap<string, readonly ScopeEdit[]>;
}

export function createPlugin(pass: Pass): Plugin {
  const resolver = new Resolver(pass);
  return {
    name: "tsgi",
    setup(build) {
      build.onResolve({ filter: /.*/ }, (args) => resolver.resolve(args, build));
      build.onLoad({ filter: /.*/, namespace: "file" }, (args) => loadOwn(args, pass, resolver));
      build.onLoad({ filter: /.*/, namespace: missingNamespace }, (args) => loadMissing(args));
    },
  };
}

class Resolver {
  /** Own files that an import named; anything else that esbuild loads comes from a computed name that it expanded. */
  readonly named = new Set<string>();
  readonly #pass: Pass;
  readonly #home: string;

  constructor(pass: Pass) {
    this.#pass = pass;
    this.#home = homeOf(pass.script);
    this.named.add(pass.script);
  }

  /** True for a file that belongs into the bundle; a script that is itself installed owns its package's files. */
  isOwn(path: string): boolean {
    const isInside = path.startsWith(this.#home);
    return !(isInside ? path.slice(this.#home.length) : path).includes(`${sep}node_modules${sep}`);
  }

  async resolve(args: OnResolveArgs, build: PluginBuild): Promise<OnResolveResult | undefined> {
    if (args.pluginData === isNested || args.kind === "entry-point") return undefined;
    if (args.path === "tsgi" || args.path.startsWith("tsgi/")) return this.#resolvePackage(args);
    if (isBuiltin(args.path)) return { path: args.path, external: true };
    if (/^(?:data|https?):/.test(args.path)) return undefined;
    const { importer, kind, namespace, resolveDir, with: attributes } = args;
    const path = args.path.startsWith("file:") ? fileURLToPath(args.path) : args.path;
    const options = { importer, kind, namespace, resolveDir, with: attributes, pluginData: isNested };
    const found = await build.resolve(path, options);
    if (found.errors.length > 0) return this.#reportMissing(args, path);
    if (found.namespace !== "file" || found.external) return undefined;
    if (this.isOwn(found.path) && extname(found.path) !== ".node") {
      this.named.add(found.path);
      return path === args.path ? undefined : { path: found.path };
    }
    return this.#resolveInstalled(args, found.path);
  }

  #resolveInstalled(args: OnResolveArgs, found: string): OnResolveResult | undefined {
    this.#pass.inputs.addPackageOf(found);
    if (args.kind === "require-call") return { path: found, external: true };
    if (extname(found) !== ".json") return { path: pathToFileURL(found).href, external: true };
    this.named.add(found);
    return undefined;
  }

  /** This very package, wherever the application lives and whatever else of that name is installed there. */
  #resolvePackage(args: OnResolveArgs): OnResolveResult {
    try {
      const isMain = args.path === "tsgi";
      const file = isMain ? libraryMain : createRequire(join(packageRoot, "package.json")).resolve(args.path);
      return { path: args.kind === "require-call" ? file : pathToFileURL(file).href, external: true };
    } catch {
      return this.#reportMissing(args, args.path);
    }
  }

  #reportMissing(args: OnResolveArgs, path: string): OnResolveResult {
    const elsewhere = args.kind === "require-call" ? askNode(args) : undefined;
    if (elsewhere !== undefined) return { path: elsewhere, external: true };
    this.#pass.inputs.addMissing(path, args.resolveDir);
    const what = /^\.{0,2}\//.test(path) ? "file" : "package";
    const text = `cannot find ${what} ${JSON.stringify(path)}, imported from ${args.importer}`;
    if (args.kind === "import-statement") return { errors: [{ text, detail: missingImport }] };
    const code = args.kind === "require-call" ? "MODULE_NOT_FOUND" : "ERR_MODULE_NOT_FOUND";
    return {
      path: `${args.kind} of ${path} from ${args.importer}`,
      namespace: missingNamespace,
      pluginData: { text, code },
    };
  }
}

/** The package that a script lies in, with a separator at the end, when it is an installed one; "" for all others. */
function homeOf(script: string): string {
  const folder = `${sep}node_modules${sep}`;
  const start = script.lastIndexOf(folder);
  if (start === -1) return "";
  const [name = "", second = ""] = script.slice(start + folder.length).split(sep);
  return `${script.slice(0, start + folder.length)}${name.startsWith("@") ? `${name}${sep}${second}` : name}`;
}

/** What only Node itself finds, for example by NODE_PATH; undefined when it finds nothing either. */
function askNode({ importer, path }: OnResolveArgs): string | undefined {
  try {
    return createRequire(importer).resolve(path);
  } catch {
    return undefined;
  }
}

async function loadOwn(args: OnLoadArgs, pass: Pass, resolver: Resolver): Promise<OnLoadResult | undefined> {
  const { path } = args;
  const loader = loaders[extname(path)] ?? (path === pass.script ? "ts" : undefined);
  if (!resolver.named.has(path) && (loader === undefined || !resolver.isOwn(path) || path.includes(`${sep}.`))) {
    // One of many candidates for `import("./" + name)`. Node itself decides, should it ever be asked for.
    return { contents: `module.exports = require("node:module").createRequire(${quoted(path)})(${quoted(path)});` };
  }
  pass.inputs.addSource(path);
  if (loader === undefined || args.with["type"] === "text" || args.with["type"] === "bytes") return undefined;
  const text = (await readFile(path, "utf8")).replace(/^\uFEFF/, "");
  if (loader === "json") return { contents: text, loader };
  const edits = pass.edits.get(path) ?? [];
  const scoped = addScope(applyEdits(text, edits), path, edits.length > 0);
  pass.texts.set(path, scoped);
  return { contents: scoped.text, loader };
}

/** A module that throws what Node would have thrown, each time that it is asked for. */
function loadMissing(args: OnLoadArgs): OnLoadResult {
  const { text, code } = args.pluginData as { readonly text: string; readonly code: string };
  return { contents: `module.exports; throw Object.assign(new Error(${quoted(text)}), { code: ${quoted(code)} });` };
}

function quoted(text: string): string {
  return JSON.stringify(text);
}
