// The command line of `tsgi daemon` as what evaluates its bundle sees it.

import type { HeadStart } from "../supervisor/head-start.ts";
import { offerHeadStart } from "../supervisor/head-start.ts";
import { onStarted } from "./daemon.ts";
import { main } from "./main.ts";

export interface DaemonProgram {
  readonly runDaemon: typeof runDaemon;
}

/** Runs the command line, and ends the process. The first worker may have `headStart`; `keep` keeps the program's machine code. */
export async function runDaemon(
  argv: readonly string[],
  headStart: HeadStart | undefined,
  keep: () => void,
): Promise<never> {
  offerHeadStart(headStart);
  onStarted(keep);
  return await main(argv);
}
