// The parts of a multipart body, in order; busboy cuts them out.
// Rules: busboy gets what Framing has checked and nothing else; input is read only as fast as parts and contents are
// taken; parts that were whole before an error come before it. A content must be read to its end before the next part.

import type { Readable } from "node:stream";
import busboy from "busboy";
import { UsageError } from "../errors.ts";
import { Content } from "./content.ts";
import { Framing } from "./framing.ts";
import type { FormLimits } from "./limits.ts";
import type { PartHead } from "./part-head.ts";

export interface FieldPart {
  readonly type: "field";
  readonly head: PartHead;
  readonly value: Buffer;
}

export interface FilePart {
  readonly type: "file";
  readonly head: PartHead;
  readonly content: Content;
}

type Part = FieldPart | FilePart;

/** What busboy holds of one file, and of what is written to it. */
const blockBytes = 64 * 1024;

function ignore(): void {}

class Parts {
  readonly #framing: Framing;
  readonly #input: AsyncIterable<Buffer>;
  readonly #parser: busboy.Busboy;
  readonly #ready: Part[] = [];
  #failure: { readonly error: unknown } | undefined;
  #isOver = false;
  /** Wakes whoever waits for a part. */
  #changed: () => void = ignore;
  /** Wakes the feed, which waits until all parts are taken, or until busboy can take more. */
  #taken: () => void = ignore;
  #drained: () => void = ignore;

  constructor(input: AsyncIterable<Buffer>, boundary: string, limits: FormLimits) {
    this.#input = input;
    this.#framing = new Framing(boundary, limits);
    // Limits are counted before busboy. In latin1 a value is its bytes: we decode it.
    this.#parser = busboy({
      headers: { "content-type": `multipart/form-data; boundary="${boundary}"` },
      defCharset: "latin1",
      highWaterMark: blockBytes,
      fileHwm: blockBytes,
      limits: { fieldSize: Infinity },
    });
    this.#parser.on("field", (_, value) => {
      this.#add({ type: "field", head: this.#takeHead(), value: Buffer.from(value, "latin1") });
    });
    this.#parser.on("file", (_, stream: Readable) => {
      this.#add({ type: "file", head: this.#takeHead(), content: new Content(stream) });
    });
    this.#parser.on("drain", () => this.#drained());
    this.#parser.on("error", (error) => this.#fail(error));
    this.#parser.on("close", () => this.#close());
  }

  async *read(): AsyncGenerator<Part, void, undefined> {
    void this.#feed(); // it never rejects
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
    }
  }

  async #feed(): Promise<void> {
    try {
      for await (const chunk of this.#input) {
        if (this.#isOver) return; // nobody reads the form any more
        await this.#write(chunk);
      }
      this.#framing.end();
      this.#parser.end();
    } catch (error) {
      this.#fail(error);
      this.#parser.destroy(error instanceof Error ? error : undefined);
    }
  }

  async #write(chunk: Buffer): Promise<void> {
    if (!this.#cut(chunk) && !this.#isOver) {
      await new Promise<void>((resolve) => {
        this.#drained = resolve;
      });
    }
    if (this.#ready.length > 0 && !this.#isOver) {
      await new Promise<void>((resolve) => {
        this.#taken = resolve;
      });
    }
  }

  /** Has busboy cut a chunk, up to where it is wrong. False when busboy asks for a pause. */
  #cut(chunk: Buffer): boolean {
    const checked: Buffer[] = [];
    let hasRoom = true;
    try {
      for (const bytes of this.#framing.push(chunk)) checked.push(bytes);
    } finally {
      const [first] = checked;
      if (first !== undefined) hasRoom = this.#parser.write(checked.length === 1 ? first : Buffer.concat(checked));
    }
    return hasRoom;
  }

  #takeHead(): PartHead {
    const head = this.#framing.takeHead();
    if (head === undefined) throw new UsageError("busboy found a part that the check of the syntax did not");
    return head;
  }

  #add(part: Part): void {
    this.#ready.push(part);
    this.#changed();
  }

  /** The first failure counts. */
  #fail(error: unknown): void {
    this.#failure ??= { error };
  }

  #close(): void {
    this.#isOver = true;
    this.#changed();
    this.#taken();
    this.#drained();
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
