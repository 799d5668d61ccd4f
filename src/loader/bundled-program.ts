// Programs that bin/bundle made of many modules: one text each, evaluated with the machine code that V8 made of it before.
// Rules: the machine code lies in a cache folder of the running user, in which nobody else can write; without one, the program
// is compiled as ever. "program.cjs" stands for whichever program runs, so that dist/bundled/index.js finds its library.

import { existsSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { currentOwner, findCacheFolder } from "./cache.ts";
import { evaluateCached } from "./code-cache.ts";
import type { CachedScript } from "./code-cache.ts";
import { runPart } from "./packed-modules.ts";
import type { ModuleWrapper } from "./packed-modules.ts";
import { fingerprint, signatureOf } from "./watch.ts";
import { removeQuietly } from "./whole-file.ts";

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

/**
 * The files for the machine code, the one to start from last: that of a first start has not seen how a program runs with all
 * that it has in the cache, so the second one adds to it. V8 takes no code that was made with other flags: each set of them
 * has its own.
 */
function codeFilesOf({ folder, name, cacheDir }: ProgramSource): readonly string[] {
  const cacheFolder = findFolder(cacheDir);
  if (cacheFolder === undefined) return [];
  const file = join(folder, name);
  const stem = fingerprint([file, signatureOf(file), ...process.execArgv].join("\0"));
  return [1, 2].map((pass) => join(cacheFolder, `${stem}-${process.version}.${pass}.code`));
}

/** Keeps the code in the file after `codeFile`, which was read. */
function keepNext(script: CachedScript, source: ProgramSource, codeFile: string | undefined): void {
  const [first, second] = codeFilesOf(source);
  if (first === undefined || second === undefined) return;
  const isFirst = !existsSync(first) && !existsSync(second);
  if (script.isKept && codeFile === second) return;
  script.keep(isFirst ? first : second);
  if (!isFirst) removeQuietly(first);
}

/** Evaluates a program. Throws what it throws. */
export function runBundled(source: ProgramSource): RunningProgram {
  const { folder, name, require, importModule } = source;
  const file = join(folder, name);
  const codeFile = codeFilesOf(source).findLast((each) => existsSync(each));
  const script = evaluateCached(readFileSync(file, "latin1"), file, codeFile); // it is ASCII
  // eslint-disable-next-line typescript/no-unsafe-type-assertion -- bin/bundle made it so
  const wrapper = script.value as ModuleWrapper;
  const knownAs = join(folder, "program.cjs");
  const exported = runPart({ wrapper, file, knownAs, require, more: { import: importModule } });
  let isKept = false;
  return {
    exported,
    keepCode() {
      if (isKept) return;
      isKept = true;
      keepNext(script, source, codeFile);
    },
  };
}
