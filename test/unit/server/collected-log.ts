// A log that keeps its lines.
import type { Log, LogMethod } from "../../../src/spec.ts";

export interface LogLine {
  readonly level: string;
  readonly message: string;
  readonly fields: Record<string, unknown>;
}

export interface CollectedLog extends Log {
  readonly lines: LogLine[];
}

export function collectLog(lines: LogLine[] = [], bindings: Record<string, unknown> = {}): CollectedLog {
  const method =
    (level: string): LogMethod =>
    (fields: object | string, message?: string) => {
      if (typeof fields === "string") lines.push({ level, message: fields, fields: bindings });
      else lines.push({ level, message: message ?? "", fields: { ...bindings, ...fields } });
    };
  return {
    lines,
    trace: method("trace"),
    debug: method("debug"),
    info: method("info"),
    warn: method("warn"),
    error: method("error"),
    fatal: method("fatal"),
    child: (more) => collectLog(lines, { ...bindings, ...more }),
  };
}
