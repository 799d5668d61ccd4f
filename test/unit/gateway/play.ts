// One request through an Exchange, with fakes at the edge of the gateway: a sink, a flow, and an observer that remembers.
import type { LazyParts } from "../../../src/gateway/environ.ts";
import { createEnviron } from "../../../src/gateway/environ.ts";
import { ErrorLines } from "../../../src/gateway/errors-stream.ts";
import { RequestInput } from "../../../src/gateway/input.ts";
import { Exchange } from "../../../src/gateway/run.ts";
import type { Application, Environ, InputStream, Log } from "../../../src/spec.ts";
import { RecordingSink } from "./recording-sink.ts";

export const silentLog: Log = {
  trace() {},
  debug() {},
  info() {},
  warn() {},
  error() {},
  fatal() {},
  child: () => silentLog,
};

/** Variables as they come in: without a prototype. */
export function variablesOf(values: Readonly<Record<string, string>>): Record<string, string> {
  return Object.assign(Object.create(null) as Record<string, string>, values);
}

export interface EnvironOptions {
  readonly input?: InputStream;
  readonly errors?: ErrorLines;
  readonly lazy?: LazyParts;
  readonly requestId?: string;
  readonly mountPoint?: string;
}

/** An environ of these variables, with parts that do nothing. */
export function environOf(values: Readonly<Record<string, string>>, options: EnvironOptions = {}): Environ {
  return createEnviron(variablesOf(values), {
    transport: "fastcgi",
    input: options.input ?? new RequestInput({ pause() {}, resume() {} }, 0),
    errors: options.errors ?? new ErrorLines(() => {}),
    isMultiprocess: false,
    isRunOnce: false,
    script: "/srv/app.ts",
    mount: { mountPoint: options.mountPoint },
    requestId: options.requestId ?? "request-1",
    waitUntil: () => {},
    lazy: options.lazy ?? { signal: () => new AbortController().signal, log: () => silentLog, atEnd() {} },
  });
}

export interface Played {
  readonly sink: RecordingSink;
  readonly exchange: Exchange;
  readonly input: RequestInput;
  readonly environ: Environ;
  /** Failures that were reported, with whether the head had gone out. */
  readonly failures: Array<{ error: unknown; wasHeadSent: boolean }>;
  readonly warnings: Array<{ message: string; error: unknown }>;
  readonly errorLines: string[];
  /** Bodies that are being closed. */
  readonly closings: Promise<void>[];
  /** How often the end was told. */
  endCount: number;
  /** Settles with the end of the exchange. */
  readonly ended: Promise<void>;
}

export interface PlayOptions {
  readonly method?: string;
  readonly sink?: RecordingSink;
  readonly isAuthorizer?: boolean;
  readonly contentLength?: number;
  /** Called before the application runs. */
  readonly before?: (exchange: Exchange) => void;
}

/** Runs an application; what is synchronous has happened when this returns. */
export function play(application: Application, options: PlayOptions = {}): Played {
  const sink = options.sink ?? new RecordingSink();
  const method = options.method ?? "GET";
  const input = new RequestInput({ pause() {}, resume() {} }, options.contentLength ?? 0);
  const errorLines: string[] = [];
  let settle: () => void = () => {};
  const ended = new Promise<void>((resolve) => {
    settle = resolve;
  });
  const errors = new ErrorLines((line) => errorLines.push(line));
  const exchange = new Exchange({
    sink,
    input,
    errors,
    method,
    isAuthorizer: options.isAuthorizer ?? false,
    observer: {
      failed: (error, wasHeadSent) => played.failures.push({ error, wasHeadSent }),
      warned: ({ message, error }) => void played.warnings.push({ message, error }),
      closing: (closing) => played.closings.push(closing),
      ended: () => {
        played.endCount += 1;
        settle();
      },
    },
  });
  const environ = environOf(
    { REQUEST_METHOD: method, REQUEST_URI: "/" },
    {
      input,
      errors,
      lazy: { signal: () => exchange.signal, log: () => silentLog, atEnd: (work) => exchange.atEnd(work) },
    },
  );
  const played: Played = {
    sink,
    exchange,
    input,
    environ,
    failures: [],
    warnings: [],
    closings: [],
    errorLines,
    endCount: 0,
    ended,
  };
  options.before?.(exchange);
  exchange.run(application, environ);
  return played;
}

/** Lets everything run that is due: promises, and one turn of the event loop. */
export function turn(): Promise<void> {
  return new Promise((resolve) => {
    setImmediate(resolve);
  });
}
