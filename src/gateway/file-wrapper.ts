// `wsgi.file_wrapper` (PEP 3333 "Optional Platform-Specific File Handling"): a file as a body.
// Rules: one block in memory at a time; the file's own `close()` is called by the body's `close()`, which the gateway
// calls exactly once. FastCGI cannot pass a descriptor, so there is no sendfile to use; the server may name the file to
// Apache in its place.

import { ContractError } from "../errors.ts";
import type { Body, Chunk, FileHandleLike, FileLike, FileReader, FileWrapper } from "../spec.ts";

const defaultBlockBytes = 64 * 1024;

/** A stream has both `read` and an iterator, and a file's stream even `fd`: it is to be iterated. */
function isStream(file: FileLike | FileHandleLike): file is AsyncIterable<Chunk> {
  return Symbol.asyncIterator in file;
}

function isFileHandle(file: FileReader | FileHandleLike): file is FileHandleLike {
  return "fd" in file && typeof file.fd === "number" && "read" in file && typeof file.read === "function";
}

async function* handleBlocks(file: FileHandleLike, blockSize: number): AsyncGenerator<Chunk> {
  for (;;) {
    const block = Buffer.allocUnsafe(blockSize);
    const { bytesRead } = await file.read(block, 0, blockSize, null);
    if (bytesRead === 0) return;
    yield block.subarray(0, bytesRead);
  }
}

async function* readerBlocks(file: FileReader, blockSize: number): AsyncGenerator<Chunk> {
  for (;;) {
    const block = await file.read(blockSize);
    if (block === null || block.length === 0) return;
    yield block;
  }
}

class WrappedFile implements AsyncIterable<Chunk> {
  readonly #file: FileLike | FileHandleLike;
  readonly #blockSize: number;

  constructor(file: FileLike | FileHandleLike, blockSize: number) {
    this.#file = file;
    this.#blockSize = blockSize;
  }

  /** What was wrapped. */
  get file(): FileLike | FileHandleLike {
    return this.#file;
  }

  [Symbol.asyncIterator](): AsyncIterator<Chunk> {
    const file = this.#file;
    if (isStream(file)) return file[Symbol.asyncIterator]();
    return isFileHandle(file) ? handleBlocks(file, this.#blockSize) : readerBlocks(file, this.#blockSize);
  }

  /** Closes the file, or destroys the stream; called once by the gateway. */
  async close(): Promise<void> {
    const file = this.#file;
    if ("close" in file && typeof file.close === "function") await file.close();
    else if ("destroy" in file && typeof file.destroy === "function") file.destroy();
  }
}

/** The `wsgi.file_wrapper` of every environ. Throws ContractError for something that cannot be read. */
export const fileWrapper: FileWrapper = (file, blockSize = defaultBlockBytes) => {
  if (!Number.isSafeInteger(blockSize) || blockSize < 1) {
    throw new ContractError(`wsgi.file_wrapper: the block size must be a positive number of bytes, not ${blockSize}`);
  }
  const isReadable =
    typeof file === "object" && file !== null && (Symbol.asyncIterator in file || typeof file.read === "function");
  if (!isReadable)
    throw new ContractError("wsgi.file_wrapper needs a FileHandle, a stream, or an object with read(size)");
  return new WrappedFile(file, blockSize);
};

/** What `wsgi.file_wrapper` made this body of; undefined for any other body. */
export function wrappedFileOf(body: Body): FileLike | FileHandleLike | undefined {
  return body instanceof WrappedFile ? body.file : undefined;
}
