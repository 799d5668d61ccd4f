// Reading connections into memory that all of them share: for each read Node allocates 64 KiB otherwise, makes an
// ArrayBuffer of it and takes it through a stream, which is an eighth of a worker's time for small requests.
// Rules: who gets bytes here asks for those that it keeps, since the next read of any connection overwrites them. A
// socket keeps the memory that it was given: Node does not see it change when the tick after a read throws, and the next
// bytes would come where nobody looks. Node has this as `onread` for sockets that it connects; for accepted ones it is
// switched on here, where Node keeps it from Node 20 to 26. Elsewhere the bytes come as "data".

import { readSync } from "node:fs";
import type { Socket } from "node:net";
import { asBuffer } from "../fastcgi/record.ts";
import { countBody } from "./body-garbage.ts";

/** Twice as much as Node reads at once into memory that it allocates: a large body comes in fewer reads. */
const shared = Buffer.allocUnsafeSlow(128 * 1024);

/** A read of more bytes, after one of which some were kept, is part of a large body: it is copied once, as a whole. */
const manyBytes = 16 * 1024;

/** Where node:net keeps what `onread` says. */
interface Fields {
  readonly buffer: symbol;
  readonly callback: symbol;
}

function fieldsOf(socket: Socket): Fields | undefined {
  const symbols = Object.getOwnPropertySymbols(socket);
  const [buffer, callback] = ["kBuffer", "kBufferCb"].map((name) =>
    symbols.find(({ description }) => description === name),
  );
  return buffer === undefined || callback === undefined ? undefined : { buffer, callback };
}

interface ReadingSocket {
  [field: symbol]: unknown;
  readonly _handle?: { readonly useUserBuffer?: (buffer: Uint8Array) => void } | null;
}

/** Those of the sockets of this process, looked for once. */
let found: Fields | undefined;

/** What a connection that nobody reads has for us by now; undefined when that is nothing, its end, or a failure. */
export function readNow(fd: number): Buffer | undefined {
  try {
    const size = readSync(fd, shared, 0, shared.length, null);
    return size === 0 ? undefined : shared.subarray(0, size);
  } catch {
    return undefined; // who reads it next meets the same
  }
}

export class SharedRead {
  readonly #take: (bytes: Buffer) => void;
  #hasKept = false;

  /** `take` gets what is read. The bytes are good until it returns. */
  constructor(take: (bytes: Buffer) => void) {
    this.#take = take;
  }

  /**
   * Reads a socket that nothing was read from, from now on. "data" is not emitted; "end", `pause` and `resume` are as ever.
   */
  attach(socket: Socket): void {
    const take = this.#take;
    // eslint-disable-next-line typescript/no-unsafe-type-assertion -- checked in the next lines
    const reading = socket as unknown as ReadingSocket;
    const fields = (found ??= fieldsOf(socket));
    const handle = reading._handle;
    if (fields === undefined || handle?.useUserBuffer === undefined) {
      socket.on("data", take);
      return;
    }
    handle.useUserBuffer(shared);
    reading[fields.buffer] = shared;
    reading[fields.callback] = (size: number, bytes: Buffer): boolean => {
      const came = bytes.subarray(0, size);
      const isBody = this.#hasKept && size >= manyBytes;
      this.#hasKept = false;
      take(isBody ? Buffer.from(came) : came);
      return true; // false would stop the reading
    };
  }

  /** Bytes of those that `take` has, for somebody who keeps them. */
  keep(bytes: Uint8Array): Buffer {
    this.#hasKept = true;
    countBody(bytes.length);
    return bytes.buffer === shared.buffer ? Buffer.from(bytes) : asBuffer(bytes);
  }
}
