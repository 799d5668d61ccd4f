// One CGI request on its way to a warm daemon and back, as FastCGI 1.0.
// Rules: bodies stream both ways with backpressure, each on its own, so that neither waits for the other; the response ends
// with END_REQUEST, and without it the request has failed; what Apache still sends is read to its end before the process
// may exit, since mod_cgid loses the response otherwise.

import type { Socket } from "node:net";
import type { Writable } from "node:stream";
import { FcgiClient } from "../../fastcgi/client.ts";
import { encodeRecord, RecordType } from "../../fastcgi/record.ts";
import type { Variables } from "../../gateway/environ.ts";
import { hasBody } from "../../gateway/input.ts";
import { deadline } from "../deadline.ts";
import { openStream } from "../cgi-output.ts";

export interface RelayedRequest {
  readonly socket: Socket;
  readonly variables: Variables;
  readonly outputFd: number;
}

export interface RelayOutcome {
  /** The application's status; undefined when the daemon ended before the request. */
  readonly status: number | undefined;
  /** Whether a byte of the response has gone out. */
  readonly hasAnswered: boolean;
}

const id = 1;
/** So soon after the head, Apache would take the end of a response that broke off for its whole length. */
const settleMs = 200;
const drainMs = 30_000;
/** A request in which nothing moves for this long is given up, as in bin/tsgi-relay.pl. */
const silenceMs = 3_600_000;
const maxRecordBytes = 65_528;

class Relay {
  readonly #socket: Socket;
  readonly #client = new FcgiClient();
  readonly #output: Writable;
  /** When the first byte of the response went out; undefined before. By performance.now(). */
  #answeredMs: number | undefined;
  #isOver = false;
  #settle: (outcome: RelayOutcome) => void = () => {};
  readonly #outcome: Promise<RelayOutcome> = new Promise((resolve) => (this.#settle = resolve));

  constructor({ socket, outputFd }: RelayedRequest) {
    this.#socket = socket;
    this.#output = openStream(outputFd);
  }

  async run({ variables }: RelayedRequest): Promise<RelayOutcome> {
    this.#output.on("error", () => this.#end(1)); // nobody reads it
    this.#socket.on("data", (bytes: Buffer) => this.#receive(bytes));
    this.#socket.on("error", () => this.#end(undefined));
    this.#socket.on("end", () => this.#end(undefined));
    this.#socket.write(this.#client.begin({ params: variables }));
    this.#socket.setTimeout(silenceMs, () => this.#end(undefined));
    const stdinRead = hasBody(variables) ? this.#sendBody(variables["CONTENT_LENGTH"]) : undefined;
    if (stdinRead === undefined) this.#socket.write(encodeRecord(RecordType.STDIN, id, Buffer.alloc(0)));
    const outcome = await this.#outcome;
    this.#socket.destroy();
    const sinceMs = performance.now() - (this.#answeredMs ?? 0);
    if (outcome.status !== 0 && outcome.hasAnswered && sinceMs < settleMs) await deadline(settleMs - sinceMs).promise;
    const isUnanswered = outcome.status === undefined && !outcome.hasAnswered;
    if (!isUnanswered) await this.#flush();
    const { promise: late, cancel } = deadline(drainMs);
    await Promise.race([stdinRead, late]);
    cancel();
    return outcome;
  }

  async #flush(): Promise<void> {
    await new Promise<void>((resolve) => {
      if (this.#output.destroyed) resolve();
      else this.#output.on("close", resolve).end(() => resolve());
    });
  }

  #receive(bytes: Buffer): void {
    if (this.#isOver) return;
    for (const event of this.#client.receive(bytes)) {
      if (event.type === "stdout") {
        this.#answeredMs ??= performance.now();
        if (!this.#output.write(Buffer.from(event.data)) && !this.#socket.isPaused()) {
          this.#socket.pause();
          this.#output.once("drain", () => this.#socket.resume());
        }
      } else if (event.type === "stderr") process.stderr.write(event.data);
      else if (event.type === "end") this.#end(event.appStatus);
    }
  }

  #end(status: number | undefined): void {
    if (this.#isOver) return;
    this.#isOver = true;
    process.stdin.resume();
    this.#settle({ status, hasAnswered: this.#answeredMs !== undefined });
  }

  /** Settles when stdin has been read to its end. */
  #sendBody(length: string | undefined): Promise<void> {
    return new Promise((resolve) => {
      let left = length === undefined || length === "" ? Infinity : Number(length);
      let isEnded = false;
      const end = (): void => {
        if (!isEnded && !this.#isOver) this.#socket.write(encodeRecord(RecordType.STDIN, id, Buffer.alloc(0)));
        isEnded = true;
        resolve();
      };
      process.stdin.on("data", (bytes: Buffer) => {
        left -= bytes.length;
        for (let at = 0; at < bytes.length && !this.#isOver; at += maxRecordBytes) {
          const part = bytes.subarray(at, at + maxRecordBytes);
          if (this.#socket.write(encodeRecord(RecordType.STDIN, id, part)) || process.stdin.isPaused()) continue;
          process.stdin.pause();
          this.#socket.once("drain", () => process.stdin.resume());
        }
        if (left <= 0) end(); // mod_cgid's socket stays open: its end may never be seen
      });
      process.stdin.on("end", end);
      process.stdin.on("error", end);
    });
  }
}

/** Relays the request to its end. */
export async function relayRequest(request: RelayedRequest): Promise<RelayOutcome> {
  return await new Relay(request).run(request);
}
