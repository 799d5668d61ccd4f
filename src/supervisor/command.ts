// What the plan says of one worker, carried out and logged.

import type { SocketHandle } from "../server/socket-handle.ts";
import type { Log } from "../spec.ts";
import type { Action } from "./plan.ts";
import type { WorkerHandle } from "./worker-handle.ts";

export type WorkerAction = Exclude<Action, { readonly type: "start" | "establish" }>;

export interface CommandContext {
  readonly group: string;
  /** The listening handle that a worker is to serve. */
  readonly handle: SocketHandle | undefined;
  readonly log: Log;
  readonly now: number;
}

export function carryOut(action: WorkerAction, worker: WorkerHandle, context: CommandContext): void {
  const { group, handle, log, now } = context;
  const fields = { group, worker: worker.pid };
  switch (action.type) {
    case "serve":
      worker.serve(handle);
      break;
    case "retire":
      log.info({ ...fields, cause: action.cause }, "the worker will be replaced");
      worker.retire(action.cause);
      break;
    case "drain":
      worker.intended ??= "reload";
      worker.drain(action.deadlineMs, action.handsOver);
      break;
    case "kill":
      // One that is not wanted any more before it served is nobody's trouble.
      log[action.cause === "reload" ? "debug" : "warn"](
        { code: "TSGI3202", ...fields, cause: action.cause, silentMs: Math.round(now - worker.silentSinceMs) },
        "the worker is killed",
      );
      worker.kill(action.cause);
      break;
  }
}
