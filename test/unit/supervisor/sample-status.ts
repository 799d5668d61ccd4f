// A status as a supervisor would give it, for tests of what is done with it.
import { noFigures, noQuantiles } from "../../../src/metrics/figures.ts";
import type { GroupStatus, Status, WorkerStatus } from "../../../src/supervisor/status.ts";
import { totalStatus } from "../../../src/supervisor/status.ts";

export function sampleWorker(more: Partial<WorkerStatus> = {}): WorkerStatus {
  return {
    group: "default",
    pid: 4712,
    generation: 3,
    state: "serving",
    busy: 2,
    waiting: 1,
    connections: 7,
    served: 12_345,
    rss: 80 * 2 ** 20,
    lagMs: 1.4,
    silentMs: 120,
    ageSeconds: 3700,
    heapUsedBytes: 30 * 2 ** 20,
    eventLoopLag: noQuantiles,
    figures: noFigures,
    slowest: [],
    running: [],
    ...more,
  };
}

export function sampleGroup(more: Partial<GroupStatus> = {}): GroupStatus {
  return {
    name: "default",
    listen: "unix:/run/tsgi/app.sock",
    state: "serving",
    generation: 3,
    processes: 2,
    workers: [sampleWorker(), sampleWorker({ pid: 98_765, state: "draining", generation: 2, served: 9 })],
    queue: { waiting: 4, limit: 200 },
    served: 12_354,
    shed: 5,
    timedOut: 6,
    handedOver: 8,
    restarts: { signal: 1, "out of memory": 2 },
    reloads: { done: 2, failed: 1 },
    lastBootError: null,
    figures: noFigures,
    slowest: [],
    ...more,
  };
}

export function sampleStatus(groups: readonly GroupStatus[] = [sampleGroup()]): Status {
  const head = {
    version: "1.2.3",
    pid: process.pid,
    startedAt: "2026-01-02T03:04:05.000Z",
    uptimeSeconds: 90_061,
    state: "running",
  } as const;
  return totalStatus(head, groups, noFigures);
}
