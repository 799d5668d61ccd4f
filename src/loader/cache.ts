// The folder of compiled scripts: where it is and why it can be trusted.
// Rules: what is in it gets executed, so nobody else may be able to write there, now or while we look. It is a real folder
// (no symbolic link) of mode 0700 that belongs to the running user, made with that mode in one step, and no folder above it
// lets strangers rename it. Anything else is refused, never repaired: a repaired folder may already hold foreign files.
import { lstatSync, mkdirSync, realpathSync, statSync, writeFileSync } from "node:fs";
import type { Stats } from "node:fs";
import { homedir, tmpdir } from "node:os";
import { dirname, isAbsolute, join, resolve } from "node:path";
import { LoadError, messageOf, systemCodeOf } from "../errors.ts";

/** A folder that may be used, or the reason why it may not. */
type Verdict = { readonly folder: string } | { readonly refusal: string };

/** Environment variables and user that the default place depends on. */
export interface CacheOwner {
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Undefined where the system knows no user ids. */
  readonly uid: number | undefined;
}

/** The running process. */
export function currentOwner(): CacheOwner {
  return { env: process.env, uid: process.geteuid?.() };
}

/**
 * The folder to use: the given one, or $XDG_CACHE_HOME/tsgi or ~/.cache/tsgi, then <temporary folder>/tsgi-<uid>. It is made
 * when it is missing. `unusable` has folders that turned out to be full or read-only, each with the reason. Throws LoadError
 * "no-cache" with every reason when no place is left.
 */
export function findCacheFolder(
  cacheDir: string | undefined,
  owner: CacheOwner,
  unusable: ReadonlyMap<string, string> = new Map(),
): string {
  const places =
    cacheDir === undefined
      ? [() => userPlace(owner), () => judge(join(tmpdir(), `tsgi-${owner.uid ?? "user"}`), owner.uid)]
      : [() => judge(resolve(cacheDir), owner.uid)];
  const reasons: string[] = [];
  for (const place of places) {
    const verdict = place();
    const refusal = "folder" in verdict ? unusable.get(verdict.folder) : verdict.refusal;
    if ("folder" in verdict && refusal === undefined) return verdict.folder;
    reasons.push(refusal ?? "");
  }
  const advice = "Name a folder of your own with --cache-dir.";
  throw new LoadError("no-cache", `no safe folder for compiled scripts: ${reasons.join("; ")}. ${advice}`);
}

/** The folder in the user's own cache folder; made only where he owns the place: under sudo the home may be another's. */
function userPlace({ env, uid }: CacheOwner): Verdict {
  const configured = env["XDG_CACHE_HOME"];
  const base = configured !== undefined && isAbsolute(configured) ? configured : homeCacheFolder(env["HOME"]);
  if (base === undefined) return { refusal: "this user has no home folder" };
  const folder = join(base, "tsgi");
  try {
    const present = nearestExisting(folder);
    if (present !== folder && uid !== undefined && statSync(present).uid !== uid) {
      return { refusal: `${folder} cannot be made, since ${present} belongs to another user` };
    }
  } catch (error) {
    return { refusal: `${folder} cannot be made (${messageOf(error)})` };
  }
  return judge(folder, uid);
}

/** `variable` is HOME: node:os, which asks for it first, takes longer to load than everything here. */
function homeCacheFolder(variable: string | undefined): string | undefined {
  try {
    const home = variable === undefined || variable === "" ? homedir() : variable;
    return isAbsolute(home) ? join(home, ".cache") : undefined;
  } catch {
    return undefined; // A user id without an entry in the password file, and no HOME.
  }
}

function judge(folder: string, uid: number | undefined): Verdict {
  try {
    const present = lstatSync(folder, { throwIfNoEntry: false });
    if (present === undefined) makePrivate(folder);
    const refusal = whyUnsafe(folder, present ?? lstatSync(folder), uid);
    return refusal === undefined ? { folder } : { refusal };
  } catch (error) {
    return { refusal: `${folder} cannot be used (${messageOf(error)})` };
  }
}

function makePrivate(folder: string): void {
  mkdirSync(dirname(folder), { recursive: true, mode: 0o700 });
  try {
    mkdirSync(folder, { mode: 0o700 });
  } catch (error) {
    if (systemCodeOf(error) === "EEXIST") return;
    throw error;
  }
  // A second lock for a home folder that a server publishes: nothing in here is for visitors.
  writeFileSync(join(folder, ".htaccess"), "Require all denied\n", { mode: 0o600 });
}

function whyUnsafe(folder: string, status: Stats, uid: number | undefined): string | undefined {
  if (status.isSymbolicLink()) return `${folder} is a symbolic link`;
  if (!status.isDirectory()) return `${folder} is not a folder`;
  if (uid === undefined) return undefined;
  if (status.uid !== uid) return `${folder} belongs to user ${status.uid}, not to user ${uid} who runs this`;
  const mode = status.mode & 0o777;
  if (mode !== 0o700) return `${folder} has mode 0${mode.toString(8)} instead of 0700`;
  const open = findOpen(dirname(folder));
  return open === undefined ? undefined : `${open}, which holds ${folder}, is writable for everybody`;
}

/** The first folder, from this one up to the root, in which strangers may rename things. */
function findOpen(folder: string): string | undefined {
  for (let above = folder; ; above = dirname(above)) {
    const status = lstatSync(above);
    if (status.isSymbolicLink()) return findOpen(realpathSync.native(folder)); // has no links, and is seldom needed
    if ((status.mode & 0o1002) === 0o0002) return above;
    if (above === dirname(above)) return undefined;
  }
}

function nearestExisting(path: string): string {
  let present = path;
  while (!isThere(present) && present !== dirname(present)) present = dirname(present);
  return present;
}

function isThere(path: string): boolean {
  return lstatSync(path, { throwIfNoEntry: false }) !== undefined;
}
