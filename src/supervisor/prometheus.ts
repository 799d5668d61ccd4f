// The figures as text for Prometheus: `GET /metrics` on the control socket.
// Rules: names follow Prometheus' conventions (base units, `_total` for what only grows); the number of series is bounded:
// a process number is a label of what only makes sense for one process, scripts are told apart up to a limit; made of the
// supervisor's own state alone. Source: Prometheus text exposition format 0.0.4.

import type { Metric } from "prom-client";
import { failureKinds, responseClasses } from "../metrics/figures.ts";
import type { Histogram } from "../metrics/histogram.ts";
import type { ScriptTally, Tally } from "../metrics/tally.ts";
import type { GroupStatus, Status, WorkerStatus } from "./status.ts";

/** A group's status, and the counts that it was made of. */
export interface MeasuredGroup {
  readonly status: GroupStatus;
  readonly tally: Tally;
  readonly lag: Histogram;
}

/** Seconds; all of them are bounds of our own buckets, so the counts are exact. */
const bounds = [0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30, 60];

type Labels = Readonly<Record<string, string | number>>;

interface Sample {
  readonly value: number;
  readonly labels: Labels;
  /** Where it is not the family's own. */
  readonly metricName?: string;
}

interface Family {
  readonly name: string;
  readonly type: "counter" | "gauge" | "histogram";
  readonly help: string;
  readonly values: readonly Sample[];
}

function histogramSamples(name: string, labels: Labels, histogram: Histogram): Sample[] {
  const buckets = bounds.map((le) => ({
    metricName: `${name}_bucket`,
    value: histogram.countUpTo(le * 1000),
    labels: { ...labels, le },
  }));
  return [
    ...buckets,
    { metricName: `${name}_bucket`, value: histogram.count, labels: { ...labels, le: "+Inf" } },
    { metricName: `${name}_sum`, value: histogram.sumMs / 1000, labels },
    { metricName: `${name}_count`, value: histogram.count, labels },
  ];
}

/** Families of which each group has values. */
class GroupFamilies {
  readonly #groups: readonly MeasuredGroup[];

  constructor(groups: readonly MeasuredGroup[]) {
    this.#groups = groups;
  }

  counter(name: string, help: string, read: (group: MeasuredGroup) => readonly Sample[] | number): Family {
    return this.#family("counter", name, help, read);
  }

  gauge(name: string, help: string, read: (group: MeasuredGroup) => readonly Sample[] | number): Family {
    return this.#family("gauge", name, help, read);
  }

  histogram(name: string, help: string, read: (group: MeasuredGroup) => Histogram): Family {
    const values = this.#groups.flatMap((group) => histogramSamples(name, { group: group.status.name }, read(group)));
    return { name, type: "histogram", help, values };
  }

  worker(name: string, help: string, read: (worker: WorkerStatus) => number): Family {
    return this.gauge(name, help, ({ status }) =>
      status.workers.map((worker) => ({ value: read(worker), labels: { pid: worker.pid } })),
    );
  }

  #family(
    type: Family["type"],
    name: string,
    help: string,
    read: (group: MeasuredGroup) => readonly Sample[] | number,
  ): Family {
    const values = this.#groups.flatMap((group) => {
      const found = read(group);
      const samples = typeof found === "number" ? [{ value: found, labels: {} }] : found;
      return samples.map(({ value, labels }) => ({ value, labels: { group: group.status.name, ...labels } }));
    });
    return { name, type, help, values };
  }
}

function requestFamilies(of: GroupFamilies): Family[] {
  return [
    of.counter("tsgi_requests_total", "Requests that ended, well or not.", ({ tally }) => tally.queue.count),
    of.counter("tsgi_responses_total", "Requests that ended, by class of their status.", ({ status }) =>
      responseClasses.map((code) => ({ value: status.figures.responses[code], labels: { code } })),
    ),
    of.counter(
      "tsgi_requests_failed_total",
      "Requests that ended otherwise than well: the application failed, the client went away, out of time, malformed.",
      ({ status }) =>
        failureKinds.map((kind) => ({
          value: status.figures.failed[kind],
          labels: { kind: kind === "timedOut" ? "timed_out" : kind },
        })),
    ),
    of.counter(
      "tsgi_requests_shed_total",
      "Requests that were answered 503 for want of room.",
      ({ status }) => status.shed,
    ),
    of.counter("tsgi_request_body_bytes_total", "Bytes of request bodies.", ({ status }) => status.figures.bytesIn),
    of.counter("tsgi_response_body_bytes_total", "Bytes of response bodies.", ({ status }) => status.figures.bytesOut),
    of.histogram(
      "tsgi_request_duration_seconds",
      "Time from the call of the application to the end of its response.",
      ({ tally }) => tally.application,
    ),
    of.histogram("tsgi_request_queue_seconds", "Time that a request waited for its turn.", ({ tally }) => tally.queue),
  ];
}

function scriptSamples({ tally }: MeasuredGroup, read: (counts: ScriptTally) => number): Sample[] {
  return [...tally.scripts].map(([script, counts]) => ({ value: read(counts), labels: { script } }));
}

function applicationFamilies(of: GroupFamilies): Family[] {
  return [
    of.counter("tsgi_application_requests_total", "Requests by application.", (group) =>
      scriptSamples(group, ({ requests }) => requests),
    ),
    of.counter("tsgi_application_errors_total", "Requests answered 5xx or failed otherwise, by application.", (group) =>
      scriptSamples(group, ({ errors }) => errors),
    ),
    of.counter("tsgi_application_seconds_total", "Time that requests took in an application.", (group) =>
      scriptSamples(group, ({ application }) => application.sumMs / 1000),
    ),
  ];
}

const states: readonly WorkerStatus["state"][] = ["booting", "ready", "serving", "retiring", "draining", "killed"];

function processFamilies(of: GroupFamilies): Family[] {
  const sum = ({ status }: MeasuredGroup, count: (worker: WorkerStatus) => number): number =>
    status.workers.reduce((total, worker) => total + count(worker), 0);
  return [
    of.gauge("tsgi_workers", "Worker processes by state.", ({ status }) =>
      states.map((state) => ({
        value: status.workers.filter((worker) => worker.state === state).length,
        labels: { state },
      })),
    ),
    of.gauge("tsgi_workers_configured", "How many workers there should be.", ({ status }) => status.processes),
    of.gauge("tsgi_generation", "The generation that serves.", ({ status }) => status.generation),
    of.gauge("tsgi_requests_running", "Requests that run.", (group) => sum(group, ({ busy }) => busy)),
    of.gauge("tsgi_requests_waiting", "Requests that wait for a turn.", ({ status }) => status.queue.waiting),
    of.gauge("tsgi_connections", "FastCGI connections.", (group) => sum(group, ({ connections }) => connections)),
    of.counter(
      "tsgi_connections_handed_over_total",
      "Connections that went from one worker to another.",
      ({ status }) => status.handedOver,
    ),
    of.counter("tsgi_worker_restarts_total", "Workers that ended, by cause.", ({ status }) =>
      Object.entries(status.restarts).map(([cause, value]) => ({ value, labels: { cause } })),
    ),
    of.counter("tsgi_reloads_total", "Reloads by outcome.", ({ status: { reloads } }) =>
      (["done", "failed"] as const).map((outcome) => ({ value: reloads[outcome], labels: { outcome } })),
    ),
    of.histogram("tsgi_event_loop_lag_seconds", "How late the event loops of workers were.", ({ lag }) => lag),
    of.worker("tsgi_worker_resident_memory_bytes", "Resident memory of a worker.", ({ rss }) => rss),
    of.worker("tsgi_worker_heap_used_bytes", "JavaScript heap that a worker uses.", (worker) => worker.heapUsedBytes),
    of.worker("tsgi_worker_requests_running", "Requests that run in a worker.", ({ busy }) => busy),
    of.worker("tsgi_worker_age_seconds", "How long a worker has been there.", ({ ageSeconds }) => ageSeconds),
  ];
}

function daemonFamilies({ version, startedAt }: Status): Family[] {
  const gauge = (name: string, help: string, sample: Sample): Family => ({
    name,
    type: "gauge",
    help,
    values: [sample],
  });
  return [
    gauge("tsgi_build_info", "Which tsgi this is.", { value: 1, labels: { version } }),
    gauge("tsgi_start_time_seconds", "When the daemon started, in seconds since 1970.", {
      value: Date.parse(startedAt) / 1000,
      labels: {},
    }),
  ];
}

/** The whole text. prom-client is loaded by the first who asks. */
export async function prometheusText(status: Status, groups: readonly MeasuredGroup[]): Promise<string> {
  const { Registry } = await import("prom-client");
  const registry = new Registry();
  const of = new GroupFamilies(groups);
  const families = [
    ...daemonFamilies(status),
    ...requestFamilies(of),
    ...applicationFamilies(of),
    ...processFamilies(of),
  ];
  for (const family of families) {
    // The classes of prom-client count themselves; what the registry needs of one is this.
    const metric = { name: family.name, get: () => Promise.resolve(family) };
    registry.registerMetric(metric as unknown as Metric);
  }
  return await registry.metrics();
}
