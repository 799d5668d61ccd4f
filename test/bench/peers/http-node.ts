// A bare node:http server at the unix socket of its first argument.
import { chmodSync } from "node:fs";
import { createServer } from "node:http";
import { answer } from "./node-handler.ts";

const path = process.argv[2];
createServer((request, response) => answer(request.url ?? "/", request, response)).listen(path, () => {
  if (path !== undefined) chmodSync(path, 0o666);
});
