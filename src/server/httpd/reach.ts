// Whether a user can reach a file: every folder on the way must let him in, and the file must let him read.
// Rules: permission bits as the kernel reads them (owner, else group, else others); access control lists are not looked at,
// so a folder whose mode looks closed but that carries one is given the benefit of the doubt.

import { execFileSync } from "node:child_process";
import { realpathSync, statSync } from "node:fs";
import { dirname } from "node:path";
import { BootError, systemCodeOf } from "../../errors.ts";
import type { Account } from "./account.ts";

const readBit = 4;
const enterBit = 1;

/** Whether the mode of what is at `path` gives a user all of these bits. Throws where it cannot be looked at. */
export function allows(path: string, account: Account, bits: number): boolean {
  const { uid, gid, mode } = statSync(path);
  if (account.uid === 0) return true;
  if (uid === account.uid) return ((mode >> 6) & bits) === bits;
  if (account.groups.includes(gid)) return ((mode >> 3) & bits) === bits;
  return (mode & bits) === bits;
}

/** The folders from the root down to the one that holds `path`. */
export function foldersTo(path: string): string[] {
  const parent = dirname(path);
  return parent === path ? [path] : [...foldersTo(parent), parent];
}

/** Whether more than the mode decides (POSIX access control list). */
export function hasAccessList(path: string): boolean {
  try {
    const listing = execFileSync("ls", ["-ld", path], {
      encoding: "latin1",
      stdio: ["ignore", "pipe", "ignore"],
      timeout: 10_000,
    });
    return /^\S{10}\+/.test(listing);
  } catch {
    return false; // no `ls`: the mode is all there is
  }
}

/** As the kernel sees it; the given path where we ourselves may not look. */
function realPath(path: string): string {
  try {
    return realpathSync(path);
  } catch (error) {
    if (systemCodeOf(error) === "EACCES") return path;
    throw error;
  }
}

/** What keeps `account` from `path`; undefined when nothing does. */
function obstacle(path: string, account: Account): string | undefined {
  const real = realPath(path);
  const closed = foldersTo(real).find((folder) => !allows(folder, account, enterBit) && !hasAccessList(folder));
  if (closed !== undefined) return `may not enter the folder ${closed}`;
  const isFolder = statSync(real).isDirectory();
  const bits = isFolder ? readBit | enterBit : readBit;
  if (allows(real, account, bits) || hasAccessList(real)) return undefined;
  return isFolder ? `may not enter the folder ${real}` : `may not read the file ${real}`;
}

/** Throws BootError that names the folder or file in the way. `paths` must exist. */
export function requireReach(paths: readonly string[], account: Account): void {
  for (const path of paths) {
    const problem = obstacle(path, account);
    if (problem === undefined) continue;
    const who = account.isOther ? `Apache runs as the user ${account.user}, who` : "this user";
    throw new BootError(`${who} ${problem}: move it to a place like /srv, or open that with chmod`);
  }
}
