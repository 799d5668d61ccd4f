// Turns a script and the application's own files into one ES module, with esbuild.
// Rules: imported only when nothing usable is cached, since esbuild is heavy. When a file changes while it is compiled, the
// work is done again. esbuild's process is ended as soon as nobody compiles: it never outlives us and keeps nothing alive.
import { createHash } from "node:crypto";
import { createRequire } from "node:module";
import { basename, dirname, join, resolve } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import type * as EsbuildModule from "esbuild";
import type { BuildOptions, BuildResult } from "esbuild";
import { LoadError, messageOf } from "../errors.ts";
import { withNodesLookup } from "./computed-paths.ts";
import { describeBuildFailure } from "./diagnostics.ts";
import type { NewEntry } from "./entry.ts";
import { Inputs } from "./inputs.ts";
import { nodeMajor, packageRoot, readVersion } from "./package.ts";
import { createPlugin, importMark } from "./plugin.ts";
import type { Pass } from "./plugin.ts";
import { bundleHeader, importCalls, mainModule, scopeDefinitions } from "./scope.ts";
import type { ScopeEdit } from "./scope.ts";
import { signatureOf } from "./watch.ts";
import type { Watch, WatchedFile } from "./watch.ts";

type Esbuild = typeof EsbuildModule;
type Options = BuildOptions & { write: false; metafile: true };

/** A compiled script, ready to be stored; or what is wrong, with the files whose change could mend it. */
export type CompileOutcome =
  | { readonly ok: true; readonly compiled: Omit<NewEntry, "key"> }
  | { readonly ok: false; readonly error: LoadError; readonly watch: Watch };

interface AssembledCode {
  readonly code: string;
  /** The source map, JSON. */
  readonly map: string;
  readonly moduleFormat: NewEntry["moduleFormat"];
}

/** An application as one CommonJS module. */
export interface CommonJsForm extends AssembledCode {
  readonly watch: Watch;
}

/** Calls of esbuild that are under way. It has one process per program, which must not be stopped under another call. */
let callsUnderWay = 0;

/** How often a script is compiled anew when its files change under the compiler. The signatures stay true in any case. */
const maxAttempts = 3;

/** Compiling takes milliseconds: a compiler that needs longer than this hangs, and is ended. */
const compileDeadlineMs = 60_000;

/** Ids of esbuild's notes about calls that it leaves as they are. */
const unbundledWords: Readonly<Record<string, ScopeEdit["word"]>> = {
  "unsupported-require-call": "require",
  "indirect-require": "require",
  "unsupported-dynamic-import": "import",
};

/** Compiles `script`, an absolute real path. Throws only for what no change of the application can mend. */
export function compile(script: string): Promise<CompileOutcome> {
  return withEsbuild(script, (esbuild) => compileUnchanged(esbuild, script));
}

/**
 * The same application as one CommonJS module, in which installed packages are required by their paths; undefined when it
 * cannot be one, for an `await` at its top level. Rejects as `compile` does.
 */
export async function compileCommonJs(script: string): Promise<CommonJsForm | undefined> {
  const pass: Pass = { script, form: "cjs", inputs: new Inputs(), texts: new Map(), edits: new Map() };
  return await withEsbuild(script, async (esbuild) => {
    try {
      const result = await bundleAgain(esbuild, pass, await bundle(esbuild, pass));
      const { code, map, moduleFormat } = assemble(result, pass);
      return { code: asNodeImports(code), map, moduleFormat, watch: pass.inputs.watch };
    } catch {
      return undefined;
    }
  });
}

/** The text of an ES module as that of a CommonJS one; undefined when it cannot be one. */
export async function convertEsModule(file: string, text: string): Promise<string | undefined> {
  return await withEsbuild(file, async (esbuild) => {
    try {
      return (await esbuild.transform(text, { format: "cjs", platform: "node", logLevel: "silent" })).code;
    } catch {
      return undefined;
    }
  });
}

async function withEsbuild<T>(script: string, work: (esbuild: Esbuild) => Promise<T>): Promise<T> {
  const esbuild = requireEsbuild();
  callsUnderWay += 1;
  let alarm: NodeJS.Timeout | undefined;
  const tooLate = new Promise<never>((_resolve, reject) => {
    const text = `${script}: the compiler esbuild did not answer within ${compileDeadlineMs / 1000} s`;
    alarm = setTimeout(() => reject(new LoadError("compile", text)), compileDeadlineMs);
  });
  try {
    return await Promise.race([work(esbuild), tooLate]);
  } finally {
    clearTimeout(alarm);
    callsUnderWay -= 1;
    if (callsUnderWay === 0) await esbuild.stop();
  }
}

async function compileUnchanged(esbuild: Esbuild, script: string): Promise<CompileOutcome> {
  for (let attempt = 1; ; attempt += 1) {
    const inputs = new Inputs();
    const outcome = await compileOnce(esbuild, script, inputs);
    if (attempt === maxAttempts || inputs.findChange() === undefined) return outcome;
  }
}

/**
 * Loads esbuild as if the working directory were the root: it starts its process in the directory that was current when it
 * was loaded, and that fails as soon as a deployment has removed that one. All paths that we give it are absolute.
 */
function requireEsbuild(): Esbuild {
  const own = Object.getOwnPropertyDescriptor(process, "cwd");
  process.cwd = () => "/";
  try {
    return createRequire(import.meta.url)("esbuild") as Esbuild;
  } catch (error) {
    const advice = "Install this package's dependencies again";
    throw new LoadError("compile", `the compiler esbuild cannot be used: ${messageOf(error)}. ${advice}.`, error);
  } finally {
    if (own !== undefined) Object.defineProperty(process, "cwd", own);
  }
}

async function compileOnce(esbuild: Esbuild, script: string, inputs: Inputs): Promise<CompileOutcome> {
  const pass: Pass = { script, form: "esm", inputs, texts: new Map(), edits: new Map() };
  try {
    inputs.addSource(script);
    if (basename(script).includes("*")) throw new LoadError("refused", `${script}: a file name must not contain "*"`);
    const result = await bundleAgain(esbuild, pass, await bundle(esbuild, pass));
    addComputedFolders(result, script, inputs);
    const { code: bare, map, moduleFormat } = assemble(result, pass);
    const code = `${bare}//# sourceMappingURL=data:application/json;base64,${Buffer.from(map).toString("base64")}\n`;
    const hash = createHash("sha256").update(code).digest("hex").slice(0, 24);
    const versions = { tsgi: readVersion(packageRoot), esbuild: esbuild.version };
    return { ok: true, compiled: { code, hash, moduleFormat, versions, tools: findTools(), watch: inputs.watch } };
  } catch (error) {
    return { ok: false, error: describeBuildFailure(error, pass), watch: inputs.watch };
  }
}

function bundle(esbuild: Esbuild, pass: Pass): Promise<BuildResult<Options>> {
  const { script, form } = pass;
  const options: Options = {
    absWorkingDir: dirname(script),
    banner: { js: bundleHeader(script, form) },
    bundle: true,
    charset: form === "cjs" ? "ascii" : "utf8", // a pack is ASCII
    // Any list keeps esbuild from adding "module", which Node does not know; "node", "import" and "require" it adds itself.
    conditions: ["node-addons", "module-sync"],
    define: { ...scopeDefinitions },
    entryPoints: [`./${basename(script)}`],
    format: form,
    ignoreAnnotations: true,
    legalComments: "none",
    logLevel: "silent",
    logLimit: 0,
    logOverride: Object.fromEntries(Object.keys(unbundledWords).map((id) => [id, "warning"])),
    mainFields: ["main"],
    metafile: true,
    nodePaths: [],
    outdir: dirname(script),
    platform: "node",
    plugins: [createPlugin(pass)],
    sourcemap: "external",
    sourcesContent: false,
    target: process.versions.node.startsWith("20.") ? "node20.19" : `node${nodeMajor}`,
    treeShaking: false,
    write: false,
  };
  return esbuild.build(options);
}

/** Compiles once more with every computed `require` and `import` going through its module's scope, if there are any. */
async function bundleAgain(esbuild: Esbuild, pass: Pass, first: BuildResult<Options>): Promise<BuildResult<Options>> {
  const edits = new Map<string, ScopeEdit[]>();
  for (const { id, location } of first.warnings) {
    const word = unbundledWords[id];
    const path = location === null ? "" : resolve(dirname(pass.script), location.file);
    const scoped = pass.texts.get(path);
    if (word === undefined || location === null || scoped === undefined) continue;
    const { line } = location;
    const column = location.column - (line === scoped.line ? scoped.addedBytes : 0);
    edits.set(path, [...(edits.get(path) ?? []), { line, column, word }]);
  }
  if (edits.size === 0) return first;
  try {
    return await bundle(esbuild, { ...pass, edits });
  } catch {
    return first; // A place where no expression may stand, such as `{ require }`: Node resolves from the script then.
  }
}

/** `import("./pages/" + name)` was expanded to the files there are: a new one in that folder is a change. */
function addComputedFolders({ metafile }: BuildResult<Options>, script: string, inputs: Inputs): void {
  for (const [name, { imports }] of Object.entries(metafile.inputs)) {
    for (const { path, external } of imports) {
      if (external !== true || !path.includes("*")) continue;
      const folder = path.slice(0, path.indexOf("*")).replace(/[^/]*$/, "");
      inputs.addFile(resolve(dirname(script), dirname(name), folder));
    }
  }
}

function assemble({ outputFiles, metafile }: BuildResult<Options>, { script, form }: Pass): AssembledCode {
  const outputOf = (ending: string): string => outputFiles.find(({ path }) => path.endsWith(ending))?.text ?? "";
  const map = JSON.parse(outputOf(".js.map")) as { sources: string[] };
  const base = pathToFileURL(`${dirname(script)}/`);
  const sources = map.sources.map((source) => new URL(source, base).href);
  const moduleFormat = metafile.inputs[basename(script)]?.format === "cjs" ? "cjs" : "esm";
  const code = withNodesLookup(withoutIdleHeader(outputOf(".js"), bundleHeader(script, form)));
  // `import` and `require.main === module` in one file: TypeScript makes CommonJS of it, which has a `module`.
  const isModuleMissing = form === "esm" && moduleFormat === "esm" && code.includes(`, ${mainModule});`);
  return {
    code: isModuleMissing ? code.replace(/^const __tsgi_main/m, "const module = { exports: {} }; $&") : code,
    map: JSON.stringify({ ...map, sources }),
    moduleFormat,
  };
}

/** Most applications need nothing of the header, and its imports cost them half a millisecond; the lines stay, empty. */
function withoutIdleHeader(code: string, header: string): string {
  const bare = code.replace(header, () => "\n".repeat(header.split("\n").length - 1));
  return /\b__tsgi_makeScope\b|\b__require\b/.test(bare) ? code : bare;
}

/**
 * Lets the default import of a CommonJS package be its `module.exports` everywhere, as Node has it, and imports at run time
 * go through `require.import`. Throws where it cannot.
 */
function asNodeImports(code: string): string {
  const changed = code
    .replace(/\/\/ Annotate the CommonJS export names.*\n0 && \(module\.exports = [^)]*\);/, "")
    .replaceAll(/\b__toESM\(require\(("(?:[^"\\]|\\.)*")\)\)/g, (_call, path: string) => `__toESM(require(${path}), 1)`)
    .replaceAll(`import("${importMark}`, `${importCalls.cjs}("`);
  if (!/\b__toESM\d|(?<!\.)\bimport\s*\(/.test(changed)) return changed;
  throw new Error("this can only be an ES module");
}

/** The files whose change means that the compiler or this code is another one. */
function findTools(): WatchedFile[] {
  const compiler = createRequire(import.meta.url).resolve("esbuild/package.json");
  const paths = [join(packageRoot, "package.json"), fileURLToPath(import.meta.url), compiler];
  return paths.map((path) => ({ path, signature: signatureOf(path) }));
}
