// The server of node-fastcgi: a net.Server with the events "request", "authorize" and "filter".
// Rules: as node-fastcgi 2.0 documents it, called with or without `new`; a listener that throws is an uncaught exception,
// as in node:http, and spoils no other request.

import type { Socket } from "node:net";
import { Server as NetServer } from "node:net";
import type { Params } from "../fastcgi/pairs.ts";
import { Role } from "../fastcgi/record.ts";
import { Connection } from "./connection.ts";
import type { ConnectionHost } from "./connection.ts";
import type { FastCgiMessage, Messages } from "./messages.ts";
import type { AuthorizerResponse, ServerResponse } from "./response.ts";

/** The fourth argument of `createServer`, or the last one that is given. */
export interface ServerConfig {
  /** Told to web servers that ask for FCGI_MAX_CONNS, not enforced; default 2000. */
  maxConns?: number | string;
  /** Told for FCGI_MAX_REQS, not enforced; default 2000. */
  maxReqs?: number | string;
  /** Whether a connection may carry several requests at once; default true. */
  multiplex?: boolean;
  /** Names of further values that web servers may ask for, and the keys of this object that hold them. */
  valueMap?: Record<string, string>;
  [value: string]: unknown;
}

/** `ServerConfig` with its defaults. */
interface FullConfig extends ServerConfig {
  maxConns: number;
  maxReqs: number;
  multiplex: boolean;
  valueMap: Record<string, string>;
}

export type RequestListener = (request: FastCgiMessage, response: ServerResponse) => unknown;
export type AuthorizerListener = (request: FastCgiMessage, response: AuthorizerResponse) => unknown;

type Argument<Listener> = Listener | ServerConfig | null | undefined;

type Listen = NetServer["listen"] & ((callback?: () => void) => NetServer);

/** Also emits "timeout", "clientError" (error, socket) and "protocolError" (error), beside the events of a net.Server. */
export interface Server extends Omit<NetServer, "listen"> {
  readonly config: FullConfig;
  /** Useless, as in node-fastcgi: the web server limits headers. */
  maxHeadersCount: number;
  /** For a connection on which nothing happens, ms; 0 waits for ever. */
  timeout: number;
  /** Without an address: listens on descriptor 0, where web servers that start programs leave their socket. */
  listen: Listen;
  setTimeout(timeoutMs: number, callback?: (socket: Socket) => void): Server;
}

export interface ServerConstructor {
  (...given: ServerArguments): Server;
  new (...given: ServerArguments): Server;
  readonly prototype: Server;
}

export type ServerArguments = [
  responder?: Argument<RequestListener>,
  authorizer?: Argument<AuthorizerListener>,
  filter?: Argument<RequestListener>,
  config?: ServerConfig | null,
];

const defaultTimeoutMs = 120_000;
const defaultCount = 2000;
const standardValues = { FCGI_MAX_CONNS: "maxConns", FCGI_MAX_REQS: "maxReqs", FCGI_MPXS_CONNS: "multiplex" } as const;
const roleEvents: ReadonlyMap<number, string> = new Map([
  [Role.RESPONDER, "request"],
  [Role.AUTHORIZER, "authorize"],
  [Role.FILTER, "filter"],
]);
const connectionsOf = new WeakMap<NetServer, Set<Connection>>();

/** Fills the caller's own object, as node-fastcgi does: it may be changed later. */
function completed(config: ServerConfig): FullConfig {
  const count = (value: unknown): number => Number.parseInt(String(value), 10) || defaultCount;
  return Object.assign(config, {
    maxConns: count(config.maxConns),
    maxReqs: count(config.maxReqs),
    multiplex: config.multiplex === undefined || Boolean(config.multiplex as unknown),
    valueMap: Object.assign(config.valueMap ?? {}, standardValues),
  });
}

function shown(value: unknown): string {
  // eslint-disable-next-line typescript/no-base-to-string -- an object of the caller's own, which may have a toString
  return String(value);
}

/** What is told for the names that a web server asks for; others are left out (FastCGI 1.0, section 4.1). */
function valuesOf({ config }: Server, names: readonly string[]): Params {
  const values: Params = Object.create(null) as Params;
  for (const name of names) {
    const key = Object.hasOwn(config.valueMap, name) ? config.valueMap[name] : undefined;
    if (key === undefined || config[key] === undefined) continue;
    values[name] = key === "multiplex" ? String(Number(config.multiplex)) : shown(config[key]);
  }
  return values;
}

function createHost(server: Server, connections: Set<Connection>): ConnectionHost {
  return {
    get isMultiplexing() {
      return server.config.multiplex;
    },
    get isBehindFcgid() {
      return startedByServer.has(server);
    },
    hasRole: (role) => server.listenerCount(roleEvents.get(role) ?? "") > 0,
    valuesOf: (names) => valuesOf(server, names),
    request: (role, { request, response }: Messages) => {
      try {
        server.emit(roleEvents.get(role) ?? "", request, response);
      } catch (error) {
        queueMicrotask(() => {
          throw error; // out of the way of what else came in the same packet
        });
      }
    },
    protocolError: (error) => server.emit("protocolError", error),
    clientError: (error, socket) => server.emit("clientError", error, socket),
    timedOut: (socket) => server.emit("timeout", socket),
    closed: (connection) => connections.delete(connection),
  };
}

/** Servers that listen on the descriptor that a web server left for them. */
const startedByServer = new WeakSet<Server>();

function construct(server: Server, [responder, authorizer, filter, config]: ServerArguments): void {
  const last = [config, filter, authorizer, responder].find((value) => typeof value === "object" && value !== null);
  Object.assign(server, { config: completed(last ?? {}), maxHeadersCount: 0 });
  server.timeout = defaultTimeoutMs;
  if (typeof responder === "function") server.on("request", responder);
  if (typeof authorizer === "function") server.on("authorize", authorizer);
  if (typeof filter === "function") server.on("filter", filter);
  const connections = new Set<Connection>();
  connectionsOf.set(server, connections);
  const host = createHost(server, connections);
  server.on("connection", (socket) => {
    if (server.timeout > 0) socket.setTimeout(server.timeout);
    connections.add(new Connection(socket, host));
  });
}

const netOptions = { allowHalfOpen: true, noDelay: true };

/** As net.Server itself: also to be called without `new`, and on an object of a class that inherits from it. */
function createOrInitialize(this: unknown, ...given: ServerArguments): Server | undefined {
  if (!(this instanceof Server)) return new Server(...given);
  Reflect.apply(NetServer, this, [netOptions]);
  construct(this, given);
  return undefined;
}

export const Server = createOrInitialize as unknown as ServerConstructor;
Object.setPrototypeOf(Server, NetServer);
Object.setPrototypeOf(Server.prototype, NetServer.prototype);

const inherited = NetServer.prototype;

function listen(this: Server, ...given: unknown[]): Server {
  const [first] = given;
  const isAddressGiven = given.length > 0 && typeof first !== "function";
  if (!isAddressGiven) startedByServer.add(this);
  const args = isAddressGiven ? given : [{ fd: 0 }, first];
  // eslint-disable-next-line typescript/unbound-method -- `apply` binds it
  return Reflect.apply(inherited.listen as (...given: unknown[]) => Server, this, args);
}

function setTimeoutOf(this: Server, timeoutMs: number, callback?: (socket: Socket) => void): Server {
  this.timeout = timeoutMs;
  if (callback !== undefined) this.on("timeout", callback);
  return this;
}

/** Accepts no more, and closes each connection that the web server keeps as soon as no request runs on it. */
function close(this: Server, callback?: (error?: Error) => void): Server {
  inherited.close.call(this, callback);
  for (const connection of connectionsOf.get(this) ?? []) connection.drain();
  return this;
}

Object.assign(Server.prototype, { listen, setTimeout: setTimeoutOf, close });
