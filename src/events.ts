// What happens in this process, for programs that want to know: `on(name, listener)`.
// Rules: listeners run at once, in the order in which they came; one that throws is logged once and does no harm; what
// nobody listens to costs one comparison. The names are those of mod_wsgi's events, in camelCase.

import type { FailureKind } from "./metrics/figures.ts";
import { sharedState } from "./metrics/shared-state.ts";
import type { Application, Environ, HeaderList, Log } from "./spec.ts";

/** The request that an event is about. */
export interface RequestFacts {
  readonly requestId: string;
  readonly method: string;
  /** The request target, with its query. */
  readonly path: string;
  /** Absolute file of the application; "" where none was found. */
  readonly script: string;
}

export interface RequestStarted extends RequestFacts {
  /** The application's own: changes are seen by it. */
  readonly environ: Environ;
  /** What will be called, unless a listener returns another application. */
  readonly application: Application;
  /** What the request waited for its turn, ms. */
  readonly queuedMs: number;
}

export interface ResponseStarted extends RequestFacts {
  readonly status: number;
  readonly headers: HeaderList;
  /** Since the request began, ms. */
  readonly elapsedMs: number;
}

export interface RequestException extends RequestFacts {
  readonly error: unknown;
  /** False: the client gets an error page; true: its response is broken off. */
  readonly wasHeadSent: boolean;
}

export interface RequestFinished extends RequestFacts {
  /** 0 when the request was given up before it had one. */
  readonly status: number;
  /** How it failed; undefined when it ended well. */
  readonly failure: FailureKind | undefined;
  /** Of the body, as far as it was taken. */
  readonly bytesIn: number;
  /** Of the body, as far as it was sent. */
  readonly bytesOut: number;
  readonly queuedMs: number;
  /** From the call of the application to the end of the response, ms; undefined when it was not called. */
  readonly applicationMs: number | undefined;
  /** Since the request began, ms. */
  readonly elapsedMs: number;
}

export interface ProcessStopping {
  /** Why: "stop", "reload", or the cause of a replacement as in `tsgi status`, such as "maximum-requests". */
  readonly reason: string;
}

/** Every event with what its listeners get. */
export interface ProcessEvents {
  /**
   * The application is about to be called. A listener may return another application to be called in its place, which the
   * listeners after it get as `application`. Not told of Apache's questions who may come in.
   */
  readonly requestStarted: RequestStarted;
  /** The head of the response is about to be sent. */
  readonly responseStarted: ResponseStarted;
  /** The request failed; `requestFinished` follows. */
  readonly requestException: RequestException;
  /** The request is over: answered, broken off, or given up by its client. Once for each request. */
  readonly requestFinished: RequestFinished;
  /** This worker takes no more requests, and ends when those that run have ended. */
  readonly processStopping: ProcessStopping;
}

export type EventName = keyof ProcessEvents;

/** A promise that it returns is not waited for. */
export type EventListener<Name extends EventName> = (
  event: ProcessEvents[Name],
) => Name extends "requestStarted" ? Application | void | Promise<void> : void | Promise<void>;

type AnyListener = (event: never) => unknown;

/** Those of all copies of this package in the process, by event; undefined where there are none. */
export const listeners: Partial<Record<EventName, readonly AnyListener[] | undefined>> = sharedState(
  "listeners",
  () => ({}),
);

const failed: WeakSet<AnyListener> = sharedState("failed listeners", () => new WeakSet());

/** Calls `listener` at each event of the name, until the function that it returns is called. */
export function on<Name extends EventName>(name: Name, listener: EventListener<Name>): () => void {
  listeners[name] = [...(listeners[name] ?? []), listener];
  let isOn = true;
  return () => {
    if (!isOn) return;
    isOn = false;
    const all = listeners[name] ?? [];
    const index = all.findIndex((each) => each === listener);
    const rest = all.toSpliced(index, 1);
    listeners[name] = rest.length === 0 ? undefined : rest;
  };
}

function reportFailure(name: EventName, listener: AnyListener, error: unknown, log: Log): void {
  if (failed.has(listener)) return;
  failed.add(listener);
  log.error({ code: "TSGI2121", event: name, err: error }, "a listener failed: later failures of it are not told");
}

/** Tells the listeners; gives the application that one of `requestStarted` returned. Never throws. */
export function emit<Name extends EventName>(
  name: Name,
  event: ProcessEvents[Name],
  log: Log,
): Application | undefined {
  let replaced: Application | undefined;
  let told = event;
  for (const listener of listeners[name] ?? []) {
    try {
      // eslint-disable-next-line typescript/no-unsafe-type-assertion -- `on` has put it under its own name
      const answer = (listener as (event: ProcessEvents[Name]) => unknown)(told);
      if (answer instanceof Promise) answer.catch((error: unknown) => reportFailure(name, listener, error, log));
      else if (name === "requestStarted" && typeof answer === "function") {
        replaced = answer as Application;
        told = { ...event, application: replaced };
      }
    } catch (error) {
      reportFailure(name, listener, error, log);
    }
  }
  return replaced;
}
