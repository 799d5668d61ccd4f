// Middleware: a function that takes an application and gives back another one. `latinator` is the example of PEP 3333: it
// passes the request on and turns a plain text answer into pig latin. `named` adds a header. middleware.ts?text=hello+world
import { changeResponse, compose, headerOf, withoutHeader } from "tsgi";
import type { Application, Chunk, Middleware } from "tsgi";
import { query } from "./lib/form.ts";

/** The application inside: says the text of the query. It knows nothing of what is around it. */
const echo: Application = (environ, startResponse) => {
  const output = Buffer.from(`${query(environ).get("text") || "hello world from inside"}\n`);
  startResponse("200 OK", [
    ["Content-Type", "text/plain; charset=utf-8"],
    ["Content-Length", String(output.length)],
  ]);
  return [output];
};

/** Adds `X-Passed-Through: NAME` to every answer. */
const named = (name: string): Middleware =>
  changeResponse(({ headers }) => ({ headers: [...headers, ["X-Passed-Through", name]] }));

/** Turns plain text into pig latin and lets everything else pass as it is. */
const latinator: Middleware = changeResponse(({ headers }) => {
  if (headerOf(headers, "content-type")?.startsWith("text/plain") !== true) return undefined;
  // The text changes its length, so the length that the inner application gave no longer holds.
  return { headers: withoutHeader(headers, "content-length"), chunk: pigLatin };
});

/** By hand, without `changeResponse`: middleware is nothing but a function. */
const timed: Middleware = (inner) => async (environ, startResponse) => {
  const startedAt = performance.now();
  const body = await inner(environ, startResponse);
  environ["tsgi.log"].debug(`the application took ${Math.round(performance.now() - startedAt)} ms`);
  return body;
};

function pigLatin(chunk: Chunk): string {
  const text = typeof chunk === "string" ? chunk : Buffer.from(chunk).toString();
  return text.replace(/\p{L}+/gu, (word) => {
    const [, start = "", rest = ""] = /^([^aeiou]*)(.*)$/iu.exec(word) ?? [];
    return start === "" ? `${word}way` : `${rest}${start}ay`;
  });
}

export const application: Application = compose(timed, named("latinator"), latinator)(echo);
