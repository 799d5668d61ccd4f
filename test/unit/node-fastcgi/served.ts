// A server with the interface of node-fastcgi, that package's own or ours, on a unix socket in a folder of its own.
import { mkdtemp, rm } from "node:fs/promises";
import { createRequire } from "node:module";
import type { Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import * as dropIn from "../../../src/node-fastcgi.ts";
import { FcgiPeer } from "../../harness/fcgi.ts";
import { within } from "../../harness/until.ts";

export type Implementation = typeof dropIn;

/** The package that ours stands in for. It has no types; ours promise the same. */
export const original = createRequire(import.meta.url)("node-fastcgi") as Implementation;
export const ours: Implementation = dropIn;

export type DropInServer = ReturnType<Implementation["createServer"]>;

export class Served {
  readonly server: DropInServer;
  readonly path: string;
  readonly #folder: string;
  readonly #sockets = new Set<Socket>();
  readonly #peers: FcgiPeer[] = [];

  private constructor(folder: string, server: DropInServer) {
    this.#folder = folder;
    this.path = join(folder, "socket");
    this.server = server;
    server.on("connection", (socket: Socket) => {
      this.#sockets.add(socket);
      socket.on("close", () => this.#sockets.delete(socket));
    });
  }

  static async start(server: DropInServer): Promise<Served> {
    const served = new Served(await mkdtemp(join(tmpdir(), "tsgi-drop-in-")), server);
    await new Promise<void>((resolve) => server.listen(served.path, resolve));
    return served;
  }

  get connectionCount(): number {
    return this.#sockets.size;
  }

  async open(): Promise<FcgiPeer> {
    const peer = await FcgiPeer.open({ path: this.path });
    this.#peers.push(peer);
    return peer;
  }

  async stop(): Promise<void> {
    for (const peer of this.#peers) peer.destroy();
    const closed = new Promise((resolve) => this.server.close(resolve));
    for (const socket of this.#sockets) socket.destroy();
    await within("the server to close", closed);
    await rm(this.#folder, { recursive: true, force: true });
  }
}
