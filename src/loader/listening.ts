// Waits for a script to listen that has run to its end and exports no application: many begin with something else, such as
// the connection to a database, and listen after it.
// Rules: it waits as long as the script may still do something, up to the deadline of the load. What the process waits for
// is counted by kind before and after; other work of the process can only make it wait longer.
import type { Server } from "node:http";
import type { ListenCapture } from "../adapters/listen-capture.ts";

const pollMs = 20;
/**
 * This many looks in a row without anything to wait for are enough: for a script that exports something, and for one that
 * exports nothing, which is more likely a server. Counting may miss what a script waits for.
 */
const idleLooks = 3;
const idleLooksWithoutExports = 50;

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
  readonly hasExports: boolean;
}

/**
 * The server, which has been told by then that it listens; undefined when the script has nothing left to do, or the deadline
 * has passed.
 */
export async function awaitListen(capture: ListenCapture, limits: WaitLimits): Promise<Server | undefined> {
  const enough = limits.hasExports ? idleLooks : idleLooksWithoutExports;
  for (let idle = 0; capture.server === undefined && idle < enough && performance.now() < limits.deadline;) {
    await Promise.race([capture.captured, pause()]);
    idle = isMore(resourcesInUse(), limits.resourcesBefore) ? 0 : idle + 1;
  }
  if (capture.server !== undefined) await new Promise((resolve) => setImmediate(resolve));
  return capture.server;
}

function pause(): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(resolve, pollMs);
  });
}
