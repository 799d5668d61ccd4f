// The package node-fastcgi: at the unix socket of its first argument, or under mod_fcgid without one.
import { chmodSync } from "node:fs";
import type { IncomingMessage, RequestListener, Server, ServerResponse } from "node:http";
import { createRequire } from "node:module";
import { answer } from "./node-handler.ts";

interface NodeFastCgi {
  createServer(handler: RequestListener): Server;
}

const nodeFastCgi = createRequire(import.meta.url)("node-fastcgi") as NodeFastCgi;
const path = process.argv[2];
const mountPoint = process.argv[3] ?? "";

const server = nodeFastCgi.createServer((request: IncomingMessage, response: ServerResponse) => {
  answer((request.url ?? "/").slice(mountPoint.length), request, response);
});
server.listen(path, () => {
  if (path !== undefined) chmodSync(path, 0o666);
});
