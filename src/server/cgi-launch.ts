// What bin/tsgi-cgi starts, bundled as one small file: evaluates the bundled program with the machine code that V8 made of
// it before, which saves it from being compiled for each request.
// Rules: the machine code lies in the cache folder of applications, and is kept for each application, since each needs other
// parts of the program; without a safe folder the program is compiled. What is wrong is for the program to tell.

import { readFileSync } from "node:fs";
import { join } from "node:path";
import { currentOwner, findCacheFolder } from "../loader/cache.ts";
import { evaluateCached } from "../loader/code-cache.ts";
import { loader } from "../loader/packed-modules.ts";
import type { ModuleWrapper } from "../loader/packed-modules.ts";
import { fingerprint, signatureOf } from "../loader/watch.ts";
import type { BundledProgram } from "./cgi-program.ts";
import { trustedWords } from "./trusted-words.ts";

/** Node's own `import()`, which is not there in the program: bin/bundle puts it in front of this file. */
declare const importModule: BundledProgram["importModule"];
declare const require: NodeJS.Require;

const [, , , entry = "", ...argv] = process.argv;

/** Where the machine code of the program is kept for this application; undefined where there is no safe place. */
function findCodeFile(): string | undefined {
  const { SCRIPT_FILENAME: scriptFilename = "", QUERY_STRING: query } = process.env;
  const words = trustedWords(argv, { entry, scriptFilename, query });
  const cacheDir = words.findLast((word) => word.startsWith("--cache-dir="))?.slice("--cache-dir=".length);
  const app = words.find((word) => !word.startsWith("--")) ?? scriptFilename;
  const file = join(import.meta.dirname, "program.cjs");
  const name = fingerprint([file, signatureOf(file), process.cwd(), app].join("\0"));
  try {
    return join(findCacheFolder(cacheDir, currentOwner()), `${name}-${process.version}.code`);
  } catch {
    return undefined;
  }
}

/** The bundled program: its modules, and those that are seldom needed, each made when it is asked for. */
interface Program {
  readonly runCgiProgram: (bundled: BundledProgram) => Promise<void>;
  /** What the modules of the program export. */
  readonly needed: () => unknown;
  library: () => unknown;
}

function evaluate(name: string, codeFile: string | undefined, more: object): { exported: object; keep: () => void } {
  const file = join(import.meta.dirname, name);
  const script = evaluateCached(readFileSync(file, "latin1"), file, codeFile); // it is ASCII
  const module = new loader(file);
  module.filename = file;
  // Applications that are ES modules get the library from here, too.
  loader._cache[file] = module;
  const own = (id: string): unknown => require(id);
  (script.value as ModuleWrapper)(
    module.exports as object,
    Object.assign(own, more),
    module,
    file,
    import.meta.dirname,
  );
  return { exported: module.exports as object, keep: script.keep };
}

const codeFile = findCodeFile();
let laterPart: ReturnType<typeof evaluate> | undefined;

function later(): Record<string, () => unknown> {
  laterPart ??= evaluate("later.cjs", codeFile?.replace(/\.code$/, "-later.code"), { needed: program.needed() });
  return (laterPart.exported as { readonly later: Record<string, () => unknown> }).later;
}

delete process.mainModule;
const { exported, keep } = evaluate("program.cjs", codeFile, { import: importModule, later });
const program = exported as Program;
program.library = () => later()["index.js"]?.();
void program.runCgiProgram({
  library: { file: join(import.meta.dirname, "index.js"), load: program.library },
  importModule,
  keepCode() {
    keep();
    laterPart?.keep();
  },
});
