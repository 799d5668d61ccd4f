// Waits for a script to listen that has run to its end and exports no application: many begin with something else, such as
// the connection to a database, and listen after it.
// Rules: it waits as long as the script may still do something, up to the deadline of the load. What the process waits for
// is counted by kind before and after; other work of the process can only make it wait longer.
import type { Server } from "node:http";
import type { ListenCapture } from "../adapters/listen-capture.ts";

const pollMs = 20;
/** This many looks in a row without anything to wait for are enough. */
const idleLooks = 3;

/** What keeps the process from ending, counted by kind. */
export function resourcesInUse(): ReadonlyMap<string, number> {
  const counts = new Map<string, number>();
  for (const kind of process.getActiveResourcesInfo()) counts.set(kind, (counts.get(kind) ?? 0) + 1);
  return counts;
}

function isMore(now: ReadonlyMap<string, number>, before: ReadonlyMap<string, number>): boolean {
  for (const [kind, count] of now) if (count > (before.get(kind) ?? 0)) return true;
  return false;
}

export interface WaitLimits {
  /** By performance.now(). */
  readonly deadline: number;
  readonly resourcesBefore: ReadonlyMap<string, number>;
}

/** The server; undefined when the script has nothing left to do, or the deadline has passed. */
export async function awaitListen(capture: ListenCapture, limits: WaitLimits): Promise<Server | undefined> {
  for (let idle = 0; idle < idleLooks && performance.now() < limits.deadline;) {
    if (capture.server !== undefined) return capture.server;
    await Promise.race([capture.captured, pause()]);
    idle = isMore(resourcesInUse(), limits.resourcesBefore) ? 0 : idle + 1;
  }
  return capture.server;
}

function pause(): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(resolve, pollMs);
  });
}
