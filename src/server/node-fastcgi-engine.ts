// The package node-fastcgi in place of our engine (`--engine node-fastcgi`), for those who want to compare.
// Rules: the gateway, the supervisor and the limits on requests are the same; what happens on the wire is that package's,
// with its failures: it closes every connection after one request, so none is ever handed over, and one that waits for its
// request is closed by a reload. One thing is ours: a response that failed ends with its connection, since the package
// would end it as if it were whole.

import type { IncomingMessage, ServerResponse } from "node:http";
import type { Server, Socket } from "node:net";
import { ClientGoneError, messageOf, OverloadedError, StoppingError } from "../errors.ts";
import type { Variables } from "../gateway/environ.ts";
import { encodeText } from "../gateway/text.ts";
import type * as NodeFastCgi from "../node-fastcgi.ts";
import { Admission } from "./admission.ts";
import { deadline } from "./deadline.ts";
import type { Service } from "./dispatch.ts";
import { dispatch } from "./dispatch.ts";
import type { DrainOptions, FastCgiOptions, FastCgiStats } from "./fastcgi-server.ts";
import { HttpSink } from "./http-sink.ts";
import { RequestClock } from "./request-clock.ts";
import type { SocketHandle } from "./socket-handle.ts";
import { adoptHandle } from "./socket-handle.ts";
import { Traffic } from "./traffic.ts";

/** The package's messages, which have the types that ours promise. */
type Request = IncomingMessage & { readonly cgiParams: Readonly<Record<string, string>> };
type Response = ServerResponse & { readonly stderr?: NodeJS.WritableStream };

/** What is used of the package, which has no types of its own. */
export type NodeFastCgiPackage = Pick<typeof NodeFastCgi, "createServer">;

/** What the package leaves in the socket that it makes up for a request. */
interface MadeUpSocket {
  readonly _conn?: Socket;
}

/** The package decodes variables as UTF-8; an environ has their bytes. What was no UTF-8 is lost by then. */
function variablesOf(params: Readonly<Record<string, string>>): Variables {
  const variables: Variables = Object.create(null) as Variables;
  for (const [name, value] of Object.entries(params)) variables[encodeText(name)] = encodeText(value);
  return variables;
}

class NodeFastCgiSink extends HttpSink {
  readonly #connection: Socket | undefined;

  constructor(response: ServerResponse, connection: Socket | undefined) {
    super(response);
    this.#connection = connection;
  }

  override break(): void {
    // What was written is on its way through the package's streams until then.
    setImmediate(() => this.#connection?.end());
  }
}

/** How a request goes on when it need not wait any more. */
interface Turn {
  readonly service: Service;
  readonly isAuthorizer: boolean;
  readonly hasTurn: boolean;
  /** When it asked for its turn. */
  readonly askedMs: number;
}

export class NodeFastCgiEngine {
  readonly netServer: Server;
  readonly #options: FastCgiOptions;
  readonly #refusing: Service;
  readonly #sockets = new Set<Socket>();
  readonly #running = new Map<Socket | undefined, number>();
  readonly #admission: Admission;
  readonly #clock: RequestClock | undefined;
  readonly #traffic: Traffic;
  readonly #ends = new Set<() => void>();
  #isDraining = false;

  constructor({ createServer }: NodeFastCgiPackage, options: FastCgiOptions) {
    const { service, admission, requestTimeoutMs, maxConnections } = options;
    this.#options = options;
    this.#admission = new Admission(admission);
    this.#clock = requestTimeoutMs === 0 ? undefined : new RequestClock(requestTimeoutMs);
    this.#traffic = new Traffic(options.ignoredActivity);
    const route = (): never => {
      throw new OverloadedError(`${admission.maxConcurrency} requests run, and the queue was full or too slow`);
    };
    this.#refusing = { ...service, router: { route } };
    const server = createServer(
      (request: Request, response: Response) => this.#admit(request, response, false),
      (request: Request, response: Response) => this.#admit(request, response, true),
      undefined,
      { maxConns: maxConnections, maxReqs: maxConnections },
    );
    server.timeout = options.idleTimeoutMs;
    server.on("protocolError", (error: Error) =>
      service.log.debug({ reason: messageOf(error) }, "FastCGI record dropped"),
    );
    server.on("connection", (socket: Socket) => this.#accepted(socket));
    this.netServer = server;
    this.netServer.maxConnections = 2 * maxConnections;
  }

  get stats(): FastCgiStats {
    const { served, shed, lastActivityMs } = this.#traffic;
    return {
      busy: this.#admission.running,
      waiting: this.#admission.waiting,
      connections: this.#sockets.size,
      served,
      shed,
      timedOut: this.#clock?.timedOut ?? 0,
      lastActivityMs,
    };
  }

  adopt(handle: SocketHandle, bytes: Buffer | undefined): void {
    const socket = adoptHandle(handle);
    socket.allowHalfOpen = false; // as the package makes its own
    this.netServer.emit("connection", socket);
    if (bytes !== undefined && bytes.length > 0) socket.emit("data", bytes);
  }

  async drain({ deadlineMs }: DrainOptions): Promise<boolean> {
    this.#isDraining = true;
    const closed = new Promise<void>((resolve) => {
      this.netServer.close(() => resolve());
    });
    for (const socket of this.#sockets) if (!this.#running.has(socket)) socket.end();
    const { promise: expired, cancel } = deadline(deadlineMs);
    const isWhole = (await Promise.race([expired, closed])) !== "expired";
    cancel();
    for (const end of this.#ends) end();
    for (const socket of this.#sockets) socket.destroy();
    await closed;
    return isWhole;
  }

  #accepted(socket: Socket): void {
    if (this.#isDraining || !this.#options.isAllowed(socket)) {
      socket.destroy();
      return;
    }
    this.#sockets.add(socket);
    socket.on("close", () => this.#sockets.delete(socket));
  }

  #admit(request: Request, response: Response, isAuthorizer: boolean): void {
    const askedMs = performance.now();
    const run = (service: Service, hasTurn: boolean): void =>
      this.#run(request, response, { service, isAuthorizer, hasTurn, askedMs });
    const refuse = (): void => {
      this.#traffic.shed += 1;
      run(this.#refusing, false);
    };
    const waiter = { admitted: () => run(this.#options.service, true), refused: refuse };
    if (this.#admission.enter()) waiter.admitted();
    else if (!this.#admission.wait(waiter, askedMs)) refuse();
  }

  #run(request: Request, response: Response, { service, isAuthorizer, hasTurn, askedMs }: Turn): void {
    const variables = variablesOf(request.cgiParams);
    variables["FCGI_ROLE"] = isAuthorizer ? "AUTHORIZER" : "RESPONDER";
    const connection = (request.socket as unknown as MadeUpSocket)._conn;
    const isActivity = hasTurn && this.#traffic.began(variables);
    const sinceMs = performance.now();
    this.#count(connection, 1);
    let isOver = false;
    const cut = (): void => exchange.expire(new StoppingError());
    const { stderr } = response;
    const { exchange, input } = dispatch(service, {
      variables,
      sink: new NodeFastCgiSink(response, connection),
      flow: { pause: () => request.pause(), resume: () => request.resume() },
      isAuthorizer,
      startedMs: sinceMs,
      queuedMs: sinceMs - askedMs,
      emitError: (line) => {
        if (isOver || stderr === undefined) return false;
        stderr.write(line);
        return true;
      },
      onEnd: (ended) => {
        isOver = true;
        this.#clock?.forget(ended);
        this.#ends.delete(cut);
        this.#count(connection, -1);
        if (!hasTurn) return;
        this.#traffic.ended(isActivity);
        this.#admission.leave();
      },
    });
    const gone = (): void => exchange.abort(new ClientGoneError());
    request.on("data", (bytes: Buffer) => input.push(bytes));
    request.on("end", () => input.end());
    request.on("aborted", gone);
    request.on("error", gone);
    response.on("close", gone);
    if (isOver) return;
    this.#ends.add(cut);
    this.#clock?.watch(exchange, sinceMs);
  }

  /** How many requests run on a connection. */
  #count(connection: Socket | undefined, change: 1 | -1): void {
    const count = (this.#running.get(connection) ?? 0) + change;
    if (count > 0) this.#running.set(connection, count);
    else this.#running.delete(connection);
  }
}
