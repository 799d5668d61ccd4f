// A piece of a body that is on its way: its bytes are not copied by the gateway, so they must not change.
// Rule: only pieces up to a limit are looked at, since a copy of each is kept as long as it is on its way.

import type { Chunk } from "../../spec.ts";

const maxGuardedBytes = 256 * 1024;

/** Tells later whether the bytes of a piece have changed; a string cannot. */
export function guard(chunk: Chunk): () => boolean {
  if (typeof chunk === "string" || chunk.length > maxGuardedBytes) return () => false;
  const copy = Buffer.from(chunk);
  return () => !copy.equals(chunk);
}

/** What a value is that should be a piece, for a message. */
export function kindOf(value: unknown): string {
  if (value === null || value === undefined) return String(value);
  if (typeof value !== "object") return `a ${typeof value}`;
  return `an object (${value.constructor?.name ?? "no prototype"})`;
}
