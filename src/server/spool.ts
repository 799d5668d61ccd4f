// A request body in front of a web server that reads no response before it has sent the whole body: mod_fcgid, mod_cgi,
// mod_cgid.
// Rules: while an application waits for its output to be read, and has input that it does not read, both sides would
// wait for ever; then, and only then, input goes to a temporary file (0600, unlinked at once) and is read back in order.
// Its size is bounded by what Apache accepts (FcgidMaxRequestLen, LimitRequestBody).

import { closeSync, ftruncateSync, openSync, readSync, unlinkSync, writeSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { BootError, messageOf } from "../errors.ts";
import type { InputFlow } from "../gateway/input.ts";

/** The receiving end of a body. */
export interface InputReceiver {
  push(bytes: Buffer): void;
  end(): void;
  fail(error: Error): void;
}

const blockBytes = 64 * 1024;

/** A name that nobody has: it need not be secret, since the file is made by this call or not at all. */
function openUnlinked(): number {
  const unique = `${process.pid}-${process.hrtime.bigint()}-${Math.random().toString(36).slice(2)}`;
  const path = join(tmpdir(), `tsgi-spool-${unique}`);
  const fd = openSync(path, "wx+", 0o600);
  unlinkSync(path);
  return fd;
}

export class SpoolingFlow implements InputFlow {
  readonly #producer: InputFlow;
  #receiver: InputReceiver | undefined;
  #fd: number | undefined;
  #written = 0;
  #read = 0;
  #isInputPaused = false;
  #isOutputBlocked = false;
  #isEnded = false;
  #isDisposed = false;

  /** `producer` is what feeds the body: a socket or stdin. */
  constructor(producer: InputFlow) {
    this.#producer = producer;
  }

  /** Names the receiver, before anything is pushed. */
  feed(receiver: InputReceiver): void {
    this.#receiver = receiver;
  }

  push(bytes: Buffer): void {
    if (this.#isDisposed) return;
    if (this.#fd === undefined) {
      this.#receiver?.push(bytes);
      return;
    }
    try {
      for (let done = 0; done < bytes.length;) {
        done += writeSync(this.#fd, bytes, done, bytes.length - done, this.#written + done);
      }
      this.#written += bytes.length;
    } catch (error) {
      this.#fail(error);
    }
    this.#readBack();
  }

  end(): void {
    this.#isEnded = true;
    if (this.#fd === undefined) this.#receiver?.end();
    else this.#readBack();
  }

  /** Waits for the output, and meanwhile takes whatever input comes. */
  async whileBlocked(output: Promise<void>): Promise<void> {
    this.#isOutputBlocked = true;
    if (this.#isInputPaused) this.#startSpooling();
    try {
      await output;
    } finally {
      this.#isOutputBlocked = false;
    }
  }

  pause(): void {
    this.#isInputPaused = true;
    if (this.#fd !== undefined) return;
    if (this.#isOutputBlocked) this.#startSpooling();
    else this.#producer.pause();
  }

  resume(): void {
    this.#isInputPaused = false;
    if (this.#fd === undefined) this.#producer.resume();
    else this.#readBack();
  }

  /** The request is over: what is left is dropped. Safe to call twice. */
  dispose(): void {
    this.#isDisposed = true;
    if (this.#fd !== undefined) closeSync(this.#fd);
    this.#fd = undefined;
    this.#producer.resume();
  }

  #startSpooling(): void {
    if (this.#fd !== undefined || this.#isEnded || this.#isDisposed) return;
    try {
      this.#fd = openUnlinked();
    } catch (error) {
      this.#fail(error);
    }
    this.#written = 0;
    this.#read = 0;
    this.#producer.resume();
  }

  /** A full disk, or no temporary folder: the request cannot have its body, and the process goes on. */
  #fail(error: unknown): void {
    this.dispose();
    this.#receiver?.fail(new BootError(`the request body cannot be spooled: ${messageOf(error)}`, error));
  }

  #readBack(): void {
    while (!this.#isInputPaused && this.#fd !== undefined && this.#read < this.#written) {
      const block = Buffer.allocUnsafe(Math.min(blockBytes, this.#written - this.#read));
      const length = readSync(this.#fd, block, 0, block.length, this.#read);
      this.#read += length;
      this.#receiver?.push(block.subarray(0, length));
    }
    if (this.#fd === undefined || this.#read < this.#written) return;
    if (this.#isEnded) {
      closeSync(this.#fd);
      this.#fd = undefined;
      this.#receiver?.end();
    } else {
      ftruncateSync(this.#fd);
      this.#written = 0;
      this.#read = 0;
    }
  }
}
