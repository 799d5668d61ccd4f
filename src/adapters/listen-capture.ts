// Takes over `listen` of an application that is a server of its own (Passenger's contract): the first http.Server that
// calls it while a script is being loaded is the application, and no port is opened.
// Rules: to the application all is as if it listened: 'listening', its callback, address(), close(); any later http.Server
// that listens gets the same and no requests, and one log line; servers that are not http (our own, a database's) listen as
// ever. It changes net.Server's prototype once for the process, since a server may listen long after it was made. On the way
// of every application: node:http is not imported before somebody else has.

import type { Server } from "node:http";
import { Server as NetServer } from "node:net";
import type { Log } from "../spec.ts";

/** Looks for a server while one script is being loaded. */
export interface ListenCapture {
  /** The server that listened first; undefined while none has. */
  readonly server: Server | undefined;
  /** Settles when a server has listened; never, when none does. */
  readonly captured: Promise<Server>;
  /** Stops looking: what listens from now on is ignored. */
  end(): void;
}

class Capture implements ListenCapture {
  server: Server | undefined;
  readonly captured: Promise<Server>;
  /** The file whose code is being run. */
  readonly place: string;
  readonly log: Log | undefined;
  #resolve: ((server: Server) => void) | undefined;

  constructor(place: string, log: Log | undefined) {
    this.place = place;
    this.log = log;
    this.captured = new Promise((resolve) => {
      this.#resolve = resolve;
    });
  }

  take(server: Server): void {
    this.server = server;
    this.#resolve?.(server);
  }

  end(): void {
    active.delete(this);
  }
}

/** Loads under way, in the order in which they began. */
const active = new Set<Capture>();
/** Servers that listen as ever. */
const exempt = new WeakSet<object>();
/** Servers whose application has closed them. */
const closed = new WeakSet<object>();
let lastLog: Log | undefined;
let isInstalled = false;

/** Lets an http.Server of this package really listen. */
export function exemptFromCapture(server: Server): void {
  exempt.add(server);
}

/** Whether the application closed a server that it had let listen. */
export function isClosed(server: Server): boolean {
  return closed.has(server);
}

/** Begins to look for a server; `place` is the file whose code is about to run. `end` must be called. */
export function captureListen(place: string, log: Log | undefined): ListenCapture {
  install();
  const capture = new Capture(place, log);
  active.add(capture);
  lastLog = log ?? lastLog;
  return capture;
}

interface HttpModule {
  readonly Server: new () => Server;
}

function isHttpServer(server: NetServer): server is Server {
  if (Object.getPrototypeOf(server) === NetServer.prototype) return false;
  return ["node:http", "node:https"].some(
    (name) => server instanceof (process.getBuiltinModule(name) as HttpModule).Server,
  );
}

function install(): void {
  if (isInstalled) return;
  isInstalled = true;
  // eslint-disable-next-line typescript/unbound-method -- called with `this`
  const { listen } = NetServer.prototype;
  NetServer.prototype.listen = function capturedListen(this: NetServer, ...parameters: unknown[]): NetServer {
    if (exempt.has(this) || !isHttpServer(this)) return Reflect.apply(listen, this, parameters) as NetServer;
    return takeOver(this, parameters);
  };
}

/** The load that a call of `listen` belongs to: the only one, that whose file is on the stack, or the youngest. */
function findCapture(): Capture | undefined {
  const captures = [...active].toReversed();
  if (captures.length < 2) return captures[0];
  // eslint-disable-next-line typescript/unbound-method -- put back as it was
  const { prepareStackTrace, stackTraceLimit } = Error;
  Error.stackTraceLimit = 50;
  Error.prepareStackTrace = (_error, sites) => sites.map((site) => site.getFileName() ?? "");
  const files = new Error("where").stack as unknown as readonly string[];
  Error.prepareStackTrace = prepareStackTrace;
  Error.stackTraceLimit = stackTraceLimit;
  return captures.find(({ place }) => files.some((file) => file.includes(place))) ?? captures[0];
}

function takeOver(server: Server, parameters: readonly unknown[]): Server {
  if (server.listening) {
    throw Object.assign(new Error("Listen method has been called more than once without closing."), {
      code: "ERR_SERVER_ALREADY_LISTEN",
    });
  }
  const capture = findCapture();
  if (capture === undefined || capture.server !== undefined) {
    const log = capture?.log ?? lastLog;
    log?.info({ address: describe(parameters) }, "listen was ignored: the application has its server already");
  } else capture.take(server);
  pretend(server, parameters);
  return server;
}

interface Options {
  readonly port?: unknown;
  readonly host?: unknown;
  readonly path?: unknown;
  readonly signal?: AbortSignal;
}

function optionsOf(parameters: readonly unknown[]): Options {
  const [first, second] = parameters;
  if (typeof first === "object" && first !== null) return first;
  if (typeof first === "string" && !/^\s*[0-9]+\s*$/.test(first)) return { path: first };
  return { port: first, host: second };
}

function describe(parameters: readonly unknown[]): string {
  const { port, path } = optionsOf(parameters);
  return typeof path === "string" ? path : `port ${Number(port) || 0}`;
}

/** What address() gives: the address that was asked for. A port of 0 stays one that nobody has. */
function addressOf({ port, host, path }: Options): ReturnType<Server["address"]> {
  if (typeof path === "string") return path;
  const isName = typeof host === "string" && !/^[0-9.]+$|:/.test(host);
  const address = typeof host !== "string" || host === "" ? "::" : isName ? "127.0.0.1" : host;
  return { address, family: address.includes(":") ? "IPv6" : "IPv4", port: Number(port) || 80 };
}

/** Makes the server look as if it listened. Properties of the instance: the prototype's need a handle. */
function pretend(server: Server, parameters: readonly unknown[]): void {
  const options = optionsOf(parameters);
  const callback = parameters.findLast((parameter) => typeof parameter === "function") as (() => void) | undefined;
  if (callback !== undefined) server.once("listening", callback);
  let isListening = true;
  Object.defineProperty(server, "listening", { configurable: true, enumerable: false, get: () => isListening });
  const address = addressOf(options);
  server.address = () => (isListening ? address : null);
  closed.delete(server);
  server.close = (done?: (error?: Error) => void) => {
    if (!isListening) {
      const error = Object.assign(new Error("Server is not running."), { code: "ERR_SERVER_NOT_RUNNING" });
      if (done !== undefined) process.nextTick(done, error);
      return server;
    }
    isListening = false;
    closed.add(server);
    if (done !== undefined) server.once("close", () => done());
    process.nextTick(() => server.emit("close"));
    return server;
  };
  options.signal?.addEventListener("abort", () => server.close(), { once: true });
  process.nextTick(() => {
    if (isListening) server.emit("listening");
  });
}
