// Starts an application of a process that serves one request from a pack, and prepares what the next process starts from.
// Rules: the first process compiles the application and runs it as an ES module, as everywhere; when that went well, its
// CommonJS form is stored with the modules that it loaded. The second one runs that and keeps the machine code. Modules that a
// later one loads besides are added. All of this is made after the response (./preparation.ts), and is not even looked at where
// nothing is left to be made. Whatever cannot be made leaves things as they were: slower, and right.
import { join } from "node:path";
import { messageOf } from "../errors.ts";
import type { Log } from "../spec.ts";
import { evaluateCached } from "./code-cache.ts";
import type { CachedScript } from "./code-cache.ts";
import type { CacheEntry } from "./entry.ts";
import { captureFor } from "./instance.ts";
import type { Namespace, RunBundle } from "./instance.ts";
import { readPack } from "./pack.ts";
import type { Pack } from "./pack.ts";
import { PackRecorder } from "./pack-recorder.ts";
import { runPacked } from "./packed-modules.ts";
import type { PackedProgram } from "./packed-modules.ts";
import { packageRoot } from "./package.ts";
import { mapStacks } from "./stack-map.ts";

/** Where this package's own modules are. */
const ownFolder = join(packageRoot, "dist");

/** So often a pack is made anew because a request needed modules that were not in it. */
const maxPasses = 5;

/** An application that is about to run. */
export interface StartedScript {
  /** The cache folder. */
  readonly folder: string;
  readonly script: string;
  readonly entry: CacheEntry;
}

/** What has run, and what of it could be kept. */
export interface Started extends StartedScript {
  readonly pack: Pack | undefined;
  readonly recorder: PackRecorder;
  /** What ran of the pack; undefined: nothing. */
  readonly ran: { readonly text: string; readonly cached: CachedScript } | undefined;
  /** Whether the pack failed where an import did not. */
  readonly hasFailed: boolean;
}

/** The program that runs applications, whose machine code is kept, too. */
export interface KeptProgram {
  /** Whether all that requests need of it is kept. */
  readonly isKept: boolean;
  /** Keeps the part that all requests need, unless some of it is kept. Never throws. */
  readonly keepFirst: () => void;
  /** Keeps all that requests need, as far as it has run by now. Never throws. */
  readonly keep: () => void;
}

/** What a pack needs of the program that runs it. */
export interface Surroundings extends Pick<PackedProgram, "library" | "importModule"> {
  /** The cache folder, if it has been found already. */
  readonly cacheFolder: string | undefined;
}

export class FastStart {
  readonly #surroundings: Surroundings;
  readonly #log: Log;
  #started: Started | undefined;

  constructor(surroundings: Surroundings, log: Log) {
    this.#surroundings = surroundings;
    this.#log = log;
  }

  /** The cache folder, if it has been found already. */
  get cacheFolder(): string | undefined {
    return this.#surroundings.cacheFolder;
  }

  /** Runs the application from its pack, or as an ES module by `importIt` where there is none or it fails. */
  async run(script: StartedScript, importIt: () => Promise<RunBundle>): Promise<RunBundle> {
    const found = readPack(script.folder, script.entry);
    let hasFailed = false;
    if (found?.text !== undefined) {
      try {
        return this.#runPack(script, found.pack, found.text);
      } catch {
        hasFailed = true; // if it is the application's fault, the import fails as well, and tells why
      }
    }
    const recorder = new PackRecorder(ownFolder);
    try {
      const imported = await importIt();
      this.#started = { ...script, pack: found?.pack, recorder, ran: undefined, hasFailed };
      return imported;
    } catch (error) {
      recorder.stop();
      throw error;
    }
  }

  #runPack(script: StartedScript, pack: Pack, text: string): RunBundle {
    const filename = join(script.folder, pack.text ?? "");
    const recorder = new PackRecorder(ownFolder);
    const cached = evaluateCached(text, filename, `${filename}.code`);
    const unmapStacks = mapStacks({ filename, pack, mapFile: `${filename}.map` });
    const capture = captureFor(filename, pack.mayListen, this.#log);
    try {
      const functions = cached.value as PackedProgram["functions"];
      const { files, resolutions } = pack;
      const exported = runPacked({ ...this.#surroundings, files, functions, resolutions });
      this.#started = { ...script, pack, recorder, ran: { text, cached }, hasFailed: false };
      return { namespace: pack.moduleFormat === "cjs" ? { default: exported } : (exported as Namespace), capture };
    } catch (error) {
      capture.end();
      recorder.stop();
      unmapStacks();
      throw error;
    }
  }

  /** Whether nothing is left to be made for the next process. */
  isReady(program: KeptProgram): boolean {
    return this.#started === undefined || isReady(this.#started, program);
  }

  /** Makes what the next process will start faster from: to be called after the response. Never rejects. */
  async prepareNext(program: KeptProgram): Promise<void> {
    const started = this.#started;
    if (started === undefined || isReady(started, program)) return;
    try {
      const { prepare } = await import("./preparation.ts");
      await prepare(started, program);
    } catch (error) {
      this.#log.debug({ reason: messageOf(error) }, "the next start cannot be made faster");
    }
  }
}

/** Whether nothing is left to be made. */
function isReady({ pack, ran, recorder, hasFailed }: Started, program: KeptProgram): boolean {
  if (pack === undefined || hasFailed || !program.isKept) return false;
  return ran === undefined || (ran.cached.isKept && lacking(pack, recorder).length === 0);
}

/** The modules that were loaded and that the pack lacks, unless it was made anew often enough. */
export function lacking(pack: Pack, recorder: PackRecorder): readonly string[] {
  return pack.passes === maxPasses ? [] : recorder.installed(new Set([...pack.files, ...pack.outside]));
}
