// Where connections that no worker accepted go: those that the supervisor accepts, and those that a worker gave back.
// Rules: a worker that serves gets them, the one with the fewest; while there is none they wait, or are refused, as the
// plan says; a connection is never closed because of us.

import type { Socket } from "node:net";
import type { Log } from "../spec.ts";
import type { SocketHandle } from "../server/socket-handle.ts";
import { releaseHandle } from "../server/socket-handle.ts";
import type { Listener } from "./listener.ts";
import type { Relief as ReliefMode } from "./plan.ts";
import { unresponsiveMs } from "./plan.ts";
import type { Held, Relief } from "./relief.ts";
import type { WorkerHandle } from "./worker-handle.ts";

export interface IntakeOptions {
  readonly relief: Relief;
  readonly workers: () => Iterable<WorkerHandle>;
  readonly isAllowed: (socket: Socket) => boolean;
  readonly log: Log;
}

/** What was in the backlog when we began to accept came within this time, ms, and had been waiting before. */
const backlogMs = 100;

export class Intake {
  readonly #options: IntakeOptions;
  #mode: ReliefMode = "hold";
  #acceptsSinceMs = 0;
  #silentSinceMs = 0;
  #handedOver = 0;

  constructor(options: IntakeOptions) {
    this.#options = options;
    this.#acceptsSinceMs = performance.now();
    this.#silentSinceMs = this.#acceptsSinceMs;
  }

  get waiting(): number {
    return this.#options.relief.waiting;
  }

  get shed(): number {
    return this.#options.relief.shed;
  }

  /** Connections that went from one worker to another. */
  get handedOver(): number {
    return this.#handedOver;
  }

  /** A connection that the supervisor accepted. */
  readonly accepted = (socket: Socket): void => {
    if (!this.#options.isAllowed(socket)) {
      socket.destroy();
      return;
    }
    const now = performance.now();
    const sinceMs = now - this.#acceptsSinceMs < backlogMs ? this.#silentSinceMs : now;
    this.#place({ handle: releaseHandle(socket), bytes: undefined, waitingSinceMs: sinceMs }, sinceMs);
  };

  /** A connection that a worker gave back, whose next request has waited for `waitedMs`. */
  givenBack(handle: SocketHandle, bytes: Uint8Array | undefined, waitedMs: number): void {
    this.#handedOver += 1;
    const sinceMs = performance.now() - waitedMs;
    const isWaiting = waitedMs > 0 || bytes !== undefined;
    this.#place({ handle, bytes, waitingSinceMs: isWaiting ? sinceMs : undefined }, sinceMs);
  }

  /** Follows the plan. `silentSinceMs` is when a worker was last known to accept. */
  set(mode: ReliefMode, listener: Listener, silentSinceMs: number): void {
    const { relief, log } = this.#options;
    if (mode === this.#mode) {
      if (mode === "off" && relief.waiting > 0 && this.#leastLoaded() !== undefined) this.#release();
      return;
    }
    const before = this.#mode;
    this.#mode = mode;
    if (mode === "off") {
      this.#release();
      return;
    }
    if (mode === "refuse") relief.refuse();
    if (before !== "off" || listener.isAccepting) return;
    log.warn({ code: "TSGI3201" }, "no worker takes connections: the supervisor does");
    this.#acceptsSinceMs = performance.now();
    this.#silentSinceMs = silentSinceMs;
    void listener.accept();
  }

  #release(): void {
    this.#options.relief.release((held) => this.#place(held, performance.now()));
  }

  #place(held: Held, sinceMs: number): void {
    const worker = this.#mode === "off" ? this.#leastLoaded() : undefined;
    if (worker === undefined) this.#options.relief.hold(held, sinceMs);
    else worker.give(held, () => this.#place(held, sinceMs));
  }

  /** Of those that serve, can be reached and are heard of; of those that are being replaced only where there is no other. */
  #leastLoaded(): WorkerHandle | undefined {
    const now = performance.now();
    const heard = [...this.#options.workers()].filter(
      (worker) => worker.isReachable && now - worker.silentSinceMs < unresponsiveMs,
    );
    const serving = heard.filter(({ state }) => state === "serving");
    const taking = serving.length > 0 ? serving : heard.filter(({ state }) => state === "retiring");
    return taking.reduce<WorkerHandle | undefined>(
      (best, worker) => (best === undefined || worker.load < best.load ? worker : best),
      undefined,
    );
  }
}
