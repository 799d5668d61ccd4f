// Errors that nobody caught, in a process that goes on serving.

import type { Log } from "../spec.ts";
import type { RequestScope } from "./scope.ts";

/** Makes each the failure of its request from now on; where none is known it is logged. */
export function handleUncaught(log: Log, scope: RequestScope): void {
  process.on("uncaughtException", (error) => {
    if (!scope.fail(error)) log.error({ code: "TSGI2101", err: error }, "uncaught error outside a request");
  });
}
