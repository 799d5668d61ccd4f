// The status page and its data, over HTTP (`--status`): the supervisor answers, so it does when every worker is stuck.
// Rules: everything but the reload is for reading; a reload needs the control token in a header that no form and no foreign
// page can send; whoever asks from this machine under the name of a foreign site is refused, since it may be that site's
// script that asks (DNS rebinding).

import { randomBytes } from "node:crypto";
import type { IncomingMessage, ServerResponse } from "node:http";
import type { Server } from "node:net";
import type { ListenAddress } from "../../config/address.ts";
import { formatListenAddress } from "../../config/address.ts";
import { isLoopback } from "../../config/debug.ts";
import { messageOf } from "../../errors.ts";
import { isLocalName } from "../../server/debug-page/audience.ts";
import type { OpenSocket, SocketAccess } from "../../server/listen.ts";
import { listen } from "../../server/listen.ts";
import type { Log } from "../../spec.ts";
import type { Methods } from "../bounded-http.ts";
import { BoundedHttp, reply, replyMetrics, replyText } from "../bounded-http.ts";
import type { Controlled } from "../control.ts";
import { statusPage } from "./page.ts";
import { readingOf } from "./reading.ts";
import type { ControlToken } from "./token.ts";

/** What the page shows, and its one act. */
export type Watched = Pick<Controlled, "status" | "metrics" | "history" | "reload">;

export interface StatusServerOptions {
  readonly address: ListenAddress;
  /** As the socket that Apache connects to has it. */
  readonly access: SocketAccess;
  readonly watched: Watched;
  /** undefined: there is no reload here. */
  readonly token: ControlToken | undefined;
  readonly log: Log;
}

const methods: Methods = {
  "/": ["GET", "HEAD"],
  "/status.json": ["GET", "HEAD"],
  "/history.json": ["GET", "HEAD"],
  "/metrics": ["GET", "HEAD"],
  "/reload": ["POST"],
};

/** How often the server looks whether its file is still there, ms. */
const watchMs = 2000;
const tokenHeader = "tsgi-control-token";

/** The one value of a header, or the last that a chain of proxies has added. */
function lastOf(request: IncomingMessage, name: string): string | undefined {
  const value = request.headers[name];
  return typeof value === "string" ? value.split(",").at(-1)?.trim() : undefined;
}

/** Why the one who asks gets nothing; undefined when he may ask. Apache forwards the name that its client used. */
function refusalOf(request: IncomingMessage, kind: ListenAddress["kind"]): string | undefined {
  const client = lastOf(request, "x-forwarded-for");
  // A browser can connect to a port of this machine itself, and its script can write any header but Host.
  const direct = kind === "tcp" ? request.headers.host : undefined;
  const forwarded = client !== undefined && isLoopback(client) ? lastOf(request, "x-forwarded-host") : undefined;
  if ([direct, forwarded].every((host) => host === undefined || isLocalName(host))) return undefined;
  return "asked for from this machine under a foreign name: use localhost or an address";
}

export class StatusServer {
  readonly #options: StatusServerOptions;
  readonly #http: BoundedHttp;
  #listener: Server;
  #open: OpenSocket | undefined;
  #watch: NodeJS.Timeout | undefined;
  #isClosing = false;

  private constructor(options: StatusServerOptions) {
    this.#options = options;
    this.#http = new BoundedHttp(methods, (target, response, request) => this.#answer(target, response, request));
    this.#listener = this.#createListener();
  }

  /** Opens the socket and answers on it. Throws BootError. */
  static async open(options: StatusServerOptions): Promise<StatusServer> {
    const server = new StatusServer(options);
    server.#open = await listen(server.#listener, options.address, options.access);
    server.#watch = setInterval(() => void server.#checkFile(), watchMs).unref();
    return server;
  }

  /** With the port that was really taken. */
  get address(): ListenAddress {
    return this.#open?.address ?? this.#options.address;
  }

  /** Removes the socket's file and takes no more requests; settles when what was asked is answered. */
  async close(): Promise<void> {
    this.#isClosing = true;
    clearInterval(this.#watch);
    this.#closeListener();
    await this.#http.close();
    this.#options.token?.remove();
  }

  #createListener(): Server {
    return this.#http.createListener((error) =>
      this.#options.log.warn({ code: "TSGI3231", err: error }, "accepting on the status socket failed"),
    );
  }

  /** Makes the socket's file again when somebody removed it. */
  async #checkFile(): Promise<void> {
    if (this.#open?.fileState() !== "absent") return;
    clearInterval(this.#watch);
    const { address, access, log } = this.#options;
    const listener = this.#createListener();
    try {
      this.#open = await listen(listener, address, access);
      this.#listener.close();
      this.#listener = listener;
      if (this.#isClosing) this.#closeListener();
      else this.#watch = setInterval(() => void this.#checkFile(), watchMs).unref();
    } catch (error) {
      const fields = { code: "TSGI3232", status: formatListenAddress(address), reason: messageOf(error) };
      log.warn(fields, "the status socket was removed and cannot be made again");
    }
  }

  #closeListener(): void {
    this.#open?.removeFile();
    this.#listener.close();
  }

  async #answer(target: string, response: ServerResponse, request: IncomingMessage): Promise<void> {
    const refusal = refusalOf(request, this.#options.address.kind);
    try {
      if (refusal !== undefined) reply(response, 403, { ok: false, message: refusal });
      else if (target === "/") this.#sendPage(response);
      else if (target === "/status.json") reply(response, 200, this.#status());
      else if (target === "/history.json") reply(response, 200, this.#options.watched.history());
      else if (target === "/metrics") replyMetrics(response, await this.#options.watched.metrics());
      else await this.#reload(response, request);
    } catch (error) {
      this.#options.log.error({ code: "TSGI4101", err: error, target }, "a status request failed");
      reply(response, 500, { ok: false, message: messageOf(error) });
    }
  }

  #status(): object {
    const { watched, token } = this.#options;
    const status = watched.status();
    const reading = readingOf(status);
    return { ...status, reading, now: new Date().toISOString(), tokenFile: token?.file ?? null };
  }

  #sendPage(response: ServerResponse): void {
    const nonce = randomBytes(16).toString("base64");
    const only = `'nonce-${nonce}'`;
    replyText(response, 200, statusPage(nonce), {
      "Content-Type": "text/html; charset=utf-8",
      "Content-Security-Policy": `default-src 'none'; style-src ${only}; script-src ${only}; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'`,
      "X-Content-Type-Options": "nosniff",
      "Referrer-Policy": "no-referrer",
    });
  }

  /** Tells why the one who asks may not reload, as far as the request says it; undefined when he may. */
  #checkReload(response: ServerResponse, request: IncomingMessage): boolean {
    const { token, log } = this.#options;
    const site = request.headers["sec-fetch-site"];
    const guess = lastOf(request, tokenHeader);
    if (token === undefined) reply(response, 403, { ok: false, message: "this daemon has no control token" });
    else if (site !== undefined && site !== "same-origin" && site !== "none")
      reply(response, 403, { ok: false, message: "asked for by another site" });
    else if (guess === undefined)
      reply(response, 401, { ok: false, message: "the control token is needed, in the header Tsgi-Control-Token" });
    else {
      const verdict = token.check(guess, performance.now());
      if (verdict === "right") return true;
      // Of these there are few, however many ask.
      if (verdict === "wrong")
        log.warn({ code: "TSGI1121", client: lastOf(request, "x-forwarded-for") }, "a reload was refused: wrong token");
      if (verdict === "wrong") reply(response, 403, { ok: false, message: "this is not the control token" });
      else reply(response, 429, { ok: false, message: "too many wrong tokens: wait a while" }, { "Retry-After": "10" });
    }
    return false;
  }

  async #reload(response: ServerResponse, request: IncomingMessage): Promise<void> {
    if (!this.#checkReload(response, request)) return;
    this.#options.log.info({ target: "/reload" }, "asked over the status page");
    const outcome = await this.#options.watched.reload();
    reply(response, outcome.ok ? 200 : 500, outcome);
  }
}
