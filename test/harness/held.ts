// A streamed response that a test holds open: numbered lines come until the test lets it end; then every one of them must
// be there, in order, from one process, with the last word after them. For test/fixtures/apps/supervised.ts.
import { onTestFinished } from "vitest";
import { HttpConnection } from "./http.ts";
import type { Supervised } from "./supervised.ts";
import { until } from "./until.ts";

let gates = 0;

/** A file that is not there yet: a request for it, or a stream, waits until `open` makes it. */
export class Gate {
  readonly path: string;
  readonly #supervised: Supervised;

  constructor(supervised: Supervised) {
    gates += 1;
    this.#supervised = supervised;
    this.path = supervised.workspace.path("gates", `gate-${gates}`);
  }

  async open(): Promise<void> {
    await this.#supervised.workspace.write(`gates/${this.path.slice(this.path.lastIndexOf("/") + 1)}`, "");
  }
}

export class HeldResponse {
  /** The worker that answers. */
  readonly pid: number;
  readonly #connection: HttpConnection;
  readonly #gate: Gate;
  #text: string;

  private constructor(connection: HttpConnection, gate: Gate, text: string) {
    this.#connection = connection;
    this.#gate = gate;
    this.#text = text;
    this.pid = Number(/of (\d+)\n/u.exec(text)?.[1]);
  }

  /** Asks, and waits for the first line. */
  static async open(supervised: Supervised, path = "/ticking"): Promise<HeldResponse> {
    const gate = new Gate(supervised);
    const connection = await HttpConnection.open(supervised.apache.port, { deadlineMs: 45_000 });
    onTestFinished(() => connection.destroy());
    supervised.expectClients(1);
    await connection.sendRequest({ target: `${path}?${gate.path}` });
    const { status, statusLine } = await connection.readHead();
    if (status !== 200) throw new Error(`${path}: ${statusLine}`);
    let text = "";
    while (!text.includes("\n")) {
      const piece = await connection.readSome();
      if (piece === undefined) throw new Error(`${path} ended after ${JSON.stringify(text)}`);
      text += piece.toString("latin1");
    }
    return new HeldResponse(connection, gate, text);
  }

  /** Waits until more lines have come, so it is known to go on. */
  async goesOn(): Promise<void> {
    const wanted = this.#text.length + 100;
    await until("the held response to go on", async () => {
      const piece = await this.#connection.readSome();
      if (piece === undefined) throw new Error(`the held response ended after ${this.#text.length} bytes`);
      this.#text += piece.toString("latin1");
      return this.#text.length >= wanted;
    });
  }

  /** The rest of a response that was broken off; throws when it came to a proper end. */
  async brokenOff(): Promise<void> {
    this.#text += (await this.#connection.readBody()).toString("latin1");
    if (this.#connection.complete) throw new Error(`the broken response looked whole: ${this.#text.slice(-200)}`);
  }

  /** Lets it end; throws unless every line came. Gives the number of lines. */
  async finish(): Promise<number> {
    await this.#gate.open();
    const text = this.#text + (await this.#connection.readBody()).toString("latin1");
    if (!this.#connection.complete) throw new Error(`the held response broke off after ${text.slice(-200)}`);
    const lines = text.split("\n");
    if (lines.pop() !== "end") throw new Error(`the held response has another end: ${text.slice(-200)}`);
    lines.forEach((line, index) => {
      if (line !== `tick ${index} of ${this.pid}`) throw new Error(`line ${index} of the held response is ${line}`);
    });
    this.#connection.destroy();
    return lines.length;
  }
}
