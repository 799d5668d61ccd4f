// Figures: what was asked is counted exactly, in /status and /metrics alike, whatever happens to the workers; and they are
// there when every worker is blocked.
import { afterAll, beforeAll, expect, test } from "vitest";
import { Gate } from "../../harness/held.ts";
import { HttpConnection } from "../../harness/http.ts";
import { readPrometheus, valueOf, type MetricFamily } from "../../harness/prometheus.ts";
import { askControl, Supervised, brokenBackend } from "../../harness/supervised.ts";
import { until } from "../../harness/until.ts";
import { Workspace } from "../../harness/workspace.ts";
import type { Status, WorkerStatus } from "../../../src/supervisor/status.ts";
import { drawStatus, isStatus } from "../../../src/supervisor/status.ts";

let workspace: Workspace;

beforeAll(async () => {
  workspace = await Workspace.open();
}, 60_000);

afterAll(() => workspace.close(), 60_000);

async function statusOf(supervised: Supervised): Promise<Status> {
  const { status, body } = await askControl(supervised.control, "GET", "/status");
  expect(status).toBe(200);
  const value: unknown = JSON.parse(body);
  if (!isStatus(value)) throw new Error(`no status: ${body}`);
  return value;
}

async function metricsOf(supervised: Supervised): Promise<ReadonlyMap<string, MetricFamily>> {
  const { status, body } = await askControl(supervised.control, "GET", "/metrics");
  expect(status).toBe(200);
  return readPrometheus(body);
}

/** The status when as many requests are counted as should be; throws with it when more are. */
async function counted(supervised: Supervised, requests: number): Promise<Status> {
  let last: Status | undefined;
  return await until(`${requests} requests to be counted`, async () => {
    last = await statusOf(supervised);
    return last.figures.queueMs.count >= requests && last;
  }).catch((error: unknown) => {
    throw new Error(`${String(error)}: ${JSON.stringify(last?.figures)}`, { cause: error });
  });
}

/** That both tell the same, for everything that both tell. */
async function agree(supervised: Supervised, { figures, restarts, groups }: Status): Promise<void> {
  const metrics = await metricsOf(supervised);
  const of = (name: string, labels: Record<string, string> = {}): number => valueOf(metrics, name, labels);
  for (const [code, count] of Object.entries(figures.responses)) {
    expect(of("tsgi_responses_total", { code }), code).toBe(count);
  }
  const { application, aborted, timedOut, protocol } = figures.failed;
  for (const [kind, count] of Object.entries({ application, aborted, timed_out: timedOut, protocol })) {
    expect(of("tsgi_requests_failed_total", { kind }), kind).toBe(count);
  }
  expect(of("tsgi_requests_total")).toBe(figures.queueMs.count);
  expect(of("tsgi_request_body_bytes_total")).toBe(figures.bytesIn);
  expect(of("tsgi_response_body_bytes_total")).toBe(figures.bytesOut);
  expect(of("tsgi_request_duration_seconds_count")).toBe(figures.applicationMs.count);
  expect(of("tsgi_request_queue_seconds_count")).toBe(figures.queueMs.count);
  for (const [cause, count] of Object.entries(restarts))
    expect(of("tsgi_worker_restarts_total", { cause })).toBe(count);
  for (const { script, requests, errors } of figures.applications) {
    expect(of("tsgi_application_requests_total", { script })).toBe(requests);
    expect(of("tsgi_application_errors_total", { script })).toBe(errors);
  }
  expect(of("tsgi_reloads_total", { outcome: "done" })).toBe(groups[0]?.reloads.done);
}

/** A client that goes away in the middle of its request. */
async function abort(supervised: Supervised): Promise<void> {
  const connection = await HttpConnection.open(supervised.apache.port, { deadlineMs: 45_000 });
  supervised.expectClients(1);
  await connection.sendRequest({ target: "/stream-until-abort?1" });
  expect((await connection.readHead()).status).toBe(200);
  connection.destroy();
  await supervised.logged(/app: stream-until-abort 1 over/u);
}

test("known requests are counted exactly, also after a reload and after a worker was killed", async () => {
  const supervised = await Supervised.start(workspace, {
    app: workspace.app("supervised.ts"),
    args: ["--request-timeout", "6s"],
    expectLog: [...brokenBackend, /thrown early on purpose/u],
  });
  const before = await counted(supervised, 1); // of the harness, as it waits for Apache
  const first = before.figures;
  const late = supervised.request("/never?1");
  for (let index = 0; index < 5; index += 1) expect(await supervised.text("/hello?secret=1")).toBe("hello");
  expect((await supervised.request("/nothing")).status).toBe(404);
  expect((await supervised.request("/throw-early")).status).toBe(500);
  const upload = { method: "POST", target: "/size", body: Buffer.alloc(300_000) };
  expect((await supervised.request(upload)).body.toString()).toBe("300000");
  expect((await supervised.request("/download?200000")).body.length).toBe(200_000);
  await abort(supervised);
  const gate = new Gate(supervised);
  const slow = supervised.request(`/file?${gate.path}`);
  await supervised.logged(/app: waiting in \d+/u);
  const busy = await until("the running request", async () => {
    const found = (await statusOf(supervised)).workers.flatMap(({ running }) => running);
    return found.some(({ path }) => path === "/file") && found;
  });
  expect(busy.find(({ path }) => path === "/file")).toMatchObject({ method: "GET", status: null });
  await gate.open();
  expect((await slow).status).toBe(200);
  expect((await late).status).toBe(504);

  const status = await counted(supervised, first.queueMs.count + 12);
  const { figures } = status;
  const more = (code: "2xx" | "4xx" | "5xx"): number => figures.responses[code] - first.responses[code];
  expect([more("2xx"), more("4xx"), more("5xx")]).toEqual([9, 1, 2]);
  expect(figures.failed).toEqual({ application: 1, aborted: 1, timedOut: 1, protocol: 0 });
  expect(figures.queueMs.count - first.queueMs.count).toBe(12);
  expect(figures.applicationMs.count - first.applicationMs.count).toBe(12);
  expect(figures.bytesIn - first.bytesIn).toBe(300_000);
  expect(figures.bytesOut - first.bytesOut).toBeGreaterThan(200_000);
  const [application] = figures.applications;
  expect(figures.applications.length).toBe(1);
  expect(application).toMatchObject({ script: workspace.app("supervised.ts"), errors: 2 });
  expect(status.groups[0]?.slowest[0]).toMatchObject({ path: "/never", status: 504 });
  expect(JSON.stringify(status)).not.toContain("secret");
  await agree(supervised, status);
  expect(drawStatus(status)).toMatch(/failed 1 application, 1 aborted, 1 timedOut, in 293k, out 19\dk\n {2}time in/u);

  // Workers that are gone have been counted.
  await supervised.reload();
  await supervised.serving();
  expect((await statusOf(supervised)).figures).toEqual(figures);
  expect(await supervised.text("/hello")).toBe("hello");
  const load = supervised.load({ clients: 8, requests: 400 });
  await load.more(50);
  await supervised.reload();
  await load.finished();
  await supervised.serving();
  const reloaded = await counted(supervised, figures.queueMs.count + 401);
  expect(reloaded.figures.queueMs.count).toBe(figures.queueMs.count + 401);
  expect(reloaded.figures.responses["2xx"]).toBe(figures.responses["2xx"] + 401);
  expect(reloaded.figures.failed).toEqual(figures.failed);
  const [victim] = supervised.workers();
  if (victim !== undefined) process.kill(victim, "SIGKILL");
  await until("another worker in its place", async () => {
    const workers = await supervised.serving();
    return workers.every(({ pid }) => pid !== victim);
  });
  const killed = await statusOf(supervised);
  expect(killed.figures).toEqual(reloaded.figures);
  expect(killed.restarts).toEqual({ reload: 4, signal: 1 });
  expect(killed.groups[0]?.slowest[0]).toMatchObject({ path: "/never", status: 504 });
  await agree(supervised, killed);
}, 120_000);

test("the answer is there when every worker is blocked, with what runs in each", async () => {
  const supervised = await Supervised.start(workspace, {
    app: workspace.app("supervised.ts"),
    expectLog: brokenBackend,
  });
  const gates = [new Gate(supervised), new Gate(supervised)];
  const blocked: Promise<unknown>[] = [];
  const pids = (): Set<string> =>
    new Set([...supervised.log.matchAll(/app: block in (\d+)/gu)].map(([, pid = ""]) => pid));
  // Until both have one: Apache's connections are spread as they come.
  await until("both workers to be blocked", async () => {
    if (blocked.length < 2 + 4) blocked.push(supervised.request(`/block-file?${gates[0]?.path}`));
    await new Promise((resolve) => setImmediate(resolve));
    return pids().size === 2;
  });
  const status = await statusOf(supervised);
  expect(status.workers.length).toBe(2);
  const metrics = await metricsOf(supervised);
  expect(valueOf(metrics, "tsgi_workers", { state: "serving" })).toBe(2);
  await gates[0]?.open();
  await Promise.all(blocked);
  const after: readonly WorkerStatus[] = await until("the lag to be told", async () => {
    const { workers } = await statusOf(supervised);
    return workers.every(({ heapUsedBytes, eventLoopLag }) => heapUsedBytes > 0 && eventLoopLag.max > 0) && workers;
  });
  for (const { eventLoopLag, heapUsedBytes, rss } of after) {
    expect(eventLoopLag.count).toBeGreaterThan(0);
    expect(heapUsedBytes).toBeLessThan(rss);
  }
}, 60_000);

test("a program hears of its own requests; one that lies about them harms nobody", async () => {
  const supervised = await Supervised.start(workspace, {
    app: workspace.app("observed.ts"),
    processes: 1,
    expectLog: [...brokenBackend, /failed on purpose/u],
  });
  await supervised.text("/heard"); // what Apache's start has made
  await supervised.text("/hello?a=1");
  await supervised.request("/fail");
  expect(await supervised.text("/replaced")).toBe("in its place");
  await supervised.request({ method: "POST", target: "/size", body: "12345" });
  const heard = JSON.parse(await supervised.text("/heard")) as { event: string; path: string }[];
  const of = (path: string): unknown[] => heard.filter((each) => each.path === path);
  expect(of("/hello?a=1")).toEqual([
    { event: "requestStarted", method: "GET", path: "/hello?a=1", script: "observed.ts", query: "a=1" },
    { event: "responseStarted", path: "/hello?a=1", status: 200, names: ["Content-Type", "Content-Length"] },
    {
      event: "requestFinished",
      path: "/hello?a=1",
      status: 200,
      failure: null,
      bytesIn: 0,
      bytesOut: 5,
      isTimed: true,
    },
  ]);
  expect(of("/fail")).toMatchObject([
    { event: "requestStarted" },
    { event: "requestException", message: "Error: failed on purpose", wasHeadSent: false },
    { event: "responseStarted", status: 500 },
    { event: "requestFinished", status: 500, failure: "application", isTimed: true },
  ]);
  expect(of("/size").at(-1)).toMatchObject({ event: "requestFinished", status: 200, bytesIn: 5, bytesOut: 1 });
  expect([...supervised.log.matchAll(/"code":"TSGI2121"/gu)].length).toBe(1);

  const own = JSON.parse(await supervised.text("/metrics")) as Record<string, unknown>;
  expect(own).toMatchObject({ activeRequests: 1, isHere: true, group: "default", running: [{ path: "/metrics" }] });
  const interval = JSON.parse(await supervised.text("/interval")) as { requests: number };
  expect(interval.requests).toBeGreaterThanOrEqual(7);
  const next = JSON.parse(await supervised.text("/interval")) as { requests: number };
  expect(next.requests).toBe(1);
  await supervised.text("/forget");
  await supervised.text("/heard");
  await supervised.text("/hello");
  expect(await supervised.text("/heard")).not.toContain("requestFinished");

  await supervised.text("/lie");
  const status = await until("the lies to come in", async () => {
    const found = await statusOf(supervised);
    return found.figures.applications.some(({ script }) => script === "script 1") && found;
  });
  expect(status.figures.applications.length).toBe(51);
  expect(status.figures.applications.every(({ script }) => script.length <= 1024)).toBe(true);
  // oxlint-disable-next-line no-control-regex -- it must not reach a terminal
  expect(drawStatus(status)).not.toMatch(/\u001b/u);
  await metricsOf(supervised);
  expect(await supervised.text("/hello")).toBe("hello");
  await supervised.reload();
  await supervised.logged(/app: stopping because of reload/u);
}, 60_000);
