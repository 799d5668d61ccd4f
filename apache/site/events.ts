// Server-sent events: events.ts is a page that shows them, events.ts/stream sends them. Each leaves when it is yielded, and
// Apache passes it on at once. A browser that lost its connection comes back by itself and says which event was its last.
import { setTimeout as sleep } from "node:timers/promises";
import type { Application } from "tsgi";
import { query } from "./lib/form.ts";
import { page } from "./lib/html.ts";

const maxEvents = 1000;
const pauseMs = 400;

export const application: Application = (environ, startResponse) => {
  if (environ.PATH_INFO !== "/stream") {
    startResponse("200 OK", [["Content-Type", "text/html; charset=utf-8"]]);
    return watchPage;
  }
  const asked = Number(query(environ).get("count") ?? 20);
  const count = Number.isInteger(asked) && asked > 0 ? Math.min(asked, maxEvents) : 20;
  const last = Number(environ["HTTP_LAST_EVENT_ID"] ?? 0);
  startResponse("200 OK", [
    ["Content-Type", "text/event-stream"],
    ["Cache-Control", "no-store"],
  ]);
  return events(Number.isInteger(last) && last > 0 ? last + 1 : 1, count, environ["tsgi.signal"]);
};

/** An event is lines with a name each, and an empty line. That a client has gone shows when the next event is sent. */
async function* events(first: number, count: number, signal: AbortSignal): AsyncGenerator<string> {
  yield "retry: 1000\n\n";
  for (let id = first; id <= count; id += 1) {
    const data = JSON.stringify({ id, count, time: new Date().toISOString().slice(11, 23) });
    yield `id: ${id}\nevent: tick\ndata: ${data}\n\n`;
    await sleep(pauseMs, undefined, { signal }).catch(() => undefined);
    if (signal.aborted) return;
  }
  yield "event: end\ndata: {}\n\n";
}

const watchPage = page(
  "Server-sent events",
  `<h1>Server-sent events</h1>
<p>State: <strong id="state">connecting</strong> <button type="button" id="stop">Stop</button></p>
<ol id="events"></ol>
<script type="module">
const state = document.getElementById("state");
const list = document.getElementById("events");
const source = new EventSource(location.pathname.replace(/\\/+$/, "") + "/stream" + location.search);
const end = (text) => {
  source.close();
  state.textContent = text;
};
source.onopen = () => (state.textContent = "open");
source.onerror = () => (state.textContent = "reconnecting");
source.addEventListener("tick", (event) => {
  const { id, count, time } = JSON.parse(event.data);
  const item = document.createElement("li");
  item.value = id;
  item.textContent = "event " + id + " of " + count + ", " + time;
  list.append(item);
});
source.addEventListener("end", () => end("ended"));
document.getElementById("stop").onclick = () => end("stopped");
</script>`,
);
