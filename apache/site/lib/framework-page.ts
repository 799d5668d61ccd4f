// The two pages that the examples for Express, Fastify, Hono and Koa share. What differs is how each framework gets there.
import { escapeHtml, page } from "./html.ts";

/** A form and a link; `base` is the path that the application is mounted at. */
export function frontPage(framework: string, base: string): string {
  return page(
    framework,
    `<h1>${framework}</h1>
<form method="post" action="${escapeHtml(base)}/">
<label>Name <input name="name" required></label>
<button>Send</button>
</form>
<p><a href="${escapeHtml(base)}/hello/Gr%C3%BC%C3%9Fe">JSON from a route with a parameter</a></p>`,
  );
}

/** The answer to the form. A cookie counts the visits. */
export function greetingPage(name: string, visit: number): string {
  return page("Hello", `<h1>Hello ${escapeHtml(name)}!</h1>\n<p>This is visit ${visit}.</p>`);
}

/** The visit that a cookie makes this one; 1 without a cookie. */
export function visitAfter(cookie: string | undefined): number {
  const count = Number(cookie);
  return Number.isInteger(count) && count > 0 && count < 1_000_000 ? count + 1 : 1;
}
