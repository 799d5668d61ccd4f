// `console.*` of an application: each call is a line of the log, with its level, and with its request where one is known.
// Rules: text is what Node would have printed, in one line of JSON; nothing that is printed can reach a response; a value
// that cannot be shown is told as such, since a line for the log must not break a request.

import { formatWithOptions, inspect } from "node:util";
import type { InspectOptions } from "node:util";
import { messageOf } from "../errors.ts";
import type { Log } from "../spec.ts";
import { redactText } from "./redact.ts";
import type { RequestScope } from "./scope.ts";

type Level = "debug" | "info" | "warn" | "error";

/** The other methods (assert, count, group, table, time, trace) print through these. */
const levels: Readonly<Record<"debug" | "info" | "log" | "warn" | "error", Level>> = {
  debug: "debug",
  info: "info",
  log: "info",
  warn: "warn",
  error: "error",
};

/** UTF-16 units of one line: what is printed beyond is nothing that anybody reads in a log. */
const maxChars = 65_536;

const source = Object.freeze({ source: "console" });

function shortened(text: string): string {
  if (text.length <= maxChars) return text;
  return `${text.slice(0, maxChars)}... (${text.length - maxChars} more characters)`;
}

function textOf(show: () => string): string {
  try {
    return shortened(redactText(show()));
  } catch (error) {
    return `(what was printed cannot be shown: ${messageOf(error)})`;
  }
}

/** Takes the process's console over. Gives a function that gives it back. */
export function captureConsole(log: Log, scope: RequestScope): () => void {
  const { dir, dirxml } = console;
  const print = (level: Level, show: () => string): void => {
    const target = scope.find()?.log ?? log;
    target[level](source, textOf(show));
  };
  const before = Object.keys(levels).map((name) => {
    const method = name as keyof typeof levels;
    const original = console[method];
    console[method] = (...values: unknown[]) => print(levels[method], () => formatWithOptions({}, ...values));
    return () => (console[method] = original);
  });
  console.dir = (value: unknown, options?: InspectOptions) =>
    print("info", () => inspect(value, { customInspect: false, ...options }));
  console.dirxml = (...values: unknown[]) => console.log(...values);
  return () => {
    for (const restore of before) restore();
    Object.assign(console, { dir, dirxml });
  };
}
