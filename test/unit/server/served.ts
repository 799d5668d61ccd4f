// A FastCgiServer on a unix socket with one application, and web servers' sides that speak to it through the client codec.
import { mkdtemp, rm } from "node:fs/promises";
import type { Socket } from "node:net";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { FcgiClient } from "../../../src/fastcgi/client.ts";
import { unlimited } from "../../../src/server/admission.ts";
import { Background } from "../../../src/server/background.ts";
import type { FastCgiOptions } from "../../../src/server/fastcgi-server.ts";
import { FastCgiServer } from "../../../src/server/fastcgi-server.ts";
import type { Application, Log } from "../../../src/spec.ts";
import { until, within } from "../../harness/until.ts";
import type { CollectedLog } from "./collected-log.ts";
import { collectLog } from "./collected-log.ts";

type FcgiRequest = Parameters<FcgiClient["request"]>[0];

/** A response as the web server sees it. */
export interface Reply {
  /** The header block, latin-1, without its empty line. */
  readonly head: string;
  readonly body: Buffer;
  /** The content of each STDERR record. */
  readonly errors: readonly string[];
  readonly protocolStatus: number;
}

/** A web server's side of one connection. Whatever an application may not send is an error of `reply` or `closed`. */
export class Peer {
  readonly socket: Socket;
  readonly client = new FcgiClient();
  /** How often bytes came. */
  reads = 0;
  #stdout: Buffer[] = [];
  #errors: string[] = [];
  readonly #replies: Reply[] = [];
  /** Answers to management records. */
  managementCount = 0;
  #isEnded = false;
  #isClosed = false;
  #failure: Error | undefined;

  constructor(path: string) {
    this.socket = connect({ path, allowHalfOpen: true });
    this.socket.on("data", (bytes) => this.#receive(bytes));
    this.socket.on("end", () => {
      this.#isEnded = true;
    });
    this.socket.on("error", (error) => {
      this.#failure ??= error;
    });
    this.socket.on("close", () => {
      this.#isClosed = true;
    });
  }

  /** Bytes of STDOUT that came for the response that is not complete. */
  get partial(): Buffer {
    return Buffer.concat(this.#stdout);
  }

  get isEnded(): boolean {
    return this.#isEnded || this.#isClosed;
  }

  get failure(): Error | undefined {
    return this.#failure;
  }

  /** Sends a whole request. */
  request(request: FcgiRequest): void {
    this.socket.write(this.client.request(request));
  }

  /** The next response. */
  async reply(): Promise<Reply> {
    await until("a response", () => {
      if (this.#replies.length > 0) return true;
      if (this.#failure !== undefined) throw this.#failure;
      if (this.isEnded)
        throw new Error(`the connection ended after ${JSON.stringify(this.partial.toString("latin1"))}`);
      return false;
    });
    return this.#replies.shift()!;
  }

  /** Waits until the application has closed its side; throws for anything wrong that came before. */
  async ended(): Promise<void> {
    await until("the end of the connection", () => this.isEnded);
    if (this.#failure !== undefined) throw this.#failure;
  }

  destroy(): void {
    this.socket.destroy();
  }

  #receive(bytes: Buffer): void {
    this.reads += 1;
    try {
      for (const event of this.client.receive(bytes)) {
        if (event.type === "stdout") this.#stdout.push(Buffer.from(event.data));
        else if (event.type === "stderr") this.#errors.push(Buffer.from(event.data).toString());
        else if (event.type === "end") this.#end(event.protocolStatus);
        else this.managementCount += 1;
      }
    } catch (error) {
      this.#failure ??= error instanceof Error ? error : new Error(String(error));
    }
  }

  #end(protocolStatus: number): void {
    const stdout = this.partial;
    const blank = stdout.indexOf("\r\n\r\n");
    this.#replies.push({
      head: stdout.subarray(0, Math.max(blank, 0)).toString("latin1"),
      body: stdout.subarray(blank === -1 ? 0 : blank + 4),
      errors: this.#errors,
      protocolStatus,
    });
    this.#stdout = [];
    this.#errors = [];
  }
}

/** The variables of a plain request. */
export function paramsOf(path: string, more: Readonly<Record<string, string>> = {}): Record<string, string> {
  return {
    REQUEST_METHOD: "GET",
    REQUEST_URI: path,
    SCRIPT_NAME: "",
    PATH_INFO: path,
    QUERY_STRING: "",
    SERVER_NAME: "localhost",
    SERVER_PORT: "80",
    SERVER_PROTOCOL: "HTTP/1.1",
    ...more,
  };
}

/** A server without limits that serves one application. */
export function plainOptions(application: Application, log: Log): FastCgiOptions {
  return {
    service: {
      router: { route: () => ({ application, script: "", mount: { mountPoint: "" } }) },
      log,
      background: new Background(log),
      transport: "fastcgi",
      isMultiprocess: false,
      isRunOnce: false,
      isLogApaches: false,
    },
    maxParamsBytes: 2 ** 20,
    maxConnections: 1000,
    paramsTimeoutMs: 10_000,
    idleTimeoutMs: 0,
    admission: unlimited,
    requestTimeoutMs: 0,
    ignoredActivity: [],
    isBehindFcgid: false,
    isAllowed: () => true,
  };
}

export class Served {
  readonly server: FastCgiServer;
  readonly path: string;
  readonly log: CollectedLog;
  readonly #folder: string;
  readonly #peers: Peer[] = [];

  private constructor(folder: string, server: FastCgiServer, log: CollectedLog) {
    this.#folder = folder;
    this.path = join(folder, "socket");
    this.server = server;
    this.log = log;
  }

  static async start(application: Application, options: Partial<FastCgiOptions> = {}): Promise<Served> {
    const folder = await mkdtemp(join(tmpdir(), "tsgi-served-"));
    const log = collectLog();
    const server = new FastCgiServer({ ...plainOptions(application, log), ...options });
    const served = new Served(folder, server, log);
    await new Promise<void>((resolve) => {
      server.netServer.listen({ path: served.path, backlog: 511 }, resolve);
    });
    return served;
  }

  open(): Peer {
    const peer = new Peer(this.path);
    this.#peers.push(peer);
    return peer;
  }

  /** Waits until nobody is connected. */
  async empty(): Promise<void> {
    await until("the last connection to close", () => this.server.connectionCount === 0);
  }

  /** What was logged at a level that somebody reads. */
  get complaints(): string[] {
    return this.log.lines
      .filter(({ level }) => ["warn", "error", "fatal"].includes(level))
      .map(({ message }) => message);
  }

  async stop(): Promise<void> {
    for (const peer of this.#peers) peer.destroy();
    await within("the server to close", this.server.close(5000));
    await rm(this.#folder, { recursive: true, force: true });
  }
}

/** Waits until a number has not changed for a while, and gives it. */
export async function settled(what: string, value: () => number): Promise<number> {
  let last = Number.NaN;
  let same = 0;
  await until(`${what} to settle`, () => {
    const now = value();
    same = now === last ? same + 1 : 0;
    last = now;
    return same >= 10;
  });
  return last;
}
