// What `tsgi init` has put into a folder, and whether it still is what it was.
// Rules: nothing is followed that is no plain file; only looks, never changes.

import { closeSync, constants, fstatSync, lstatSync, openSync, readFileSync, realpathSync, statSync } from "node:fs";
import { join } from "node:path";
import { BootError, messageOf } from "../errors.ts";
import type { MarkedBlock } from "./block.ts";
import { findBlock } from "./block.ts";
import { ownerOfScript, wrapperNames } from "./wrapper.ts";

/** More than any .htaccess file, wrapper or upload kit has. */
const maxFileBytes = 256 * 1024 * 1024;

/** A plain file of the folder. */
export interface PlacedFile {
  readonly path: string;
  readonly bytes: Buffer;
  /** Permission bits. */
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
}

export interface PlacedWrapper extends PlacedFile {
  readonly name: string;
  readonly owner: "ours" | "edited" | "foreign";
}

export interface Layout {
  /** Real path. */
  readonly folder: string;
  readonly htaccess: PlacedFile | undefined;
  /** Its text is `htaccess.bytes` as latin-1. */
  readonly block: MarkedBlock | undefined;
  /** Every executable with a name that ours has, whoever wrote it. */
  readonly wrappers: readonly PlacedWrapper[];
}

/**
 * The real path of a folder that is to be served. Throws BootError when there is none, or when somebody has made a link to a
 * folder of somebody else.
 */
export function servedFolder(path: string): string {
  try {
    const status = statSync(path);
    if (!status.isDirectory()) throw new BootError(`${path} is not a folder`);
    if (lstatSync(path).uid !== status.uid) throw new BootError(`${path} is a link to a folder of another user`);
    return realpathSync.native(path);
  } catch (error) {
    if (error instanceof BootError) throw error;
    throw new BootError(`${path}: ${messageOf(error)}`, error);
  }
}

/** A file as it is; undefined when there is none. Throws BootError for what is no plain file. */
export function readPlaced(path: string): PlacedFile | undefined {
  const found = lstatSync(path, { throwIfNoEntry: false });
  if (found === undefined) return undefined;
  if (!found.isFile()) {
    const what = found.isSymbolicLink() ? "a symbolic link" : "no plain file";
    throw new BootError(`${path} is ${what}: it is left alone. Move it away, or name another folder`);
  }
  let descriptor: number | undefined;
  try {
    // Whoever owns the folder may put a link there since the look above.
    descriptor = openSync(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
    const { uid, gid, mode, size } = fstatSync(descriptor);
    if (size > maxFileBytes) throw new Error(`it has more than ${maxFileBytes} bytes`);
    return { path, bytes: readFileSync(descriptor), mode: mode & 0o7777, uid, gid };
  } catch (error) {
    throw new BootError(`${path} cannot be read: ${messageOf(error)}`, error);
  } finally {
    if (descriptor !== undefined) closeSync(descriptor);
  }
}

/** What is in `folder`, a real path, of what `tsgi init` writes. Throws BootError for links and damaged markers. */
export function layoutOf(folder: string): Layout {
  const htaccess = readPlaced(join(folder, ".htaccess"));
  const wrappers = wrapperNames.flatMap((name): PlacedWrapper[] => {
    const file = readPlaced(join(folder, name));
    return file === undefined ? [] : [{ ...file, name, owner: ownerOfScript(file.bytes.toString("utf8")) }];
  });
  const block = htaccess === undefined ? undefined : findBlock(htaccess.bytes.toString("latin1"));
  return { folder, htaccess, block, wrappers };
}
