// The text that goes around an application's own modules, so that each still sees its own file: `import.meta`, `__filename`,
// `__dirname`, `require`, `require.main`, `module.parent` and computed imports work as if nothing had been bundled, and what Node
// itself loads by a computed path finds the CommonJS ones in its cache.
// Rules: a module's line numbers never shift, so its scope is made in front of the first line of code (the columns of that
// one line do move). A computed bare specifier of `import()` or `import.meta.resolve` is resolved as `require` resolves it:
// Node has no other synchronous way to ask from a given file.
import { dirname } from "node:path";
import { pathToFileURL } from "node:url";

/** The name that stands for `import.meta` in compiled modules. */
const scopeName = "__tsgi_scope";

/** For esbuild: what is written instead of each of these names, where they are not the module's own variables. */
export const scopeDefinitions: Readonly<Record<string, string>> = {
  "import.meta": scopeName,
  __dirname: `${scopeName}.dirname`,
  __filename: `${scopeName}.filename`,
  "require.resolve": `${scopeName}.require.resolve`,
  "require.main": `${scopeName}.main`,
};

/** What a bundle is: an ES module, or a CommonJS one. */
export type Form = "esm" | "cjs";

const imports: Readonly<Record<Form, (script: string) => string>> = {
  // Its `require` is for esbuild's own helper, whose paths are absolute already.
  esm: (script) => `import { createRequire as __tsgi_createRequire, isBuiltin as __tsgi_isBuiltin } from "node:module";
import { pathToFileURL as __tsgi_pathToFileURL } from "node:url";
const require = __tsgi_createRequire(${JSON.stringify(script)});`,
  cjs: () => `const { createRequire: __tsgi_createRequire, isBuiltin: __tsgi_isBuiltin } = require("node:module");
const { pathToFileURL: __tsgi_pathToFileURL } = require("node:url");`,
};

/** How a module imports at run time. A CommonJS one is evaluated as a script, which has no `import()` of its own. */
export const importCalls: Readonly<Record<Form, string>> = { esm: "import", cjs: "require.import" };

/** The first lines of a bundle. */
export function bundleHeader(script: string, form: Form): string {
  return `${imports[form](script)}
const __tsgi_main = { filename: ${JSON.stringify(script)} };
const __tsgi_makeScope = (url, filename, dirname, main) => {
  let own;
  const scope = { __proto__: null, dirname, filename, url, resolve(specifier) {
    const text = String(specifier);
    if (/^\\.{0,2}\\//.test(text)) return new URL(text, url).href;
    if (__tsgi_isBuiltin(text)) return text.startsWith("node:") ? text : "node:" + text;
    return URL.canParse(text) ? new URL(text).href : __tsgi_pathToFileURL(scope.require.resolve(text)).href;
  } };
  return Object.defineProperties(scope, {
    require: { get: () => (own ??= __tsgi_createRequire(filename)) },
    main: { get: () => (main === undefined ? __tsgi_main : Object.assign(main(), __tsgi_main)) },
    share: { value: (module) => {
      const known = { id: filename, filename, loaded: true, children: [], paths: [], parent: scope.parent };
      const exports = { get: () => module.exports, set: (value) => { module.exports = value; }, enumerable: true };
      scope.require.cache[filename] = Object.defineProperty(known, "exports", exports);
    } },
    parent: { value: filename === __tsgi_main.filename ? null : __tsgi_main },
    import: { value: async (specifier, options) => ${importCalls[form]}(scope.resolve(specifier), options) },
  });
};`;
}

/** A module's text with its scope in front, where the module could need one. */
export interface ScopedText {
  readonly text: string;
  /** Line (from 1) that was prefixed, and how many bytes it grew; 0 bytes when nothing was added. */
  readonly line: number;
  readonly addedBytes: number;
}

const mayNeedScope = /\bimport\s*\.\s*meta\b|\b__(?:dir|file)name\b|\brequire\b/;
const asksForMain = /\brequire\s*\.\s*main\b/;
const asksForParent = /\bmodule\s*\.\s*parent\b/;
const hasExports = /\bmodule\s*\.\s*exports\b|\bexports\s*\.\s*\w/;
/** Of an ES module, or of TypeScript that becomes one here. */
const hasModuleSyntax = /^\s*(?:import|export)\b/m;

/** What only the script passes to its scope: its own module, to be compared with `require.main`. */
export const mainModule = "() => module";

/** What a CommonJS module, as far as its text shows that it is one, does first: what Node loads beside the bundle finds it, too. */
function registration(text: string): string {
  if (hasModuleSyntax.test(text)) return "";
  const parent = asksForParent.test(text) ? ` module.parent = ${scopeName}.parent;` : "";
  const share = hasExports.test(text) ? ` ${scopeName}.share(module);` : "";
  return parent + share === "" ? "" : ` if (typeof module === "object") {${parent}${share} }`;
}

/**
 * Puts the scope in front of a module, after its `#!` line. `isForced` is for a module that was edited to use it; `isScript` for the
 * application's script itself.
 */
export function addScope(text: string, file: string, isForced: boolean, isScript: boolean): ScopedText {
  const first = registration(text);
  if (!isForced && first === "" && !mayNeedScope.test(text)) return { text, line: 1, addedBytes: 0 };
  const names = [pathToFileURL(file).href, file, dirname(file)].map((name) => JSON.stringify(name));
  if (isScript && asksForMain.test(text)) names.push(mainModule);
  const prefix = `const ${scopeName} = __tsgi_makeScope(${names.join(", ")});${first}`;
  const start = text.startsWith("#!") ? text.indexOf("\n") + 1 : 0;
  const scoped = text.slice(0, start) + prefix + text.slice(start);
  return { text: scoped, line: start === 0 ? 1 : 2, addedBytes: Buffer.byteLength(prefix) };
}

/** A word that esbuild could not resolve while bundling and that has to ask the module's own scope instead. */
export interface ScopeEdit {
  /** From 1. */
  readonly line: number;
  /** From 0, in bytes. */
  readonly column: number;
  readonly word: "require" | "import";
}

/** Writes `scope.require` or `scope.import` for each word. Words that are not where they should be are left alone. */
export function applyEdits(text: string, edits: readonly ScopeEdit[]): string {
  const lines = text.split("\n");
  const fromTheEnd = [...edits].sort((one, other) => other.line - one.line || other.column - one.column);
  for (const { line, column, word } of fromTheEnd) {
    const bytes = Buffer.from(lines[line - 1] ?? "");
    if (bytes.toString("latin1", column, column + word.length) !== word) continue;
    lines[line - 1] = `${bytes.toString("utf8", 0, column)}${scopeName}.${bytes.toString("utf8", column)}`;
  }
  return lines.join("\n");
}
