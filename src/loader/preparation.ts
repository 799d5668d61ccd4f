// Makes what the next process of an application starts faster from, after the response.
// Rules: one process at a time, and the others leave it to that one, since they would take the time of the next request; the
// same goes for work that another process has done meanwhile. Files appear whole: a process that is killed leaves nothing half.
// It has the priority of any other work: mod_cgid lets the connection wait for the process, and kills it after three seconds.
import { readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import type { CacheEntry } from "./entry.ts";
import { lacking } from "./fast-start.ts";
import type { KeptProgram, Started } from "./fast-start.ts";
import { readPack, stemOf, toolsOf } from "./pack.ts";
import { packContents } from "./pack-contents.ts";
import type { PackContents } from "./pack-contents.ts";
import { modulesIn, writePack } from "./pack-writer.ts";
import type { NewPack } from "./pack-writer.ts";
import { lookAtFile } from "./packed-file.ts";
import { takeTurn } from "./turn.ts";
import { checkWatch } from "./watch.ts";

/** Does what is to be done, unless another process does it. Rejects with the system's error. */
export async function prepare(started: Started, program: KeptProgram): Promise<void> {
  const endTurn = takeTurn(started.folder, stemOf(started.entry.bundle));
  if (endTurn === undefined) return;
  try {
    if (hasMoved(started)) return;
    const { pack, ran, recorder, hasFailed, folder } = started;
    if (pack === undefined || hasFailed) {
      program.keepFirst(); // the next process needs most of it, and the pack takes longer
      const first = await firstPack(started);
      if (first !== undefined) writePack(folder, first);
    } else if (ran !== undefined && lacking(pack, recorder).length > 0) {
      const map = readFileSync(join(folder, `${pack.text}.map`), "utf8");
      writePack(
        folder,
        withContents(
          { ...pack, modules: modulesIn(pack, ran.text), map },
          await packContents(recorder, new Set([...pack.files, ...pack.outside])),
        ),
      );
    } else {
      if (ran?.cached.isKept === false) ran.cached.keep();
      program.keep();
    }
  } finally {
    endTurn();
  }
}

/** Whether another process has made the same, or another pack, since this one looked. */
function hasMoved({ folder, entry, pack, ran }: Started): boolean {
  const now = readPack(folder, entry)?.pack;
  if (now?.text !== pack?.text || now?.passes !== pack?.passes) return true;
  if (ran === undefined || ran.cached.isKept) return false;
  const status = statSync(join(folder, `${now?.text}.code`), { throwIfNoEntry: false });
  return status !== undefined && status.mtimeMs > Date.now() - process.uptime() * 1000;
}

/** The application with what this process has loaded; undefined when its files have changed since it was compiled. */
async function firstPack({ script, entry, recorder, hasFailed }: Started): Promise<NewPack | undefined> {
  const { compileCommonJs } = await import("./compile.ts");
  const form = hasFailed ? undefined : await compileCommonJs(script);
  if (checkWatch(entry.watch, Date.now()).change !== undefined) return undefined;
  const known = new Set(entry.watch.files.map(({ path }) => path));
  const others = (form?.watch.files ?? []).filter(({ path }) => !known.has(path));
  const watch = others.map(({ path }) => lookAtFile(path, Date.now()));
  if (!watch.every((file) => file !== undefined)) return undefined; // too young: another request will do it
  const first = packOf(entry, watch);
  if (form === undefined) return first;
  const own = { ...first, modules: [{ file: script, code: `"use strict";${form.code}` }], map: form.map };
  return withContents(own, await packContents(recorder, new Set()));
}

/** A pack of nothing: the application can only be an ES module. */
function packOf(entry: CacheEntry, watch: NewPack["watch"]): NewPack {
  return {
    bundle: entry.bundle,
    tools: toolsOf(entry),
    passes: 0,
    moduleFormat: entry.moduleFormat,
    resolutions: {},
    watch,
    outside: [],
    modules: [],
    map: "",
  };
}

/** The pack with what this process loaded beside it. */
function withContents(pack: NewPack, { modules, resolutions, files, outside }: PackContents): NewPack {
  const { bundle, tools, moduleFormat, map } = pack;
  const watched = new Set(files.map(([path]) => path));
  const folders = new Set([...Object.keys(pack.resolutions), ...Object.keys(resolutions)]);
  return {
    bundle,
    tools,
    moduleFormat,
    map,
    passes: pack.passes + 1,
    resolutions: Object.fromEntries(
      [...folders].map((name) => [name, { ...pack.resolutions[name], ...resolutions[name] }]),
    ),
    watch: [...pack.watch.filter(([path]) => !watched.has(path)), ...files],
    outside: [...new Set([...pack.outside, ...outside])],
    modules: [...pack.modules, ...modules],
  };
}
