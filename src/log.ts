// The process log, on pino: one line per event on stderr, JSON, or readable text on a terminal.
// Rules: pino is loaded when the first line is logged, since a CGI process that logs nothing should not pay for it;
// lines are written at once, so that none is lost when the process ends.

import { createRequire } from "node:module";
import type { pino as Pino, Logger, LoggerOptions } from "pino";
import type PinoPretty from "pino-pretty";
import type { Log } from "./spec.ts";

export const logLevels = ["trace", "debug", "info", "warn", "error", "fatal", "silent"] as const;
export type LogLevel = (typeof logLevels)[number];

/** The level of a program that Apache starts, which has no flag for it: TSGI_LOG_LEVEL, or "info". */
export function logLevelOf(environment: Readonly<Record<string, string | undefined>>): LogLevel {
  return logLevels.find((level) => level === environment["TSGI_LOG_LEVEL"]) ?? "info";
}

export interface LogOptions {
  readonly level: LogLevel;
  /** Readable lines in place of JSON; the default is to do so when stderr is a terminal. */
  readonly isPretty?: boolean;
}

const stderrFd = 2;

function loadPino(options: LogOptions): Logger {
  const require = createRequire(import.meta.url);
  const pino = require("pino") as typeof Pino;
  const settings: LoggerOptions = { level: options.level, timestamp: pino.stdTimeFunctions.isoTime };
  if (options.isPretty ?? process.stderr.isTTY) {
    const pretty = require("pino-pretty") as typeof PinoPretty;
    const colorize = process.stderr.isTTY && process.env["NO_COLOR"] === undefined;
    return pino(settings, pretty({ destination: stderrFd, sync: true, colorize, ignore: "pid,hostname" }));
  }
  return pino({ ...settings, base: { pid: process.pid } }, pino.destination({ dest: stderrFd, sync: true }));
}

/** A log that loads pino when it is first used. */
export function createLog(options: LogOptions): Log {
  let loaded: Logger | undefined;
  const logger = (): Logger => (loaded ??= loadPino(options));
  const method = (level: keyof Omit<Log, "child">) => (fields: object | string, message?: string) => {
    if (typeof fields === "string") logger()[level](fields);
    else logger()[level](fields, message);
  };
  return {
    trace: method("trace"),
    debug: method("debug"),
    info: method("info"),
    warn: method("warn"),
    error: method("error"),
    fatal: method("fatal"),
    child: (bindings) => logger().child(bindings),
  };
}
