// What a process has served, for whoever watches over it: counters, and when it was last of use.
// Rules: requests for the paths of `--ignore-activity`, such as a health check, are served and counted like others and
// are no activity. Nothing here reads a clock for each request: when something happened is noticed by whoever asks.

import type { Variables } from "../gateway/environ.ts";
import { rawPathOf } from "../gateway/url-path.ts";

/** Tells whether a path is among patterns, in which a `*` at the end stands for anything. */
function createMatcher(patterns: readonly string[]): (path: string) => boolean {
  const exact = new Set(patterns.filter((pattern) => !pattern.endsWith("*")));
  const prefixes = patterns.filter((pattern) => pattern.endsWith("*")).map((pattern) => pattern.slice(0, -1));
  return (path) => exact.has(path) || prefixes.some((prefix) => path.startsWith(prefix));
}

export class Traffic {
  /** Requests that ran here and have ended, well or not. */
  served = 0;
  /** Requests that got a 503 of ours for want of room. */
  shed = 0;
  readonly #isIgnored: ((path: string) => boolean) | undefined;
  #hasActed = false;
  #lastActivityMs = performance.now();

  constructor(ignoredActivity: readonly string[]) {
    this.#isIgnored = ignoredActivity.length === 0 ? undefined : createMatcher(ignoredActivity);
  }

  /** A request begins; false when it is no activity, which `ended` wants to know again. */
  began(variables: Variables): boolean {
    const isActivity = this.#isIgnored === undefined || !this.#isIgnored(pathOf(variables));
    if (isActivity) this.#hasActed = true;
    return isActivity;
  }

  ended(isActivity: boolean): void {
    this.served += 1;
    if (isActivity) this.#hasActed = true;
  }

  /**
   * When the last activity was, on the clock of `performance.now`: no earlier than it was, and no later than the first
   * look after it. Before any, when this process began to serve.
   */
  get lastActivityMs(): number {
    if (this.#hasActed) this.#lastActivityMs = performance.now();
    this.#hasActed = false;
    return this.#lastActivityMs;
  }
}

function pathOf(variables: Variables): string {
  return rawPathOf(variables["REQUEST_URI"] ?? "") ?? "";
}
