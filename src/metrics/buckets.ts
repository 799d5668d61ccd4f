// The buckets that durations are counted in: log-linear, the same in every process, so that counts can be added.
// Rules: a bucket holds what is longer than its lower bound and no longer than its upper one, in whole microseconds; below
// 10 us it is 1 us wide, above it a tenth of 1, a fifth of 2 or half of 5 in each decade, so that its middle is off by 5 %
// at most. The bounds 1, 2 and 5 of each decade are bounds of Prometheus' histograms too.

/** Bounds within a decade, in tenths of its first value. */
const bounds: readonly number[] = [
  ...Array.from({ length: 10 }, (_, step) => 10 + step),
  ...Array.from({ length: 15 }, (_, step) => 20 + 2 * step),
  ...Array.from({ length: 10 }, (_, step) => 50 + 5 * step),
];
/** The bucket within its decade for each number of two digits. */
const byDigits: Uint8Array = new Uint8Array(100);
for (let digits = 10; digits < 100; digits += 1) {
  byDigits[digits] = bounds.findLastIndex((bound) => bound <= digits);
}

const linear = 10;
/** From 10 us to 10^11 us, which is 27 hours; the last bucket has what is longer too. */
const decades = 10;

export const bucketCount: number = linear + decades * bounds.length;

/** The bucket of a duration in ms. */
export function bucketOf(ms: number): number {
  const above = Math.ceil(ms * 1000) - 1; // whole microseconds, the upper bound included
  if (!(above >= 0)) return 0;
  if (above < linear) return above;
  let unit = 1;
  let first = linear;
  while (above >= unit * 100) {
    unit *= 10;
    first += bounds.length;
    if (first >= bucketCount) return bucketCount - 1;
  }
  return first + (byDigits[Math.floor(above / unit)] ?? 0);
}

/** The lower bound of a bucket, in ms; that of the one behind the last is where the last ends. */
export function lowerBoundMs(bucket: number): number {
  if (bucket < linear) return bucket / 1000;
  const decade = Math.floor((bucket - linear) / bounds.length);
  const bound = bounds[(bucket - linear) % bounds.length] ?? 0;
  return (bound * 10 ** decade) / 1000;
}
