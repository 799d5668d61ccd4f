// What bin/tsgi-cgi starts, bundled as one small file: evaluates the bundled program with the machine code that V8 made of
// it before, which saves it from being compiled for each request.
// Rules: the machine code lies in the cache folder of applications, and is kept for each application, since each needs other
// parts of the program; without a safe folder the program is compiled. What is wrong is for the program to tell.
// This file is compiled for each request: whatever it finds out is handed to the program, which does not ask again.

import { join } from "node:path";
import { currentOwner, findCacheFolder } from "../loader/cache.ts";
import { evaluateFile } from "../loader/code-cache.ts";
import type { CachedScript } from "../loader/code-cache.ts";
import { loader } from "../loader/packed-modules.ts";
import type { ModuleWrapper } from "../loader/packed-modules.ts";
import { fingerprint } from "../loader/watch.ts";
import type { BundledProgram } from "./cgi-program.ts";
import { trustedWords } from "./trusted-words.ts";

/** Node's own `import()`, which is not there in the program: bin/bundle puts it in front of this file. */
declare const importModule: BundledProgram["importModule"];
/** Tells the texts of this program from those of another version, hexadecimal: made by bin/bundle as well. */
declare const programId: string;
declare const require: NodeJS.Require;

const [, , , entry = "", ...argv] = process.argv;
const { SCRIPT_FILENAME: scriptFilename = "", QUERY_STRING: query } = process.env;
const words = trustedWords(argv, { entry, scriptFilename, query });
const app = words.find((word) => !word.startsWith("--"));

/** Where applications and machine code are kept; undefined where there is no safe place. */
function findFolder(): string | undefined {
  const options = app === undefined ? words : words.slice(0, words.indexOf(app));
  const name = "--cache-dir=";
  try {
    return findCacheFolder(options.findLast((word) => word.startsWith(name))?.slice(name.length), currentOwner());
  } catch {
    return undefined;
  }
}

const cacheFolder = findFolder();

const codeName = `${programId}${fingerprint(`${process.cwd()}\0${app ?? scriptFilename}`)}-${process.version}`;

/** The bundled program: its modules, and those that are seldom needed, each made when it is asked for. */
interface Program {
  readonly runCgiProgram: (bundled: BundledProgram) => Promise<void>;
  /** What the modules of the program export. */
  readonly needed: () => unknown;
  library: () => unknown;
}

function evaluatePart(
  name: "program" | "later",
  more: object,
): { readonly exported: object; readonly script: CachedScript } {
  const file = join(import.meta.dirname, `${name}.cjs`);
  const codeFile = cacheFolder === undefined ? undefined : join(cacheFolder, `${codeName}.${name}.code`);
  const script = evaluateFile(file, codeFile); // it is ASCII
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
  return { exported: module.exports as object, script };
}

let laterPart: ReturnType<typeof evaluatePart> | undefined;

function later(): Record<string, () => unknown> {
  laterPart ??= evaluatePart("later", { needed: program.needed() });
  return (laterPart.exported as { readonly later: Record<string, () => unknown> }).later;
}

delete process.mainModule;
const { exported, script } = evaluatePart("program", { import: importModule, later });
const program = exported as Program;
program.library = () => later()["index.js"]?.();
void program.runCgiProgram({
  library: { file: join(import.meta.dirname, "index.js"), load: program.library },
  importModule,
  words,
  cacheFolder,
  kept() {
    const parts = laterPart === undefined ? [script] : [script, laterPart.script];
    return {
      isKept: cacheFolder === undefined || parts.every(({ isKept }) => isKept),
      keepFirst() {
        if (!script.isKept) script.keep();
      },
      keep() {
        for (const part of parts) part.keep();
      },
    };
  },
});
