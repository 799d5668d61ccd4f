// Puts the probe into a folder and takes it away again.
// Rules: in a folder of its own with a random name, made new and never through a link; as root, as the folder's owner, so that
// nobody can lead it elsewhere and suEXEC accepts it; what is removed are only its own files. All of it is synchronous, so that a signal
// cannot leave half of it.

import { randomBytes } from "node:crypto";
import {
  chmodSync,
  closeSync,
  constants,
  fchmodSync,
  lstatSync,
  mkdirSync,
  openSync,
  readdirSync,
  realpathSync,
  rmdirSync,
  unlinkSync,
  writeSync,
} from "node:fs";
import { join } from "node:path";
import { BootError, messageOf, systemCodeOf } from "../errors.ts";
import { probeFiles, probeNames } from "./probe-files.ts";

export interface Probe {
  /** The name of its folder, inside the one that was given. */
  readonly name: string;
  /** For the header X-Tsgi-Probe. */
  readonly token: string;
  /** The programs to ask, relative to the URL of the folder. */
  readonly paths: { readonly cgi: string; readonly fcgid: string };
  /** May be called again. */
  readonly remove: () => void;
}

/** The programs of a probe, below the URL that `folder` counts from. */
export function probePaths(folder: string): Probe["paths"] {
  return { cgi: join(folder, probeNames.cgi), fcgid: join(folder, probeNames.fcgid) };
}

const folderPattern = /^tsgi-probe-[0-9a-f]{16}$/;

/** Does `work` as the owner of `folder` when root asks: what he may not do, root does not do for him. */
function asOwnerOf<Result>(folder: string, work: () => Result): Result {
  const { uid, gid } = lstatSync(folder);
  const { setegid, seteuid, setgroups, getgroups } = process;
  const isRoot = process.geteuid?.() === 0;
  if (!isRoot || uid === 0 || !setegid || !seteuid || !setgroups || !getgroups) return work();
  const groups = getgroups.call(process);
  setgroups.call(process, [gid]);
  setegid.call(process, gid);
  seteuid.call(process, uid);
  try {
    return work();
  } finally {
    seteuid.call(process, 0);
    setegid.call(process, 0);
    setgroups.call(process, groups);
  }
}

function writeNew(file: string, text: string, mode: number): void {
  const { O_CREAT, O_EXCL, O_NOFOLLOW, O_WRONLY } = constants;
  // oxlint-disable-next-line no-bitwise -- flags of open(2)
  const descriptor = openSync(file, O_CREAT | O_EXCL | O_NOFOLLOW | O_WRONLY, 0o600);
  try {
    writeSync(descriptor, text);
    fchmodSync(descriptor, mode);
  } finally {
    closeSync(descriptor);
  }
}

function ignoreMissing(work: () => void): void {
  try {
    work();
  } catch (error) {
    if (systemCodeOf(error) !== "ENOENT") throw error;
  }
}

function removeFolder(folder: string): void {
  for (const name of Object.values(probeNames)) ignoreMissing(() => unlinkSync(join(folder, name)));
  ignoreMissing(() => rmdirSync(folder));
}

/** Throws BootError when the folder cannot be written to; then nothing is left in it. */
export function installProbe(folder: string): Probe {
  let real: string;
  try {
    real = realpathSync(folder);
  } catch (error) {
    throw new BootError(`the probe cannot be put into ${folder}: ${messageOf(error)}`, error);
  }
  const name = `tsgi-probe-${randomBytes(8).toString("hex")}`;
  const token = randomBytes(32).toString("base64url");
  const place = join(real, name);
  const remove = (): void => asOwnerOf(real, () => removeFolder(place));
  try {
    asOwnerOf(real, () => {
      mkdirSync(place, { mode: 0o700 });
      for (const file of probeFiles(place, token, Date.now())) writeNew(join(place, file.name), file.text, file.mode);
      chmodSync(place, 0o755);
    });
  } catch (error) {
    ignoreMissing(remove);
    throw new BootError(`the probe cannot be put into ${real}: ${messageOf(error)}`, error);
  }
  return { name, token, paths: probePaths(name), remove };
}

/** Removes the probes in a folder that are older than `ageMs`; gives their names. A younger one may be in use. */
export function removeProbe(folder: string, ageMs = 0): string[] {
  const real = realpathSync(folder);
  const names = readdirSync(real).filter((name) => {
    if (!folderPattern.test(name)) return false;
    const status = lstatSync(join(real, name));
    return status.isDirectory() && Date.now() - status.mtimeMs >= ageMs;
  });
  asOwnerOf(real, () => {
    for (const name of names) removeFolder(join(real, name));
  });
  return names;
}
