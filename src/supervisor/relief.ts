// Connections that no worker has taken yet: they wait here, unread, for the first worker that can, or are answered 503.
// Rules: as many wait as the queue may hold, none longer than the queue's timeout; a request that cannot be served is
// answered as a real response, since a peer that is left alone in connect() or without an answer hangs. A kept-alive
// connection that was answered here goes to a worker as soon as there is one, and is not closed.

import { OverloadedError } from "../errors.ts";
import type { RequestMeter } from "../metrics/meter.ts";
import type { Log } from "../spec.ts";
import { Background } from "../server/background.ts";
import { Deadlines } from "../server/deadlines.ts";
import { errorPagesWhenNeeded } from "../server/error-pages.ts";
import { FastCgiServer } from "../server/fastcgi-server.ts";
import type { SocketHandle } from "../server/socket-handle.ts";

export interface ReliefOptions {
  readonly queueLimit: number;
  readonly queueTimeoutMs: number;
  readonly maxParamsBytes: number;
  readonly paramsTimeoutMs: number;
  /** `--error-page`. */
  readonly errorPage: string | undefined;
  readonly log: Log;
  /** Counts the requests that are answered here. */
  readonly meter?: RequestMeter | undefined;
}

/** A connection, and what was read of it by whoever had it before. */
export interface Held {
  readonly handle: SocketHandle;
  readonly bytes: Uint8Array | undefined;
  /** Since when a request waits in it, on the clock of `performance.now`; undefined when there is none as far as we know. */
  readonly waitingSinceMs?: number | undefined;
}

/** What its request has waited, ms. */
export function waitedMs({ waitingSinceMs }: Held): number {
  return waitingSinceMs === undefined ? 0 : performance.now() - waitingSinceMs;
}

/** How long a connection that is to be refused may wait for its request, ms. */
const refusalIdleMs = 60_000;
/** How long a refusal may take when we stop, ms. */
const closeMs = 1000;
const maxRefused = 4096;

function refusingServer(options: ReliefOptions, shed: () => void): FastCgiServer {
  const route = (): never => {
    shed();
    throw new OverloadedError("no worker takes requests");
  };
  return new FastCgiServer({
    ...options,
    maxConnections: maxRefused,
    idleTimeoutMs: refusalIdleMs,
    requestTimeoutMs: 0,
    ignoredActivity: [],
    admission: { maxConcurrency: 0, queueLimit: 0, queueTimeoutMs: 0 },
    service: {
      router: { route },
      log: options.log,
      background: new Background(options.log),
      transport: "fastcgi",
      isMultiprocess: true,
      isRunOnce: false,
      isLogApaches: false,
      meter: options.meter,
      errorPages: errorPagesWhenNeeded(options.errorPage),
    },
    isBehindFcgid: false,
    isAllowed: () => true,
  });
}

export class Relief {
  readonly #options: ReliefOptions;
  readonly #queue: Deadlines<Held>;
  readonly #countShed = (): void => {
    this.#shed += 1;
  };
  #refusing: FastCgiServer;
  #isRefusing = false;
  #shed = 0;

  constructor(options: ReliefOptions) {
    this.#options = options;
    this.#queue = new Deadlines(options.queueTimeoutMs, (held) => this.#answer(held));
    this.#refusing = refusingServer(options, this.#countShed);
  }

  get waiting(): number {
    return this.#queue.size;
  }

  /** How many requests were answered 503. */
  get shed(): number {
    return this.#shed;
  }

  /** From now on whoever comes is answered at once; those who wait are answered too. */
  refuse(): void {
    this.#isRefusing = true;
    for (const held of this.#takeQueue()) this.#answer(held);
  }

  /** Holds a connection that has been waiting since `sinceMs`. */
  hold(held: Held, sinceMs: number): void {
    if (this.#isRefusing || this.#queue.size >= this.#options.queueLimit) this.#answer(held);
    else this.#queue.add(held, sinceMs);
  }

  /** Workers take connections again: gives them everything that is here. */
  release(give: (held: Held) => void): void {
    this.#isRefusing = false;
    for (const held of this.#takeQueue()) give(held);
    if (this.#refusing.stats.connections === 0) return;
    const refusing = this.#refusing;
    this.#refusing = refusingServer(this.#options, this.#countShed);
    void refusing.drain({ deadlineMs: refusalIdleMs, handOver: give }); // it never rejects
  }

  async close(): Promise<void> {
    this.refuse();
    await this.#refusing.close(closeMs);
  }

  #takeQueue(): Held[] {
    const all: Held[] = [];
    for (let held = this.#queue.first; held !== undefined; held = this.#queue.first) {
      this.#queue.remove(held);
      all.push(held);
    }
    return all;
  }

  #answer(held: Held): void {
    const { handle, bytes } = held;
    this.#refusing.adopt(handle, bytes === undefined ? undefined : Buffer.from(bytes), waitedMs(held));
  }
}
