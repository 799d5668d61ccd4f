// The process of a worker as the system knows it: forked by the supervisor, or a head start that fits.
// Rules: what node and the C library read when a process starts is right from its start; all else is told in the first
// message, before anything of the application is loaded.

import type { ChildProcess } from "node:child_process";
import { fork } from "node:child_process";
import { withoutServiceVariables } from "./activation.ts";
import type { ProcessOptions } from "./program-files.ts";
import { workerProgramFor } from "./program-files.ts";

/** The environment of workers where no setting says otherwise: ours, without what a service manager told the supervisor. */
export function plainEnvironment(): NodeJS.ProcessEnv {
  return { ...withoutServiceVariables(process.env), UV_USE_IO_URING: "0" };
}

/** Flags for workers' node where no setting adds to them. The last one ends them, so that none swallows what follows. */
export const plainFlags: readonly string[] = ["--"];

/** Starts the process of a worker's program, which waits for its first message. */
export function forkWorker(options: ProcessOptions): ChildProcess {
  const { file, flags, args } = workerProgramFor(options);
  return fork(file, args, {
    serialization: "advanced",
    execArgv: [...flags, ...options.nodeOptions],
    env: options.environment,
    stdio: ["ignore", "inherit", "inherit", "ipc", "pipe"],
  });
}
