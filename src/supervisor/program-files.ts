// The files of what the supervisor starts: of the same build as what runs, bundled or not.
// Rule: a worker whose node loads something before it, as --import and NODE_OPTIONS can tell it to, starts from the modules: what
// that imports of ours would be there twice.

import { basename, join } from "node:path";

const isBundled = basename(import.meta.dirname) === "bundled";

/** The program of the thread that watches a worker. */
export const watchdogProgram: string = join(import.meta.dirname, isBundled ? "watchdog.cjs" : "watchdog-thread.js");

export interface WorkerProgram {
  readonly file: string;
  readonly flags: readonly string[];
}

/** What the process of a worker runs. Its flags make packages that import "tsgi" find the library that runs. */
export function workerProgramFor(nodeOptions: readonly string[], environment: NodeJS.ProcessEnv): WorkerProgram {
  const mayPreload = nodeOptions.some((option) => option !== "--") || (environment["NODE_OPTIONS"] ?? "") !== "";
  if (isBundled && !mayPreload)
    return { file: join(import.meta.dirname, "worker.cjs"), flags: ["--conditions=tsgi-bundled"] };
  return { file: join(import.meta.dirname, isBundled ? "../supervisor/worker-main.js" : "worker-main.js"), flags: [] };
}
