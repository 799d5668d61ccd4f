// Whom Apache's workers and our daemon run as: ourselves, or, when root starts them, the system's user for Apache.
// Rules: nothing that serves requests ever runs as root; the user database is asked through `id`, which knows every source.

import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { BootError } from "../../errors.ts";

export interface Account {
  readonly user: string;
  readonly group: string;
  readonly uid: number;
  readonly gid: number;
  /** Every group of the user, the first one included. */
  readonly groups: readonly number[];
  /** True when root must change to this user. */
  readonly isOther: boolean;
}

const apacheUsers = ["www-data", "apache", "_www", "www", "http", "wwwrun", "daemon"];

function ask(option: string, user: string): string | undefined {
  try {
    return execFileSync("id", [option, user], {
      encoding: "utf8",
      stdio: ["ignore", "pipe", "ignore"],
      timeout: 10_000,
    }).trim();
  } catch {
    return undefined; // `id` fails for a user that does not exist
  }
}

/** A user by name; undefined when there is none. */
export function lookUp(user: string): Account | undefined {
  if (!/^[A-Za-z0-9_][A-Za-z0-9_.-]*$/.test(user)) return undefined;
  const uid = Number(ask("-u", user) ?? Number.NaN);
  const gid = Number(ask("-g", user) ?? Number.NaN);
  if (Number.isNaN(uid) || Number.isNaN(gid)) return undefined;
  const groups = (ask("-G", user) ?? "").split(" ").filter(Boolean).map(Number);
  return { user, group: ask("-gn", user) ?? String(gid), uid, gid, groups, isOther: true };
}

function groupLines(): readonly string[] {
  try {
    return readFileSync("/etc/group", "latin1").split("\n");
  } catch {
    return []; // `getent` may know more
  }
}

/** The number of a group, by name or number; undefined when there is none. */
export function groupIdOf(group: string): number | undefined {
  if (/^[0-9]+$/.test(group)) return Number(group);
  for (const line of groupLines()) {
    const [name, , gid] = line.split(":");
    if (name === group && gid !== undefined) return Number(gid);
  }
  try {
    const entry = execFileSync("getent", ["group", "--", group], {
      encoding: "latin1",
      stdio: ["ignore", "pipe", "ignore"],
      timeout: 10_000,
    });
    const gid = Number(entry.split(":")[2]);
    return Number.isInteger(gid) ? gid : undefined;
  } catch {
    return undefined; // `getent` fails for a group that does not exist, and where there is no such program
  }
}

/** Throws BootError when we are root and there is no user for Apache. */
export function serverAccount(): Account {
  const uid = process.getuid?.() ?? 0;
  const gid = process.getgid?.() ?? 0;
  if (uid !== 0) {
    const groups = [gid, ...(process.getgroups?.() ?? [])];
    return { user: String(uid), group: String(gid), uid, gid, groups, isOther: false };
  }
  for (const user of apacheUsers) {
    const account = lookUp(user);
    if (account !== undefined && account.uid !== 0) return account;
  }
  throw new BootError(
    `there is no user for Apache's workers (${apacheUsers.join(", ")}): create one or start as another user`,
  );
}
