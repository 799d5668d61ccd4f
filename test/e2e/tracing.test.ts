// OpenTelemetry: an application that has set it up gets one server span for each request, in the trace of its caller, with
// its own spans below it; the rest is not touched.
import { cp, mkdir } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, expect, test } from "vitest";
import { Supervised } from "../harness/supervised.ts";
import { Workspace } from "../harness/workspace.ts";

interface Span {
  readonly name: string;
  readonly kind: number;
  readonly isError: boolean;
  readonly attributes: Readonly<Record<string, string | number>>;
  readonly traceId: string;
  readonly spanId: string;
  readonly parentId?: string;
  readonly scope: string;
  readonly exceptions: readonly string[];
}

const checkout = fileURLToPath(new URL("../..", import.meta.url));
let workspace: Workspace;
let app: string;

beforeAll(async () => {
  workspace = await Workspace.open();
  const folder = workspace.path("traced");
  await mkdir(join(folder, "node_modules"), { recursive: true });
  const packages = "node_modules/@opentelemetry";
  const isNeeded = (path: string): boolean => !/\/(?:esm|esnext)(?:\/|$)|\.(?:map|d\.ts)$/u.test(path);
  await cp(join(checkout, packages), join(folder, packages), { recursive: true, filter: isNeeded });
  app = join(folder, "traced.mjs");
  await cp(join(checkout, "test/fixtures/frameworks/traced.mjs"), app);
}, 60_000);

afterAll(() => workspace.close(), 60_000);

function start(...args: readonly string[]): Promise<Supervised> {
  return Supervised.start(workspace, { app, args, processes: 1, expectLog: [/failed on purpose/u] });
}

async function spansOf(supervised: Supervised, traceId: string): Promise<readonly Span[]> {
  const spans = JSON.parse(await supervised.text("/spans")) as Span[];
  return spans.filter((span) => span.traceId === traceId);
}

const caller = "00f067aa0ba902b7";
let traces = 0;

/** One request of a caller that traces; the spans that it made here. */
async function trace(supervised: Supervised, target: string, body?: string): Promise<readonly Span[]> {
  traces += 1;
  const traceId = `4bf92f3577b34da6a3ce929d0e${String(traces).padStart(6, "0")}`;
  const headers = [
    ["traceparent", `00-${traceId}-${caller}-01`],
    ["X-Forwarded-For", "203.0.113.7"],
  ] as const;
  await supervised.request({ target, headers, ...(body === undefined ? {} : { method: "POST", body }) });
  return await spansOf(supervised, traceId);
}

function own(spans: readonly Span[]): Span {
  const [span, ...more] = spans.filter(({ scope }) => scope === "tsgi");
  if (span === undefined || more.length > 0) throw new Error(`not one span of ours: ${JSON.stringify(spans)}`);
  return span;
}

test("a request has one span in its caller's trace, and the application's spans are below it", async () => {
  const supervised = await start("--trusted-proxies", "127.0.0.1");
  const spans = await trace(supervised, "/hello?a=1", "a body");
  const span = own(spans);
  expect(span).toMatchObject({ name: "POST", kind: 1, parentId: caller, isError: false, exceptions: [] });
  expect(span.attributes).toMatchObject({
    "http.request.method": "POST",
    "http.response.status_code": 200,
    "url.scheme": "http",
    "url.path": "/hello",
    "url.query": "a=1",
    "server.address": "127.0.0.1",
    "server.port": supervised.apache.port,
    "client.address": "203.0.113.7",
    "network.protocol.version": "1.1",
    "tsgi.script": app,
  });
  expect(spans.filter(({ scope }) => scope === "traced")).toMatchObject([
    { name: "in the application", parentId: span.spanId },
  ]);

  const streamed = await trace(supervised, "/stream");
  expect(streamed.map(({ name, parentId }) => [name, parentId])).toEqual([
    ["in the stream", own(streamed).spanId],
    ["GET", caller],
  ]);

  const node = await trace(supervised, "/node", "x".repeat(200_000));
  expect(node.map(({ name, parentId }) => [name, parentId])).toEqual([
    ["after the body", own(node).spanId],
    ["in a timer", own(node).spanId],
    ["POST", caller],
  ]);

  const failed = own(await trace(supervised, "/fail"));
  expect(failed).toMatchObject({ isError: true, exceptions: ["failed on purpose"] });
  expect(failed.attributes).toMatchObject({ "http.response.status_code": 500, "error.type": "TypeError" });
  const unavailable = own(await trace(supervised, "/unavailable"));
  expect(unavailable).toMatchObject({ isError: true, exceptions: [] });
  expect(unavailable.attributes).toMatchObject({ "http.response.status_code": 503, "error.type": "503" });

  // Tracing that fails harms no request, and is told once.
  await supervised.text("/throwing?yes");
  for (let index = 0; index < 3; index += 1) expect(await supervised.text("/hello")).toBe("done");
  await supervised.text("/throwing?no");
  expect([...supervised.log.matchAll(/"code":"TSGI2122"/gu)].length).toBe(1);
  expect(own(await trace(supervised, "/hello")).parentId).toBe(caller);
}, 60_000);

test("--otel off makes no span, and leaves the application's own alone", async () => {
  const supervised = await start("--otel", "off");
  const spans = await trace(supervised, "/hello");
  expect(spans).toEqual([]);
  const all = JSON.parse(await supervised.text("/spans")) as Span[];
  expect(all.map(({ name, scope }) => [name, scope])).toEqual(
    Array.from({ length: all.length }, () => ["in the application", "traced"]),
  );
  expect(all.length).toBeGreaterThan(0);
}, 60_000);
