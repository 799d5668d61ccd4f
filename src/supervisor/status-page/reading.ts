// From the status to what the charts need of it.

import type { HistogramCounts } from "../../metrics/histogram.ts";
import { Histogram } from "../../metrics/histogram.ts";
import type { Status } from "../status.ts";
import type { Latency, Reading } from "./history.ts";

function sum(status: Status, count: (worker: Status["workers"][number]) => number): number {
  return status.workers.reduce((total, worker) => total + count(worker), 0);
}

export function readingOf(status: Status): Reading {
  return {
    served: status.served,
    failed: status.figures.applications.reduce((total, { errors }) => total + errors, 0),
    shed: status.shed,
    busy: sum(status, ({ busy }) => busy),
    waiting: status.queue.waiting,
    rssBytes: sum(status, ({ rss }) => rss),
    heapBytes: sum(status, ({ heapUsedBytes }) => heapUsedBytes),
    lagMs: Math.max(0, ...status.workers.map(({ lagMs }) => lagMs)),
  };
}

/** Counts by bucket, from pairs. */
function byBucket({ buckets }: HistogramCounts): Map<number, number> {
  const counts = new Map<number, number>();
  for (let index = 0; index + 1 < buckets.length; index += 2) counts.set(buckets[index] ?? 0, buckets[index + 1] ?? 0);
  return counts;
}

/** The times of what was counted between two moments. */
export function latencyBetween(before: HistogramCounts, after: HistogramCounts): Latency {
  const earlier = byBucket(before);
  const fresh = [...byBucket(after)].flatMap(([bucket, count]) => [bucket, count - (earlier.get(bucket) ?? 0)]);
  const histogram = new Histogram();
  histogram.add({ ...after, buckets: Float64Array.from(fresh) });
  if (histogram.count === 0) return { p50: null, p95: null, p99: null };
  const { p50, p95, p99 } = histogram.quantiles();
  return { p50, p95, p99 };
}
