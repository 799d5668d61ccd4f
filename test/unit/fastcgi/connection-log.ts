// Test support: what a connection tells, as lines that can be compared however the input was cut; and a source of cuts.
import type { FcgiEvent } from "../../../src/fastcgi/connection.ts";
import { sortPairs } from "./wire.ts";

/** One entry per event, one per byte for `stdin`, so that pieces of any size give the same log. */
export function logOf(events: readonly FcgiEvent[]): string[] {
  return events.flatMap((event) => {
    switch (event.type) {
      case "begin":
        return [`begin ${event.id} ${event.role}${event.keepConn ? " keep" : ""}`];
      case "request": {
        const pairs = JSON.stringify(sortPairs(Object.entries(event.params)));
        return [`request ${event.id} ${event.role}${event.keepConn ? " keep" : ""} ${pairs}`];
      }
      case "stdin":
        return [...event.data].map((byte) => `stdin ${event.id} ${byte}`);
      case "stdin-end":
        return [`stdin-end ${event.id}`];
      case "abort":
        return [`abort ${event.id}`];
      case "reply":
        return [`${event.close ? "close" : "reply"} ${Buffer.from(event.bytes).toString("hex")}`];
    }
  });
}

/** Cuts bytes into pieces. */
export type Cutter = (bytes: Buffer) => Buffer[];

export const whole: Cutter = (bytes) => (bytes.length === 0 ? [] : [bytes]);

export const byByte: Cutter = (bytes) => Array.from(bytes, (_, at) => bytes.subarray(at, at + 1));

/** Pieces of 1 to 300 bytes, short ones more often; the same for the same seed. */
export function atRandom(seed: number): Cutter {
  const next = randomNumbers(seed);
  return (bytes) => {
    const pieces: Buffer[] = [];
    for (let at = 0; at < bytes.length;) {
      const size = 1 + Math.floor(next() ** 3 * 300);
      pieces.push(bytes.subarray(at, at + size));
      at += size;
    }
    return pieces;
  };
}

/** Numbers from 0 to 1 (mulberry32). */
function randomNumbers(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}
