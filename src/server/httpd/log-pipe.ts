// Apache's error log in the foreground: a named pipe that Apache writes to and whose other end goes to our stderr.
// Rules: a pipe, because Apache opens its log by name: /dev/stderr cannot be opened when it is a socket or belongs to
// another user; we hold a writer of our own, so the end comes when we say so and no line before it is lost.

import { execFileSync } from "node:child_process";
import { closeSync, constants, openSync } from "node:fs";
import { Socket } from "node:net";
import type { Writable } from "node:stream";
import { BootError, messageOf } from "../../errors.ts";

/** How long what is in the pipe may take to come out after the last writer, ms. */
const drainMs = 1000;

export class LogPipe {
  /** For the stderr of children. */
  readonly writeFd: number;
  readonly #reader: Socket;
  readonly #ended: Promise<void>;
  #isClosed = false;

  /** Makes the pipe at `path`, which must not exist, and forwards it to `target`. Throws BootError. */
  constructor(path: string, target: Writable) {
    try {
      execFileSync("mkfifo", ["-m", "600", path], { stdio: ["ignore", "ignore", "pipe"], timeout: 10_000 });
    } catch (error) {
      throw new BootError(`cannot make the named pipe ${path}: ${messageOf(error)}`, error);
    }
    // The reader is opened first and without waiting: opening a writer waits for a reader.
    const readFd = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
    this.writeFd = openSync(path, constants.O_WRONLY);
    this.#reader = new Socket({ fd: readFd, readable: true, writable: false });
    this.#ended = new Promise((resolve) => {
      this.#reader.once("close", resolve);
    });
    this.#reader.on("error", () => this.#reader.destroy());
    this.#reader.on("data", (bytes) => {
      if (target.write(bytes)) return;
      this.#reader.pause();
      target.once("drain", () => this.#reader.resume());
    });
  }

  /** Ends when all that was written is forwarded; after a second in any case. */
  async close(): Promise<void> {
    if (this.#isClosed) return;
    this.#isClosed = true;
    closeSync(this.writeFd);
    const timer = setTimeout(() => this.#reader.destroy(), drainMs);
    await this.#ended;
    clearTimeout(timer);
  }
}
