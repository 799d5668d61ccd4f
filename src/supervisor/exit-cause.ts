// Why a worker's process ended, told from what is known of it.
// Rules: a cause that we gave ourselves goes first; SIGABRT is how Node ends when its heap is full; SIGKILL by others is
// the system's out-of-memory killer when its counter has grown.

import type { RestartCause } from "./plan.ts";

export interface ExitFacts {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  /** Why we ended it; undefined when we did not. */
  readonly intended: RestartCause | undefined;
  /** Whether it had loaded the application. */
  readonly hasBooted: boolean;
  /** It reported an error outside any request before. */
  readonly failure: string | undefined;
  /** Node's own report says that the heap was full. */
  readonly isHeapFull: boolean;
  /** The kernel has killed a process of our control group for memory since this one started. */
  readonly wasOomKilled: boolean;
}

export interface ExitCause {
  readonly cause: RestartCause;
  /** For the log: what happened, in words. */
  readonly text: string;
}

/** Names the cause. */
export function exitCause(facts: ExitFacts): ExitCause {
  const { code, signal, intended } = facts;
  const how = signal === null ? `exit code ${code}` : signal;
  if (intended !== undefined) return { cause: intended, text: `${intended}: ${how}` };
  if (facts.isHeapFull) return { cause: "out-of-memory", text: `the JavaScript heap was full: ${how}` };
  if (signal === "SIGKILL" && facts.wasOomKilled) {
    return { cause: "out-of-memory", text: "the system killed it for its memory" };
  }
  if (facts.failure !== undefined) return { cause: "uncaught-error", text: `uncaught error: ${facts.failure}` };
  if (!facts.hasBooted) return { cause: "boot-failed", text: `ended while the application was loaded: ${how}` };
  if (signal === null) return { cause: "exit", text: `the application ended the process: ${how}` };
  const isKilled = signal === "SIGKILL" || signal === "SIGTERM" || signal === "SIGINT" || signal === "SIGHUP";
  if (isKilled) return { cause: "signal", text: `killed by ${signal} from outside` };
  return { cause: "crash", text: `crashed: ${signal}` };
}
