// HTTP for a few clients on this machine, with its limits: what the control server and the status page answer with.
// Rules: a request that does not arrive in time is cut off, and so is a client that does not take its answer; a request that
// arrived is answered, also while the server closes; what listens is the caller's, and passes its connections on to here; every
// answer says that it may not be stored.

import type { Server as HttpServer, IncomingMessage, ServerResponse } from "node:http";
import { createServer as createHttpServer } from "node:http";
import type { Server, Socket } from "node:net";
import { createServer } from "node:net";
import { systemCodeOf } from "../errors.ts";

const headersTimeoutMs = 3000;
const requestTimeoutMs = 5000;
const checkIntervalMs = 500;
/** Requests carry nothing; this is for clients that send something anyway. */
const maxBodyBytes = 16 * 2 ** 10;
const maxHeaderBytes = 16 * 2 ** 10;
const maxConnections = 64;
const closeDeadlineMs = 2000;
/** How long a client may take nothing of its answer. */
const stalledMs = 10_000;

/** Which methods each path takes. */
export type Methods = Readonly<Record<string, readonly string[]>>;

/** Answers a request that has come as a whole. `target` is one of the paths, without a query. It never rejects. */
export type Answerer = (target: string, response: ServerResponse, request: IncomingMessage) => Promise<void>;

/** Sends a text with its length, unless an answer was begun. */
export function replyText(
  response: ServerResponse,
  status: number,
  text: string,
  headers: Readonly<Record<string, string>>,
): void {
  if (response.headersSent) return;
  const length = { "Content-Length": Buffer.byteLength(text), "Cache-Control": "no-store" };
  response.writeHead(status, { ...length, ...headers });
  response.end(text);
}

/** Sends JSON and a line feed, unless an answer was begun. */
export function reply(
  response: ServerResponse,
  status: number,
  body: object,
  headers: Readonly<Record<string, string>> = {},
): void {
  replyText(response, status, `${JSON.stringify(body)}\n`, { "Content-Type": "application/json", ...headers });
}

/** The answer to a program that reads Prometheus' text format. */
export function replyMetrics(response: ServerResponse, text: string): void {
  replyText(response, 200, text, { "Content-Type": "text/plain; version=0.0.4; charset=utf-8" });
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

export class BoundedHttp {
  readonly #methods: Methods;
  readonly #answer: Answerer;
  readonly #http: HttpServer;
  readonly #stalledMs: number;
  /** Answers that are still owed. */
  readonly #owed = new Set<ServerResponse>();
  #onSettled: () => void = () => {};

  constructor(methods: Methods, answer: Answerer, clientStalledMs: number = stalledMs) {
    this.#methods = methods;
    this.#answer = answer;
    this.#stalledMs = clientStalledMs;
    this.#http = createHttpServer({
      headersTimeout: headersTimeoutMs,
      requestTimeout: requestTimeoutMs,
      connectionsCheckingInterval: checkIntervalMs,
      maxHeaderSize: maxHeaderBytes,
    });
    this.#http.on("request", (request, response) => void this.#serve(request, response));
    this.#http.on("clientError", (error: Error, socket: Socket) => this.#refuse(error, socket));
    this.#http.emit("listening"); // it does not listen itself; with this event Node begins to watch over its timeouts
  }

  /** Something to listen with, whose connections are served here. */
  createListener(onError: (error: Error) => void): Server {
    const listener = createServer({ allowHalfOpen: true }, (socket) => this.#http.emit("connection", socket));
    listener.maxConnections = maxConnections;
    return listener.on("error", onError);
  }

  /** Takes no more requests. Settles when every answer was written; those that are not there in time become a 503. */
  async close(deadlineMs: number = closeDeadlineMs): Promise<void> {
    this.#http.close();
    if (await this.#isSettled(deadlineMs)) return;
    for (const response of this.#owed) reply(response, 503, { ok: false, message: "the daemon stops" });
    await this.#isSettled(closeDeadlineMs);
  }

  /** All that there is to say in an answer has left, though its connection goes on. */
  settle(response: ServerResponse): void {
    this.#owed.delete(response);
    if (this.#owed.size === 0) this.#onSettled();
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

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    this.#owed.add(response);
    response.once("close", () => this.settle(response));
    response.setTimeout(this.#stalledMs, () => {
      if ((response.socket?.writableLength ?? 0) > 0) response.destroy(); // else the answer is not ready, or has left
    });
    if (!(await isReceived(request))) {
      reply(response, 413, { ok: false, message: "requests carry no body here" }, { Connection: "close" });
      return;
    }
    const target = (request.url ?? "").replace(/\?.*$/s, "");
    const allowed = Object.hasOwn(this.#methods, target) ? this.#methods[target] : undefined;
    const method = request.method ?? "";
    if (allowed === undefined) {
      const message = `there is no such path: ${Object.keys(this.#methods).join(", ")} are there`;
      reply(response, 404, { ok: false, message });
    } else if (!allowed.includes(method)) {
      const message = `${target} takes ${allowed.join(" or ")}`;
      reply(response, 405, { ok: false, message }, { Allow: allowed.join(", ") });
    } else {
      await this.#answer(target, response, request);
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
