// Durations and sizes as people write them: "10", "10s", "500ms", "5m"; "1048576", "64k", "1m".
// Rules: a bare number is seconds or bytes; what is not understood throws an Error that says what is expected.

const durationUnits: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000 };
const sizeUnits: Readonly<Record<string, number>> = { k: 2 ** 10, m: 2 ** 20, g: 2 ** 30 };

/** The longest time that Node's timers take, in ms: about 24 days. */
const maxDurationMs = 2 ** 31 - 1;

/** Gives ms, rounded. A number without a unit is seconds. */
export function parseDuration(text: string): number {
  const match = /^(\d+(?:\.\d+)?)(ms|s|m|h)?$/i.exec(text.trim());
  const ms = Math.round(Number(match?.[1]) * (durationUnits[(match?.[2] ?? "s").toLowerCase()] ?? 1));
  if (match === null) throw new Error("expected a time such as 10, 10s, 500ms or 5m");
  if (ms > maxDurationMs) throw new Error("expected a time of at most 24 days");
  return ms;
}

/** Gives bytes. A number without a unit is bytes; k, m and g are powers of 1024. */
export function parseSize(text: string): number {
  const match = /^(\d+)(?:([kmg])(?:i?b)?)?$/i.exec(text.trim());
  const bytes = Number(match?.[1]) * (sizeUnits[(match?.[2] ?? "").toLowerCase()] ?? 1);
  if (match === null || !Number.isSafeInteger(bytes)) throw new Error("expected a size such as 65536, 64k or 1m");
  return bytes;
}
