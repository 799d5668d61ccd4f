// What a user may do with a file: every folder on the way must let him in, and the file must let him do it.
// Rules: the bits of the mode as the kernel reads them, access control lists given the benefit of the doubt; what we may not
// look at ourselves is "unseen", not forbidden.

import { lstatSync, readFileSync, realpathSync, statSync } from "node:fs";
import type { Stats } from "node:fs";
import type { Account } from "../server/httpd/account.ts";
import { lookUp } from "../server/httpd/account.ts";
import { allows, foldersTo, hasAccessList } from "../server/httpd/reach.ts";

export const bits = { read: 4, write: 2, run: 1 } as const;

/** The file or folder that is in the way, and whether it may not be entered or not be used. */
export interface Obstacle {
  readonly path: string;
  readonly kind: "folder" | "file" | "unseen";
}

/** The status of what a path leads to; undefined when nothing is there or we may not look. */
export function statusOf(path: string): Stats | undefined {
  try {
    return statSync(path, { throwIfNoEntry: false });
  } catch {
    return undefined; // a folder on the way is closed to us, or the path is no path
  }
}

/** The same for the path itself, which may be a link. */
export function linkStatusOf(path: string): Stats | undefined {
  try {
    return lstatSync(path, { throwIfNoEntry: false });
  } catch {
    return undefined; // as above
  }
}

/** The real path, or the given one when there is none that we may see. */
export function realPathOf(path: string): string {
  try {
    return realpathSync(path);
  } catch {
    return path;
  }
}

/** The beginning of a file; undefined when we may not read it. */
export function textOf(path: string, limit = 1_000_000): string | undefined {
  try {
    const status = statSync(path);
    return status.isFile() && status.size <= limit ? readFileSync(path, "latin1") : undefined;
  } catch {
    return undefined; // not there, or not for us
  }
}

/** Whether we may see what is there: false when a folder on the way is closed to us. */
export function canSee(path: string): boolean {
  try {
    lstatSync(path);
    return true;
  } catch (error) {
    return !(error instanceof Error && "code" in error && error.code === "EACCES");
  }
}

/** What keeps `account` from `path`, which exists; undefined when nothing does. `wanted` is a sum of `bits`. */
export function obstacleTo(path: string, account: Account, wanted: number): Obstacle | undefined {
  const real = realPathOf(path);
  const isClosed = (place: string, needed: number): boolean => !allows(place, account, needed) && !hasAccessList(place);
  try {
    const folder = foldersTo(real).find((place) => isClosed(place, bits.run));
    if (folder !== undefined) return { path: folder, kind: "folder" };
    return isClosed(real, wanted) ? { path: real, kind: "file" } : undefined;
  } catch {
    return { path: real, kind: "unseen" };
  }
}

const accounts = new Map<number, Account>();

/** The user with a number; one that nobody has a name for has its number as name. */
export function accountOf(uid: number, gid: number): Account {
  const known = accounts.get(uid) ?? lookUp(nameOfUser(uid));
  const account = known ?? { user: String(uid), group: String(gid), uid, gid, groups: [gid], isOther: true };
  accounts.set(uid, account);
  return account;
}

/** The name of a user in the password file, else the number. */
export function nameOfUser(uid: number): string {
  const lines = (textOf("/etc/passwd") ?? "").split("\n").map((line) => line.split(":"));
  return lines.find((fields) => fields[2] === String(uid))?.[0] ?? String(uid);
}

/** The mode as chmod takes it: "0755". */
export function modeText({ mode }: Stats): string {
  return (mode & 0o7777).toString(8).padStart(4, "0");
}
