// A worker's part of the figures: it measures, and tells the supervisor what is new.
// Rules: at most a report a second, and none when no request began or ended since the last, but for the state of the
// process, which is told every few seconds; what was told is not told again, so the last report of a worker is sent before
// it ends.

import { LagMeter } from "../metrics/lag.ts";
import { memoryUsage } from "../metrics/memory.ts";
import { RequestMeter } from "../metrics/meter.ts";
import { provideMetrics } from "../metrics/process-metrics.ts";
import type { FiguresReport } from "../metrics/report.ts";

const reportMs = 1000;
/** How long after its start a worker reports for the first time, ms: its first requests come before. */
const firstReportMs = 100;
/** How many times in a row nothing is told, at most. */
const mostSilent = 5;

export class FiguresReporter {
  readonly meter: RequestMeter = new RequestMeter();
  readonly #lag = new LagMeter();
  readonly #send: (report: FiguresReport) => void;
  #told = 0;
  #silent = 0;

  /** `group` is what the application is told when it asks. */
  constructor(group: string, send: (report: FiguresReport) => void) {
    this.#send = send;
    provideMetrics({ meter: this.meter, lag: this.#lag, group });
  }

  /** Begins to report, for as long as the process lives. */
  start(): void {
    setInterval(() => {
      this.#silent += 1;
      if (this.meter.changes !== this.#told || this.#silent >= mostSilent) this.report();
    }, reportMs).unref();
    setTimeout(() => this.report(), firstReportMs).unref();
  }

  /** Tells what is new now. */
  report(): void {
    this.#told = this.meter.changes;
    this.#silent = 0;
    this.#send({
      type: "figures",
      counts: this.meter.take(),
      lag: this.#lag.take(),
      heapUsedBytes: memoryUsage().heapUsed,
      slowest: this.meter.slowest(),
      running: this.meter.longestRunning(),
    });
  }
}
