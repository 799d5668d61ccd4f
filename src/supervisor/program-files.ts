// The files of what the supervisor starts: of the same build as what runs, bundled or not.
// Rule: a worker whose node loads something before it, as --import and NODE_OPTIONS can tell it to, starts from the modules: what
// that imports of ours would be there twice.

import { basename, join } from "node:path";

const isBundled = basename(import.meta.dirname) === "bundled";

/** The program of the thread that watches a worker. */
export const watchdogProgram: string = join(import.meta.dirname, isBundled ? "watchdog.cjs" : "watchdog-thread.js");

/** What is asked of a worker's process. */
export interface ProcessOptions {
  readonly environment: NodeJS.ProcessEnv;
  /** Flags for node. */
  readonly nodeOptions: readonly string[];
  /** The folder for compiled scripts that was chosen. */
  readonly cacheDir: string | undefined;
}

export interface WorkerProgram {
  readonly file: string;
  readonly flags: readonly string[];
  readonly args: readonly string[];
}

/** What the process of a worker runs. Its flags make packages that import "tsgi" find the library that runs. */
export function workerProgramFor({ nodeOptions, environment, cacheDir }: ProcessOptions): WorkerProgram {
  const mayPreload = nodeOptions.some((option) => option !== "--") || (environment["NODE_OPTIONS"] ?? "") !== "";
  const fileIn = (path: string): string => join(import.meta.dirname, path);
  if (!isBundled) return { file: fileIn("worker-main.js"), flags: [], args: [] };
  if (mayPreload) return { file: fileIn("../supervisor/worker-main.js"), flags: [], args: [] };
  const args = cacheDir === undefined ? [] : [cacheDir];
  return { file: fileIn("worker.cjs"), flags: ["--conditions=tsgi-bundled"], args };
}
