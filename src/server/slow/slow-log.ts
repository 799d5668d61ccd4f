// Requests that take longer than `--slow-request`: a line when that is noticed, and one when they end.
// Rules: nothing is done for a request that is not slow; one that waits is told of by this thread, one that blocks it by the
// watchdog, which asks here what to tell; many slow requests make few lines.

import type { MeasuredRequest, RequestMeter } from "../../metrics/meter.ts";
import type { Log } from "../../spec.ts";
import { LineBudget } from "./line-budget.ts";

/** What a line says of a request. The path is as in the access log. */
export interface SlowRequest {
  readonly request_id: string;
  readonly method: string;
  readonly path: string;
  readonly script: string;
  readonly elapsedMs: number;
}

export interface SlowLogOptions {
  readonly slowMs: number;
  readonly meter: RequestMeter;
  readonly log: Log;
}

const code = "TSGI2131";
/** Lines of each kind in each window. */
const maxLines = 10;
const windowMs = 10_000;
/** How many requests one hang is told for. */
const maxBlocked = 5;

export class SlowLog {
  readonly #options: SlowLogOptions;
  readonly #slowLines = new LineBudget(maxLines, windowMs);
  readonly #endLines = new LineBudget(maxLines, windowMs);
  /** Those that run and were told of, or left out. */
  readonly #told = new Set<MeasuredRequest>();

  constructor(options: SlowLogOptions) {
    this.#options = options;
    options.meter.watchSlow(options.slowMs, (request, elapsedMs) => this.#ended(request, elapsedMs));
  }

  /** Tells of requests that have become slow while they wait. Called from the event loop, which is not blocked then. */
  look(): void {
    for (const [request, elapsedMs] of this.#untold()) {
      const leftOut = this.#slowLines.take(performance.now());
      if (leftOut === undefined) continue;
      const fields = { code, ...this.#describe(request, elapsedMs), state: "waiting", ...omitted(leftOut) };
      this.#options.log.warn(fields, "slow request: it waits, the event loop is free");
    }
  }

  /** Requests that are slow, which the caller tells of: they will not be given again. The longest first. */
  takeBlocked(): SlowRequest[] {
    return this.#untold()
      .slice(0, maxBlocked)
      .flatMap(([request, elapsedMs]) => {
        const leftOut = this.#slowLines.take(performance.now());
        return leftOut === undefined ? [] : [{ ...this.#describe(request, elapsedMs), ...omitted(leftOut) }];
      });
  }

  /** How long until the next request becomes slow, ms; undefined when none runs that was not told of. */
  get nextMs(): number | undefined {
    const { meter, slowMs } = this.#options;
    const next = meter.longerThan(0).find(([request]) => !this.#told.has(request));
    return next === undefined ? undefined : slowMs - next[1];
  }

  #untold(): (readonly [MeasuredRequest, number])[] {
    const { meter, slowMs } = this.#options;
    const fresh = meter.longerThan(slowMs).filter(([request]) => !this.#told.has(request));
    for (const [request] of fresh) this.#told.add(request);
    return fresh;
  }

  #ended(request: MeasuredRequest, elapsedMs: number): void {
    this.#told.delete(request);
    const leftOut = this.#endLines.take(performance.now());
    if (leftOut === undefined) return;
    const { status } = request;
    const fields = { code, ...this.#describe(request, elapsedMs), state: "ended", status, ...omitted(leftOut) };
    this.#options.log.warn(fields, "slow request: it has ended");
  }

  #describe({ id, method, target, script }: MeasuredRequest, elapsedMs: number): SlowRequest {
    return { request_id: id, method, path: target, script, elapsedMs: Math.round(elapsedMs) };
  }
}

function omitted(leftOut: number): { readonly leftOut?: number } {
  return leftOut === 0 ? {} : { leftOut };
}
