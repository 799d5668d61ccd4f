// The folder of uploaded files: <temporary folder>/tsgi-uploads-<uid>, mode 0700, with files of mode 0600 in it.
// Rules: it must be a real folder of the running user that nobody else can enter, else it is refused; the names in it are
// ours and random; files of processes that are gone are swept when a process first uses it; kept ones are not.

import { randomUUID } from "node:crypto";
import { lstatSync, mkdirSync, statSync } from "node:fs";
import { readdir, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, isAbsolute, join } from "node:path";
import { ContractError, messageOf, systemCodeOf, UploadStorageError } from "../errors.ts";
import type { Owner } from "./owner.ts";
import { isGone, nameOf, ownerIn, thisProcess } from "./owner.ts";

/** What has been done in this process: the owner's name and the folders that were swept. */
const swept = new Map<string, Promise<void>>();
let self: Owner | undefined;

function folderIn(directory: string | undefined): string {
  if (directory !== undefined && !isAbsolute(directory)) {
    throw new ContractError(`the folder for uploads must be an absolute path, not ${JSON.stringify(directory)}`);
  }
  return join(directory ?? tmpdir(), `tsgi-uploads-${process.geteuid?.() ?? "user"}`);
}

function whyUnsafe(folder: string): string | undefined {
  const status = lstatSync(folder);
  const uid = process.geteuid?.();
  if (!status.isDirectory()) return "is no folder";
  if (uid === undefined) return undefined;
  if (status.uid !== uid) return `belongs to user ${status.uid}, not to user ${uid} who runs this`;
  if ((status.mode & 0o777) !== 0o700) return `has mode 0${(status.mode & 0o777).toString(8)} instead of 0700`;
  const isOpenAbove = (statSync(dirname(folder)).mode & 0o1002) === 0o0002;
  return isOpenAbove ? "is in a folder where everybody may rename it" : undefined;
}

function makePrivate(folder: string): void {
  try {
    mkdirSync(folder, { mode: 0o700 });
  } catch (error) {
    if (systemCodeOf(error) !== "EEXIST") throw error;
  }
}

/** Makes the folder where it is missing. Throws UploadStorageError when it cannot be used. */
function openFolder(folder: string): void {
  let refusal: string | undefined;
  try {
    makePrivate(folder);
    refusal = whyUnsafe(folder);
  } catch (error) {
    throw new UploadStorageError(`the folder for uploads ${folder} cannot be used: ${messageOf(error)}`, error);
  }
  if (refusal !== undefined) {
    throw new UploadStorageError(
      `the folder for uploads ${folder} ${refusal}: remove it, or set TMPDIR to another place`,
    );
  }
}

/** Removes a file when its owner is gone. A file that somebody else removes meanwhile is as good. */
async function sweepFile(folder: string, name: string, running: Owner): Promise<void> {
  const owner = ownerIn(name);
  if (owner === undefined) return;
  const path = join(folder, name);
  try {
    const { mtimeMs } = await stat(path);
    if (isGone(owner, running, Date.now() - mtimeMs)) await rm(path, { force: true });
  } catch {
    // gone already, or not ours to remove
  }
}

/** Removes the files that processes left which no longer run. Does nothing where there is no folder. */
export async function sweepUploads(directory?: string): Promise<void> {
  const folder = folderIn(directory);
  self ??= thisProcess();
  try {
    if (whyUnsafe(folder) !== undefined) return;
    for (const name of await readdir(folder)) await sweepFile(folder, name, self);
  } catch {
    // no such folder: nothing was left
  }
}

/** The path of a new temporary file, which is not made yet. Sweeps what other processes left, once per process. */
export async function newUploadPath(directory?: string): Promise<string> {
  const folder = folderIn(directory);
  openFolder(folder);
  let sweeping = swept.get(folder);
  if (sweeping === undefined) {
    sweeping = sweepUploads(directory);
    swept.set(folder, sweeping);
  }
  await sweeping;
  self ??= thisProcess();
  return join(folder, `${nameOf(self)}.${randomUUID()}`);
}

/** Where a file goes that is kept: beside the others, under a name that no sweep takes. */
export function keptPathOf(path: string): string {
  return join(dirname(path), `kept.${randomUUID()}`);
}
