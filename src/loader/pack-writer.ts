// Writes packs: the modules of an application in one text, its source map, and the index that names them.
// Rules: the index comes last, and what it replaces is removed after it: who reads meanwhile finds all of one pack, or none.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { mayListen } from "./instance.ts";
import { indexName, moduleEnd, packFormat, stemOf, thisNode, wrapperStart } from "./pack.ts";
import type { Pack } from "./pack.ts";
import { fingerprint } from "./watch.ts";
import { removeQuietly, writeWhole } from "./whole-file.ts";

/** A module on its way into a pack. */
export interface PackedModule {
  readonly file: string;
  readonly code: string;
}

export interface NewPack extends Pick<
  Pack,
  "bundle" | "tools" | "moduleFormat" | "passes" | "resolutions" | "watch" | "outside"
> {
  /** The application first. None: it can only be an ES module. */
  readonly modules: readonly PackedModule[];
  /** The application's source map, JSON. */
  readonly map: string;
}

/** Stores a pack and removes the one that it replaces. Throws the system's error. */
export function writePack(folder: string, pack: NewPack): void {
  const { modules, map, ...rest } = pack;
  const { code, lines, spans } = joined(modules);
  const name = modules.length === 0 ? undefined : `${stemOf(pack.bundle)}-${fingerprint(code)}.pack`;
  const before = textNameIn(folder, pack.bundle);
  if (name !== undefined) {
    writeWhole(folder, `${name}.map`, Buffer.from(map));
    writeWhole(folder, name, Buffer.from(code));
  }
  const index: Pack = {
    format: packFormat,
    node: thisNode,
    ...rest,
    text: name,
    mayListen: modules.length > 1 || modules.some(({ code: own }) => mayListen(own)),
    files: modules.map(({ file }) => file),
    lines,
    spans,
  };
  writeWhole(folder, indexName(pack.bundle), Buffer.from(JSON.stringify(index)));
  if (before !== undefined && before !== name) {
    for (const ending of ["", ".map", ".code"]) removeQuietly(join(folder, before + ending));
  }
}

/** The modules that a text was made of. */
export function modulesIn(pack: Pack, text: string): PackedModule[] {
  return pack.files.map((file, index) => ({ file, code: text.slice(...(pack.spans[index] ?? [0, 0])) }));
}

function joined(modules: readonly PackedModule[]): Pick<Pack, "lines" | "spans"> & { readonly code: string } {
  const lines: number[] = [];
  const spans: [number, number][] = [];
  let code = "[";
  let line = 1;
  for (const module of modules) {
    lines.push(line);
    const start = code.length + wrapperStart.length;
    spans.push([start, start + module.code.length]);
    code += `${wrapperStart}${module.code}${moduleEnd}`;
    line += 2 + (module.code.match(/\r\n|[\n\r\u2028\u2029]/g)?.length ?? 0);
  }
  return { code: `${code}]`, lines, spans };
}

function textNameIn(folder: string, bundle: string): string | undefined {
  try {
    return (JSON.parse(readFileSync(join(folder, indexName(bundle)), "utf8")) as Pack).text;
  } catch {
    return undefined;
  }
}
