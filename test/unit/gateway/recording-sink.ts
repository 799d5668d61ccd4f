// A response sink that keeps what it was sent, in place of a transport. It notes whatever a real one could not take: a
// head that comes twice or late, bytes after the end, a second end.
import { ClientGoneError } from "../../../src/errors.ts";
import type { ResponseHead, ResponseSink } from "../../../src/gateway/response.ts";
import type { Chunk } from "../../../src/spec.ts";

export class RecordingSink implements ResponseSink {
  head: ResponseHead | undefined;
  readonly chunks: Buffer[] = [];
  /** Calls of `send`. */
  sends = 0;
  state: "open" | "complete" | "broken" = "open";
  readonly offences: string[] = [];
  /** Bytes that may wait before `send` gives false. */
  capacity = Infinity;
  #waiting = 0;
  #isGone = false;
  #waiters: Array<{ resolve: () => void; reject: (error: Error) => void }> = [];

  get body(): string {
    return Buffer.concat(this.chunks).toString("latin1");
  }

  get statusLine(): string {
    return this.head === undefined ? "" : `${this.head.status.code} ${this.head.status.reason}`;
  }

  header(name: string): string | undefined {
    return this.head?.headers.find(([key]) => key.toLowerCase() === name)?.[1];
  }

  /** How many callers wait for room. */
  get waiterCount(): number {
    return this.#waiters.length;
  }

  send(head: ResponseHead | undefined, data: Chunk | undefined, isLast: boolean): boolean {
    this.sends += 1;
    if (this.state !== "open") this.offences.push(`send after the response was ${this.state}`);
    if (head !== undefined && this.head !== undefined) this.offences.push("a second head");
    if (head === undefined && this.head === undefined) this.offences.push("no head before the body");
    this.head ??= head;
    if (data !== undefined) {
      const bytes = Buffer.from(data as Uint8Array);
      if (bytes.length === 0) this.offences.push("an empty piece of body");
      this.chunks.push(bytes);
      this.#waiting += bytes.length;
    }
    if (isLast) this.state = "complete";
    return this.#waiting < this.capacity;
  }

  drained(): Promise<void> {
    if (this.#isGone) return Promise.reject(new ClientGoneError());
    if (this.#waiting < this.capacity) return Promise.resolve();
    return new Promise((resolve, reject) => {
      this.#waiters.push({ resolve, reject });
    });
  }

  break(): void {
    if (this.state === "complete") this.offences.push("broken after its end");
    this.state = "broken";
  }

  /** The peer takes all that waits. */
  drain(): void {
    this.#waiting = 0;
    for (const { resolve } of this.#waiters.splice(0)) resolve();
  }

  /** The peer goes away: whoever waits for room never gets it. */
  leave(): void {
    this.#isGone = true;
    for (const { reject } of this.#waiters.splice(0)) reject(new ClientGoneError());
  }
}
