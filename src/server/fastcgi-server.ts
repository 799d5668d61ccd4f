// All FastCGI connections of a process, whoever opened the listening socket or accepted them.
// Rules: connections are counted; one beyond the limit, and a request that finds no turn in time, gets a 503 with real CGI
// headers, since Apache shows END_REQUEST with FCGI_OVERLOADED to the client as an empty 200; at twice the limit new ones
// are closed unheard; draining breaks no running request and, where there is somebody to hand connections to, closes none
// that Apache keeps.

import type { Server, Socket } from "node:net";
import { createServer } from "node:net";
import { OverloadedError, StoppingError } from "../errors.ts";
import type { AdmissionLimits } from "./admission.ts";
import { Admission } from "./admission.ts";
import { deadline } from "./deadline.ts";
import type { ConnectionOptions } from "./connection.ts";
import { SocketConnection } from "./connection.ts";
import type { Service } from "./dispatch.ts";
import type { Peer } from "./peers.ts";
import { offerFirst } from "./listening-handle.ts";
import { RequestClock } from "./request-clock.ts";
import { refusing } from "./request.ts";
import { readNow } from "./shared-read.ts";
import type { SocketHandle, StreamHandle } from "./socket-handle.ts";
import { adoptHandle, socketBufferBytes } from "./socket-handle.ts";
import { Traffic } from "./traffic.ts";

export interface FastCgiOptions {
  readonly service: Service;
  /** Bytes of PARAMS in a request. */
  readonly maxParamsBytes: number;
  readonly maxConnections: number;
  /** From BEGIN_REQUEST to the end of PARAMS, ms. */
  readonly paramsTimeoutMs: number;
  /** Of a connection without a request, ms; 0 waits for ever. */
  readonly idleTimeoutMs: number;
  /** How many requests run at once, and who waits. */
  readonly admission: AdmissionLimits;
  /** From the end of PARAMS to the end of the response, ms; 0 is no limit. */
  readonly requestTimeoutMs: number;
  /** URL paths whose requests are no activity; a `*` at the end of one stands for anything. */
  readonly ignoredActivity: readonly string[];
  /** Whether the peer is mod_fcgid, which sends the whole body before it reads and hides a broken connection. */
  readonly isBehindFcgid: boolean;
  /** Whether peers are told that their request is taken before they send it. */
  readonly isGreeted?: boolean | undefined;
  /** Whether a peer may speak to us at all; the connection is closed without a word otherwise. */
  readonly isAllowed: (peer: Peer) => boolean;
}

/** A connection without an owner: whoever gets it serves it, passes it on or closes the handle. */
export interface ReleasedConnection {
  readonly handle: SocketHandle;
  /** Received and not parsed. */
  readonly bytes: Buffer | undefined;
  /** What its next request has waited, ms; 0 where none is known. */
  readonly waitedMs: number;
}

export type HandOver = (released: ReleasedConnection) => void;

export interface DrainOptions {
  readonly deadlineMs: number;
  /** Gets each connection that is idle, or becomes so, from within the call that made it so. */
  readonly handOver: HandOver | undefined;
}

export interface FastCgiStats {
  /** Requests that were begun and have not ended. */
  readonly busy: number;
  /** Connections whose request waits for a turn. */
  readonly waiting: number;
  readonly connections: number;
  /** Requests that ran and have ended, well or not. */
  readonly served: number;
  /** Requests that were answered 503 for want of room. */
  readonly shed: number;
  /** Requests that were given up for taking too long. */
  readonly timedOut: number;
  /** When a request last began or ended that is no ignored activity, on the clock of `performance.now`. */
  readonly lastActivityMs: number;
}

/** How long connections that were cut may take to be gone, ms. */
const cutMs = 1000;

/** No more than one line in this time about requests that were refused, ms. */
const shedLineMs = 1000;

/**
 * After so many connections that were taken at once, the event loop comes round before the next one is: libuv accepts as long
 * as anybody connects.
 */
const maxTakenAtOnce = 32;

/** Whoever connects to a unix socket. */
const unixPeer: Peer = {};

/** The service of a connection beyond a limit. */
function overloaded(service: Service, message: string): Service {
  return refusing(service, new OverloadedError(message));
}

export class FastCgiServer {
  /** Not listening yet: the caller binds it, and listens to its errors. */
  readonly netServer: Server;
  readonly #options: FastCgiOptions;
  readonly #connections = new Set<SocketConnection>();
  readonly #admission: Admission;
  readonly #clock: RequestClock | undefined;
  readonly #traffic: Traffic;
  readonly #normal: ConnectionOptions;
  readonly #overloaded: ConnectionOptions;
  #draining: Omit<DrainOptions, "deadlineMs"> | undefined;
  #onEmpty: Array<() => void> = [];
  #takenAtOnce = 0;
  #shedToldMs = -Infinity;
  #shedTold = 0;

  constructor(options: FastCgiOptions) {
    const { service, maxConnections, admission, requestTimeoutMs } = options;
    this.#options = options;
    this.#admission = new Admission(admission);
    this.#clock = requestTimeoutMs === 0 ? undefined : new RequestClock(requestTimeoutMs);
    this.#traffic = new Traffic(options.ignoredActivity);
    this.#normal = {
      service,
      refusing: overloaded(service, `${admission.maxConcurrency} requests run, and the queue was full or too slow`),
      admission: this.#admission,
      clock: this.#clock,
      traffic: this.#traffic,
      limits: { maxParamsBytes: options.maxParamsBytes, maxConnections },
      paramsTimeoutMs: options.paramsTimeoutMs,
      isGreeted: options.isGreeted,
      idleTimeoutMs: options.idleTimeoutMs,
      isBehindFcgid: options.isBehindFcgid,
      isOverloaded: false,
      onShed: () => this.#tellShed(),
      onClose: (connection) => this.#forget(connection),
    };
    const tooMany = overloaded(service, `more than ${maxConnections} FastCGI connections`);
    this.#overloaded = { ...this.#normal, refusing: tooMany, isOverloaded: true };
    this.netServer = createServer(
      { allowHalfOpen: true, noDelay: true, highWaterMark: socketBufferBytes },
      (socket) => {
        if (this.#connections.size < 2 * maxConnections) this.#accept(socket);
        else socket.destroy();
      },
    );
    this.netServer.on("listening", () => offerFirst(this.netServer, (connection) => this.#takeAtOnce(connection)));
  }

  get connectionCount(): number {
    return this.#connections.size;
  }

  /** What is so now. `lastActivityMs` is as exact as this is asked often. */
  get stats(): FastCgiStats {
    const { served, shed, lastActivityMs } = this.#traffic;
    return {
      busy: this.#admission.running,
      waiting: this.#admission.waiting,
      connections: this.#connections.size,
      served,
      shed,
      timedOut: this.#clock?.timedOut ?? 0,
      lastActivityMs,
    };
  }

  /**
   * Serves a connection that another process has accepted, or drained. `bytes` were received and not parsed: they are
   * the first to be. One that comes while connections are handed over goes on at once. Its first request has waited for
   * `waitedMs` already.
   */
  adopt(handle: SocketHandle, bytes: Buffer | undefined, waitedMs = 0): void {
    const handOver = this.#draining?.handOver;
    if (handOver === undefined) this.#accept(adoptHandle(handle), bytes, waitedMs);
    else handOver({ handle, bytes, waitedMs });
  }

  /** Stops accepting, closes idle connections, and lets running requests end: a drain that hands nothing over. */
  async close(deadlineMs: number): Promise<boolean> {
    return await this.drain({ deadlineMs, handOver: undefined });
  }

  /**
   * Stops accepting and lets running requests end. With `handOver`, connections that are idle between two requests, or
   * wait for a turn, are released to it and never closed; without it they are closed. True when no connection is left.
   * False after `deadlineMs`: requests that have not ended are given up with a StoppingError, and what is left is cut.
   * May be called again, with a new deadline.
   */
  async drain(options: DrainOptions): Promise<boolean> {
    this.#draining = options;
    const closed = new Promise<void>((resolve) => {
      this.netServer.close(() => resolve());
    });
    for (const connection of this.#connections) connection.drain(options.handOver);
    const isEmpty = await this.#emptied(options.deadlineMs);
    if (!isEmpty) await this.#cut();
    await closed;
    return isEmpty;
  }

  async #emptied(deadlineMs: number): Promise<boolean> {
    if (this.#connections.size === 0) return true;
    const { promise: expired, cancel } = deadline(deadlineMs);
    const empty = new Promise<"empty">((resolve) => {
      this.#onEmpty.push(() => resolve("empty"));
    });
    const outcome = await Promise.race([expired, empty]);
    cancel();
    return outcome === "empty";
  }

  async #cut(): Promise<void> {
    const reason = new StoppingError();
    for (const connection of this.#connections) connection.cut(reason);
    await this.#emptied(cutMs);
  }

  #accept(socket: Socket, bytes?: Buffer, waitedMs = 0): void {
    if (!this.#options.isAllowed(socket)) {
      socket.destroy();
      return;
    }
    const isOver = this.#connections.size >= this.#options.maxConnections;
    const connection = new SocketConnection(socket, isOver ? this.#overloaded : this.#normal);
    this.#connections.add(connection);
    if (waitedMs > 0) connection.awaitedSinceMs = performance.now() - waitedMs;
    if (bytes !== undefined && bytes.length > 0) connection.receive(bytes);
    if (this.#draining !== undefined) connection.drain(this.#draining.handOver);
  }

  /** Serves a connection that has brought its request, in which case it may need no socket. */
  #takeAtOnce(handle: StreamHandle): boolean {
    if (this.#takenAtOnce === maxTakenAtOnce || this.#draining !== undefined) return false;
    if (this.#connections.size >= this.#options.maxConnections || !this.#options.isAllowed(unixPeer)) return false;
    const bytes = readNow(handle.fd);
    if (bytes === undefined) return false;
    this.#takenAtOnce += 1;
    if (this.#takenAtOnce === maxTakenAtOnce) {
      setImmediate(() => {
        this.#takenAtOnce = 0;
      });
    }
    const connection = new SocketConnection(handle, this.#normal);
    this.#connections.add(connection);
    try {
      connection.receive(bytes);
    } finally {
      connection.openSoon();
    }
    return true;
  }

  #forget(connection: SocketConnection): void {
    this.#connections.delete(connection);
    if (this.#connections.size > 0) return;
    for (const resolve of this.#onEmpty.splice(0)) resolve();
  }

  /** At most a line a second for any number of requests. */
  #tellShed(): void {
    const now = performance.now();
    if (now - this.#shedToldMs < shedLineMs) return;
    const { busy, waiting, connections, shed } = this.stats;
    const fields = { code: "TSGI3103", busy, waiting, connections, shed: shed - this.#shedTold };
    this.#shedToldMs = now;
    this.#shedTold = shed;
    this.#options.service.log.warn(fields, "requests answered 503: overloaded");
  }
}
