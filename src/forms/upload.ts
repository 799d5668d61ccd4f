// A file of a form while it comes in.
// Rules: bytes go from the body to where they are wanted without being collected; a file that could not be written whole
// is removed at once; the client's file name is never a path.

import { open, rm, writeFile } from "node:fs/promises";
import { isAbsolute } from "node:path";
import { Readable } from "node:stream";
import type { Writable } from "node:stream";
import { pipeline } from "node:stream/promises";
import {
  ContractError,
  InputTooLargeError,
  messageOf,
  systemCodeOf,
  TsgiError,
  UploadStorageError,
} from "../errors.ts";
import type { FileInfo } from "./limits.ts";
import type { RequestUploads } from "./request-uploads.ts";
import type { UploadedFile } from "./uploaded-file.ts";
import { StoredFile } from "./uploaded-file.ts";

/**
 * A file as it comes in. Read it once, or have it stored. What is left of it when the next part is asked for is dropped; a
 * store that was begun is waited for.
 */
export interface IncomingFile extends FileInfo, AsyncIterable<Buffer> {
  readonly type: "file";
  /** Stores it in a temporary file of mode 0600, which is removed when the request ends. */
  save(): Promise<UploadedFile>;
  /**
   * Stores it at the absolute path of a file that does not exist yet (mode 0600), or writes it to a stream, which is ended.
   * What came of it is the application's, and is removed only when it could not be stored whole.
   */
  saveTo(target: string | Writable): Promise<UploadedFile>;
  /** The content as a Node Readable. */
  stream(): Readable;
  /** The whole content. `limit` in bytes, default 1 MiB; throws InputTooLargeError beyond it. */
  bytes(limit?: number): Promise<Buffer>;
}

const defaultLimitBytes = 1024 * 1024;

function ignore(): void {}

/** What the file system refused, as an error with a status of its own; errors of the body pass as they are. */
function storageError(error: unknown): unknown {
  if (error instanceof TsgiError || systemCodeOf(error) === undefined) return error;
  return new UploadStorageError(`an uploaded file cannot be stored: ${messageOf(error)}`, error);
}

export class ReceivedFile implements IncomingFile {
  readonly type = "file";
  readonly name: string;
  readonly filename: string;
  readonly mimeType: string;
  readonly #reader: AsyncIterator<Buffer>;
  readonly #uploads: RequestUploads;
  #peeked: IteratorResult<Buffer> | undefined;
  #isTaken = false;
  #isPast = false;
  #storing: Promise<unknown> | undefined;
  #size = 0;

  constructor(info: FileInfo, content: Readable, uploads: RequestUploads) {
    this.name = info.name;
    this.filename = info.filename;
    this.mimeType = info.mimeType;
    // Destroying a content in the middle would stall busboy: it is read to its end by whoever has it last.
    this.#reader = content.iterator({ destroyOnReturn: false }) as AsyncIterator<Buffer>;
    this.#uploads = uploads;
  }

  [Symbol.asyncIterator](): AsyncIterator<Buffer> {
    return this.#take();
  }

  stream(): Readable {
    const stream = Readable.from(this.#take(), { objectMode: false });
    stream.on("error", ignore); // nobody has to watch it: a body cut short must not end the process
    return stream;
  }

  async bytes(limit: number = defaultLimitBytes): Promise<Buffer> {
    const chunks: Buffer[] = [];
    for await (const chunk of this.#take()) {
      if (this.#size > limit) throw new InputTooLargeError(limit);
      chunks.push(chunk);
    }
    return Buffer.concat(chunks);
  }

  save(): Promise<UploadedFile> {
    return this.#store(async (content) => {
      const path = await this.#uploads.newPath();
      try {
        await this.#write(content, path);
      } catch (error) {
        this.#uploads.release(path);
        throw error;
      }
      await this.#uploads.written(path);
      return path;
    });
  }

  saveTo(target: string | Writable): Promise<UploadedFile> {
    if (typeof target !== "string") {
      return this.#store(async (content) => {
        await pipeline(content, target);
        return undefined;
      });
    }
    if (!isAbsolute(target))
      throw new ContractError(`a file is saved to an absolute path, not ${JSON.stringify(target)}`);
    return this.#store(async (content) => {
      await this.#write(content, target);
      return target;
    });
  }

  /** Whether there is nothing in it: with an empty file name, what a browser sends when no file was chosen. */
  async isEmpty(): Promise<boolean> {
    this.#peeked ??= await this.#reader.next();
    return this.#peeked.done === true;
  }

  /** Drops what was not read. The form goes on with its next part. */
  async finish(): Promise<void> {
    await this.#storing?.catch(ignore); // whoever asked for it has the error
    this.#isPast = true;
    while ((await this.#reader.next()).done !== true);
  }

  #take(): AsyncGenerator<Buffer, void, undefined> {
    if (this.#isTaken) throw new ContractError("a file of a form is read twice: store it, and read what was stored");
    this.#isTaken = true;
    return this.#chunks();
  }

  async *#chunks(): AsyncGenerator<Buffer, void, undefined> {
    for (;;) {
      const { done, value } = this.#peeked ?? (await this.#reader.next());
      this.#peeked = undefined;
      if (this.#isPast) throw new ContractError("a file of a form is read after the next part was asked for");
      if (done === true) return;
      this.#size += value.length;
      yield value;
    }
  }

  #store(
    write: (content: AsyncGenerator<Buffer, void, undefined>) => Promise<string | undefined>,
  ): Promise<UploadedFile> {
    const content = this.#take();
    const storing = (async () => {
      try {
        const path = await write(content);
        return new StoredFile(this, { path, size: this.#size, uploads: this.#uploads });
      } catch (error) {
        throw storageError(error);
      }
    })();
    this.#storing = storing;
    return storing;
  }

  /** Makes the file; removes it again when it cannot be written whole. */
  async #write(content: AsyncIterable<Buffer>, path: string): Promise<void> {
    const handle = await open(path, "wx", 0o600);
    try {
      await writeFile(handle, content);
      await handle.close();
    } catch (error) {
      await handle.close().catch(ignore); // the first error counts
      await rm(path, { force: true });
      throw error;
    }
  }
}
