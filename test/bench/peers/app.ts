// The cases as an application of tsgi's own kind.
import { parseForm, parseQuery, type Application, type Environ, type StartResponse } from "tsgi";
import { chunks, large, medium, workUnit } from "./content.ts";

function plain(startResponse: StartResponse, body: string | Uint8Array): string | Uint8Array {
  startResponse("200 OK", [
    ["Content-Type", "text/plain"],
    ["Content-Length", String(body.length)],
  ]);
  return body;
}

function json(environ: Environ, startResponse: StartResponse): string {
  const query = parseQuery(environ);
  const n = Number(query.get("n"));
  const body = JSON.stringify({ name: query.get("name"), n, doubled: 2 * n });
  startResponse("200 OK", [
    ["Content-Type", "application/json"],
    ["Content-Length", String(Buffer.byteLength(body))],
  ]);
  return body;
}

async function form(environ: Environ, startResponse: StartResponse): Promise<string | Uint8Array> {
  const fields = await parseForm(environ);
  return plain(startResponse, `${[...fields].length} ${fields.get("text")?.length}`);
}

async function upload(environ: Environ, startResponse: StartResponse): Promise<string | Uint8Array> {
  let size = 0;
  for await (const chunk of environ["wsgi.input"]) size += chunk.length;
  return plain(startResponse, String(size));
}

function headers(environ: Environ, startResponse: StartResponse): string {
  let sent = 0;
  for (const name in environ) if (name.startsWith("HTTP_X_BENCH_")) sent += 1;
  const body = `${sent} ${String(environ["HTTP_COOKIE"]).split("; ").length}`;
  startResponse("200 OK", [
    ["Content-Type", "text/plain"],
    ["Content-Length", String(body.length)],
    ["Set-Cookie", "seen=1; Path=/"],
    ["X-Seen", "yes"],
  ]);
  return body;
}

export const application: Application = (environ, startResponse) => {
  switch (environ.PATH_INFO) {
    case "/hello":
      return plain(startResponse, "Hello World!");
    case "/json":
      return json(environ, startResponse);
    case "/form":
      return form(environ, startResponse);
    case "/bytes/64k":
      return plain(startResponse, medium);
    case "/bytes/1m":
      return plain(startResponse, large);
    case "/stream":
      startResponse("200 OK", [["Content-Type", "text/plain"]]);
      return chunks;
    case "/upload":
      return upload(environ, startResponse);
    case "/headers":
      return headers(environ, startResponse);
    case "/work":
      return plain(startResponse, workUnit());
    default:
      startResponse("404 Not Found", [["Content-Type", "text/plain"]]);
      return "not found";
  }
};
