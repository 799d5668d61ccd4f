// A product by its id, from a GET query or a POST form, answered as JSON: product.ts?id=A001
import type { Application, Environ } from "tsgi";
import { createDebugLog } from "./lib/debug-log.ts";
import type { DebugLog } from "./lib/debug-log.ts";
import { query, readForm } from "./lib/form.ts";

const products: ReadonlyMap<string, { readonly name: string; readonly price: number }> = new Map([
  ["A001", { name: "Clock", price: 24.5 }],
  ["A002", { name: "Bi-Noculars", price: 89 }],
  ["A003", { name: "Magnifier", price: 12.75 }],
]);

interface Answer {
  readonly status: string;
  readonly content: unknown;
}

export const application: Application = async (environ, startResponse) => {
  const { status, content } = await answer(environ);
  const output = Buffer.from(JSON.stringify(content));
  startResponse(status, [
    ["Content-Type", "application/json"],
    ["Content-Length", String(output.length)],
    ...(status.startsWith("405") ? ([["Allow", "GET, HEAD, POST"]] as const) : []),
  ]);
  return [output];
};

function answer(environ: Environ): Answer | Promise<Answer> {
  const debugLog = createDebugLog(environ);
  switch (environ.REQUEST_METHOD) {
    case "GET":
    case "HEAD":
      return handleGet(environ, debugLog);
    case "POST":
      return handlePost(environ, debugLog);
    default:
      return { status: "405 Method Not Allowed", content: { error: "use GET or POST" } };
  }
}

function handleGet(environ: Environ, debugLog: DebugLog): Answer {
  debugLog(`QUERY_STRING: ${environ.QUERY_STRING}`);
  return find(query(environ));
}

async function handlePost(environ: Environ, debugLog: DebugLog): Promise<Answer> {
  debugLog(`content length: ${environ.CONTENT_LENGTH ?? "unknown"}`, true);
  const form = await readForm(environ);
  if (form === undefined) {
    const error = "send the form as application/x-www-form-urlencoded";
    return { status: "415 Unsupported Media Type", content: { error } };
  }
  debugLog(`POST data: ${form.toString()}`);
  return find(form);
}

function find(fields: URLSearchParams): Answer {
  const id = fields.get("id");
  if (id === null) return { status: "400 Bad Request", content: { error: "say which product: id=A001" } };
  const product = products.get(id);
  if (product === undefined) return { status: "404 Not Found", content: { error: "there is no such product", id } };
  return { status: "200 OK", content: product };
}
