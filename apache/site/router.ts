// Many URLs in one script with a router that others keep: Hono's, used by itself. A route is a method, a path with names in
// it, and an application, which finds what the names stand for in `myapp.url_args`: router.ts/products/A001
import { TrieRouter } from "hono/router/trie-router";
import { decodeText } from "tsgi";
import type { Application, Environ } from "tsgi";
import { escapeHtml, page } from "./lib/html.ts";

const names: ReadonlyMap<string, string> = new Map([
  ["A001", "Clock"],
  ["A002", "Bi-Noculars"],
  ["A003", "Magnifier"],
]);

const index: Application = (environ, startResponse) => {
  startResponse("200 OK", [["Content-Type", "text/html; charset=utf-8"]]);
  const base = escapeHtml(decodeText(environ.SCRIPT_NAME));
  const links = [...names].map(([id, name]) => `<li><a href="${base}/products/${id}">${name}</a></li>`);
  return page("Products", `<h1>Products</h1>\n<ul>\n${links.join("\n")}\n</ul>`);
};

const product: Application = (environ, startResponse) => {
  const name = names.get(urlArgs(environ)["id"] ?? "");
  if (name === undefined) return notFound(environ, startResponse);
  startResponse("200 OK", [["Content-Type", "text/plain; charset=utf-8"]]);
  return `${name}\n`;
};

const notFound: Application = (environ, startResponse) => {
  startResponse("404 Not Found", [["Content-Type", "text/plain; charset=utf-8"]]);
  return `There is nothing at ${decodeText(environ.PATH_INFO) || "/"}.\n`;
};

const router = new TrieRouter<Application>();
router.add("GET", "/", index);
router.add("GET", "/products/:id", product);

export const application: Application = (environ, startResponse) => {
  const method = environ.REQUEST_METHOD === "HEAD" ? "GET" : environ.REQUEST_METHOD;
  const [[route] = []] = router.match(method, decodeText(environ.PATH_INFO) || "/");
  if (route === undefined) return notFound(environ, startResponse);
  const [callback, args] = route;
  environ["myapp.url_args"] = args;
  return callback(environ, startResponse);
};

function urlArgs(environ: Environ): Readonly<Record<string, string | undefined>> {
  return (environ["myapp.url_args"] ?? {}) as Record<string, string>;
}
