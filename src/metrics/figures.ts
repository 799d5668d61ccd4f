// The figures of requests, as plain data: what `GET /status` tells, what a program asks of its own process.
// Rules: names are part of the interface; times are in ms, sizes in bytes; everything counts from the start of the process
// and never goes back.

/** Of a duration in ms; 0 where nothing was counted. Off by 5 % at most; `max` is exact. */
export interface Quantiles {
  readonly count: number;
  readonly p50: number;
  readonly p95: number;
  readonly p99: number;
  readonly max: number;
}

/** Of the first digit of a status. */
export const responseClasses = ["1xx", "2xx", "3xx", "4xx", "5xx"] as const;
export type ResponseClass = (typeof responseClasses)[number];

/**
 * How a request ended that did not end well: the application failed; the client went away; it took longer than
 * `--request-timeout` or than a stop can wait; the peer sent something malformed, such as a body that is too short.
 */
export const failureKinds = ["application", "aborted", "timedOut", "protocol"] as const;
export type FailureKind = (typeof failureKinds)[number];

export interface ApplicationFigures {
  /** Absolute file, with `#export` where one was named; "other" for those that are not told apart. */
  readonly script: string;
  readonly requests: number;
  /** Requests that were answered 5xx or failed in another way than by the client's going away. */
  readonly errors: number;
  readonly applicationMs: Quantiles;
}

export interface Figures {
  /** Requests that ended, by class of their status; one that was given up before it had any is not here. */
  readonly responses: Readonly<Record<ResponseClass, number>>;
  /** Requests that ended otherwise than well; they may have had a response. */
  readonly failed: Readonly<Record<FailureKind, number>>;
  /** Of request bodies, as far as they were taken. */
  readonly bytesIn: number;
  /** Of response bodies, as far as they were sent. */
  readonly bytesOut: number;
  /** What a request waited for a turn (`--max-concurrency`). */
  readonly queueMs: Quantiles;
  /** From the call of the application to the end of its response. */
  readonly applicationMs: Quantiles;
  /** The 50 busiest, the rest as "other". */
  readonly applications: readonly ApplicationFigures[];
}

/** One request, running or over. */
export interface RequestRecord {
  readonly id: string;
  readonly method: string;
  /** Without its query, and cut where it is long. */
  readonly path: string;
  /** As in `ApplicationFigures`; "" where no application was found. */
  readonly script: string;
  /** ISO 8601. */
  readonly startedAt: string;
  readonly elapsedMs: number;
  /** Null while it runs, 0 when it ended before it had one. */
  readonly status: number | null;
  /** The JavaScript stack that it is in, where the event loop is blocked. */
  readonly where?: readonly string[];
}

export const noQuantiles: Quantiles = { count: 0, p50: 0, p95: 0, p99: 0, max: 0 };

export const noFigures: Figures = {
  responses: { "1xx": 0, "2xx": 0, "3xx": 0, "4xx": 0, "5xx": 0 },
  failed: { application: 0, aborted: 0, timedOut: 0, protocol: 0 },
  bytesIn: 0,
  bytesOut: 0,
  queueMs: noQuantiles,
  applicationMs: noQuantiles,
  applications: [],
};
