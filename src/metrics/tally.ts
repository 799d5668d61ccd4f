// Requests that have ended, counted: in a worker as they end, in the supervisor as workers tell of them.
// Rules: to count allocates nothing but for a script that is new; what is taken is handed on and added elsewhere once, so
// that no sum ever goes back; scripts beyond `maxScripts` are counted together, since their names come from requests.

import type { ApplicationFigures, FailureKind, Figures } from "./figures.ts";
import { failureKinds, responseClasses } from "./figures.ts";
import type { HistogramCounts } from "./histogram.ts";
import { Histogram } from "./histogram.ts";

/** How many scripts are told apart in one process. */
export const maxScripts = 200;
/** How many of them are shown. */
const shownScripts = 50;
const other = "other";

/** A request that has ended. */
export interface EndedRequest {
  /** 0 when it ended before there was one. */
  readonly status: number;
  /** Undefined when it ended well. */
  readonly failure: FailureKind | undefined;
  readonly bytesIn: number;
  readonly bytesOut: number;
  readonly queuedMs: number;
  /** "" when no application was found. */
  readonly script: string;
}

export interface ScriptCounts {
  readonly script: string;
  readonly requests: number;
  readonly errors: number;
  readonly application: HistogramCounts;
}

/** What one tally hands on to another. */
export interface TallyCounts {
  /** In the order of `responseClasses`. */
  readonly responses: readonly number[];
  /** In the order of `failureKinds`. */
  readonly failed: readonly number[];
  readonly bytesIn: number;
  readonly bytesOut: number;
  readonly queue: HistogramCounts;
  readonly application: HistogramCounts;
  readonly scripts: readonly ScriptCounts[];
}

/** What is known of one script. */
export class ScriptTally {
  requests = 0;
  errors = 0;
  readonly application: Histogram = new Histogram();

  clear(): void {
    this.requests = 0;
    this.errors = 0;
    this.application.clear();
  }
}

function addEach(sums: Float64Array, more: readonly number[]): void {
  for (const [index, count] of more.entries()) if (index < sums.length) sums[index] = (sums[index] ?? 0) + count;
}

function named<Name extends string>(names: readonly Name[], counts: Float64Array): Record<Name, number> {
  // eslint-disable-next-line typescript/no-unsafe-type-assertion -- made of these very names
  return Object.fromEntries(names.map((name, index) => [name, counts[index] ?? 0])) as Record<Name, number>;
}

export class Tally {
  readonly queue: Histogram = new Histogram();
  readonly application: Histogram = new Histogram();
  readonly #responses = new Float64Array(responseClasses.length);
  readonly #failed = new Float64Array(failureKinds.length);
  readonly #scripts = new Map<string, ScriptTally>();
  #bytesIn = 0;
  #bytesOut = 0;
  #lastScript = "";
  #lastTally: ScriptTally | undefined;

  /** Each script by itself, and the rest as "other". */
  get scripts(): ReadonlyMap<string, ScriptTally> {
    return this.#scripts;
  }

  /** `applicationMs` is undefined for a request that reached no application. */
  count(request: EndedRequest, applicationMs: number | undefined): void {
    const { status, failure, script } = request;
    const digit = Math.floor(status / 100) - 1;
    if (digit >= 0 && digit < responseClasses.length) this.#responses[digit] = (this.#responses[digit] ?? 0) + 1;
    if (failure !== undefined) {
      const kind = failureKinds.indexOf(failure);
      this.#failed[kind] = (this.#failed[kind] ?? 0) + 1;
    }
    this.#bytesIn += request.bytesIn;
    this.#bytesOut += request.bytesOut;
    this.queue.record(request.queuedMs);
    if (applicationMs !== undefined) this.application.record(applicationMs);
    if (script === "") return;
    const tally = this.#tallyOf(script);
    tally.requests += 1;
    if (status >= 500 || (failure !== undefined && failure !== "aborted")) tally.errors += 1;
    if (applicationMs !== undefined) tally.application.record(applicationMs);
  }

  add(counts: TallyCounts): void {
    addEach(this.#responses, counts.responses);
    addEach(this.#failed, counts.failed);
    this.#bytesIn += counts.bytesIn;
    this.#bytesOut += counts.bytesOut;
    this.queue.add(counts.queue);
    this.application.add(counts.application);
    for (const { script, requests, errors, application } of counts.scripts) {
      const tally = this.#tallyOf(script);
      tally.requests += requests;
      tally.errors += errors;
      tally.application.add(application);
    }
  }

  /** What is in it, to be added to another one. */
  counts(): TallyCounts {
    return {
      responses: [...this.#responses],
      failed: [...this.#failed],
      bytesIn: this.#bytesIn,
      bytesOut: this.#bytesOut,
      queue: this.queue.counts(),
      application: this.application.counts(),
      scripts: [...this.#scripts]
        .filter(([, { requests }]) => requests > 0)
        .map(([script, { requests, errors, application }]) => ({
          script,
          requests,
          errors,
          application: application.counts(),
        })),
    };
  }

  /** The counts, and begins anew: what is handed on is handed on once. */
  take(): TallyCounts {
    const counts = this.counts();
    this.clear();
    return counts;
  }

  clear(): void {
    this.#responses.fill(0);
    this.#failed.fill(0);
    this.#bytesIn = 0;
    this.#bytesOut = 0;
    this.queue.clear();
    this.application.clear();
    for (const tally of this.#scripts.values()) tally.clear();
  }

  figures(): Figures {
    return {
      responses: named(responseClasses, this.#responses),
      failed: named(failureKinds, this.#failed),
      bytesIn: this.#bytesIn,
      bytesOut: this.#bytesOut,
      queueMs: this.queue.quantiles(),
      applicationMs: this.application.quantiles(),
      applications: this.#applications(),
    };
  }

  #tallyOf(script: string): ScriptTally {
    if (script === this.#lastScript && this.#lastTally !== undefined) return this.#lastTally;
    const name = this.#scripts.size < maxScripts || this.#scripts.has(script) ? script : other;
    let tally = this.#scripts.get(name);
    if (tally === undefined) {
      tally = new ScriptTally();
      this.#scripts.set(name, tally);
    }
    this.#lastScript = script;
    this.#lastTally = tally;
    return tally;
  }

  #applications(): ApplicationFigures[] {
    const known = [...this.#scripts].filter(([script]) => script !== other);
    const busiest = known.sort(([, a], [, b]) => b.requests - a.requests);
    const others = [...busiest.slice(shownScripts).map(([, tally]) => tally), this.#scripts.get(other) ?? []].flat();
    const shown = busiest.slice(0, shownScripts);
    if (others.length > 0) shown.push([other, together(others)]);
    return shown.map(([script, tally]) => ({
      script,
      requests: tally.requests,
      errors: tally.errors,
      applicationMs: tally.application.quantiles(),
    }));
  }
}

function together(tallies: readonly ScriptTally[]): ScriptTally {
  const sum = new ScriptTally();
  for (const { requests, errors, application } of tallies) {
    sum.requests += requests;
    sum.errors += errors;
    sum.application.add(application.counts());
  }
  return sum;
}
