// For Phusion Passenger, which takes over the first listen of the process.
import { createServer } from "node:http";
import { answer } from "./node-handler.ts";

const mountPoint = "/passenger";
createServer((request, response) => {
  const url = request.url ?? "/";
  answer(url.startsWith(mountPoint) ? url.slice(mountPoint.length) : url, request, response);
}).listen(0);
