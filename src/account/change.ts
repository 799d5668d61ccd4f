// Changes of files in a served folder: shown as a diff, then made all together or not at all.
// Rules: a file is written beside its place and renamed, so Apache never reads half of it and a link in its place is
// replaced, never followed. Modes and owner are those that suEXEC accepts, whatever the umask is.

import {
  accessSync,
  closeSync,
  constants,
  fchmodSync,
  fchownSync,
  fstatSync,
  fsyncSync,
  openSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { basename, dirname, join } from "node:path";
import { createTwoFilesPatch, FILE_HEADERS_ONLY } from "diff";
import { BootError, messageOf } from "../errors.ts";

export interface FileChange {
  /** Absolute. */
  readonly path: string;
  /** Undefined for a file that is not there, before or after. */
  readonly before: Buffer | undefined;
  readonly after: Buffer | undefined;
  /** Permission bits of the new file. */
  readonly mode: number;
  /** Whose it is to be: that of the file it replaces, else the folder's. */
  readonly owner?: Owner | undefined;
  /** Of the file that is there. */
  readonly modeBefore?: number | undefined;
}

export interface Owner {
  readonly uid: number;
  readonly gid: number;
}

/** The change as a unified diff; a change of the mode alone is a line. */
export function diffOf({ path, before, after, mode, modeBefore }: FileChange): string {
  if (before !== undefined && after?.equals(before) === true) {
    return `${path}: mode 0${(modeBefore ?? 0).toString(8)} -> 0${mode.toString(8)}\n`;
  }
  const text = (bytes: Buffer | undefined): string => bytes?.toString("utf8") ?? "";
  const name = (bytes: Buffer | undefined): string => (bytes === undefined ? "/dev/null" : path);
  const options = { context: 3, headerOptions: FILE_HEADERS_ONLY };
  return createTwoFilesPatch(name(before), name(after), text(before), text(after), undefined, undefined, options);
}

interface Staged {
  readonly temporary: string;
  readonly path: string;
}

function stage({ path, mode, owner }: FileChange, bytes: Buffer): Staged {
  const random = Math.random().toString(36).slice(2);
  const temporary = join(dirname(path), `.${basename(path).replace(/^\./, "")}.${process.pid}.${random}.tmp`);
  const descriptor = openSync(temporary, "wx", 0o600);
  try {
    writeFileSync(descriptor, bytes);
    giveTo(descriptor, owner ?? statSync(dirname(path)));
    fchmodSync(descriptor, mode);
    fsyncSync(descriptor);
  } catch (error) {
    rmSync(temporary, { force: true });
    throw error;
  } finally {
    closeSync(descriptor);
  }
  return { temporary, path };
}

/** Root gives a file to anybody; others can only change its group, where they are a member of it. */
function giveTo(descriptor: number, { uid, gid }: Owner): void {
  const own = fstatSync(descriptor);
  if (own.uid === uid && own.gid === gid) return;
  try {
    fchownSync(descriptor, process.geteuid?.() === 0 ? uid : own.uid, gid);
  } catch {
    // Not a member of the group: whoever looks at the layout says so.
  }
}

/** Makes the changes. Throws BootError, and then nothing has changed unless the message says what has. */
export function applyChanges(changes: readonly FileChange[]): void {
  const staged: Staged[] = [];
  const done: string[] = [];
  let current = "";
  try {
    for (const { path } of changes) accessSync((current = dirname(path)), constants.W_OK);
    for (const change of changes) {
      current = change.path;
      if (change.after !== undefined) staged.push(stage(change, change.after));
    }
    for (const { path, after } of changes) {
      current = path;
      const file = staged.find((one) => one.path === path);
      if (after === undefined) rmSync(path);
      else if (file !== undefined) renameSync(file.temporary, path);
      done.push(path);
    }
  } catch (error) {
    for (const { temporary } of staged) rmSync(temporary, { force: true });
    const changed = done.length === 0 ? "nothing has been changed" : `only ${done.join(", ")} has been changed`;
    throw new BootError(`${current}: ${messageOf(error)}; ${changed}`, error);
  }
}
