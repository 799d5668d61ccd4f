// Spans for requests, in the terms of whoever serves them. What makes them is OpenTelemetry's API (otel.ts).

import type { Variables } from "../gateway/environ.ts";

/** The span of one request. Nothing of it throws. */
export interface RequestSpan {
  /** The application was found: its absolute file. The client's address is as trusted proxies tell it. */
  found(script: string, requestId: string, clientAddress: string | undefined): void;
  /** Does `work` with the span active, so that spans made in it are its children. */
  run(work: () => void): void;
  failed(error: unknown): void;
  /** Called once. `status` is 0 when there was none; `failure` tells how the request failed. */
  end(status: number, failure: string | undefined): void;
}

export interface Tracing {
  /** Begins a span; undefined while the application traces nothing. `script` is "" while it is not known. */
  start(variables: Variables, script: string): RequestSpan | undefined;
}
