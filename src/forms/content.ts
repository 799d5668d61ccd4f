// The bytes of one part, taken from busboy's stream one chunk at a time.
// Rules: what waits here is bounded by pausing the stream; the stream is never destroyed, since busboy 1.6 waits for ever
// for one that was: whoever has it last reads it to its end.

import type { Readable } from "node:stream";
import { ContractError } from "../errors.ts";

const highWaterBytes = 64 * 1024;

export class Content {
  readonly #stream: Readable;
  #chunks: Buffer[] = [];
  #waitingBytes = 0;
  #isEnded = false;
  #error: Error | undefined;
  /** Settles with the next change; one for all who wait. */
  #change: Promise<void> | undefined;
  #wake: () => void = () => {};

  constructor(stream: Readable) {
    this.#stream = stream;
    stream.on("data", (chunk: Buffer) => this.#add(chunk));
    stream.once("end", () => this.#end(undefined));
    stream.once("error", (error: Error) => this.#end(error));
    stream.once("close", () => {
      if (!this.#isEnded) this.#end(new ContractError("a file of a form is read after the form was left"));
    });
  }

  /** The next bytes, undefined at the end. Throws what the form failed with. */
  async next(): Promise<Buffer | undefined> {
    while (this.#chunks.length === 0) {
      if (this.#error !== undefined) throw this.#error;
      if (this.#isEnded) return undefined;
      this.#stream.resume();
      this.#change ??= new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
      await this.#change;
    }
    const [first] = this.#chunks;
    const chunk = this.#chunks.length === 1 ? first : Buffer.concat(this.#chunks);
    this.#chunks = [];
    this.#waitingBytes = 0;
    return chunk;
  }

  #add(chunk: Buffer): void {
    this.#chunks.push(chunk);
    this.#waitingBytes += chunk.length;
    if (this.#waitingBytes >= highWaterBytes) this.#stream.pause();
    this.#changed();
  }

  #end(error: Error | undefined): void {
    if (this.#isEnded) return;
    this.#isEnded = true;
    this.#error = error;
    this.#changed();
  }

  #changed(): void {
    this.#change = undefined;
    this.#wake();
  }
}
