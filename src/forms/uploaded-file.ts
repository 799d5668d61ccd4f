// A file of a form that has been stored.
// Rules: a temporary file is removed at the request's end unless it was kept or moved; moving never leaves half a file
// under the wanted name.

import { randomUUID } from "node:crypto";
import { createReadStream, renameSync } from "node:fs";
import { copyFile, readFile, rename, rm } from "node:fs/promises";
import { isAbsolute } from "node:path";
import type { Readable } from "node:stream";
import { ContractError, InputTooLargeError, systemCodeOf } from "../errors.ts";
import type { FileInfo } from "./limits.ts";
import type { RequestUploads } from "./request-uploads.ts";
import { keptPathOf } from "./upload-folder.ts";

/** A file that has been stored. */
export interface UploadedFile extends FileInfo {
  readonly type: "file";
  /** Bytes. */
  readonly size: number;
  /** Where it is now; undefined when it went to a stream. */
  readonly path: string | undefined;
  /** Makes a temporary file stay, under a new random name in the same folder. Gives the path. */
  keep(): string;
  /** Moves it to an absolute path, also to another disk; a file that is there is replaced. It then stays. */
  moveTo(path: string): Promise<void>;
  /** The content, from the disk. */
  stream(): Readable;
  /** The whole content. `limit` in bytes, default 1 MiB; throws InputTooLargeError beyond it. */
  bytes(limit?: number): Promise<Buffer>;
  /** The content as UTF-8. `limit` as for `bytes`. */
  text(limit?: number): Promise<string>;
}

interface Stored {
  readonly path: string | undefined;
  readonly size: number;
  readonly uploads: RequestUploads;
}

const defaultLimitBytes = 1024 * 1024;

export class StoredFile implements UploadedFile {
  readonly type = "file";
  readonly name: string;
  readonly filename: string;
  readonly mimeType: string;
  readonly size: number;
  readonly #uploads: RequestUploads;
  #path: string | undefined;

  constructor(info: FileInfo, stored: Stored) {
    this.name = info.name;
    this.filename = info.filename;
    this.mimeType = info.mimeType;
    this.size = stored.size;
    this.#path = stored.path;
    this.#uploads = stored.uploads;
  }

  get path(): string | undefined {
    return this.#path;
  }

  keep(): string {
    const path = this.#present();
    if (!this.#uploads.has(path)) return path;
    const kept = keptPathOf(path);
    renameSync(path, kept);
    this.#release(path, kept);
    return kept;
  }

  async moveTo(target: string): Promise<void> {
    if (!isAbsolute(target))
      throw new ContractError(`a file is moved to an absolute path, not ${JSON.stringify(target)}`);
    const path = this.#present();
    try {
      await rename(path, target);
    } catch (error) {
      if (systemCodeOf(error) !== "EXDEV") throw error;
      await copyThenRename(path, target);
      await rm(path, { force: true });
    }
    this.#release(path, target);
  }

  stream(): Readable {
    return createReadStream(this.#present());
  }

  async bytes(limit: number = defaultLimitBytes): Promise<Buffer> {
    if (this.size > limit) throw new InputTooLargeError(limit);
    return await readFile(this.#present());
  }

  async text(limit: number = defaultLimitBytes): Promise<string> {
    return (await this.bytes(limit)).toString("utf8");
  }

  #present(): string {
    if (this.#path === undefined) throw new ContractError("the uploaded file went to a stream: there is no file of it");
    return this.#path;
  }

  #release(path: string, now: string): void {
    this.#uploads.release(path);
    this.#path = now;
  }
}

/** For another disk: the wanted name appears when the file is whole. */
async function copyThenRename(path: string, target: string): Promise<void> {
  const copy = `${target}.${randomUUID()}`;
  try {
    await copyFile(path, copy);
    await rename(copy, target);
  } catch (error) {
    await rm(copy, { force: true });
    throw error;
  }
}
