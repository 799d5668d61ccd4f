// An error, what caused it, and where: all that the page for a developer shows of a failure, as data.
// Rules: nothing here throws, whatever was thrown; every list has an end.

import { messageOf, TsgiError } from "../../errors.ts";
import { excerptOf } from "./excerpt.ts";
import type { SourceLine } from "./excerpt.ts";
import { framesOf } from "./frames.ts";
import type { Frame } from "./frames.ts";

export interface ShownFrame extends Frame {
  /** Empty for code that is not the application's. */
  readonly source: readonly SourceLine[];
}

export interface ShownError {
  /** "" for the error itself, else what it is to the one before. */
  readonly relation: string;
  readonly name: string;
  /** May have several lines: a compiler shows the place in them. */
  readonly message: string;
  /** A code of ours, for `tsgi explain`. */
  readonly code: string | undefined;
  readonly frames: readonly ShownFrame[];
}

const maxErrors = 10;
const maxMessageChars = 10_000;

/** A property of anything, which may be a getter that throws. */
function read(error: object, name: "name" | "message" | "stack" | "cause" | "errors"): unknown {
  try {
    return (error as Readonly<Record<string, unknown>>)[name];
  } catch {
    return undefined;
  }
}

function textOf(value: unknown): string {
  return typeof value === "string" ? value : "";
}

function shortened(text: string): string {
  return text.length <= maxMessageChars ? text : `${text.slice(0, maxMessageChars)}...`;
}

function withSource(frame: Frame): ShownFrame {
  return { ...frame, source: frame.isApplications ? excerptOf(frame) : [] };
}

function showOne(error: unknown, relation: string): ShownError {
  if (!(error instanceof Error)) {
    return { relation, name: "", message: shortened(messageOf(error)), code: undefined, frames: [] };
  }
  const message = textOf(read(error, "message"));
  const frames = framesOf(textOf(read(error, "stack")), message);
  return {
    relation,
    name: textOf(read(error, "name")) || "Error",
    message: shortened(message),
    code: error instanceof TsgiError ? error.code : undefined,
    frames: frames.map(withSource),
  };
}

/** What an error says about others. */
function relatives(error: unknown): Array<readonly [relation: string, error: unknown]> {
  if (!(error instanceof Error)) return [];
  const errors = read(error, "errors");
  const parts = error instanceof AggregateError && Array.isArray(errors) ? (errors as readonly unknown[]) : [];
  const cause = read(error, "cause");
  return [
    ...parts.map((part, index) => [`${index + 1} of ${parts.length} errors`, part] as const),
    ...(cause === undefined ? [] : [["caused by", cause] as const]),
  ];
}

/** The error and its causes, the error first. */
export function showErrors(error: unknown): readonly ShownError[] {
  const shown: ShownError[] = [];
  const seen = new Set<unknown>();
  const due: Array<readonly [relation: string, error: unknown]> = [["", error]];
  for (let next = due.shift(); next !== undefined && shown.length < maxErrors; next = due.shift()) {
    const [relation, each] = next;
    if (seen.has(each)) continue; // an error may be its own cause
    seen.add(each);
    shown.push(showOne(each, relation));
    due.unshift(...relatives(each));
  }
  return shown;
}
