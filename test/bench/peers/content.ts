// What the applications in Node answer with, made once.

export const medium: Uint8Array = Buffer.alloc(65_536, "x");
export const large: Uint8Array = Buffer.alloc(1_048_576, "x");

/** Each is written by itself, so that a client sees it at once. */
export const chunks: readonly string[] = Array.from(
  { length: 1000 },
  (_, index) => `chunk ${String(index).padStart(4, "0")} of a streamed response, with some text to fill a line\n`,
);

/** Keeps a processor busy for about a millisecond. */
export function workUnit(): string {
  let sum = 0;
  for (let index = 0; index < 700_000; index += 1) sum = (sum * 31 + index) % 1_000_003;
  return sum >= 0 ? "done" : "never";
}
