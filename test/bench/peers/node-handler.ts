// The cases on node:http: for the bare server, node-fastcgi and Passenger.
import { once } from "node:events";
import type { IncomingMessage, ServerResponse } from "node:http";
import { chunks, large, medium, workUnit } from "./content.ts";

function plain(response: ServerResponse, body: string | Uint8Array, more: Record<string, string> = {}): void {
  response.writeHead(200, { "Content-Type": "text/plain", "Content-Length": body.length, ...more });
  response.end(body);
}

function json(query: string, response: ServerResponse): void {
  const fields = new URLSearchParams(query);
  const n = Number(fields.get("n"));
  const body = JSON.stringify({ name: fields.get("name"), n, doubled: 2 * n });
  response.writeHead(200, { "Content-Type": "application/json", "Content-Length": Buffer.byteLength(body) });
  response.end(body);
}

function form(request: IncomingMessage, response: ServerResponse): void {
  const parts: Buffer[] = [];
  request.on("data", (part: Buffer) => parts.push(part));
  request.on("end", () => {
    const fields = new URLSearchParams(Buffer.concat(parts).toString());
    plain(response, `${[...fields.keys()].length} ${fields.get("text")?.length}`);
  });
}

function upload(request: IncomingMessage, response: ServerResponse): void {
  let size = 0;
  request.on("data", (part: Buffer) => (size += part.length));
  request.on("end", () => plain(response, String(size)));
}

async function stream(response: ServerResponse): Promise<void> {
  response.writeHead(200, { "Content-Type": "text/plain" });
  for (const chunk of chunks) if (!response.write(chunk)) await once(response, "drain");
  response.end();
}

function headers(request: IncomingMessage, response: ServerResponse): void {
  const sent = Object.keys(request.headers).filter((name) => name.startsWith("x-bench-")).length;
  const cookies = request.headers.cookie?.split("; ").length ?? 0;
  plain(response, `${sent} ${cookies}`, { "Set-Cookie": "seen=1; Path=/", "X-Seen": "yes" });
}

/** Answers a request whose path is what comes after the mount point. */
export function answer(path: string, request: IncomingMessage, response: ServerResponse): void {
  const question = path.indexOf("?");
  const route = question === -1 ? path : path.slice(0, question);
  if (route === "/hello") plain(response, "Hello World!");
  else if (route === "/json") json(path.slice(question + 1), response);
  else if (route === "/form") form(request, response);
  else if (route === "/bytes/64k") plain(response, medium);
  else if (route === "/bytes/1m") plain(response, large);
  else if (route === "/stream") void stream(response);
  else if (route === "/upload") upload(request, response);
  else if (route === "/headers") headers(request, response);
  else if (route === "/work") plain(response, workUnit());
  else {
    response.writeHead(404, { "Content-Type": "text/plain" });
    response.end("not found");
  }
}
