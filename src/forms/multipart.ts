// The parts of a multipart body, in order, each with a stream of its content; busboy cuts them out.
// Rules: busboy gets what Framing has checked and nothing else; input is read only as fast as parts and contents are
// taken; parts that were whole before an error come before it. A content must be read to its end before the next part.

import type { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import busboy from "busboy";
import { UsageError } from "../errors.ts";
import { Framing } from "./framing.ts";
import type { FormLimits } from "./limits.ts";
import type { PartHead } from "./part-head.ts";

export interface Part {
  readonly head: PartHead;
  readonly content: Readable;
}

/** What is read at once from a body. */
const blockBytes = 64 * 1024;

function ignore(): void {}

class Parts {
  readonly #framing: Framing;
  readonly #input: AsyncIterable<Buffer>;
  readonly #parser: busboy.Busboy;
  readonly #ready: Part[] = [];
  #failure: { readonly error: unknown } | undefined;
  #isOver = false;
  /** Wakes whoever waits for a part, and the feed, which waits until all parts are taken. */
  #changed: () => void = ignore;
  #taken: () => void = ignore;

  constructor(input: AsyncIterable<Buffer>, boundary: string, limits: FormLimits) {
    this.#input = input;
    this.#framing = new Framing(boundary, limits);
    const headers = { "content-type": `multipart/form-data; boundary="${boundary}"` };
    this.#parser = busboy({ headers, highWaterMark: blockBytes, fileHwm: blockBytes });
    this.#parser.on("file", (_, content) => this.#add(content));
    this.#parser.on("error", ignore); // the pipeline has it
  }

  async *read(): AsyncGenerator<Part, void, undefined> {
    void this.#run();
    try {
      for (;;) {
        const part = this.#ready.shift();
        if (this.#ready.length === 0) this.#taken(); // the content of the last one may still be coming
        if (part !== undefined) {
          yield part;
          continue;
        }
        if (this.#isOver) break;
        await new Promise<void>((resolve) => {
          this.#changed = resolve;
        });
      }
      if (this.#failure !== undefined) throw this.#failure.error;
    } finally {
      this.#parser.destroy();
      this.#taken();
    }
  }

  /** Never rejects. */
  async #run(): Promise<void> {
    try {
      await pipeline(this.#feed(), this.#parser);
    } catch (error) {
      this.#failure = { error };
    }
    this.#isOver = true;
    this.#changed();
  }

  async *#feed(): AsyncGenerator<Buffer, void, undefined> {
    for await (const chunk of this.#input) {
      yield* this.#framing.push(chunk);
      if (this.#ready.length > 0) {
        await new Promise<void>((resolve) => {
          this.#taken = resolve;
        });
      }
    }
    this.#framing.end();
  }

  #add(content: Readable): void {
    content.on("error", ignore); // whoever reads it gets it too
    const head = this.#framing.takeHead();
    if (head === undefined) throw new UsageError("busboy found a part that the check of the syntax did not");
    this.#ready.push({ head, content });
    this.#changed();
  }
}

/** Reads a body part by part. Throws the typed errors of forms, and whatever `input` throws. */
export function readParts(
  input: AsyncIterable<Buffer>,
  boundary: string,
  limits: FormLimits,
): AsyncGenerator<Part, void, undefined> {
  return new Parts(input, boundary, limits).read();
}
