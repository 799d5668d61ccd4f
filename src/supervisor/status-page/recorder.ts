// Takes the samples of the last 15 minutes, for as long as the supervisor lives, whoever looks at them.

import type { HistogramCounts } from "../../metrics/histogram.ts";
import type { Status } from "../status.ts";
import type { Sample } from "./history.ts";
import { History, sampleMs } from "./history.ts";
import { latencyBetween, readingOf } from "./reading.ts";

/** What is sampled. */
export interface Recorded {
  status(): Status;
  /** How long requests took in their applications since the start. */
  applicationTimes(): HistogramCounts;
}

/** The samples, as whoever draws them gets them. */
export interface HistoryAnswer {
  readonly intervalMs: number;
  /** The oldest first. */
  readonly samples: readonly Sample[];
}

export class Recorder {
  readonly #recorded: Recorded;
  readonly #history: History;
  readonly #timer: NodeJS.Timeout;
  #times: HistogramCounts;

  /** Begins at once; the timer does not keep the process alive. */
  constructor(recorded: Recorded) {
    this.#recorded = recorded;
    this.#times = recorded.applicationTimes();
    this.#history = new History(readingOf(recorded.status()), performance.now());
    this.#timer = setInterval(() => this.#sample(), sampleMs).unref();
  }

  get answer(): HistoryAnswer {
    return { intervalMs: sampleMs, samples: this.#history.samples };
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  #sample(): void {
    const times = this.#recorded.applicationTimes();
    const latency = latencyBetween(this.#times, times);
    this.#times = times;
    this.#history.add(readingOf(this.#recorded.status()), latency, { nowMs: performance.now(), at: Date.now() });
  }
}
