// The figures that workers report, as the supervisor keeps them: of each worker, and of a group with those that are gone.
// Rules: a report is added once, so no sum goes back when a worker ends; nothing is asked of a worker, so that the answer is
// there when all of them are blocked.

import type { Figures, RequestRecord } from "../metrics/figures.ts";
import { Histogram } from "../metrics/histogram.ts";
import { RequestMeter } from "../metrics/meter.ts";
import type { FiguresReport } from "../metrics/report.ts";
import { slowestOf, slowestWindowMs } from "../metrics/slowest.ts";
import { Tally } from "../metrics/tally.ts";
import type { WorkerStatus } from "./status.ts";

type ReportedStatus = Pick<WorkerStatus, "heapUsedBytes" | "eventLoopLag" | "figures" | "slowest" | "running">;

function grown(record: RequestRecord, ms: number): RequestRecord {
  return { ...record, elapsedMs: record.elapsedMs + ms };
}

/** What one worker has reported. */
export class WorkerFigures {
  readonly #tally = new Tally();
  readonly #lag = new Histogram();
  #last: FiguresReport | undefined;
  #receivedMs = 0;

  add(report: FiguresReport): void {
    this.#tally.add(report.counts);
    this.#lag.add(report.lag);
    this.#last = report;
    this.#receivedMs = performance.now();
  }

  get slowest(): readonly RequestRecord[] {
    return this.#last?.slowest ?? [];
  }

  status(): ReportedStatus {
    const sinceMs = Math.round(performance.now() - this.#receivedMs);
    const running = this.#last?.running ?? [];
    return {
      heapUsedBytes: this.#last?.heapUsedBytes ?? 0,
      eventLoopLag: this.#lag.quantiles(),
      figures: this.#tally.figures(),
      slowest: this.slowest,
      // They have been running since, as a report follows when one ends.
      running: running.map((record) => grown(record, sinceMs)),
    };
  }
}

function isRecent({ startedAt, elapsedMs }: RequestRecord): boolean {
  return Date.now() - (Date.parse(startedAt) + elapsedMs) < slowestWindowMs;
}

/** What all workers of a group have reported. */
export class GroupFigures {
  /** Counts the requests that the supervisor itself answers, with a 503. */
  readonly meter: RequestMeter = new RequestMeter();
  readonly lag: Histogram = new Histogram();
  readonly #tally = new Tally();
  #past: readonly RequestRecord[] = [];

  add(report: FiguresReport): void {
    this.#tally.add(report.counts);
    this.lag.add(report.lag);
  }

  /** A worker has ended. */
  keep({ slowest }: WorkerFigures): void {
    this.#past = slowestOf([...this.#past, ...slowest].filter(isRecent));
  }

  /** Everything so far. */
  get tally(): Tally {
    this.#tally.add(this.meter.take());
    return this.#tally;
  }

  slowest(workers: readonly WorkerFigures[]): RequestRecord[] {
    return slowestOf([...this.#past, ...workers.flatMap(({ slowest }) => slowest)].filter(isRecent));
  }
}

/** The figures of several groups together. */
export function totalFigures(groups: readonly GroupFigures[]): Figures {
  const sum = new Tally();
  for (const { tally } of groups) sum.add(tally.counts());
  return sum.figures();
}
