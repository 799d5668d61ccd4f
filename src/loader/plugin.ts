// The esbuild plugin that draws the line between an application and what it uses: its own files go into the bundle,
// installed packages stay where they are and are named by absolute address.
// Rules: a file is the application's own unless its real path lies in a node_modules folder. Own files are left to esbuild's
// resolver, so that tsconfig.json and package.json apply. What cannot be found fails where Node would fail: a static import
// at once, with its place; `require` and `import()` when they run, so that a try around them works.
// Known limit: installed packages are imported before the first own module runs, whatever the order of the imports.
import { readFileSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { createRequire, isBuiltin } from "node:module";
import { dirname, extname, join, sep } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import type { Loader, OnLoadArgs, OnLoadResult, OnResolveArgs, OnResolveResult, Plugin, PluginBuild } from "esbuild";
import type { Inputs } from "./inputs.ts";
import { libraryFiles, packageRoot } from "./package.ts";
import { addScope, applyEdits } from "./scope.ts";
import type { Form, ScopedText, ScopeEdit } from "./scope.ts";

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

/** In front of an address that a CommonJS form imports at run time. */
export const importMark = "tsgi-import:";

const missingNamespace = "tsgi-missing";
const isNested = Symbol("resolve call of our own");

/** What one pass over an application needs and gathers. */
export interface Pass {
  readonly script: string;
  readonly form: Form;
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
    const isCommonJs = args.kind === "require-call" || (this.#isStaticInCommonJs(args) && !isEsModule(found));
    if (isCommonJs) return { path: found, external: true };
    const isTakenIn = extname(found) === ".json" || this.#isStaticInCommonJs(args);
    if (!isTakenIn) return { path: this.#addressOf(found), external: true };
    this.named.add(found);
    return undefined;
  }

  /** What an import at run time gives to Node; marked where it is not Node's own `import` that gets it. */
  #addressOf(file: string): string {
    const address = pathToFileURL(file).href;
    return this.#pass.form === "cjs" ? `${importMark}${address}` : address;
  }

  /** A CommonJS module cannot wait for what it imports: ES modules of packages become a part of it. */
  #isStaticInCommonJs({ kind }: OnResolveArgs): boolean {
    return this.#pass.form === "cjs" && kind === "import-statement";
  }

  /** This very package, wherever the application lives and whatever else of that name is installed there. */
  #resolvePackage(args: OnResolveArgs): OnResolveResult {
    try {
      const file = libraryFiles[args.path] ?? createRequire(join(packageRoot, "package.json")).resolve(args.path);
      const isCommonJs = args.kind === "require-call" || this.#isStaticInCommonJs(args);
      return { path: isCommonJs ? file : this.#addressOf(file), external: true };
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

/** Whether Node takes an installed file for an ES module: by its name, its package, or what is written in it. */
function isEsModule(file: string): boolean {
  if (extname(file) !== ".js") return extname(file) === ".mjs";
  const type = packageTypeOf(file);
  return type === "module" || (type === undefined && /^\s*(?:import|export)\b/m.test(readFileSync(file, "utf8")));
}

function packageTypeOf(file: string): string | undefined {
  for (let folder = dirname(file); folder !== dirname(folder); folder = dirname(folder)) {
    try {
      return (JSON.parse(readFileSync(join(folder, "package.json"), "utf8")) as { readonly type?: string }).type;
    } catch {
      // Not here: the package's folder is above.
    }
  }
  return undefined;
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
  const scoped = addScope(applyEdits(text, edits), path, edits.length > 0, path === pass.script);
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
