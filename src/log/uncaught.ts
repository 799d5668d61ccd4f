// Errors that nobody caught, in a process that goes on serving.
// Rules: the request that one comes from is answered at once where it is known. Where it is not, or its response has begun, any
// of those that run may wait for ever for what the error ended: they get some time to show that they do not.

import { ClientGoneError, RequestOverError, StrandedError } from "../errors.ts";
import type { Log } from "../spec.ts";
import type { RequestScope } from "./scope.ts";

/** How long a request may stand still after an error that may be its own, ms. */
const stillMs = 10_000;

/** Answers the request that the error comes from, now or when it has not gone on for a while. True where it is known. */
export function failRequest(scope: RequestScope, error: unknown): boolean {
  if (scope.fail(error)) return true;
  // Of a request that was given up: nobody waits for what it ended.
  if (error instanceof ClientGoneError || error instanceof RequestOverError) return false;
  for (const request of scope.suspects) {
    const before = request.progress;
    if (before === undefined) continue;
    const expire = (): void => {
      if (request.progress === before && !request.waitsForClient) request.expire(new StrandedError(error));
    };
    setTimeout(expire, stillMs).unref();
  }
  return false;
}

/** Has each fail its request; where none is known it is logged. */
export function handleUncaught(log: Log, scope: RequestScope): void {
  process.on("uncaughtException", (error) => {
    if (!failRequest(scope, error)) log.error({ code: "TSGI2101", err: error }, "uncaught error outside a request");
  });
}
