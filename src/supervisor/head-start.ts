// A worker's process that is started before anybody knows what it shall be, while the supervisor reads its configuration: node
// needs as long to start as all else takes together.
// Rules: the first worker gets it if what node and the C library read at their start is what that worker shall have, else it
// is ended at once; it loads nothing of the application before it is told whose worker it is; it never outlives us: we end
// it when we end, and it ends itself when its channel closes.

import type { ChildProcess } from "node:child_process";
import type { ProcessOptions } from "./program-files.ts";
import { forkWorker, plainEnvironment, plainFlags } from "./worker-process.ts";

export interface HeadStart {
  readonly process: ChildProcess;
  readonly options: ProcessOptions;
}

export interface TakenHeadStart {
  readonly process: ChildProcess;
  /** Variables that it has and the worker shall not have. */
  readonly withheld: readonly string[];
}

let offered: HeadStart | undefined;

function end({ process: child }: HeadStart): void {
  child.kill("SIGKILL");
}

/** Starts a process with the environment and flags that workers have where no setting says otherwise; undefined when it cannot. */
export function beginHeadStart(cacheDir: string | undefined): HeadStart | undefined {
  const options = { environment: plainEnvironment(), nodeOptions: plainFlags, cacheDir };
  try {
    const headStart = { process: forkWorker(options), options };
    headStart.process.on("error", () => {}); // the fork in its place fails as well, and is told of
    return headStart;
  } catch {
    return undefined;
  }
}

/** It waits for the first worker that may have it, until this process ends. */
export function offerHeadStart(headStart: HeadStart | undefined): void {
  offered = headStart;
  process.on("exit", () => {
    if (offered !== undefined) end(offered);
  });
}

/** The variables that it has and a worker shall not have; undefined when anything else differs. */
function withheldFrom(has: NodeJS.ProcessEnv, shall: NodeJS.ProcessEnv): readonly string[] | undefined {
  const names = [...new Set([...Object.keys(has), ...Object.keys(shall)])].filter((name) => has[name] !== shall[name]);
  // Root's home, which nothing reads when a process starts.
  return names.every((name) => name === "HOME" && shall[name] === undefined) ? names : undefined;
}

/** The process that waits, if it fits. It is offered once. */
export function takeHeadStart(shall: ProcessOptions): TakenHeadStart | undefined {
  const headStart = offered;
  offered = undefined;
  if (headStart === undefined) return undefined;
  const { process: child, options: has } = headStart;
  const withheld = withheldFrom(has.environment, shall.environment);
  const hasFlags = JSON.stringify(has.nodeOptions) === JSON.stringify(shall.nodeOptions);
  const isAlive = child.pid !== undefined && child.connected && child.exitCode === null && child.signalCode === null;
  if (isAlive && withheld !== undefined && hasFlags) return { process: child, withheld };
  end(headStart);
  return undefined;
}
