// All FastCGI connections of a process, whoever opened the listening socket.
// Rules: connections are counted; one beyond the limit gets a 503 with real CGI headers for its request, since Apache
// shows END_REQUEST with FCGI_OVERLOADED to the client as an empty 200; at twice the limit new ones are closed unheard;
// draining breaks no running request.

import type { Server, Socket } from "node:net";
import { createServer } from "node:net";
import { OverloadedError } from "../errors.ts";
import { deadline } from "./background.ts";
import type { ConnectionOptions } from "./connection.ts";
import { SocketConnection } from "./connection.ts";
import type { Service } from "./dispatch.ts";

export interface FastCgiOptions {
  readonly service: Service;
  /** Bytes of PARAMS in a request. */
  readonly maxParamsBytes: number;
  readonly maxConnections: number;
  /** From BEGIN_REQUEST to the end of PARAMS, ms. */
  readonly paramsTimeoutMs: number;
  /** Of a connection without a request, ms; 0 waits for ever. */
  readonly idleTimeoutMs: number;
  /** Whether the peer is mod_fcgid, which sends the whole body before it reads and hides a broken connection. */
  readonly isBehindFcgid: boolean;
  /** Whether a peer may speak to us at all; the connection is closed without a word otherwise. */
  readonly isAllowed: (socket: Socket) => boolean;
}

/** Bytes that may wait in a socket for a slow peer before the application is asked to wait. */
const writeBufferBytes = 64 * 1024;

/** The service of a connection beyond the limit. */
function overloaded(service: Service, limit: number): Service {
  const route = (): never => {
    throw new OverloadedError(`more than ${limit} FastCGI connections`);
  };
  return { ...service, router: { route } };
}

export class FastCgiServer {
  /** Not listening yet: the caller binds it, and listens to its errors. */
  readonly netServer: Server;
  readonly #options: FastCgiOptions;
  readonly #connections = new Set<SocketConnection>();
  readonly #normal: ConnectionOptions;
  readonly #overloaded: ConnectionOptions;
  #isDraining = false;
  #onEmpty: (() => void) | undefined;

  constructor(options: FastCgiOptions) {
    this.#options = options;
    this.#normal = {
      service: options.service,
      limits: { maxParamsBytes: options.maxParamsBytes, maxConnections: options.maxConnections },
      paramsTimeoutMs: options.paramsTimeoutMs,
      idleTimeoutMs: options.idleTimeoutMs,
      isBehindFcgid: options.isBehindFcgid,
      isOverloaded: false,
      onClose: (connection) => this.#forget(connection),
    };
    const service = overloaded(options.service, options.maxConnections);
    this.#overloaded = { ...this.#normal, service, isOverloaded: true };
    this.netServer = createServer({ allowHalfOpen: true, noDelay: true, highWaterMark: writeBufferBytes }, (socket) =>
      this.#accept(socket),
    );
    this.netServer.maxConnections = 2 * options.maxConnections;
  }

  get connectionCount(): number {
    return this.#connections.size;
  }

  /**
   * Stops accepting, closes idle connections, and lets running requests end. False when some had not ended after
   * `deadlineMs` and were cut off.
   */
  async close(deadlineMs: number): Promise<boolean> {
    this.#isDraining = true;
    const closed = new Promise<void>((resolve) => {
      this.netServer.close(() => resolve());
    });
    for (const connection of this.#connections) connection.drain();
    const isEmpty = await this.#emptied(deadlineMs);
    if (!isEmpty) for (const connection of this.#connections) connection.destroy();
    await closed;
    return isEmpty;
  }

  async #emptied(deadlineMs: number): Promise<boolean> {
    if (this.#connections.size === 0) return true;
    const { promise: expired, cancel } = deadline(deadlineMs);
    const empty = new Promise<"empty">((resolve) => {
      this.#onEmpty = () => resolve("empty");
    });
    const outcome = await Promise.race([expired, empty]);
    cancel();
    return outcome === "empty";
  }

  #accept(socket: Socket): void {
    if (!this.#options.isAllowed(socket)) {
      socket.destroy();
      return;
    }
    const isOver = this.#connections.size >= this.#options.maxConnections;
    const connection = new SocketConnection(socket, isOver ? this.#overloaded : this.#normal);
    this.#connections.add(connection);
    if (this.#isDraining) connection.drain();
  }

  #forget(connection: SocketConnection): void {
    this.#connections.delete(connection);
    if (this.#connections.size === 0) this.#onEmpty?.();
  }
}
