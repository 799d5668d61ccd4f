// Which generation is wanted, which one serves, and who waits for the next.
// Rules: one reload at a time; whoever asks while one is under way gets the one after it, since his change may have come too
// late for this one; everyone who asked is told the outcome, once.

import type { ReloadOutcome } from "./control.ts";

type Waiter = (outcome: ReloadOutcome) => void;

export class Reloads {
  readonly counts = { done: 0, failed: 0 };
  #newest = 1;
  #wanted = 1;
  #established = 0;
  /** Who waits for the reload under way, and who for the next one. */
  #waiting: Waiter[] = [];
  #asked: Waiter[] = [];

  /** The generation that workers are started in. */
  get wanted(): number {
    return this.#wanted;
  }

  /** The newest that has served as a whole; 0 before the first. */
  get established(): number {
    return this.#established;
  }

  /** Whether a later generation than the one that serves is being started. */
  get isUnderWay(): boolean {
    return this.#established > 0 && this.#wanted > this.#established;
  }

  /** Asks for a new generation; settles when it serves, or never will. */
  ask(): Promise<ReloadOutcome> {
    return new Promise((resolve) => this.#asked.push(resolve));
  }

  /** Begins the reload that was asked for, if it may; false when there is nothing to begin. */
  begin(): boolean {
    if (this.#asked.length === 0 || this.#established === 0 || this.isUnderWay) return false;
    this.#waiting = this.#asked;
    this.#asked = [];
    this.#newest += 1;
    this.#wanted = this.#newest;
    return true;
  }

  /** The wanted generation serves. False for the first one, which is no reload. */
  establish(): boolean {
    const isReload = this.#established > 0;
    this.#established = this.#wanted;
    if (!isReload) return false;
    this.counts.done += 1;
    this.#settle({ ok: true, message: `generation ${this.#wanted} serves`, generation: this.#wanted });
    return true;
  }

  /** The wanted generation could not start: the one that serves is wanted again. */
  abandon(message: string): void {
    this.#wanted = this.#established;
    this.counts.failed += 1;
    this.#settle({ ok: false, message, generation: this.#established });
  }

  /** There will be no more. */
  stop(): void {
    this.#waiting.push(...this.#asked);
    this.#asked = [];
    this.#settle({ ok: false, message: "the daemon is stopping", generation: this.#established });
  }

  #settle(outcome: ReloadOutcome): void {
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const waiter of waiting) waiter(outcome);
  }
}
