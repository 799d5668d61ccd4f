// What bin/tsgi-cgi starts, bundled as one small file: evaluates the bundled program with the machine code that V8 made of
// it before, which saves it from being compiled for each request.
// Rules: the machine code lies in the cache folder of applications, and is kept for each application, since each needs other
// parts of the program; without a safe folder the program is compiled. What is wrong is for the program to tell.
// This file is compiled for each request: whatever it finds out is handed to the program, which does not ask again.

import { realpathSync } from "node:fs";
import { join } from "node:path";
import { currentOwner, findCacheFolder } from "../loader/cache.ts";
import { evaluateFile } from "../loader/code-cache.ts";
import type { CachedScript } from "../loader/code-cache.ts";
import { runPart } from "../loader/packed-modules.ts";
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
/** bin/tsgi-cgi keeps Node from asking for it, which is slow. No child process shall have that option. */
const here = realpathSync.native(import.meta.dirname);
process.execArgv = process.execArgv.filter((option) => option !== "--preserve-symlinks-main");
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

/** The part of the bundled program that every request needs. The others have modules, each made when it is asked for. */
interface Program {
  readonly runCgiProgram: (bundled: BundledProgram) => Promise<void>;
  /** What the modules of the program export. */
  readonly needed: () => unknown;
  library: () => unknown;
}

interface OtherPart {
  readonly modules: Record<string, () => unknown>;
}

/** The parts that were needed, in their order. */
const scripts: CachedScript[] = [];
const otherParts = new Map<string, OtherPart>();

/** Gives what the part exports. `more` is what it has of the other ones. */
function evaluatePart(name: string, more: object): unknown {
  const file = join(here, `${name}.cjs`);
  const codeFile = cacheFolder === undefined ? undefined : join(cacheFolder, `${codeName}.${name}.code`);
  const script = evaluateFile(file, codeFile); // it is ASCII
  scripts.push(script);
  // Applications that are ES modules get the library from here, too.
  return runPart({ wrapper: script.value as ModuleWrapper, file, knownAs: file, require, more });
}

function part(name: string): OtherPart["modules"] {
  const known = otherParts.get(name) ?? (evaluatePart(name, { needed: program.needed(), part }) as OtherPart);
  otherParts.set(name, known);
  return known.modules;
}

delete process.mainModule;
const program = evaluatePart("program", { import: importModule, part }) as Program;
program.library = () => part("later")["index.js"]?.();
void program.runCgiProgram({
  library: { file: join(here, "index.js"), load: program.library },
  importModule,
  words,
  cacheFolder,
  kept() {
    const asked = [...scripts];
    return {
      isKept: asked.every(({ isKept }) => isKept),
      keepFirst() {
        if (asked[0]?.isKept === false) asked[0].keep();
      },
      keep() {
        for (const script of asked) script.keep();
      },
    };
  },
});
