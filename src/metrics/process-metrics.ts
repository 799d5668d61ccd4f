// What a program may ask of its own process: `processMetrics()` and `requestMetrics()`.
// Rules: the workers of `tsgi daemon` measure; anywhere else the figures of requests are 0. Nothing is asked of another
// process: `tsgi status` and /metrics tell of all workers together.

import type { Figures, Quantiles, RequestRecord } from "./figures.ts";
import { noFigures, noQuantiles } from "./figures.ts";
import type { LagMeter } from "./lag.ts";
import { memoryUsage } from "./memory.ts";
import type { RequestMeter } from "./meter.ts";
import { sharedState } from "./shared-state.ts";

/** Since the process began. */
export interface ProcessMetrics {
  readonly pid: number;
  /** The process group; "" in a process that is no worker. */
  readonly group: string;
  /** ISO 8601. */
  readonly startedAt: string;
  readonly uptimeSeconds: number;
  readonly activeRequests: number;
  /** What the application took for all requests together; several at once count several times. */
  readonly busySeconds: number;
  readonly cpuUserSeconds: number;
  readonly cpuSystemSeconds: number;
  readonly rssBytes: number;
  readonly heapUsedBytes: number;
  /** How late the event loop was. */
  readonly eventLoopLag: Quantiles;
  readonly figures: Figures;
  /** The 10 requests that have been running longest. */
  readonly running: readonly RequestRecord[];
  /** The 10 slowest requests that ended in the last 15 minutes. */
  readonly slowest: readonly RequestRecord[];
}

/** Of one interval. */
export interface RequestMetrics extends Figures {
  /** How long the interval was. */
  readonly seconds: number;
  readonly requests: number;
  readonly requestsPerSecond: number;
  readonly activeRequests: number;
  /** How much of the interval the process computed, 0 to 1 for one core. */
  readonly cpuUtilization: number;
}

interface Measured {
  meter: RequestMeter | undefined;
  lag: LagMeter | undefined;
  group: string;
  intervalSinceMs: number;
  intervalCpuMs: number;
}

const measured: Measured = sharedState("measured", () => ({
  meter: undefined,
  lag: undefined,
  group: "",
  intervalSinceMs: performance.now() - process.uptime() * 1000,
  intervalCpuMs: 0,
}));

/** Tells where this process measures. */
export function provideMetrics(parts: Pick<Measured, "meter" | "lag" | "group">): void {
  Object.assign(measured, parts);
}

function cpuMs(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1000;
}

/** The state of this process now. */
export function processMetrics(): ProcessMetrics {
  const { meter, lag, group } = measured;
  const { user, system } = process.cpuUsage();
  const { rss, heapUsed } = memoryUsage();
  const uptimeSeconds = process.uptime();
  return {
    pid: process.pid,
    group,
    startedAt: new Date(Date.now() - uptimeSeconds * 1000).toISOString(),
    uptimeSeconds,
    activeRequests: meter?.running ?? 0,
    busySeconds: (meter?.busyMs ?? 0) / 1000,
    cpuUserSeconds: user / 1e6,
    cpuSystemSeconds: system / 1e6,
    rssBytes: rss,
    heapUsedBytes: heapUsed,
    eventLoopLag: lag?.quantiles() ?? noQuantiles,
    figures: meter?.figures() ?? noFigures,
    running: meter?.longestRunning() ?? [],
    slowest: meter?.slowest() ?? [],
  };
}

/** The requests of this process that ended since the last call; at first, since the process began. */
export function requestMetrics(): RequestMetrics {
  const { meter, intervalSinceMs, intervalCpuMs } = measured;
  const figures = meter?.takeInterval() ?? noFigures;
  const seconds = (performance.now() - intervalSinceMs) / 1000;
  const cpuSeconds = (cpuMs() - intervalCpuMs) / 1000;
  measured.intervalSinceMs += seconds * 1000;
  measured.intervalCpuMs += cpuSeconds * 1000;
  const requests = figures.queueMs.count;
  return {
    ...figures,
    seconds,
    requests,
    requestsPerSecond: seconds > 0 ? requests / seconds : 0,
    activeRequests: meter?.running ?? 0,
    cpuUtilization: seconds > 0 ? Math.min(1, cpuSeconds / seconds) : 0,
  };
}
