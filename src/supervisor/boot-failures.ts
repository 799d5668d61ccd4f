// Why workers could not start: what the last of them said, and the files to be mended before another try makes sense.

import { signatureOf } from "../loader/watch.ts";
import type { BootErrorStatus } from "./status.ts";

export interface BootFailure {
  readonly message: string;
  readonly generation: number;
  /** What the application was made of, as far as it got. */
  readonly files: readonly string[];
}

export class BootFailures {
  #last: BootErrorStatus | undefined;
  /** The files of the broken application, as they were. */
  #files = new Map<string, string>();

  get last(): BootErrorStatus | undefined {
    return this.#last;
  }

  add({ message, generation, files }: BootFailure): void {
    this.#last = { message, at: new Date().toISOString(), generation };
    this.#files = new Map(files.map((file) => [file, signatureOf(file)]));
  }

  /** Another try is made: its files are to be told by it. */
  forgetFiles(): void {
    this.#files.clear();
  }

  /** Whether one of the files is another one by now. Reads the state of each. */
  isMended(): boolean {
    return [...this.#files].some(([file, signature]) => signatureOf(file) !== signature);
  }
}
