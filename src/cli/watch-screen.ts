// What `tsgi status --watch` shows, as lines of text that fit into a terminal. Pure.
// Rules: no line is wider than the screen and none is below it; text of an application has no control characters, nor any
// that takes two columns; what is least needed comes last, since it is cut off first.

import type { RequestRecord } from "../metrics/figures.ts";
import type { Sample } from "../supervisor/status-page/history.ts";
import type { GroupStatus, Status } from "../supervisor/status.ts";
import { formatAge, formatMs, formatSize, printable, workerTable } from "../supervisor/status.ts";

export interface Shown {
  readonly status: Status;
  /** The oldest first. */
  readonly samples: readonly Sample[];
  /** Requests per second, of the last seconds. */
  readonly rate: number;
  /** What there is to say beside: that a reload runs, or nobody answers. */
  readonly message: string;
}

export interface Terminal {
  readonly columns: number;
  readonly rows: number;
  /** Whether it shows the block elements of Unicode. */
  readonly hasBlocks: boolean;
}

const blockBars = "\u2581\u2582\u2583\u2584\u2585\u2586\u2587\u2588";
const asciiBars = "_.-:=+*#";
const maxRequests = 5;
/** Workers report once a second, so what runs for a shorter time may have ended. */
const shownMs = 1000;

function clip(text: string, columns: number): string {
  return text.length <= columns ? text : `${text.slice(0, Math.max(0, columns - 1))}~`;
}

/** Text of a request: one column for each character, whatever it was. */
function plain(text: string): string {
  return printable(text).replace(/[^ -~\u00a1-\u02af]/gu, "?");
}

/** The latest values as bars, one for each column; a value that is not known is a blank. */
export function sparkline(
  values: readonly (number | null)[],
  { columns, hasBlocks }: Pick<Terminal, "columns" | "hasBlocks">,
): string {
  const bars = hasBlocks ? blockBars : asciiBars;
  const perColumn = Math.max(1, Math.ceil(values.length / Math.max(1, columns)));
  const columnsUsed = Math.ceil(values.length / perColumn);
  const highest = Array.from({ length: columnsUsed }, (_, index) => {
    const end = values.length - (columnsUsed - 1 - index) * perColumn;
    const known = values.slice(Math.max(0, end - perColumn), end).filter((value) => value !== null);
    return known.length === 0 ? null : Math.max(...known);
  });
  const top = Math.max(...highest.map((value) => value ?? 0), Number.MIN_VALUE);
  const bar = (value: number): string =>
    bars.charAt(Math.min(bars.length - 1, Math.floor((value / top) * bars.length)));
  return highest.map((value) => (value === null ? " " : bar(value))).join("");
}

function formatRate(rate: number): string {
  return `${rate > 0 && rate < 10 ? rate.toFixed(1) : Math.round(rate)}/s`;
}

function course({ status, samples, rate }: Shown, { columns, hasBlocks }: Terminal): string[] {
  const last = samples.at(-1);
  const memory = status.workers.reduce((sum, { rss }) => sum + rss, 0);
  const rows: readonly (readonly [name: string, now: string, values: readonly (number | null)[]])[] = [
    ["rate", formatRate(rate), samples.map((sample) => sample.rate)],
    ["p95", last === undefined || last.p95 === null ? "-" : formatMs(last.p95), samples.map(({ p95 }) => p95)],
    ["errors", formatRate(last?.errorRate ?? 0), samples.map(({ errorRate }) => errorRate)],
    ["memory", formatSize(memory), samples.map(({ rssBytes }) => rssBytes)],
  ];
  return rows.map(([name, now, values]) => {
    const head = `${name.padEnd(7)}${now.padStart(8)}  `;
    return head + sparkline(values, { columns: columns - head.length, hasBlocks });
  });
}

function groupLine(group: GroupStatus): string {
  const { name, state, generation, workers, processes, queue, shed, timedOut, restarts } = group;
  const restarted = Object.values(restarts).reduce((sum, count) => sum + count, 0);
  const counts = `queue ${queue.waiting}/${queue.limit}, shed ${shed}, restarts ${restarted}, timed out ${timedOut}`;
  return `${plain(name)}: ${state}, gen ${generation}, ${workers.length}/${processes} workers, ${counts}`;
}

function requestLines({ elapsedMs, method, path, status, where }: RequestRecord): string[] {
  const answered = status === null ? "" : `${status || "none"}  `;
  const line = `${formatMs(elapsedMs).padStart(7)}  ${answered}${plain(method)} ${plain(path)}`;
  return where?.[0] === undefined ? [line] : [line, `         in ${plain(where[0])}`];
}

function requests(title: string, records: readonly RequestRecord[]): string[] {
  const longest = records.toSorted((a, b) => b.elapsedMs - a.elapsedMs).slice(0, maxRequests);
  return longest.length === 0 ? [] : ["", title, ...longest.flatMap(requestLines)];
}

function bootError({ lastBootError }: Status): string[] {
  if (lastBootError === null) return [];
  const [first = ""] = lastBootError.message.split("\n");
  return [`last boot error, generation ${lastBootError.generation}: ${plain(first)}`];
}

/** The lines of the screen. */
export function drawScreen(shown: Shown, terminal: Terminal): string[] {
  const { columns, rows } = terminal;
  const { status, message } = shown;
  const head = `tsgi ${plain(status.version)}: ${status.state}, pid ${status.pid}, up ${formatAge(status.uptimeSeconds)}, served ${status.served}`;
  const lines = [
    head,
    "",
    ...course(shown, terminal),
    "",
    ...status.groups.flatMap((group) => [groupLine(group), ...workerTable(group.workers)]),
    ...bootError(status),
    ...requests(
      "longest running",
      status.workers.flatMap(({ running }) => running).filter(({ elapsedMs }) => elapsedMs >= shownMs),
    ),
    ...requests(
      "slowest of the last 15 minutes",
      status.groups.flatMap(({ slowest }) => slowest),
    ),
  ];
  const foot = `q quit   r reload   ${message}`;
  const shownLines = lines.slice(0, Math.max(0, rows - 2));
  const gap = Array.from({ length: Math.max(0, rows - 1 - shownLines.length) }, () => "");
  return [...shownLines, ...gap, foot].map((line) => clip(line, columns)).slice(-rows);
}
