// From the status to what the charts need of it.

import type { Status } from "../status.ts";
import type { Latency, Reading } from "./history.ts";

/** While nothing is known of how long requests take. */
export const noLatency: Latency = { p50: null, p95: null, p99: null };

function sum(status: Status, count: (worker: Status["workers"][number]) => number): number {
  return status.workers.reduce((total, worker) => total + count(worker), 0);
}

export function readingOf(status: Status): Reading {
  return {
    served: status.served,
    failed: status.timedOut,
    shed: status.shed,
    busy: sum(status, ({ busy }) => busy),
    waiting: status.queue.waiting,
    rssBytes: sum(status, ({ rss }) => rss),
    heapBytes: 0,
    lagMs: Math.max(0, ...status.workers.map(({ lagMs }) => lagMs)),
  };
}
