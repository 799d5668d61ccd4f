// A response on node:http: for `tsgi dev`, where no Apache is in front, and for applications inside of other servers.

import type { ServerResponse } from "node:http";
import type { ResponseHead, ResponseSink } from "../gateway/response.ts";
import type { Chunk } from "../spec.ts";
import { whenDrained } from "./drained.ts";

export class HttpSink implements ResponseSink {
  readonly #response: ServerResponse;

  constructor(response: ServerResponse) {
    this.#response = response;
  }

  send(head: ResponseHead | undefined, data: Chunk | undefined, isLast: boolean): boolean {
    const response = this.#response;
    if (response.destroyed || response.writableEnded) return true;
    if (head !== undefined) response.writeHead(head.status.code, head.status.reason, head.headers.flat());
    // As bytes: node:http writes head and text together as UTF-8, which would spoil latin-1 in the head.
    const canTakeMore = data === undefined || response.write(typeof data === "string" ? Buffer.from(data) : data);
    if (isLast) response.end();
    return canTakeMore;
  }

  drained(): Promise<void> {
    return whenDrained(this.#response);
  }

  break(): void {
    // What was written goes out, without the end that would make it complete.
    const { socket } = this.#response;
    if (socket === null) this.#response.destroy();
    else socket.destroySoon();
  }
}
