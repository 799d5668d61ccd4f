// Programs that bin/bundle made of many modules: one text each, evaluated with the machine code that V8 made of it before.
// Rules: the machine code lies in a cache folder of the running user, in which nobody else can write; without one, the program
// is compiled as ever. "program.cjs" stands for whichever program runs, so that dist/bundled/index.js finds its library.

import { readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { currentOwner, findCacheFolder } from "./cache.ts";
import { evaluateCached } from "./code-cache.ts";
import { loader } from "./packed-modules.ts";
import type { ModuleWrapper } from "./packed-modules.ts";
import { fingerprint, signatureOf } from "./watch.ts";

export interface ProgramSource {
  /** The folder of the bundle. */
  readonly folder: string;
  readonly name: string;
  /** The folder for compiled scripts that was chosen. */
  readonly cacheDir: string | undefined;
  readonly require: NodeJS.Require;
  readonly importModule: (specifier: string) => Promise<unknown>;
}

export interface RunningProgram {
  readonly exported: unknown;
  /** Keeps the machine code of what has run until now, once. Never throws. */
  readonly keepCode: () => void;
}

/**
 * The cache folder. Undefined where there is none that can be trusted: one that was chosen may be the folder of whom the workers
 * are to become, or not be there yet, and then it is for them to make it.
 */
function findFolder(cacheDir: string | undefined): string | undefined {
  try {
    const isMissing = cacheDir !== undefined && statSync(cacheDir, { throwIfNoEntry: false }) === undefined;
    return isMissing ? undefined : findCacheFolder(cacheDir, currentOwner());
  } catch {
    return undefined; // whoever needs the folder says what is wrong with it
  }
}

/** V8 takes no code that was made with other flags, so each set of them has its own. */
function findCodeFile({ folder, name, cacheDir }: ProgramSource): string | undefined {
  const cacheFolder = findFolder(cacheDir);
  if (cacheFolder === undefined) return undefined;
  const file = join(folder, name);
  const stem = fingerprint([file, signatureOf(file), ...process.execArgv].join("\0"));
  return join(cacheFolder, `${stem}-${process.version}.code`);
}

/** Evaluates a program. Throws what it throws. */
export function runBundled(source: ProgramSource): RunningProgram {
  const { folder, name, require, importModule } = source;
  const file = join(folder, name);
  const codeFile = findCodeFile(source);
  const script = evaluateCached(readFileSync(file, "latin1"), file, codeFile); // it is ASCII
  const module = new loader(file);
  module.filename = file;
  loader._cache[join(folder, "program.cjs")] = module;
  const own = (id: string): unknown => require(id);
  // eslint-disable-next-line typescript/no-unsafe-type-assertion -- bin/bundle made it so
  const wrapper = script.value as ModuleWrapper;
  wrapper(module.exports, Object.assign(own, { import: importModule }), module, file, folder);
  let isKept = false;
  return {
    exported: module.exports,
    keepCode() {
      if (isKept) return;
      isKept = true;
      script.keep(codeFile ?? findCodeFile(source));
    },
  };
}
