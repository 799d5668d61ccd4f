// A look from a worker's watchdog at the main thread, while that does not turn: the stack that it is in, and what its
// requests are.
// Rules: the inspector pauses it for as long as both are read, and it always goes on: a look has a deadline, and the end of
// the inspector's session ends the pause too. A thread that runs no JavaScript, in a synchronous call of Node's, cannot be
// paused: then there is no stack. A debugger that is attached owns the pauses, so nothing is done beside it.

import { Session } from "node:inspector";
import type { RequestRecord } from "../metrics/figures.ts";
import type { SlowRequest } from "../server/slow/slow-log.ts";
import { originalPosition } from "./source-position.ts";

/** What the main thread tells of its requests, when it is asked in a pause. */
export interface BlockedRequests {
  readonly running: readonly RequestRecord[];
  /** Those that are to be told of as slow. */
  readonly slow: readonly SlowRequest[];
  /** When the next one becomes slow, ms from now; undefined when none will. */
  readonly nextMs?: number | undefined;
}

interface Look {
  /** Innermost call first; empty when no JavaScript ran. */
  readonly stack: readonly string[];
  readonly requests: BlockedRequests;
}

interface Frame {
  readonly functionName: string;
  readonly url: string;
  readonly location: {
    readonly scriptId: string;
    readonly lineNumber: number;
    readonly columnNumber?: number | undefined;
  };
}

const maxFrames = 20;
const lookMs = 1000;
const name = "tsgi.blocked";
const none: BlockedRequests = { running: [], slow: [] };

/** In the main thread: has `tell` called when the watchdog looks. It runs in the middle of whatever blocks. */
export function answerLooks(tell: () => BlockedRequests): void {
  const value = (): string => JSON.stringify(tell());
  Object.defineProperty(globalThis, Symbol.for(name), { value, enumerable: false, configurable: true });
}

function parse(text: unknown): BlockedRequests {
  if (typeof text !== "string") return none;
  const value: unknown = JSON.parse(text);
  if (typeof value !== "object" || value === null) return none;
  const { running, slow, nextMs }: Partial<Record<keyof BlockedRequests, unknown>> = value;
  if (!Array.isArray(running) || !Array.isArray(slow)) return none;
  return { running, slow, nextMs: typeof nextMs === "number" ? nextMs : undefined };
}

function lineOf({ functionName, url, location }: Frame, urls: ReadonlyMap<string, string>): string {
  const file = url === "" ? (urls.get(location.scriptId) ?? "") : url;
  const place = originalPosition(file, location.lineNumber + 1, (location.columnNumber ?? 0) + 1);
  return `${functionName === "" ? "(anonymous)" : functionName} (${place})`;
}

/** Where our own programs lie: the callers of every application. */
const ownFolder = (): string => new URL("../", import.meta.url).href;

/** The calls of the application and of what it calls; those of ours that led there say nothing. */
function ofApplication(frames: readonly Frame[], urls: ReadonlyMap<string, string>): readonly Frame[] {
  const urlOf = ({ url, location }: Frame): string => (url === "" ? (urls.get(location.scriptId) ?? "") : url);
  const own = ownFolder();
  const first = frames.findIndex((frame) => urlOf(frame).startsWith(own));
  return first > 0 ? frames.slice(0, first) : frames;
}

/** In the watchdog: looks once; `then` is called once, after the main thread goes on. */
export function lookAtMainThread(then: (look: Look) => void): void {
  const session = new Session();
  const urls = new Map<string, string>();
  let frames: readonly Frame[] = [];
  let requests = none;
  let isOver = false;
  const finish = (): void => {
    if (isOver) return;
    isOver = true; // the end of the session calls back whoever still waits
    clearTimeout(timer);
    session.removeAllListeners();
    session.disconnect(); // ends a pause, and one that was asked for and has not come
    then({ stack: ofApplication(frames, urls).map((frame) => lineOf(frame, urls)), requests });
  };
  const timer = setTimeout(finish, lookMs);
  session.connectToMainThread();
  session.on("Debugger.scriptParsed", ({ params }) => urls.set(params.scriptId, params.url));
  session.on("Debugger.paused", ({ params }) => {
    frames = params.callFrames.slice(0, maxFrames);
    const expression = `globalThis[Symbol.for(${JSON.stringify(name)})]?.()`;
    session.post("Runtime.evaluate", { expression, silent: true, returnByValue: true }, (error, answer) => {
      try {
        if (error === null) requests = parse(answer.result.value);
      } catch {
        // The application has put something else there.
      }
      if (!isOver) session.post("Debugger.resume", finish);
    });
  });
  session.post("Debugger.enable");
  session.post("Debugger.pause");
}
