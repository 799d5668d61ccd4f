// The temporary files of one request.
// Rules: the removal is arranged before the first file is made; a file is removed once, at the request's end or when it is
// no longer wanted; one that was kept or moved is the application's.

import { rm } from "node:fs/promises";
import { atRequestEnd } from "../gateway/environ.ts";
import type { Environ } from "../spec.ts";
import { newUploadPath } from "./upload-folder.ts";

export class RequestUploads {
  readonly #environ: Environ;
  readonly #directory: string | undefined;
  readonly #paths = new Set<string>();
  #isArranged = false;
  #isOver = false;

  /** `directory` is where the folder of uploads lies; undefined for the system's temporary folder. */
  constructor(environ: Environ, directory: string | undefined) {
    this.#environ = environ;
    this.#directory = directory;
  }

  /** The path for a new file, which will be removed. */
  async newPath(): Promise<string> {
    if (!this.#isArranged) {
      this.#isArranged = true;
      atRequestEnd(this.#environ, () => {
        this.#isOver = true;
        return this.removeAll();
      });
    }
    const path = await newUploadPath(this.#directory);
    this.#paths.add(path);
    return path;
  }

  /** Whether a file is still to be removed by us. */
  has(path: string): boolean {
    return this.#paths.has(path);
  }

  /** The file is the application's from now on. */
  release(path: string): void {
    this.#paths.delete(path);
  }

  /** The file is written. When the request has ended meanwhile, it goes. */
  async written(path: string): Promise<void> {
    if (this.#isOver) await this.remove(path);
  }

  async remove(path: string): Promise<void> {
    this.#paths.delete(path);
    await rm(path, { force: true });
  }

  async removeAll(): Promise<void> {
    const paths = [...this.#paths];
    this.#paths.clear();
    await Promise.all(paths.map((path) => rm(path, { force: true })));
  }
}
