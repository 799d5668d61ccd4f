// What a daemon has loaded of installed packages, which no application's watch names: that has their package.json only.
// Rules: a file is known from the end of the request that loaded it; what package managers write in a node_modules folder tells of
// the ES modules in it, which Node does not list, and is looked at for each request; the files are many, and are looked at now and
// then.

import { createRequire } from "node:module";
import { installFoldersOf, installMarksOf } from "../../loader/install-marks.ts";
import { signatureOf } from "../../loader/watch.ts";
import type { Watch } from "../../loader/watch.ts";

/** A look at more takes too long. */
const maxFiles = 5000;
/** How often the files themselves are looked at, ms. */
const lookMs = 2000;
const { cache } = createRequire(import.meta.url);

function haveOtherSignatures(known: ReadonlyMap<string, string>): boolean {
  for (const [path, signature] of known) if (signatureOf(path) !== signature) return true;
  return false;
}

export class Installs {
  readonly #files = new Map<string, string>();
  readonly #marks = new Map<string, string>();
  readonly #folders = new Set<string>();
  #lookedMs = 0;

  /** Whether any of it differs from what was loaded. Looks at the files. */
  haveChanged(): boolean {
    if (haveOtherSignatures(this.#marks)) return true;
    const now = performance.now();
    if (now - this.#lookedMs < lookMs) return false;
    this.#lookedMs = now;
    return haveOtherSignatures(this.#files);
  }

  /** Remembers what has been loaded since the last time, as it is now. */
  learn(watches: readonly Watch[]): void {
    for (const { files } of watches) for (const { path } of files) this.#addFolders(path);
    for (const path of Object.keys(cache)) {
      if (this.#files.size >= maxFiles) break;
      if (this.#files.has(path)) continue;
      this.#files.set(path, signatureOf(path));
      this.#addFolders(path);
    }
  }

  #addFolders(path: string): void {
    for (const folder of installFoldersOf(path)) {
      if (this.#folders.has(folder)) continue;
      this.#folders.add(folder);
      for (const mark of installMarksOf(folder)) this.#marks.set(mark, signatureOf(mark));
    }
  }
}
