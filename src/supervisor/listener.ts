// The listening socket of a process group: it belongs to the supervisor and outlives every worker.
// Rules: workers accept on it themselves; the supervisor accepts only while no worker does. Node accepts as long as a
// process has a server on a socket, and closing the server closes the descriptor: so when workers accept again, one of them
// lends its handle back before ours is closed, and an idle handle is what we hold until the next time.

import type { Server, Socket } from "node:net";
import { createServer } from "node:net";
import type { ListenAddress } from "../config/address.ts";
import { messageOf } from "../errors.ts";
import type { Log } from "../spec.ts";
import type { OpenSocket, SocketAccess } from "../server/listen.ts";
import { listen } from "../server/listen.ts";
import { listeningHandleOf, listenOnHandle } from "../server/listening-handle.ts";
import type { SocketHandle } from "../server/socket-handle.ts";

export class Listener {
  readonly #log: Log;
  readonly #onConnection: (socket: Socket) => void;
  #server: Server;
  #open: OpenSocket;
  /** Ours while we do not accept. */
  #idle: SocketHandle | undefined;

  private constructor(server: Server, open: OpenSocket, options: ListenerOptions) {
    this.#server = server;
    this.#open = open;
    this.#log = options.log;
    this.#onConnection = options.onConnection;
    this.#watch(server);
  }

  /** Opens the socket and accepts. Throws BootError. */
  static async open(address: ListenAddress, access: SocketAccess, options: ListenerOptions): Promise<Listener> {
    const server = createUnreadServer();
    const open = await listen(server, address, access);
    return new Listener(server, open, options);
  }

  get address(): ListenAddress {
    return this.#open.address;
  }

  get isAccepting(): boolean {
    return this.#idle === undefined;
  }

  get fileState(): "in-place" | "absent" | "replaced" {
    return this.#open.fileState();
  }

  /** What a worker listens on. It goes on belonging to us. */
  get handle(): SocketHandle | undefined {
    return this.#idle ?? listeningHandleOf(this.#server);
  }

  /** Accepts, as no worker does. */
  async accept(): Promise<void> {
    const handle = this.#idle;
    if (handle === undefined) return;
    this.#idle = undefined;
    this.#server = createUnreadServer();
    this.#watch(this.#server);
    try {
      await listenOnHandle(this.#server, handle);
    } catch (error) {
      this.#log.error({ code: "TSGI3215", err: error }, "the supervisor cannot accept connections");
    }
  }

  /** A worker has lent its handle: workers accept, and we need not any more. */
  rest(lent: SocketHandle): void {
    if (this.#idle !== undefined) {
      lent.close();
      return;
    }
    this.#idle = lent;
    this.#server.close();
  }

  /** Makes the socket anew where its file has been taken away. Throws BootError. */
  async reopen(access: SocketAccess): Promise<void> {
    const server = createUnreadServer();
    this.#open = await listen(server, this.#open.address, access);
    this.#closeDescriptor();
    this.#server = server;
    this.#watch(server);
  }

  /** Refuses connections from now on, once the workers do too, and removes the file. */
  close(): void {
    this.#closeDescriptor();
    this.#open.removeFile();
  }

  #closeDescriptor(): void {
    this.#idle?.close();
    this.#idle = undefined;
    if (this.#server.listening) this.#server.close();
  }

  #watch(server: Server): void {
    server.on("connection", this.#onConnection);
    server.on("error", (error) =>
      this.#log.error({ code: "TSGI3215", reason: messageOf(error) }, "accepting connections failed"),
    );
  }
}

export interface ListenerOptions {
  readonly log: Log;
  /** Gets a connection that we accepted. Nothing of it has been read, and nothing is until it is resumed. */
  readonly onConnection: (socket: Socket) => void;
}

function createUnreadServer(): Server {
  return createServer({ allowHalfOpen: true, pauseOnConnect: true });
}
