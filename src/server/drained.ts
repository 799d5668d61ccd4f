// Waiting for a slow reader: the one way in which every transport does it.

import type { Writable } from "node:stream";
import { ClientGoneError } from "../errors.ts";

/** Settles when the stream can take more; rejects with ClientGoneError when it closes before. */
export function whenDrained(stream: Writable): Promise<void> {
  if (stream.destroyed) return Promise.reject(new ClientGoneError());
  if (!stream.writableNeedDrain) return Promise.resolve();
  return new Promise((resolve, reject) => {
    const settle = (): void => {
      stream.off("drain", settle).off("close", settle);
      if (stream.destroyed) reject(new ClientGoneError());
      else resolve();
    };
    stream.on("drain", settle).on("close", settle);
  });
}
