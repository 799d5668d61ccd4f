// A page that grows while one watches: each piece is sent as soon as the generator yields it. stream.ts?lines=8
import { setTimeout as sleep } from "node:timers/promises";
import type { Application } from "tsgi";
import { query } from "./lib/form.ts";
import { pageFoot, pageHead } from "./lib/html.ts";

const maxLines = 20;
const pauseMs = 300;

export const application: Application = (environ, startResponse) => {
  const asked = Number(query(environ).get("lines") ?? 6);
  const lines = Number.isInteger(asked) && asked > 0 ? Math.min(asked, maxLines) : 6;
  startResponse("200 OK", [
    ["Content-Type", "text/html; charset=utf-8"],
    ["Cache-Control", "no-store"],
  ]);
  return grow(lines, environ["tsgi.signal"]);
};

async function* grow(lines: number, signal: AbortSignal): AsyncGenerator<string> {
  yield `${pageHead("Stream")}<h1>Stream</h1>\n<ol>\n`;
  for (let line = 1; line <= lines; line++) {
    yield `<li>line ${line} of ${lines}, ${new Date().toISOString().slice(11, 23)}</li>\n`;
    // The pause ends early when the client is gone; nobody is left to read the rest.
    if (line < lines) await sleep(pauseMs, undefined, { signal }).catch(() => undefined);
    if (signal.aborted) return;
  }
  yield `</ol>${pageFoot}`;
}
