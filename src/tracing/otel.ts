// Spans through @opentelemetry/api, where the application has it and has set a tracer provider up.
// Rules: the API is the application's own, found from its folder, never a dependency of ours; as long as no provider is
// registered a request costs one look at a global; whatever a provider, propagator or exporter throws is logged once and
// harms no request. Names are those of OpenTelemetry's semantic conventions for HTTP servers.

import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import type * as Otel from "@opentelemetry/api";
import { TsgiError } from "../errors.ts";
import type { Variables } from "../gateway/environ.ts";
import type { Log } from "../spec.ts";
import { spanAttributes, variableGetter } from "./attributes.ts";
import type { RequestSpan, Tracing } from "./tracing.ts";

export interface TracingOptions {
  /** Where the applications lie. */
  readonly folders: readonly string[];
  readonly log: Log;
}

/** Where every 1.x of the API keeps what was registered with it; `trace` is there when a provider is. */
const registry = Symbol.for("opentelemetry.js.api.1");
/** The API's numbers, which are the same in every 1.x. */
const serverKind: Otel.SpanKind.SERVER = 1;
const errorStatus: Otel.SpanStatusCode.ERROR = 2;
const maxFolders = 1000;

function hasProvider(): boolean {
  if (!(registry in globalThis)) return false; // a quarter of the time that reading it takes, for every request
  const registered: unknown = Reflect.get(globalThis, registry);
  return typeof registered === "object" && registered !== null && "trace" in registered;
}

function errorTypeOf(error: unknown): string {
  if (error instanceof TsgiError) return error.code;
  return error instanceof Error ? error.name : "_OTHER";
}

class Tracer implements Tracing {
  readonly #log: Log;
  readonly #folders: readonly string[];
  /** Folders from which the API was not found. */
  readonly #vain = new Set<string>();
  #api: typeof Otel | undefined;
  #tracer: Otel.Tracer | undefined;
  #hasFailed = false;

  constructor({ folders, log }: TracingOptions) {
    this.#folders = folders;
    this.#log = log;
  }

  start(variables: Variables, script: string): RequestSpan | undefined {
    if (!hasProvider()) return undefined;
    const api = (this.#api ??= this.#find(script));
    if (api === undefined) return undefined;
    try {
      this.#tracer ??= api.trace.getTracer("tsgi");
      const parent = api.propagation.extract(api.ROOT_CONTEXT, variables, variableGetter);
      const { name, attributes } = spanAttributes(variables);
      const span = this.#tracer.startSpan(name, { kind: serverKind, attributes }, parent);
      return new OtelSpan(api, span, { context: api.trace.setSpan(parent, span), failed: this.#failed });
    } catch (error) {
      this.#failed(error);
      return undefined;
    }
  }

  readonly #failed = (error: unknown): void => {
    if (this.#hasFailed) return;
    this.#hasFailed = true;
    this.#log.error({ code: "TSGI2122", err: error }, "tracing failed: requests go on without it");
  };

  #find(script: string): typeof Otel | undefined {
    const folders = script === "" ? this.#folders : [dirname(script), ...this.#folders];
    for (const folder of folders) {
      if (this.#vain.has(folder) || this.#vain.size >= maxFolders) continue;
      try {
        // eslint-disable-next-line typescript/no-unsafe-type-assertion -- the package of that name
        return createRequire(join(folder, "_"))("@opentelemetry/api") as typeof Otel;
      } catch {
        this.#vain.add(folder); // it is not installed there
      }
    }
    return undefined;
  }
}

interface SpanParts {
  /** The one that has the span in it. */
  readonly context: Otel.Context;
  /** Gets what tracing threw. */
  readonly failed: (error: unknown) => void;
}

class OtelSpan implements RequestSpan {
  readonly #api: typeof Otel;
  readonly #span: Otel.Span;
  readonly #parts: SpanParts;
  #errorType: string | undefined;

  constructor(api: typeof Otel, span: Otel.Span, parts: SpanParts) {
    this.#api = api;
    this.#span = span;
    this.#parts = parts;
  }

  found(script: string, requestId: string, clientAddress: string | undefined): void {
    const client = clientAddress === undefined ? {} : { "client.address": clientAddress };
    this.#try(() => this.#span.setAttributes({ "tsgi.script": script, "tsgi.request_id": requestId, ...client }));
  }

  run(work: () => void): void {
    let isBegun = false;
    this.#try(() => {
      this.#api.context.with(this.#parts.context, () => {
        isBegun = true;
        work();
      });
    });
    if (!isBegun) work();
  }

  failed(error: unknown): void {
    this.#errorType ??= errorTypeOf(error);
    this.#try(() => this.#span.recordException(error instanceof Error ? error : String(error)));
  }

  end(status: number, failure: string | undefined): void {
    this.#try(() => {
      if (status > 0) this.#span.setAttribute("http.response.status_code", status);
      if (failure === "aborted") this.#span.setAttribute("error.type", "aborted");
      else if (status >= 500 || this.#errorType !== undefined) {
        this.#span.setAttribute("error.type", this.#errorType ?? String(status));
        this.#span.setStatus({ code: errorStatus });
      }
    });
    this.#try(() => this.#span.end());
  }

  #try(work: () => void): void {
    try {
      work();
    } catch (error) {
      this.#parts.failed(error);
    }
  }
}

/** Makes nothing until an application has set tracing up. */
export function createTracing(options: TracingOptions): Tracing {
  return new Tracer(options);
}
