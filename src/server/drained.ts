// Waiting for a slow reader: the one way in which every transport does it.

import type { Writable } from "node:stream";
import { ClientGoneError } from "../errors.ts";

/** One promise for all who wait for a stream: an application may write often without waiting. */
const awaited = new WeakMap<Writable, Promise<void>>();

/** Settles when the stream can take more; rejects with ClientGoneError when it closes before. */
export function whenDrained(stream: Writable): Promise<void> {
  if (stream.destroyed) return Promise.reject(new ClientGoneError());
  if (!stream.writableNeedDrain) return Promise.resolve();
  const drained = awaited.get(stream) ?? drainedOnce(stream);
  awaited.set(stream, drained);
  return drained;
}

function drainedOnce(stream: Writable): Promise<void> {
  return new Promise((resolve, reject) => {
    const settle = (): void => {
      stream.off("drain", settle).off("close", settle);
      awaited.delete(stream);
      if (stream.destroyed) reject(new ClientGoneError());
      else resolve();
    };
    stream.on("drain", settle).on("close", settle);
  });
}
