// A log file that can be moved away by whoever rotates logs (`--log-file`).
// Rules: a line is one append, so processes that share the file never mix their lines; a line that cannot be written goes to
// stderr and breaks nothing; a file that cannot be opened again leaves the open one in use. Root follows no link: the folder
// may belong to the user that the workers are.

import { closeSync, constants, fchownSync, fstatSync, openSync, writeSync } from "node:fs";
import { BootError, messageOf } from "../errors.ts";

/** Who shall own a file that the supervisor makes for its workers. */
export interface LogOwner {
  readonly uid: number;
  readonly gid: number;
}

const stderrFd = 2;
const mode = 0o640;

function open(path: string, owner: LogOwner | undefined): number {
  const { O_APPEND, O_CREAT, O_NOFOLLOW, O_NONBLOCK, O_WRONLY } = constants;
  const isRoot = process.getuid?.() === 0;
  const noLink = isRoot && !path.startsWith("/dev/") ? O_NOFOLLOW : 0;
  let fd: number | undefined;
  try {
    fd = openSync(path, O_APPEND | O_CREAT | O_WRONLY | O_NONBLOCK | noLink, mode);
    const status = fstatSync(fd);
    if (!status.isFile() && !status.isCharacterDevice()) throw new Error("it is no regular file");
    if (isRoot && status.isFile() && status.nlink > 1) throw new Error("it has several names");
    if (isRoot && owner !== undefined && status.isFile() && status.uid !== owner.uid) {
      fchownSync(fd, owner.uid, owner.gid);
    }
    return fd;
  } catch (error) {
    if (fd !== undefined) closeSync(fd);
    throw new BootError(`the log file ${path} cannot be opened: ${messageOf(error)}`, error);
  }
}

/** Makes the file where it is missing and gives it to its owner, for processes that may not. Throws BootError. */
export function prepareLogFile(path: string, owner: LogOwner | undefined): void {
  closeSync(open(path, owner));
}

export class LogFile {
  readonly #path: string;
  #fd: number | undefined;

  /** Opens nothing yet: the first line does, or `reopen`. */
  constructor(path: string) {
    this.#path = path;
  }

  /** Opens the file that has the name now. Throws BootError, and goes on with the one that was open. */
  reopen(): void {
    const before = this.#fd;
    this.#fd = open(this.#path, undefined);
    if (before !== undefined) closeSync(before);
  }

  /** Appends a line that ends with its line end. Never throws. */
  write(line: string): void {
    try {
      if (this.#fd === undefined) this.reopen();
      writeSync(this.#fd ?? stderrFd, line);
    } catch {
      toStderr(line); // a full disk, or a file that is not ours
    }
  }
}

function toStderr(line: string): void {
  try {
    writeSync(stderrFd, line);
  } catch {
    // Nobody reads it: there is no place left for a line.
  }
}
