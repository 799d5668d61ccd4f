// A small HTTP client for what wrk does not do: exact comparison of answers, the time of single requests, and uploads.
// It goes the plainest way there is, so that its share is the same for all.
import { Agent, request as httpRequest, type IncomingMessage, type RequestOptions } from "node:http";
import { within } from "../harness/until.ts";
import type { WholeAnswer } from "./verdict.ts";
import type { LoadRequest } from "./wrk.ts";

const deadlineMs = 60_000;

/** What an answer was, and how long it took until its last byte. */
export interface TimedAnswer extends WholeAnswer {
  readonly ms: number;
  /** Bytes of the head: every line with its end, without what a client that names `Connection` gets beyond. */
  readonly headBytes: number;
}

export class Client {
  readonly #agent: Agent;

  constructor(connections: number) {
    this.#agent = new Agent({ keepAlive: true, maxSockets: connections });
  }

  close(): void {
    this.#agent.destroy();
  }

  async ask(url: string, { method = "GET", headers = {}, body }: LoadRequest = {}): Promise<TimedAnswer> {
    const length = body === undefined ? {} : { "Content-Length": String(Buffer.byteLength(body)) };
    return await this.#send(url, { method, headers: { ...headers, ...length } }, async (write) => {
      if (body !== undefined) await write(Buffer.from(body));
    });
  }

  /** POSTs `size` bytes. */
  async upload(url: string, size: number): Promise<TimedAnswer> {
    const piece = Buffer.alloc(1 << 20, "u");
    const headers = { "Content-Length": String(size), "Content-Type": "application/octet-stream" };
    return await this.#send(url, { method: "POST", headers }, async (write) => {
      for (let left = size; left > 0; left -= piece.length)
        await write(piece.subarray(0, Math.min(left, piece.length)));
    });
  }

  async #send(
    url: string,
    options: RequestOptions,
    send: (write: (bytes: Uint8Array) => Promise<void>) => Promise<void>,
  ): Promise<TimedAnswer> {
    const started = performance.now();
    const request = httpRequest(url, { ...options, agent: this.#agent });
    try {
      const answer = new Promise<IncomingMessage>((resolve, reject) => {
        request.once("response", resolve);
        request.once("error", reject);
      });
      const written = send(
        (bytes) =>
          new Promise((resolve, reject) => {
            request.write(bytes, (error) => (error ? reject(error) : resolve()));
          }),
      ).then(() => request.end());
      const [response] = await within(`an answer of ${url}`, Promise.all([answer, written]), deadlineMs);
      const body = await within(`the body of ${url}`, bodyOf(response), deadlineMs);
      const ms = performance.now() - started;
      return { status: response.statusCode ?? 0, body, ms, headBytes: headBytesOf(response) };
    } finally {
      if (!request.writableFinished) request.destroy();
    }
  }
}

async function bodyOf(response: IncomingMessage): Promise<Buffer> {
  const parts: Buffer[] = [];
  for await (const part of response) parts.push(part as Buffer);
  return Buffer.concat(parts);
}

function headBytesOf({ rawHeaders, statusCode, statusMessage }: IncomingMessage): number {
  let bytes = `HTTP/1.1 ${statusCode} ${statusMessage}\r\n\r\n`.length;
  for (let index = 0; index < rawHeaders.length; index += 2) {
    const [name = "", value = ""] = rawHeaders.slice(index);
    if (!/^(?:connection: keep-alive|keep-alive: .*)$/iu.test(`${name}: ${value}`))
      bytes += `${name}: ${value}\r\n`.length;
  }
  return bytes;
}
