// What a worker tells of its figures, and how it is read: a worker runs the application's code, which may send anything.
// Rules: whatever is no report in every part becomes one that counts nothing; numbers, lists and texts have limits, so that
// a worker that lies can make its own figures wrong and nothing else.

import { bucketCount } from "./buckets.ts";
import type { RequestRecord } from "./figures.ts";
import { failureKinds, responseClasses } from "./figures.ts";
import type { HistogramCounts } from "./histogram.ts";
import { shownRequests } from "./slowest.ts";
import type { ScriptCounts, TallyCounts } from "./tally.ts";
import { maxScripts } from "./tally.ts";

export interface FiguresReport {
  readonly type: "figures";
  /** Since the last report. */
  readonly counts: TallyCounts;
  /** Since the last report. */
  readonly lag: HistogramCounts;
  readonly heapUsedBytes: number;
  readonly slowest: readonly RequestRecord[];
  readonly running: readonly RequestRecord[];
}

const maxTextLength = 1024;
/** More than any process does between two reports; sums of it stay exact for centuries. */
const maxCount = 2 ** 32 - 1;
const maxBytes = 2 ** 45;
const maxMs = 2 ** 45;

type Fields = Readonly<Record<string, unknown>>;

function fieldsOf(value: unknown): Fields {
  return typeof value === "object" && value !== null ? { ...value } : {};
}

/** Halves of surrogate pairs would make two texts look alike when they are written as UTF-8. */
function text(value: unknown): string {
  return typeof value === "string" ? value.slice(0, maxTextLength).replace(/[\ud800-\udfff]/gu, "\ufffd") : "";
}

function upTo(most: number, value: unknown): number {
  return typeof value === "number" && value >= 0 && value <= most ? value : 0;
}

function count(value: unknown): number {
  return Math.floor(upTo(maxCount, value));
}

function list<Item>(value: unknown, most: number, read: (item: unknown) => Item): Item[] {
  return Array.isArray(value) ? value.slice(0, most).map((item: unknown) => read(item)) : [];
}

function histogram(value: unknown): HistogramCounts {
  const { buckets, sumMs, maxMs: most } = fieldsOf(value);
  const isRead =
    buckets instanceof Float64Array &&
    buckets.length <= 2 * bucketCount &&
    buckets.every((value) => value === count(value));
  return {
    buckets: isRead ? buckets : new Float64Array(0),
    sumMs: upTo(maxMs, sumMs),
    maxMs: upTo(maxMs, most),
  };
}

function script(value: unknown): ScriptCounts {
  const fields = fieldsOf(value);
  return {
    script: text(fields["script"]),
    requests: count(fields["requests"]),
    errors: count(fields["errors"]),
    application: histogram(fields["application"]),
  };
}

function tally(value: unknown): TallyCounts {
  const fields = fieldsOf(value);
  return {
    responses: list(fields["responses"], responseClasses.length, count),
    failed: list(fields["failed"], failureKinds.length, count),
    bytesIn: upTo(maxBytes, fields["bytesIn"]),
    bytesOut: upTo(maxBytes, fields["bytesOut"]),
    queue: histogram(fields["queue"]),
    application: histogram(fields["application"]),
    scripts: list(fields["scripts"], maxScripts + 1, script),
  };
}

/** Makes a record of what claims to be one. */
export function readRecord(value: unknown): RequestRecord {
  const fields = fieldsOf(value);
  const { status } = fields;
  return {
    id: text(fields["id"]),
    method: text(fields["method"]),
    path: text(fields["path"]),
    script: text(fields["script"]),
    startedAt: text(fields["startedAt"]),
    elapsedMs: upTo(maxMs, fields["elapsedMs"]),
    status: status === null ? null : upTo(999, status),
  };
}

/** Makes a report of what a worker sent as one. */
export function readReport(fields: Fields): FiguresReport {
  return {
    type: "figures",
    counts: tally(fields["counts"]),
    lag: histogram(fields["lag"]),
    heapUsedBytes: upTo(maxBytes, fields["heapUsedBytes"]),
    slowest: list(fields["slowest"], shownRequests, readRecord),
    running: list(fields["running"], shownRequests, readRecord),
  };
}
