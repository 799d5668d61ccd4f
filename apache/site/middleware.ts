// Middleware: a function that takes an application and gives back another one. `latinator` is the example of PEP 3333: it
// passes the request on and turns a plain text answer into pig latin. `named` adds a header. middleware.ts?text=hello+world
import type { Application, Body, Chunk, HeaderList } from "tsgi";
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
function named(name: string, inner: Application): Application {
  return (environ, startResponse) =>
    inner(environ, (status, headers, excInfo) =>
      startResponse(status, [...headers, ["X-Passed-Through", name]], excInfo),
    );
}

/** Turns plain text into pig latin and lets everything else pass as it is. */
function latinator(inner: Application): Application {
  return async (environ, startResponse) => {
    let isText = false;
    const transform = (chunk: Chunk): Chunk => (isText ? pigLatin(chunk) : chunk);
    const body = await inner(environ, (status, headers, excInfo) => {
      isText = (valueOf(headers, "content-type") ?? "").startsWith("text/plain");
      // The text changes its length, so the length that the inner application gave no longer holds.
      const kept = isText ? headers.filter(([name]) => name.toLowerCase() !== "content-length") : headers;
      const write = startResponse(status, kept, excInfo);
      return (chunk) => write(transform(chunk));
    });
    return mapBody(body, transform);
  };
}

/** The body with each chunk changed. Whoever wraps a body also passes its `close()` on, says PEP 3333. */
function mapBody(body: Body, change: (chunk: Chunk) => Chunk): Body {
  const inner = typeof body === "string" || body instanceof Uint8Array ? [body] : body;
  async function* changed(): AsyncGenerator<Chunk> {
    for await (const chunk of inner) yield change(chunk);
  }
  const close = async (): Promise<void> => {
    if ("close" in inner && typeof inner.close === "function") await inner.close();
  };
  return Object.assign(changed(), { close });
}

function valueOf(headers: HeaderList, wanted: string): string | undefined {
  return headers.find(([name]) => name.toLowerCase() === wanted)?.[1];
}

function pigLatin(chunk: Chunk): string {
  const text = typeof chunk === "string" ? chunk : Buffer.from(chunk).toString();
  return text.replace(/\p{L}+/gu, (word) => {
    const [, start = "", rest = ""] = /^([^aeiou]*)(.*)$/iu.exec(word) ?? [];
    return start === "" ? `${word}way` : `${rest}${start}ay`;
  });
}

export const application: Application = named("latinator", latinator(echo));
