import { expect, test } from "vitest";
import { Histogram } from "../../../src/metrics/histogram.ts";
import { Tally } from "../../../src/metrics/tally.ts";
import { prometheusText } from "../../../src/supervisor/prometheus.ts";
import { readPrometheus, valueOf } from "../../harness/prometheus.ts";
import { sampleGroup, sampleStatus } from "./sample-status.ts";

function measured(name: string, scripts: readonly string[]): Parameters<typeof prometheusText>[1][number] {
  const tally = new Tally();
  const ended = { status: 500, failure: "timedOut", bytesIn: 3, bytesOut: 4, queuedMs: 0 } as const;
  for (const [index, script] of scripts.entries()) tally.count({ ...ended, script }, index);
  const lag = new Histogram();
  lag.record(1.5);
  return { status: sampleGroup({ name, figures: tally.figures() }), tally, lag };
}

test("is what Prometheus reads, whatever a group, a script or a cause is called", async () => {
  const nasty = ['/srv/a"b\\c\nd.ts', "{}=,", 'x="1"', "# HELP", "", "é😀", "\\n", "constructor", "__proto__"];
  const groups = [measured("default", nasty), measured("shop", [])];
  const families = readPrometheus(await prometheusText(sampleStatus(groups.map(({ status }) => status)), groups));
  const scripts = families.get("tsgi_application_requests_total")?.samples.map(({ labels }) => labels["script"]);
  expect(scripts).toEqual(nasty.filter((script) => script !== ""));
  expect(valueOf(families, "tsgi_worker_restarts_total", { group: "default", cause: "out of memory" })).toBe(2);
  expect(valueOf(families, "tsgi_requests_failed_total", { group: "default", kind: "timed_out" })).toBe(nasty.length);
  expect(valueOf(families, "tsgi_requests_total", { group: "shop" })).toBe(0);
  expect(valueOf(families, "tsgi_workers", { group: "shop", state: "draining" })).toBe(1);
  expect(valueOf(families, "tsgi_build_info", { version: "1.2.3" })).toBe(1);
  for (const { name, help } of families.values()) {
    expect(name).toMatch(/^tsgi_[a-z_]+$/u);
    expect(help).toMatch(/^[A-Z].*\.$/u);
  }
});

test("has the seconds of histograms, counted exactly at each bound", async () => {
  const group = measured("default", ["/a", "/b", "/c", "/d"]); // which took 0, 1, 2 and 3 ms
  const families = readPrometheus(await prometheusText(sampleStatus([group.status]), [group]));
  const name = "tsgi_request_duration_seconds";
  const buckets = families.get(name)?.samples.filter((sample) => sample.name === `${name}_bucket`) ?? [];
  expect(buckets.slice(0, 4).map(({ labels, value }) => [labels["le"], value])).toEqual([
    ["0.0005", 1],
    ["0.001", 2],
    ["0.002", 3],
    ["0.005", 4],
  ]);
  expect(valueOf(families, `${name}_sum`)).toBeCloseTo(0.006, 9);
});

test("only what makes sense for one process has its number, so that series do not grow without end", async () => {
  const group = measured("default", ["/a"]);
  const families = readPrometheus(await prometheusText(sampleStatus([group.status]), [group]));
  const withPid = [...families.values()].filter(({ samples }) => samples.some(({ labels }) => "pid" in labels));
  expect(withPid.map(({ name, type }) => [name.startsWith("tsgi_worker_"), type])).toEqual(
    withPid.map(() => [true, "gauge"]),
  );
  expect(withPid.length).toBeGreaterThan(0);
});
