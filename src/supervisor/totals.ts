// What all workers of a group have counted, with those that are gone: totals never go back.

import type { WorkerHandle } from "./worker-handle.ts";

export interface Counts {
  readonly served: number;
  readonly shed: number;
  readonly timedOut: number;
}

export class Totals {
  #past: Counts = { served: 0, shed: 0, timedOut: 0 };

  /** A worker has ended: its last pulse is all there will be. */
  keep({ pulse }: WorkerHandle): void {
    this.#past = added(this.#past, pulse);
  }

  with(workers: readonly WorkerHandle[]): Counts {
    return workers.reduce<Counts>((sum, { pulse }) => added(sum, pulse), this.#past);
  }
}

function added(sum: Counts, more: Counts): Counts {
  return { served: sum.served + more.served, shed: sum.shed + more.shed, timedOut: sum.timedOut + more.timedOut };
}
