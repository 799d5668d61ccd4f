// One line for each request that has ended (`--access-log`, `tsgi dev`).
// Rule: the times are those of the application, from its call to the end of its response; what a request waited for before
// is in no line.

import type { Outcome } from "../gateway/run.ts";
import type { Log } from "../spec.ts";

/** What a line tells. */
export interface EndedRequest {
  readonly request_id: string;
  readonly method: string;
  /** The request target, with its query. */
  readonly path: string;
  readonly script: string;
  readonly remote: string | undefined;
  /** 0 when the client went away before there was one. */
  readonly status: number;
  /** Of the body, as far as they were sent. */
  readonly bytes: number;
  /** With microseconds; 0 when the application was not called. */
  readonly applicationMs: number;
  readonly outcome: Outcome;
}

export type AccessLog = (request: EndedRequest) => void;

/** Lines for programs. */
export function accessLogTo(log: Log): AccessLog {
  return (request) => log.info(request, "request");
}

/** Lines for whoever sits before the terminal. */
export function terminalAccessLog(log: Log): AccessLog {
  return ({ request_id, method, path, status, bytes, applicationMs }) =>
    log.info({ request_id }, `${method} ${path} ${status} ${bytes} bytes ${Math.round(applicationMs)} ms`);
}
