// The control server: HTTP on a unix socket of mode 0600, for `tsgi status`, `reload` and `stop`, and for curl.
// Rules: every answer is JSON and a line feed, but for /metrics; the socket is made under another name and renamed into
// place, so that it is there only when it answers; the file of a dead daemon is taken over, a living one is left alone; a
// request that does not arrive in time is cut off, a request that did is answered, also while the server closes.

import { randomBytes } from "node:crypto";
import { lstatSync, renameSync, unlinkSync } from "node:fs";
import type { Server as HttpServer, IncomingMessage, ServerResponse } from "node:http";
import { createServer as createHttpServer } from "node:http";
import type { Server, Socket } from "node:net";
import { connect, createServer } from "node:net";
import { dirname, join } from "node:path";
import { maxSocketPathBytes } from "../config/address.ts";
import { BootError, messageOf, systemCodeOf } from "../errors.ts";
import type { Log } from "../spec.ts";
import { askControl, fieldOf } from "./control-request.ts";
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
  /** The figures as text for Prometheus. */
  metrics(): Promise<string>;
  /** Settles when the new generation serves, or will not. */
  reload(): Promise<ReloadOutcome>;
  /** Settles when the last request ended; `whole` is false when some were cut off. The process ends soon after. */
  stop(): Promise<{ readonly whole: boolean }>;
}

const probeMs = 2000;
const headersTimeoutMs = 3000;
const requestTimeoutMs = 5000;
const checkIntervalMs = 500;
/** Requests carry nothing; this is for clients that send something anyway. */
const maxBodyBytes = 16 * 2 ** 10;
const maxHeaderBytes = 16 * 2 ** 10;
const maxConnections = 64;
/** How often the server looks whether its file is still there. */
const watchIntervalMs = 2000;
const attempts = 5;
const closeDeadlineMs = 2000;

/** Which file it is, whatever its name. */
interface FileIdentity {
  readonly dev: number;
  readonly ino: number;
}

function isSame(a: FileIdentity | undefined, b: FileIdentity | undefined): boolean {
  return a?.dev === b?.dev && a?.ino === b?.ino;
}

/**
 * Whether a supervisor has this control socket: "dead" when one had it and nobody accepts on it any more. Throws BootError
 * when that cannot be told, for instance because the socket is another user's.
 */
export async function isSupervisorAlive(controlPath: string): Promise<"alive" | "dead" | "absent"> {
  if (lstatSync(controlPath, { throwIfNoEntry: false })?.isSocket() !== true) return "absent";
  return await new Promise((resolve, reject) => {
    const socket = connect(controlPath);
    const finish = (answer: "alive" | "dead" | "absent"): void => {
      socket.destroy();
      resolve(answer);
    };
    socket.setTimeout(probeMs, () => finish("alive")); // somebody holds it
    socket.once("connect", () => finish("alive"));
    socket.once("error", (error) => {
      const code = systemCodeOf(error);
      if (code === "ECONNREFUSED") finish("dead");
      else if (code === "ENOENT") finish("absent");
      else if (code === "EAGAIN") finish("alive"); // as many wait to be accepted as the system allows
      else reject(new BootError(`cannot tell whether a daemon answers on ${controlPath}: ${messageOf(error)}`, error));
    });
  });
}

/** The file at the place, which may be replaced. Throws BootError when it may not. */
async function staleFile(path: string): Promise<FileIdentity | undefined> {
  const found = lstatSync(path, { throwIfNoEntry: false });
  if (found === undefined) return undefined;
  if (!found.isSocket()) throw new BootError(`${path} exists and is not a socket: move it away or choose another path`);
  const uid = process.getuid?.() ?? 0;
  if (uid !== 0 && found.uid !== uid) throw new BootError(`${path} belongs to another user: choose another path`);
  const outcome = await askControl({ path, method: "GET", target: "/status", timeoutMs: probeMs });
  if (outcome.kind === "absent") return undefined;
  if (outcome.kind === "dead") return found;
  const pid = outcome.kind === "answer" ? fieldOf(outcome.body, "pid") : undefined;
  if (typeof pid === "number") throw new BootError(`another tsgi daemon runs: pid ${pid} answers on ${path}`);
  throw new BootError(`${path} is in use: another process answers on it`);
}

/** Listens on a path with mode 0600 from the first moment. */
async function bind(server: Server, path: string): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    const failed = (error: Error): void =>
      reject(new BootError(`cannot open the control socket in ${dirname(path)}: ${messageOf(error)}`, error));
    server.once("error", failed);
    const umask = process.umask(0o177);
    try {
      // Binds before it returns.
      server.listen({ path }, () => {
        server.removeListener("error", failed);
        resolve();
      });
    } finally {
      process.umask(umask);
    }
  });
}

/** Puts a listening socket at the path. Throws BootError when somebody is there, or it cannot be done. */
async function takePlace(server: Server, path: string): Promise<FileIdentity> {
  const made = join(dirname(path), `.${randomBytes(6).toString("hex")}`);
  if (Math.max(Buffer.byteLength(path), Buffer.byteLength(made)) > maxSocketPathBytes) {
    throw new BootError(
      `the control socket's path ${path} is longer than the system allows (${maxSocketPathBytes} bytes): give a shorter one with --control`,
    );
  }
  let stale = await staleFile(path);
  await bind(server, made);
  try {
    for (let attempt = 1; ; attempt += 1) {
      const found = lstatSync(path, { throwIfNoEntry: false });
      if (isSame(found, stale)) break;
      if (attempt === attempts) throw new BootError(`${path} is in use: other processes make it again and again`);
      stale = await staleFile(path);
    }
    renameSync(made, path);
    return lstatSync(path);
  } catch (error) {
    server.close();
    if (error instanceof BootError) throw error;
    throw new BootError(`cannot make the control socket ${path}: ${messageOf(error)}`, error);
  }
}

function reply(
  response: ServerResponse,
  status: number,
  body: object,
  headers: Readonly<Record<string, string>> = {},
): void {
  if (response.headersSent) return;
  const text = `${JSON.stringify(body)}\n`;
  response.writeHead(status, {
    "Content-Type": "application/json",
    "Content-Length": Buffer.byteLength(text),
    "Cache-Control": "no-store",
    ...headers,
  });
  response.end(text);
}

/** The answer to a program that reads Prometheus' text format. */
function replyText(response: ServerResponse, text: string): void {
  if (response.headersSent) return; // it took too long: close() answered
  response.writeHead(200, {
    "Content-Type": "text/plain; version=0.0.4; charset=utf-8",
    "Content-Length": Buffer.byteLength(text),
    "Cache-Control": "no-store",
  });
  response.end(text);
}

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

/** Waits for the end of the body. False when it is too long or never comes. */
async function isReceived(request: IncomingMessage): Promise<boolean> {
  return await new Promise((resolve) => {
    let length = 0;
    request.on("data", (chunk: Buffer) => {
      length += chunk.length;
      if (length > maxBodyBytes) resolve(false);
    });
    request.once("end", () => resolve(true));
    request.once("error", () => resolve(false)); // cut off by the client, or by us when its time was over
    request.once("close", () => resolve(false));
  });
}

const methods: Readonly<Record<string, readonly string[]>> = {
  "/status": ["GET", "HEAD"],
  "/metrics": ["GET", "HEAD"],
  "/reload": ["POST"],
  "/stop": ["POST"],
};

export class ControlServer {
  readonly path: string;
  readonly #controlled: Controlled;
  readonly #log: Log;
  readonly #http: HttpServer;
  /** Answers that are still owed. */
  readonly #owed = new Set<ServerResponse>();
  /** What listens: another one each time that the file is made again, as the path of a listening socket cannot change. */
  #listener: Server;
  #file: FileIdentity | undefined;
  #watch: NodeJS.Timeout | undefined;
  #onSettled: () => void = () => {};
  #isClosing = false;

  private constructor(path: string, controlled: Controlled, log: Log) {
    this.path = path;
    this.#controlled = controlled;
    this.#log = log;
    this.#http = createHttpServer({
      headersTimeout: headersTimeoutMs,
      requestTimeout: requestTimeoutMs,
      connectionsCheckingInterval: checkIntervalMs,
      maxHeaderSize: maxHeaderBytes,
    });
    this.#http.on("request", (request, response) => void this.#serve(request, response));
    this.#http.on("clientError", (error: Error, socket: Socket) => this.#refuse(error, socket));
    this.#http.emit("listening"); // it does not listen itself; with this event Node begins to watch over its timeouts
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
  async close(deadlineMs: number = closeDeadlineMs): Promise<void> {
    this.#isClosing = true;
    clearInterval(this.#watch);
    this.#removeFile();
    this.#listener.close();
    this.#http.close();
    if (!(await this.#isSettled(deadlineMs))) {
      for (const response of this.#owed) reply(response, 503, { ok: false, message: "the daemon stops" });
      await this.#isSettled(closeDeadlineMs);
    }
  }

  #createListener(): Server {
    const listener = createServer({ allowHalfOpen: true }, (socket) => this.#http.emit("connection", socket));
    listener.maxConnections = maxConnections;
    listener.on("error", (error) =>
      this.#log.warn({ code: "TSGI3211", err: error }, "accepting on the control socket failed"),
    );
    return listener;
  }

  /** Whether every answer was written before the deadline. */
  async #isSettled(deadlineMs: number): Promise<boolean> {
    if (this.#owed.size === 0) return true;
    return await new Promise((resolve) => {
      const timer = setTimeout(() => resolve(false), deadlineMs);
      this.#onSettled = () => {
        clearTimeout(timer);
        resolve(true);
      };
    });
  }

  #settle(response: ServerResponse): void {
    this.#owed.delete(response);
    if (this.#owed.size === 0) this.#onSettled();
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

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    this.#owed.add(response);
    response.once("close", () => this.#settle(response));
    if (!(await isReceived(request))) {
      reply(response, 413, { ok: false, message: "requests carry no body here" }, { Connection: "close" });
      return;
    }
    const target = (request.url ?? "").replace(/\?.*$/s, "");
    const allowed = Object.hasOwn(methods, target) ? methods[target] : undefined;
    const method = request.method ?? "";
    if (allowed === undefined) {
      const message = `there is no such path: ${Object.keys(methods).join(", ")} are there`;
      reply(response, 404, { ok: false, message });
    } else if (!allowed.includes(method)) {
      const message = `${target} takes ${allowed.join(" or ")}`;
      reply(response, 405, { ok: false, message }, { Allow: allowed.join(", ") });
    } else {
      await this.#do(target, response);
    }
  }

  /** Does what was asked; a failure of ours is a 500. */
  async #do(target: string, response: ServerResponse): Promise<void> {
    try {
      if (target === "/status") {
        reply(response, 200, this.#controlled.status());
        return;
      }
      if (target === "/metrics") {
        const text = await this.#controlled.metrics();
        replyText(response, text);
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
      this.#settle(response);
    } catch (error) {
      this.#log.error({ code: "TSGI4101", err: error, target }, "a control request failed");
      reply(response, 500, { ok: false, message: messageOf(error) });
    }
  }

  /** What is no HTTP, or came too slowly. */
  #refuse(error: Error, socket: Socket): void {
    const isOwed = [...this.#owed].some((response) => response.socket === socket);
    if (!socket.writable || isOwed) {
      socket.destroy();
      return;
    }
    const code = systemCodeOf(error);
    const status =
      code === "ERR_HTTP_REQUEST_TIMEOUT"
        ? "408 Request Timeout"
        : code === "HPE_HEADER_OVERFLOW"
          ? "431 Request Header Fields Too Large"
          : "400 Bad Request";
    const body = `${JSON.stringify({ ok: false, message: status.slice(4).toLowerCase() })}\n`;
    socket.end(
      `HTTP/1.1 ${status}\r\nContent-Type: application/json\r\nContent-Length: ${body.length}\r\nConnection: close\r\n\r\n${body}`,
      () => socket.destroy(),
    );
  }
}
