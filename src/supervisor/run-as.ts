// Becoming another user for good, before anything of the application is read.
// Rules: groups first, then group, then user, as root can change them in no other order; afterwards it is verified that
// nothing of root is left and that there is no way back. Asynchronous file calls run in threads: the C library changes
// those too, but not an io_uring, which is therefore off in workers.

import { readFileSync } from "node:fs";
import { BootError } from "../errors.ts";

/** An account, as numbers: names are looked up while we are still allowed to. */
export interface RunAs {
  readonly uid: number;
  readonly gid: number;
  /** Every group, `gid` included. */
  readonly groups: readonly number[];
}

function same(left: readonly number[], right: readonly number[]): boolean {
  const sorted = (list: readonly number[]): string => [...new Set(list)].sort((a, b) => a - b).join(" ");
  return sorted(left) === sorted(right);
}

/** Whether the kernel gives this process any of root's powers; false where it does not say. */
function hasCapabilities(): boolean {
  try {
    return /^CapEff:\s*0*[1-9a-f]/m.test(readFileSync("/proc/self/status", "latin1"));
  } catch {
    return false; // no /proc: another system than Linux
  }
}

function canReturn(): boolean {
  try {
    process.setuid?.(0);
    return true;
  } catch {
    return false; // as it should be
  }
}

/** Whether this process is that account and nothing more. */
function isOnly({ uid, gid, groups }: RunAs): boolean {
  const isUser = process.getuid?.() === uid && process.geteuid?.() === uid;
  const isGroup = process.getgid?.() === gid && process.getegid?.() === gid;
  const actual = process.getgroups?.() ?? [];
  return isUser && isGroup && same([...actual, gid], [...groups, gid]);
}

/** Throws BootError when the change cannot be made or was not complete. */
export function become(account: RunAs): void {
  const { uid, gid, groups } = account;
  if (uid === 0) throw new BootError("root does not serve applications: name another user with --user");
  try {
    process.setgroups?.([...groups]);
    process.setgid?.(gid);
    process.setuid?.(uid);
  } catch (error) {
    throw new BootError(`cannot become user ${uid}, group ${gid}: only root can`, error);
  }
  if (!isOnly(account) || hasCapabilities() || canReturn()) {
    throw new BootError(`the change to user ${uid}, group ${gid} was not complete: nothing is run`);
  }
}
