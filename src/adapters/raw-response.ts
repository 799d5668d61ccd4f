// A response that an application writes to the socket itself, head and all, without its ServerResponse.
// Rules: 1xx heads are dropped; the head may come in pieces, up to a limit; what follows it is the body. Chunked coding is
// refused: nothing here takes it apart, and Apache makes its own.

import { ContractError } from "../errors.ts";

/** As node:http limits the head of a request, bytes. */
const maxHeadBytes = 16 * 1024;

export interface RawHead {
  /** Status line and header lines, with the empty line. */
  readonly text: string;
  /** What came after it. */
  readonly rest: Buffer;
}

export class RawResponse {
  #received: Buffer = Buffer.alloc(0);

  /** The head, once it is complete. Throws ContractError for what is no HTTP response. */
  push(bytes: Uint8Array): RawHead | undefined {
    this.#received = Buffer.concat([this.#received, bytes]);
    for (;;) {
      const end = this.#received.indexOf("\r\n\r\n");
      if (end === -1) {
        if (this.#received.length > maxHeadBytes) throw new ContractError("the head written to the socket is too long");
        return undefined;
      }
      const text = this.#received.toString("latin1", 0, end + 4);
      const rest = this.#received.subarray(end + 4);
      if (!/^HTTP\/1\.[01] [1-9][0-9]{2}/.test(text))
        throw new ContractError("what was written to the socket is no response");
      if (/^transfer-encoding:/im.test(text))
        throw new ContractError("a response written to the socket may not be chunked");
      if (!/^HTTP\/1\.[01] 1/.test(text)) return { text, rest };
      this.#received = rest;
    }
  }
}
