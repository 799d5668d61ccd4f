// Node applications as applications of the gateway: a function (req, res), or an http.Server that is not listening.
// Rules: what a handler throws, or its promise rejects with, is a failure of the request and never of the process; a server
// gets its requests as node:http gives them: "request", or "checkContinue" and "checkExpectation" where it listens to these.

import type { IncomingMessage, Server, ServerResponse } from "node:http";
import type { Application } from "../spec.ts";
import type { MessageClasses } from "./message-classes.ts";
import { messageClassesFor, plainClasses } from "./message-classes.ts";
import { NodeExchange } from "./node-exchange.ts";

/** A Node handler. The third parameter is for middleware of Connect's kind: called, it answers 404, or fails with what it gets. */
export type NodeHandler = (req: IncomingMessage, res: ServerResponse, next: (error?: unknown) => void) => unknown;

/** What happens when a handler of Connect's kind passes a request on. */
function passOn(exchange: NodeExchange, error: unknown): void {
  const { request, response } = exchange;
  if (error !== undefined && error !== null) exchange.fail(error);
  else if (!response.headersSent) {
    response.statusCode = 404;
    response.setHeader("Content-Type", "text/plain; charset=utf-8");
    response.end(`Cannot ${request.method ?? "GET"} ${request.originalUrl ?? request.url ?? "/"}\n`);
  }
}

/** An application that calls `handler` with a request and a response as node:http has them. */
export function fromNodeHandler(handler: NodeHandler): Application {
  return withMessages(handler, plainClasses);
}

/** The same with messages of other classes. */
export function withMessages(handler: NodeHandler, classes: MessageClasses): Application {
  const handle = (exchange: NodeExchange): unknown =>
    handler(exchange.request, exchange.response, (error) => passOn(exchange, error));
  return (environ, startResponse) => new NodeExchange(environ, startResponse, classes).run(handle);
}

/** The classes that the server was made with: http.createServer({ IncomingMessage, ServerResponse }). */
function classesOf(server: Server): MessageClasses {
  const own = (name: string, usual: unknown): unknown => {
    const key = Object.getOwnPropertySymbols(server).find(({ description }) => description === name);
    // eslint-disable-next-line typescript/no-unsafe-type-assertion -- node:http keeps its options under symbols
    const value = key === undefined ? undefined : (server as unknown as Record<symbol, unknown>)[key];
    return typeof value === "function" ? value : usual;
  };
  // eslint-disable-next-line typescript/no-unsafe-type-assertion -- node:http would construct them as well
  const classes = {
    IncomingMessage: own("IncomingMessage", plainClasses.IncomingMessage),
    ServerResponse: own("ServerResponse", plainClasses.ServerResponse),
  } as MessageClasses;
  return messageClassesFor(server.listeners("request")[0], classes);
}

/** Gives the request to a server's listeners, as node:http does by the Expect header. */
function emitRequest(server: Server, { request, response, socket }: NodeExchange): void {
  socket.server = server;
  if (server.timeout > 0) socket.setTimeout(server.timeout);
  const { expect } = request.headers;
  if (expect === undefined || request.httpVersion === "1.0") server.emit("request", request, response);
  else if (/(?:^|\W)100-continue(?:$|\W)/i.test(expect)) {
    if (server.emit("checkContinue", request, response)) return;
    response.writeContinue();
    server.emit("request", request, response);
  } else if (!server.emit("checkExpectation", request, response)) {
    response.writeHead(417);
    response.end();
  }
}

/** An application that gives its requests to an http.Server, or to anything that makes one, which need not listen. */
export function fromServer(server: Server): Application {
  let classes: MessageClasses | undefined; // not before its listeners are there
  const handle = (exchange: NodeExchange): void => emitRequest(server, exchange);
  return (environ, startResponse) =>
    new NodeExchange(environ, startResponse, (classes ??= classesOf(server))).run(handle);
}
