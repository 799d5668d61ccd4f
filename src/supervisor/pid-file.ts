// The pid file of a daemon.
// Rules: it appears whole, with a rename; one that names a living daemon is left alone, and so is a file that is no pid
// file; it is removed only while it is still ours.

import { closeSync, lstatSync, openSync, readFileSync, renameSync, unlinkSync, writeSync } from "node:fs";
import { BootError, messageOf, systemCodeOf } from "../errors.ts";

/** USER_HZ, which is 100 wherever Node runs on Linux. */
const ticksPerSecond = 100;
/** How much a process may seem younger than the file that it wrote: clocks are set now and then. */
const clockSlackMs = 60_000;
const maxPidFileBytes = 32;

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return systemCodeOf(error) === "EPERM";
  }
}

/** When a process started, in ms since the epoch; undefined where the system does not tell (Linux does). */
function startOf(pid: number): number | undefined {
  try {
    const boot = /^btime (\d+)$/m.exec(readFileSync("/proc/stat", "latin1"))?.[1];
    const text = readFileSync(`/proc/${pid}/stat`, "latin1");
    // The second field is a name in parentheses that may hold anything; field 22 is the start.
    const ticks = text.slice(text.lastIndexOf(")") + 2).split(" ")[19];
    if (boot === undefined || ticks === undefined) return undefined;
    return Number(boot) * 1000 + (Number(ticks) * 1000) / ticksPerSecond;
  } catch {
    return undefined;
  }
}

/** The pid of a daemon that wrote the file and runs; undefined when there is none. Throws BootError. */
function livingOwner(path: string): number | undefined {
  const found = lstatSync(path, { throwIfNoEntry: false });
  if (found === undefined) return undefined;
  if (!found.isFile() || found.size > maxPidFileBytes) throw new BootError(`${path} exists and is not a pid file`);
  const text = readFileSync(path, "latin1").trim();
  if (text === "") return undefined; // its writer was interrupted
  const pid = Number(text);
  if (!/^\d{1,9}$/.test(text) || pid === 0) throw new BootError(`${path} exists and is not a pid file`);
  if (pid === process.pid || !isAlive(pid)) return undefined;
  // A number is given again: one that started after the file was written did not write it.
  const start = startOf(pid);
  return start !== undefined && start > found.mtimeMs + clockSlackMs ? undefined : pid;
}

export class PidFile {
  readonly path: string;
  readonly #dev: number;
  readonly #ino: number;

  private constructor(path: string, { dev, ino }: { readonly dev: number; readonly ino: number }) {
    this.path = path;
    this.#dev = dev;
    this.#ino = ino;
  }

  /** Writes this process's number. Throws BootError when the file names another daemon that runs, or cannot be written. */
  static write(path: string): PidFile {
    const temporary = `${path}.${process.pid}`;
    try {
      const owner = livingOwner(path);
      if (owner !== undefined) throw new BootError(`another daemon runs: ${path} names pid ${owner}`);
      removeIfThere(temporary); // an earlier process with our number left it
      const fd = openSync(temporary, "wx", 0o644);
      try {
        writeSync(fd, `${process.pid}\n`);
      } finally {
        closeSync(fd);
      }
      renameSync(temporary, path);
      return new PidFile(path, lstatSync(path));
    } catch (error) {
      if (error instanceof BootError) throw error;
      throw new BootError(`--pid-file: cannot write ${path}: ${messageOf(error)}`, error);
    }
  }

  /** Removes the file if it is still the one that was written. Never throws. */
  remove(): void {
    try {
      const found = lstatSync(this.path, { throwIfNoEntry: false });
      if (found?.dev !== this.#dev || found.ino !== this.#ino) return;
      if (readFileSync(this.path, "latin1") === `${process.pid}\n`) unlinkSync(this.path);
    } catch {
      // The folder may have gone, or may not be written to any more: a pid file that stays is known as stale.
    }
  }
}

function removeIfThere(path: string): void {
  try {
    unlinkSync(path);
  } catch (error) {
    if (systemCodeOf(error) !== "ENOENT") throw error;
  }
}
