// Files of the cache folder, written so that nobody ever sees half of one.
import { closeSync, fsyncSync, openSync, renameSync, unlinkSync, writeSync } from "node:fs";
import { join } from "node:path";
import { systemCodeOf } from "../errors.ts";

/** Writes a file under another name and renames it. Throws the system's error, and leaves nothing behind then. */
export function writeWhole(folder: string, name: string, bytes: Uint8Array): void {
  const temporary = join(folder, `${name}.${process.pid}.${Math.random().toString(36).slice(2)}.tmp`);
  const descriptor = openSync(temporary, "wx", 0o600);
  try {
    try {
      for (let offset = 0; offset < bytes.length;) offset += writeSync(descriptor, bytes, offset);
      fsyncSync(descriptor);
    } finally {
      closeSync(descriptor);
    }
    renameSync(temporary, join(folder, name));
  } catch (error) {
    removeQuietly(temporary);
    throw error;
  }
}

export function removeQuietly(path: string): void {
  try {
    unlinkSync(path);
  } catch (error) {
    // Another process removed it first, or the disk became read-only: it is only rubbish.
    if (systemCodeOf(error) === undefined) throw error;
  }
}
