/// <reference types="node" preserve="true" />
// `tsgi/node-fastcgi`: the interface of node-fastcgi 2.0 on this project's FastCGI engine. Code written for that package
// runs by changing the import.

import { fstatSync } from "node:fs";
import { IncomingMessage, OutgoingMessage } from "node:http";
import type { ServerArguments } from "./node-fastcgi/server.ts";
import { Server } from "./node-fastcgi/server.ts";
import { AuthorizerResponse, ServerResponse } from "./node-fastcgi/response.ts";

/**
 * Makes a server. All arguments may be left out, and the configuration may stand in the place of the first that is:
 * `createServer([responder], [authorizer], [filter], [config])`.
 */
function createServer(...given: ServerArguments): Server {
  return new Server(...given);
}

/** Whether descriptor 0 is a socket, as it is in a program that a web server starts: then `listen()` needs no address. */
function isService(): boolean {
  if (process.platform === "win32") return false;
  try {
    return fstatSync(0).isSocket();
  } catch {
    return false; // closed
  }
}

export { AuthorizerResponse, createServer, IncomingMessage, isService, OutgoingMessage, Server, ServerResponse };
export type { FastCgiMessage } from "./node-fastcgi/messages.ts";
export type { AuthorizerListener, RequestListener, ServerConfig } from "./node-fastcgi/server.ts";
// eslint-disable-next-line import/no-default-export -- `import fcgi from` is how a CommonJS package is used from ESM
export default {
  AuthorizerResponse,
  createServer,
  IncomingMessage,
  isService,
  OutgoingMessage,
  Server,
  ServerResponse,
};
