// The token that a reload over the status page needs: whoever may read the page may not change anything by that alone.
// Rules: it is in a file that its owner alone can read, since an argument or variable would be seen by others; comparing
// takes the same time for every guess; after a few wrong ones nobody is asked for a while.

import { createHash, randomBytes, timingSafeEqual } from "node:crypto";
import { lstatSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { BootError, messageOf } from "../../errors.ts";

/** Wrong tries at once, and how long until there is one more, ms. */
const maxTries = 5;
const tryMs = 10_000;
const minLength = 16;
const maxLength = 256;

export type Verdict = "right" | "wrong" | "too-many";

function digest(text: string): Buffer {
  return createHash("sha256").update(text).digest();
}

/** The token of a file that somebody made. Throws BootError for one that others can read, or that is none. */
function readToken(file: string): string {
  try {
    // Of a link, what it leads to: so are the secrets of a container there.
    if ((statSync(file).mode & 0o007) !== 0)
      throw new BootError(`--control-token: ${file} can be read or written by everybody: chmod 600 it`);
    const token = readFileSync(file, "utf8").trim();
    if (token.length >= minLength && token.length <= maxLength && /^[!-~]+$/.test(token)) return token;
    throw new BootError(`--control-token: ${file} must hold ${minLength} to ${maxLength} letters, digits or signs`);
  } catch (error) {
    if (error instanceof BootError) throw error;
    throw new BootError(`--control-token: cannot read ${file}: ${messageOf(error)}`, error);
  }
}

/** Writes a new token, readable for us alone from the first moment. Throws BootError. */
function writeToken(file: string): string {
  const token = randomBytes(24).toString("base64url");
  const made = join(dirname(file), `.${randomBytes(6).toString("hex")}`);
  try {
    writeFileSync(made, `${token}\n`, { mode: 0o600, flag: "wx" });
    renameSync(made, file);
    return token;
  } catch (error) {
    rmSync(made, { force: true });
    throw new BootError(`cannot write the control token to ${file}: ${messageOf(error)}`, error);
  }
}

export class ControlToken {
  /** Where whoever may reload finds it. */
  readonly file: string;
  readonly #digest: Buffer;
  readonly #isOurs: boolean;
  #tries = maxTries;
  #countedMs = 0;

  private constructor(file: string, token: string, isOurs: boolean) {
    this.file = file;
    this.#digest = digest(token);
    this.#isOurs = isOurs;
  }

  /** The token of the operator's file, which is made where it is missing and stays. Throws BootError. */
  static fromFile(file: string): ControlToken {
    const isThere = lstatSync(file, { throwIfNoEntry: false }) !== undefined;
    return new ControlToken(file, isThere ? readToken(file) : writeToken(file), false);
  }

  /** A new one, in a file that `remove` takes away. Throws BootError. */
  static create(file: string): ControlToken {
    return new ControlToken(file, writeToken(file), true);
  }

  /** Judges a guess made at `nowMs` of a monotonic clock. */
  check(guess: string, nowMs: number): Verdict {
    const regained = Math.floor((nowMs - this.#countedMs) / tryMs);
    if (regained > 0) {
      this.#tries = Math.min(maxTries, this.#tries + regained);
      this.#countedMs = nowMs;
    }
    if (this.#tries === 0) return "too-many";
    if (timingSafeEqual(digest(guess), this.#digest)) return "right";
    if (this.#tries === maxTries) this.#countedMs = nowMs;
    this.#tries -= 1;
    return "wrong";
  }

  remove(): void {
    if (this.#isOurs) rmSync(this.file, { force: true });
  }
}
