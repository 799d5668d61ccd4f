// One script, many URLs: the path after the script's name is matched with regular expressions, and what they capture is
// put into the environ as `myapp.url_args`: dispatch.ts/, dispatch.ts/hello, dispatch.ts/hello/Ada
import { decodeText } from "tsgi";
import type { Application, Environ } from "tsgi";
import { query } from "./lib/form.ts";
import { escapeHtml, page } from "./lib/html.ts";

/** Mounted on "/": a link to the hello world page. */
const index: Application = (environ, startResponse) => {
  startResponse("200 OK", [["Content-Type", "text/html; charset=utf-8"]]);
  const link = escapeHtml(`${decodeText(environ.SCRIPT_NAME)}/hello/`);
  return page("Hello World application", `<h1>Hello World application</h1>\n<p><a href="${link}">Continue</a></p>`);
};

/** Greets the name in the path, else the `subject` of the query, else the world. */
const hello: Application = (environ, startResponse) => {
  const subject = urlArgs(environ)[0] || query(environ).get("subject") || "World";
  startResponse("200 OK", [["Content-Type", "text/html; charset=utf-8"]]);
  return page(`Hello ${subject}`, `<h1>Hello ${escapeHtml(subject)}!</h1>`);
};

/** Called when no pattern matches. */
const notFound: Application = (_environ, startResponse) => {
  startResponse("404 Not Found", [["Content-Type", "text/plain"]]);
  return "Not Found";
};

const urls: ReadonlyArray<readonly [pattern: RegExp, callback: Application]> = [
  [/^$/, index],
  [/^hello\/?$/, hello],
  [/^hello\/(.+)$/, hello],
];

export const application: Application = (environ, startResponse) => {
  const path = decodeText(environ.PATH_INFO).replace(/^\/+/, "");
  for (const [pattern, callback] of urls) {
    const match = pattern.exec(path);
    if (match !== null) {
      environ["myapp.url_args"] = match.slice(1);
      return callback(environ, startResponse);
    }
  }
  return notFound(environ, startResponse);
};

function urlArgs(environ: Environ): readonly string[] {
  const args = environ["myapp.url_args"];
  return Array.isArray(args) ? args.filter((arg) => typeof arg === "string") : [];
}
