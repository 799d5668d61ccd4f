// Starts an application of a process that serves one request from a pack, and prepares what the next process starts from.
// Rules: the first process compiles the application and runs it as an ES module, as everywhere; when that went well, the
// CommonJS form is stored. The second one runs that and records the modules it loads; the third one keeps the machine code.
// All of this is made after the response. Whatever cannot be made leaves things as they were: slower, and right.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { messageOf } from "../errors.ts";
import type { Log } from "../spec.ts";
import { evaluateCached } from "./code-cache.ts";
import type { CachedScript } from "./code-cache.ts";
import type { CacheEntry } from "./entry.ts";
import { captureFor } from "./instance.ts";
import type { Namespace, RunBundle } from "./instance.ts";
import { modulesIn, readPack, toolsOf, writePack } from "./pack.ts";
import type { NewPack, Pack } from "./pack.ts";
import { PackRecorder } from "./pack-recorder.ts";
import type { Recorded } from "./pack-recorder.ts";
import { runPacked } from "./packed-modules.ts";
import type { PackedProgram } from "./packed-modules.ts";
import { packageRoot } from "./package.ts";
import { mapStacks } from "./stack-map.ts";
import { lookAtFile } from "./packed-file.ts";
import { checkWatch } from "./watch.ts";

/** So often a pack is made anew because a request needed modules that were not in it. */
const maxPasses = 5;

/** An application that is about to run. */
export interface StartedScript {
  /** The cache folder. */
  readonly folder: string;
  readonly script: string;
  readonly entry: CacheEntry;
}

interface Started extends StartedScript {
  readonly pack: Pack | undefined;
  /** What ran of the pack; undefined: nothing. */
  readonly ran: { readonly text: string; readonly cached: CachedScript; readonly recorder: PackRecorder } | undefined;
  /** Whether the pack failed where an import did not. */
  readonly hasFailed: boolean;
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
    const imported = await importIt();
    this.#started = { ...script, pack: found?.pack, ran: undefined, hasFailed };
    return imported;
  }

  #runPack(script: StartedScript, pack: Pack, text: string): RunBundle {
    const filename = join(script.folder, pack.text ?? "");
    const recorder = new PackRecorder(join(packageRoot, "dist"));
    const cached = evaluateCached(text, filename, `${filename}.code`);
    const unmapStacks = mapStacks({ filename, pack, mapFile: `${filename}.map` });
    const capture = captureFor(filename, pack.mayListen, this.#log);
    try {
      const functions = cached.value as PackedProgram["functions"];
      const { files, resolutions } = pack;
      const exported = runPacked({ ...this.#surroundings, files, functions, resolutions });
      this.#started = { ...script, pack, ran: { text, cached, recorder }, hasFailed: false };
      return { namespace: pack.moduleFormat === "cjs" ? { default: exported } : (exported as Namespace), capture };
    } catch (error) {
      capture.end();
      recorder.stop();
      unmapStacks();
      throw error;
    }
  }

  /**
   * Makes what the next process will start faster from: to be called after the response. Answers whether nothing is left to
   * be made. Never rejects.
   */
  async prepareNext(): Promise<boolean> {
    if (this.#started === undefined) return false;
    try {
      return await prepare(this.#started);
    } catch (error) {
      this.#log.debug({ reason: messageOf(error) }, "the next start cannot be made faster");
      return false;
    }
  }
}

async function prepare(started: Started): Promise<boolean> {
  const { folder, pack, ran, hasFailed } = started;
  if (pack === undefined || hasFailed) {
    const first = await firstPack(started);
    if (first !== undefined) writePack(folder, hasFailed ? { ...first, modules: [] } : first);
    return false;
  }
  if (ran === undefined) return true; // it can only be an ES module
  const next = withRecorded(pack, ran.text, await ran.recorder.end(new Set(pack.files)));
  if (next === undefined) ran.cached.keep();
  else writePack(folder, { ...next, map: readFileSync(join(folder, `${pack.text}.map`), "utf8") });
  return next === undefined;
}

/** The application by itself; undefined when its files have changed since it was compiled. */
async function firstPack({ script, entry }: Started): Promise<NewPack | undefined> {
  const { compileCommonJs } = await import("./compile.ts");
  const form = await compileCommonJs(script);
  if (checkWatch(entry.watch, Date.now()).change !== undefined) return undefined;
  const known = new Set(entry.watch.files.map(({ path }) => path));
  const others = (form?.watch.files ?? []).filter(({ path }) => !known.has(path));
  const watch = others.map(({ path }) => lookAtFile(path, Date.now()));
  if (!watch.every((file) => file !== undefined)) return undefined; // too young: another request will do it
  return {
    bundle: entry.bundle,
    tools: toolsOf(entry),
    passes: 0,
    moduleFormat: entry.moduleFormat,
    resolutions: {},
    watch,
    modules: form === undefined ? [] : [{ file: script, code: `"use strict";${form.code}` }],
    map: form?.map ?? "",
  };
}

/** The pack with what this process loaded beside it; undefined when that is nothing, or there was too much already. */
function withRecorded(
  pack: Pack,
  text: string,
  { modules, resolutions, files }: Recorded,
): Omit<NewPack, "map"> | undefined {
  if (pack.passes > 0 && (modules.length === 0 || pack.passes === maxPasses)) return undefined;
  const watched = new Set(files.map(([path]) => path));
  const folders = new Set([...Object.keys(pack.resolutions), ...Object.keys(resolutions)]);
  return {
    bundle: pack.bundle,
    tools: pack.tools,
    passes: pack.passes + 1,
    moduleFormat: pack.moduleFormat,
    resolutions: Object.fromEntries(
      [...folders].map((name) => [name, { ...pack.resolutions[name], ...resolutions[name] }]),
    ),
    watch: [...pack.watch.filter(([path]) => !watched.has(path)), ...files],
    modules: [...modulesIn(pack, text), ...modules],
  };
}
