// The control server: HTTP on a unix socket of mode 0600, for `tsgi status`, `reload` and `stop`, and for curl.
// Rules: every answer is JSON and a line feed, but for /metrics; the socket is made under another name and renamed into
// place, so that it is there only when it answers; the file of a dead daemon is taken over, a living one is left alone; a
// request that does not arrive in time is cut off, a request that did is answered, also while the server closes.

import { lstatSync, unlinkSync } from "node:fs";
import type { ServerResponse } from "node:http";
import type { Server } from "node:net";
import { BootError, messageOf } from "../errors.ts";
import type { Log } from "../spec.ts";
import type { Methods } from "./bounded-http.ts";
import { BoundedHttp, reply, replyMetrics } from "./bounded-http.ts";
import type { FileIdentity } from "./control-socket.ts";
import { isSame, takePlace } from "./control-socket.ts";
import type { HistoryAnswer } from "./status-page/recorder.ts";
import type { Status } from "./status.ts";

export interface ReloadOutcome {
  readonly ok: boolean;
  /** One line, or the boot error with file and line. */
  readonly message: string;
  /** The generation that serves now. */
  readonly generation: number;
}

/** What the server is the door to. The promises must settle, also when the supervisor stops meanwhile. */
export interface Controlled {
  status(): Status;
  /** What the charts show. */
  history(): HistoryAnswer;
  /** The figures as text for Prometheus. */
  metrics(): Promise<string>;
  /** Settles when the new generation serves, or will not. */
  reload(): Promise<ReloadOutcome>;
  /** Settles when the last request ended; `whole` is false when some were cut off. The process ends soon after. */
  stop(): Promise<{ readonly whole: boolean }>;
}

/** How often the server looks whether its file is still there. */
const watchIntervalMs = 2000;

/**
 * An answer that ends when this process does, so that the client knows that it is gone. Settles when what there is to say
 * has left.
 */
async function replyUntilExit(response: ServerResponse, body: object): Promise<void> {
  response.removeHeader("Transfer-Encoding"); // the end of the connection is the end of the body
  response.writeHead(200, { "Content-Type": "application/json", "Cache-Control": "no-store", Connection: "close" });
  const socket: { unref?(): void } | null = response.socket;
  socket?.unref?.();
  await new Promise<void>((resolve) => {
    response.once("close", resolve);
    response.write(`${JSON.stringify(body)}\n`, () => resolve());
  });
}

const methods: Methods = {
  "/status": ["GET", "HEAD"],
  "/history": ["GET", "HEAD"],
  "/metrics": ["GET", "HEAD"],
  "/reload": ["POST"],
  "/stop": ["POST"],
};

export class ControlServer {
  readonly path: string;
  readonly #controlled: Controlled;
  readonly #log: Log;
  readonly #http: BoundedHttp;
  /** What listens: another one each time that the file is made again, as the path of a listening socket cannot change. */
  #listener: Server;
  #file: FileIdentity | undefined;
  #watch: NodeJS.Timeout | undefined;
  #isClosing = false;

  private constructor(path: string, controlled: Controlled, log: Log) {
    this.path = path;
    this.#controlled = controlled;
    this.#log = log;
    this.#http = new BoundedHttp(methods, (target, response) => this.#do(target, response));
    this.#listener = this.#createListener();
  }

  /** Opens the socket and answers on it. Throws BootError, with the pid when another daemon answers there. */
  static async open(path: string, controlled: Controlled, log: Log): Promise<ControlServer> {
    const server = new ControlServer(path, controlled, log);
    server.#file = await takePlace(server.#listener, path);
    server.#watch = setInterval(() => void server.#checkFile(), watchIntervalMs).unref();
    return server;
  }

  /**
   * Removes the file, unless it is somebody else's by now, and takes no more requests. Settles when every answer was
   * written; those that are not there in time become a 503.
   */
  async close(deadlineMs?: number): Promise<void> {
    this.#isClosing = true;
    clearInterval(this.#watch);
    this.#removeFile();
    this.#listener.close();
    await this.#http.close(deadlineMs);
  }

  #createListener(): Server {
    return this.#http.createListener((error) =>
      this.#log.warn({ code: "TSGI3211", err: error }, "accepting on the control socket failed"),
    );
  }

  /** A socket that is bound keeps its inode, so nobody else's file can have the same number. */
  #removeFile(): void {
    try {
      if (isSame(lstatSync(this.path, { throwIfNoEntry: false }), this.#file)) unlinkSync(this.path);
    } catch (error) {
      this.#log.warn({ code: "TSGI3212", err: error, path: this.path }, "the control socket could not be removed");
    }
  }

  /** Makes the file again when somebody removed it. */
  async #checkFile(): Promise<void> {
    const found = lstatSync(this.path, { throwIfNoEntry: false });
    if (isSame(found, this.#file)) return;
    clearInterval(this.#watch);
    const listener = this.#createListener();
    try {
      if (found !== undefined) throw new BootError("another file is in its place");
      this.#file = await takePlace(listener, this.path);
      this.#listener.close();
      this.#listener = listener;
      if (this.#isClosing) {
        this.#removeFile();
        listener.close();
        return;
      }
      this.#watch = setInterval(() => void this.#checkFile(), watchIntervalMs).unref();
      this.#log.warn({ code: "TSGI3213", path: this.path }, "the control socket was removed and is made again");
    } catch (error) {
      const fields = { code: "TSGI3214", path: this.path, reason: messageOf(error) };
      this.#log.warn(fields, "the control socket is lost until a restart");
    }
  }

  /** Does what was asked; a failure of ours is a 500. */
  async #do(target: string, response: ServerResponse): Promise<void> {
    try {
      if (target === "/status") {
        reply(response, 200, this.#controlled.status());
        return;
      }
      if (target === "/history") {
        reply(response, 200, this.#controlled.history());
        return;
      }
      if (target === "/metrics") {
        replyMetrics(response, await this.#controlled.metrics());
        return;
      }
      this.#log.info({ target }, "asked over the control socket");
      if (target === "/reload") {
        const outcome = await this.#controlled.reload();
        reply(response, outcome.ok ? 200 : 500, outcome);
        return;
      }
      const { whole } = await this.#controlled.stop();
      if (response.headersSent) return; // it took too long: close() answered
      const message = whole ? "the last request ended" : "requests that took too long were cut off";
      await replyUntilExit(response, { ok: true, whole, message });
      this.#http.settle(response);
    } catch (error) {
      this.#log.error({ code: "TSGI4101", err: error, target }, "a control request failed");
      reply(response, 500, { ok: false, message: messageOf(error) });
    }
  }
}
