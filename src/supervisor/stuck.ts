// What a worker's watchdog tells the supervisor while the worker's event loop is blocked: over a pipe of its own, since the
// channel belongs to the thread that is blocked.
// Rules: a report is a line of JSON; what comes is checked, as everything that a worker sends; a line that is too long, or is
// no report, is left out.

import type { Readable } from "node:stream";
import type { RequestRecord } from "../metrics/figures.ts";
import { readRecord } from "../metrics/report.ts";
import { shownRequests } from "../metrics/slowest.ts";

export interface StuckReport {
  readonly type: "stuck";
  /** The longest running requests, when the stack was taken. */
  readonly requests: readonly RequestRecord[];
  /** Innermost call first; one line that says so where no JavaScript runs. */
  readonly stack: readonly string[];
}

/** The descriptor of the pipe in a worker: the one behind standard input, output, error and the channel. */
export const stuckFd = 4;

const maxLineLength = 256 * 2 ** 10;
const maxFrames = 50;
const maxFrameLength = 1024;

function read(line: string): StuckReport | undefined {
  let value: unknown;
  try {
    value = JSON.parse(line);
  } catch {
    return undefined;
  }
  if (typeof value !== "object" || value === null) return undefined;
  const { type, requests, stack }: Partial<Record<keyof StuckReport, unknown>> = value;
  if (type !== "stuck" || !Array.isArray(requests) || !Array.isArray(stack)) return undefined;
  const lines = stack.slice(0, maxFrames).filter((frame): frame is string => typeof frame === "string");
  return {
    type,
    requests: requests.slice(0, shownRequests).map(readRecord),
    stack: lines.map((frame) => frame.slice(0, maxFrameLength)),
  };
}

/** Calls back with each report that comes. */
export function onStuckReport(stream: Readable, receive: (report: StuckReport) => void): void {
  let text = "";
  stream.setEncoding("utf8");
  stream.on("error", () => {}); // the worker's end tells the same
  stream.on("data", (chunk: string) => {
    const lines = (text + chunk).split("\n");
    text = (lines.pop() ?? "").slice(0, maxLineLength);
    for (const line of lines) {
      const report = read(line);
      if (report !== undefined) receive(report);
    }
  });
}

/**
 * The requests of a report as they are `sinceMs` later, each with the stack that all of them are in. Where the report has
 * none, those that the worker itself has told of before are meant.
 */
export function stuckRequests(
  { requests, stack }: StuckReport,
  sinceMs: number,
  told: readonly RequestRecord[],
): RequestRecord[] {
  const later = (record: RequestRecord): RequestRecord => ({
    ...record,
    elapsedMs: record.elapsedMs + sinceMs,
    where: stack,
  });
  if (requests.length > 0) return requests.map(later);
  return told.map((record): RequestRecord => Object.assign({ where: stack }, record));
}
