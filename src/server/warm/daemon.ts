// A warm daemon: serves what relays bring over a listening socket that one of them opened, until it is of no more use.
// Rules: a connection is greeted with one byte before anything is read from it, and only a greeted one is served: whoever
// is not greeted asks the next daemon, or has its request served by a process of its own. A daemon that retires takes its
// name away first, then stops accepting, then lets running requests end; nothing is ever replaced in a running process.

import { lstatSync, statSync, unlinkSync } from "node:fs";
import type { Server, Socket } from "node:net";
import { createServer } from "node:net";
import { residentBytes } from "../../metrics/memory.ts";
import type { Background } from "../background.ts";
import type { FastCgiServer } from "../fastcgi-server.ts";
import { socketBufferBytes } from "../socket-handle.ts";
import { processorLimitMs, processorMs, startWatchdog } from "./limits.ts";

/** What a relay waits for. */
const greeting = "R";

/** How long running requests, and work after them, may go on in a daemon that retires, ms. */
const drainDeadlineMs = 3_600_000;
const backgroundDeadlineMs = 30_000;
const longestPeriodMs = 1000;

export interface WarmOptions {
  /** The socket's file: its name is taken away when the daemon retires. */
  readonly place: string;
  readonly server: FastCgiServer;
  readonly background: Background;
  /** Without a connection for this long it retires, ms. */
  readonly idleTimeoutMs: number;
  /** With more resident memory than this it retires, bytes. */
  readonly memoryLimitBytes: number;
  /** Whether a new process would serve otherwise; asked for each connection. */
  readonly isStale: () => boolean;
  /** Called after each connection: by then its request has loaded what it needs. */
  readonly served: () => void;
  readonly retired: (reason: string) => void;
}

export class WarmDaemon {
  readonly #options: WarmOptions;
  readonly #front: Server;
  readonly #inode: number | undefined;
  /** Settles when the last request has ended. */
  readonly ended: Promise<void>;
  #settle: () => void = () => {};
  #timer: NodeJS.Timeout | undefined;
  #lastConnectionMs = performance.now();
  #hasGreeted = false;
  #isRetired = false;
  /** The folder that we were started in, by its name. */
  readonly #folder = process.cwd();
  readonly #folderStatus = statSync(".");
  readonly #processorLimitMs = processorLimitMs();

  constructor(options: WarmOptions) {
    this.#options = options;
    this.#inode = this.#inodeNow();
    this.ended = new Promise((resolve) => (this.#settle = resolve));
    this.#front = createServer({ allowHalfOpen: true, highWaterMark: socketBufferBytes }, (socket) =>
      this.#accept(socket),
    );
  }

  /** Listens on the descriptor. Rejects with the system's error. */
  async listen(fd: number): Promise<void> {
    await new Promise<void>((resolve, reject) => {
      this.#front.once("error", reject);
      this.#front.listen({ fd } as object, () => {
        this.#front.off("error", reject);
        resolve();
      });
    });
    this.#front.on("error", (error) => this.retire(`accepting connections failed: ${error.message}`));
    startWatchdog();
    const periodMs = Math.min(longestPeriodMs, Math.max(50, this.#options.idleTimeoutMs / 4));
    this.#timer = setInterval(() => this.#look(), periodMs);
  }

  /**
   * Takes no more connections, and ends after its requests, or when the deadline has passed. May be called again, with an earlier
   * deadline.
   */
  retire(reason: string, deadlineMs: number = drainDeadlineMs): void {
    if (this.#isRetired) {
      void this.#drain(deadlineMs);
      return;
    }
    this.#isRetired = true;
    clearInterval(this.#timer);
    this.#options.retired(reason);
    this.#removeFile();
    this.#front.close();
    void this.#drain(deadlineMs);
  }

  async #drain(deadlineMs: number): Promise<void> {
    await this.#options.server.close(deadlineMs);
    await this.#options.background.idle(Math.min(backgroundDeadlineMs, deadlineMs));
    this.#settle();
  }

  #accept(socket: Socket): void {
    this.#lastConnectionMs = performance.now();
    // Whatever is so at the first connection is so for a new process, too.
    if (!this.#isRetired && this.#hasGreeted && this.#options.isStale()) this.retire("its files have changed");
    if (!this.#isRetired && this.#isFolderGone()) this.retire("its folder was replaced");
    if (this.#isRetired) {
      socket.destroy();
      return;
    }
    socket.on("close", () => {
      this.#lastConnectionMs = performance.now();
      this.#options.served();
    });
    this.#hasGreeted = true;
    socket.write(greeting);
    this.#options.server.netServer.emit("connection", socket);
  }

  #look(): void {
    const { server, idleTimeoutMs, memoryLimitBytes } = this.#options;
    const isIdle = server.connectionCount === 0;
    if (isIdle && performance.now() - this.#lastConnectionMs >= idleTimeoutMs) this.retire("nobody asked for a while");
    else if (residentBytes() > memoryLimitBytes) this.retire("it used more memory than --memory-limit");
    else if (processorMs() > this.#processorLimitMs) this.retire("it has used half of the time that the host gives it");
    else if (this.#inodeNow() !== this.#inode) this.retire("its socket was taken away");
  }

  /** Whether another folder has the name of ours now: a new process would be in that one. */
  #isFolderGone(): boolean {
    const now = statSync(this.#folder, { throwIfNoEntry: false });
    const { ino, dev } = this.#folderStatus; // the application may have gone elsewhere
    return now !== undefined && (ino !== now.ino || dev !== now.dev);
  }

  #inodeNow(): number | undefined {
    return lstatSync(this.#options.place, { throwIfNoEntry: false })?.ino;
  }

  #removeFile(): void {
    try {
      if (this.#inodeNow() === this.#inode) unlinkSync(this.#options.place);
    } catch {
      // The folder has gone, or belongs to somebody else now: there is no name of ours to take away.
    }
  }
}
