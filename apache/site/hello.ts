// Hello World, with a subject from the query: hello.ts?subject=Ada
import type { Application } from "tsgi";
import { query } from "./lib/form.ts";
import { escapeHtml, page } from "./lib/html.ts";

export const application: Application = (environ, startResponse) => {
  const subject = query(environ).get("subject") || "World";
  startResponse("200 OK", [["Content-Type", "text/html; charset=utf-8"]]);
  return page(`Hello ${subject}`, `<h1>Hello ${escapeHtml(subject)}!</h1>`);
};
