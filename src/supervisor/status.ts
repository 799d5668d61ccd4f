// What a supervisor tells of itself: the answer to GET /status, and how `tsgi status` draws it.
// Rules: everything here is plain data that JSON can carry; names are part of the interface, since monitoring reads them; text
// that came from an application reaches a terminal without control characters.

import type { Figures, Quantiles, RequestRecord } from "../metrics/figures.ts";

export type WorkerState = "booting" | "ready" | "serving" | "retiring" | "draining" | "killed";
export type GroupState = "starting" | "serving" | "unavailable" | "stopping";

export interface WorkerStatus {
  readonly group: string;
  readonly pid: number;
  readonly generation: number;
  readonly state: WorkerState;
  /** Requests that run. */
  readonly busy: number;
  /** Requests that wait for one of `--max-concurrency` places. */
  readonly waiting: number;
  readonly connections: number;
  readonly served: number;
  /** Resident memory in bytes. */
  readonly rss: number;
  /** How late its event loop was at its last pulse, or is now, ms. */
  readonly lagMs: number;
  /** Since it was last heard of, ms: its event loop is blocked when that is much more than the 200 ms between two pulses. */
  readonly silentMs: number;
  readonly ageSeconds: number;
  /** As it was about a second ago, as everything below. */
  readonly heapUsedBytes: number;
  /** How late its event loop was, measured twenty times a second. */
  readonly eventLoopLag: Quantiles;
  readonly figures: Figures;
  /** The 10 slowest requests that ended in the last 15 minutes, the slowest first. */
  readonly slowest: readonly RequestRecord[];
  /** The 10 requests that have been running longest, the longest first. */
  readonly running: readonly RequestRecord[];
}

export interface QueueStatus {
  readonly waiting: number;
  readonly limit: number;
}

export interface BootErrorStatus {
  /** With the file and line, where the error has them. */
  readonly message: string;
  /** When it happened, as ISO 8601. */
  readonly at: string;
  readonly generation: number;
}

export interface GroupStatus {
  readonly name: string;
  /** Its address, as `--listen` takes it. */
  readonly listen: string;
  readonly state: GroupState;
  readonly generation: number;
  /** How many workers it should have. */
  readonly processes: number;
  readonly workers: readonly WorkerStatus[];
  readonly queue: QueueStatus;
  readonly served: number;
  /** Requests that were answered 503 because the queue was full or took too long. */
  readonly shed: number;
  readonly timedOut: number;
  /** Connections that went from one worker to another. */
  readonly handedOver: number;
  /** How many workers were replaced, by cause. */
  readonly restarts: Readonly<Record<string, number>>;
  readonly reloads: { readonly done: number; readonly failed: number };
  readonly lastBootError: BootErrorStatus | null;
  /** Of all workers, with those that are gone, and of what was refused before it came to one. */
  readonly figures: Figures;
  /** The 10 slowest requests that ended in the last 15 minutes, also those of workers that are gone. */
  readonly slowest: readonly RequestRecord[];
}

export interface StatusHead {
  readonly version: string;
  readonly pid: number;
  /** ISO 8601. */
  readonly startedAt: string;
  readonly uptimeSeconds: number;
  readonly state: "running" | "stopping";
}

/** Of all groups together, and each by itself. */
export interface Status extends StatusHead {
  readonly workers: readonly WorkerStatus[];
  readonly queue: QueueStatus;
  readonly served: number;
  readonly shed: number;
  readonly timedOut: number;
  readonly restarts: Readonly<Record<string, number>>;
  /** The latest of all groups. */
  readonly lastBootError: BootErrorStatus | null;
  readonly figures: Figures;
  readonly groups: readonly GroupStatus[];
}

function total(groups: readonly GroupStatus[], count: (group: GroupStatus) => number): number {
  return groups.reduce((sum, group) => sum + count(group), 0);
}

/** Adds the totals to what is known of each group. Quantiles cannot be added, so `figures` are given. */
export function totalStatus(head: StatusHead, groups: readonly GroupStatus[], figures: Figures): Status {
  const restarts: Record<string, number> = {};
  for (const [cause, count] of groups.flatMap((group) => Object.entries(group.restarts))) {
    restarts[cause] = (restarts[cause] ?? 0) + count;
  }
  const bootErrors = groups.flatMap((group) => group.lastBootError ?? []);
  return {
    ...head,
    workers: groups.flatMap((group) => group.workers),
    queue: {
      waiting: total(groups, (group) => group.queue.waiting),
      limit: total(groups, (group) => group.queue.limit),
    },
    served: total(groups, (group) => group.served),
    shed: total(groups, (group) => group.shed),
    timedOut: total(groups, (group) => group.timedOut),
    restarts,
    lastBootError: bootErrors.toSorted((a, b) => Date.parse(a.at) - Date.parse(b.at)).at(-1) ?? null,
    figures,
    groups,
  };
}

/** A time as a person reads it: its two largest units. */
export function formatAge(seconds: number): string {
  const whole = Math.max(0, Math.floor(seconds));
  const units: readonly (readonly [string, number])[] = [
    ["d", Math.floor(whole / 86_400)],
    ["h", Math.floor(whole / 3600) % 24],
    ["m", Math.floor(whole / 60) % 60],
    ["s", whole % 60],
  ];
  const first = units.findIndex(([, count]) => count > 0);
  if (first === -1) return "0s";
  return units
    .slice(first, first + 2)
    .filter(([, count]) => count > 0)
    .map(([unit, count]) => `${count}${unit}`)
    .join("");
}

/** A size as a person reads it. */
export function formatSize(bytes: number): string {
  if (bytes < 2 ** 20) return bytes < 2 ** 10 ? `${bytes}` : `${Math.round(bytes / 2 ** 10)}k`;
  const mebibytes = bytes / 2 ** 20;
  return mebibytes < 10_000 ? `${Math.round(mebibytes)}M` : `${(mebibytes / 2 ** 10).toFixed(1)}G`;
}

/** Text of an application, for a terminal: no control character but the end of a line is left. */
export function printable(text: string): string {
  // oxlint-disable-next-line no-control-regex -- they are what must go
  return text.replace(/[\u0000-\u0009\u000b-\u001f\u007f-\u009f]/g, "?");
}

function lined(rows: readonly (readonly string[])[], isLeft: (column: number) => boolean): string[] {
  const widths = (rows[0] ?? []).map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)));
  return rows.map((row) =>
    row
      .map((cell, column) => (isLeft(column) ? cell.padEnd(widths[column] ?? 0) : cell.padStart(widths[column] ?? 0)))
      .join("  ")
      .trimEnd(),
  );
}

/** A duration as a person reads it: three digits. */
export function formatMs(ms: number): string {
  if (ms >= 60_000) return formatAge(ms / 1000);
  const [value, unit] = ms >= 999.5 ? [ms / 1000, "s"] : [ms, "ms"];
  return `${Number(value.toPrecision(value < 1 ? 2 : 3))}${unit}`;
}

function counted(counts: Readonly<Record<string, number>>): string {
  return Object.entries(counts)
    .filter(([, count]) => count > 0)
    .map(([name, count]) => `${count} ${name}`)
    .join(", ");
}

const shownSlowest = 3;

/** What there is to say of the requests that ended; nothing before there were any. */
function figureLines({ figures, slowest }: GroupStatus): string[] {
  const { responses, failed, bytesIn, bytesOut, applicationMs, queueMs } = figures;
  if (queueMs.count === 0) return [];
  const failures = counted(failed);
  const { p50, p95, p99, max } = applicationMs;
  const times = `p50 ${formatMs(p50)}, p95 ${formatMs(p95)}, p99 ${formatMs(p99)}, max ${formatMs(max)}`;
  const slow = slowest.slice(0, shownSlowest).map((request) => {
    const { elapsedMs, method, path, status, startedAt } = request;
    return `    ${formatMs(elapsedMs)}  ${printable(`${method} ${path}`)}  ${status ?? ""}  ${printable(startedAt)}`;
  });
  return [
    `  answered ${counted(responses) || "0"}, failed ${failures || "0"}, in ${formatSize(bytesIn)}, out ${formatSize(bytesOut)}`,
    `  time in application ${times}; queue p99 ${formatMs(queueMs.p99)}, max ${formatMs(queueMs.max)}`,
    ...(slow.length === 0 ? [] : ["  slowest of the last 15 minutes:", ...slow]),
  ];
}

const workerHead = ["PID", "GEN", "STATE", "BUSY", "WAIT", "CONN", "SERVED", "P95", "RSS", "HEAP", "LAG", "AGE"];
const stateColumn = 2;

/** Of more than four pulses that did not come. */
const blockedMs = 900;

/** The state of a worker, or that it is heard of no more: its event loop is blocked. */
function shownState({ state, silentMs }: WorkerStatus): WorkerState | "blocked" {
  return silentMs > blockedMs && state !== "booting" && state !== "killed" ? "blocked" : state;
}

function workerCells(worker: WorkerStatus): string[] {
  return [
    String(worker.pid),
    String(worker.generation),
    printable(shownState(worker)),
    String(worker.busy),
    String(worker.waiting),
    String(worker.connections),
    String(worker.served),
    formatMs(worker.figures.applicationMs.p95),
    formatSize(worker.rss),
    formatSize(worker.heapUsedBytes),
    `${Math.round(worker.lagMs)}ms`,
    formatAge(worker.ageSeconds),
  ];
}

function groupLines(group: GroupStatus): string[] {
  const { queue, reloads, lastBootError } = group;
  const restarts = Object.entries(group.restarts).filter(([, count]) => count > 0);
  const causes = restarts.map(([cause, count]) => `${count} ${printable(cause)}`).join(", ");
  const lines = [
    `group ${printable(group.name)}: ${group.state} on ${printable(group.listen)}, generation ${group.generation}, queue ${queue.waiting}/${queue.limit}, shed ${group.shed}, restarts ${causes === "" ? "0" : causes}`,
    `  served ${group.served}, timed out ${group.timedOut}, handed over ${group.handedOver}, reloads ${reloads.done} (${reloads.failed} failed)`,
    ...figureLines(group),
  ];
  if (lastBootError !== null) {
    lines.push(`  last boot error, generation ${lastBootError.generation} at ${printable(lastBootError.at)}:`);
    lines.push(
      ...printable(lastBootError.message.trimEnd())
        .split("\n")
        .map((line) => `    ${line}`),
    );
  }
  return [...lines, ...workerTable(group.workers).map((line) => `  ${line}`)];
}

/** A line for each worker below a line of heads. */
export function workerTable(workers: readonly WorkerStatus[]): string[] {
  return lined([workerHead, ...workers.map(workerCells)], (column) => column === stateColumn);
}

function isGroup(value: unknown): value is GroupStatus {
  if (typeof value !== "object" || value === null) return false;
  const { workers, queue, reloads, restarts, figures, slowest } = value as Partial<Record<keyof GroupStatus, unknown>>;
  const parts = [queue, reloads, restarts, figures];
  return (
    Array.isArray(workers) &&
    Array.isArray(slowest) &&
    parts.every((part) => typeof part === "object" && part !== null) &&
    workers.every((worker: Partial<WorkerStatus> | null) => typeof worker?.figures === "object")
  );
}

/** Whether an answer has the shape that can be drawn: a daemon of another version may say something else. */
export function isStatus(value: unknown): value is Status {
  if (typeof value !== "object" || value === null || !("groups" in value)) return false;
  return "version" in value && Array.isArray(value.groups) && value.groups.every((group) => isGroup(group));
}

/** The table of `tsgi status`, with a line feed at its end. */
export function drawStatus(status: Status): string {
  const head = `tsgi ${printable(status.version)}: ${status.state}, pid ${status.pid}, up ${formatAge(status.uptimeSeconds)} since ${printable(status.startedAt)}`;
  return `${[head, ...status.groups.flatMap((group) => ["", ...groupLines(group)])].join("\n")}\n`;
}
