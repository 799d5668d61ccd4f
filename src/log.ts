// The process log, on pino: one line per event, JSON on stderr or in a file, or readable text on a terminal.
// Rules: pino is loaded when the first line is written, since a process that logs nothing should not pay for it; lines are
// written at once, so that none is lost when the process ends; no line holds Authorization or a cookie.

import { createRequire } from "node:module";
import type { pino as Pino, Logger, LoggerOptions } from "pino";
import type PinoPretty from "pino-pretty";
import { LogFile } from "./log/file.ts";
import { redactFields, redactText } from "./log/redact.ts";
import type { Log } from "./spec.ts";

export const logLevels = ["trace", "debug", "info", "warn", "error", "fatal", "silent"] as const;
export type LogLevel = (typeof logLevels)[number];

export interface LogOptions {
  readonly level: LogLevel;
  /** Readable lines in place of JSON; the default is to do so when stderr is a terminal. Never in a file. */
  readonly isPretty?: boolean;
  /** Absolute path; undefined is stderr. */
  readonly file?: string | undefined;
  /** Fields of every line; `pid` unless given. */
  readonly base?: Readonly<Record<string, unknown>>;
}

/** The log of a whole process. */
export interface ProcessLog extends Log {
  /** For one line per request: kept whatever the level is. */
  access(): Log;
  /** Loads what writes lines, while descriptors are to be had. */
  load(): void;
  /** Opens the log file that has the name now. Throws BootError, and goes on as before. Nothing to do for stderr. */
  reopen(): void;
}

/** The log of a program that Apache starts, which has no flags for it: TSGI_LOG_LEVEL and TSGI_LOG_FILE. */
export function logOptionsOf(environment: Readonly<Record<string, string | undefined>>): LogOptions {
  const level = logLevels.find((level) => level === environment["TSGI_LOG_LEVEL"]) ?? "info";
  const file = environment["TSGI_LOG_FILE"];
  return { level, file: file?.startsWith("/") === true ? file : undefined, base: servingBase() };
}

/** The fields of every line of a process that serves requests: the supervisor calls it by the same number. */
export function servingBase(): Readonly<Record<string, unknown>> {
  return { worker: process.pid };
}

/** Opens the log file anew after it was moved away; one that cannot be opened is told of, and the open one goes on. */
export function reopenLog(log: ProcessLog | undefined): void {
  try {
    log?.reopen();
  } catch (error) {
    log?.error({ code: "TSGI3218", err: error }, "the log file could not be opened again: the open one goes on");
  }
}

const stderrFd = 2;

/** pino has no formatter for the fields of a child; children inherit this from their logger. */
function withCleanChildren(logger: Logger): Logger {
  // eslint-disable-next-line typescript/unbound-method -- it is called on whichever logger makes a child
  const { child } = logger;
  logger.child = function cleanChild(this: Logger, fields: object, childOptions?: object) {
    return child.call(this, redactFields({ ...fields }), childOptions);
  } as typeof child;
  return logger;
}

function loadPino(options: LogOptions, file: LogFile | undefined): Logger {
  const require = createRequire(import.meta.url);
  const pino = require("pino") as typeof Pino;
  const showError = (error: unknown): unknown => {
    // Anything may be thrown; what is no error shows itself.
    const shown = error instanceof Error ? { ...pino.stdSerializers.err(error) } : error;
    return redactFields({ shown })["shown"];
  };
  const settings: LoggerOptions = {
    level: options.level,
    timestamp: pino.stdTimeFunctions.isoTime,
    base: { ...(options.base ?? { pid: process.pid }) },
    formatters: { log: redactFields },
    serializers: { err: showError, error: showError },
    hooks: {
      logMethod(given, method) {
        // eslint-disable-next-line typescript/no-unsafe-type-assertion -- the types know the usual forms only
        const shown = given.map((one: unknown) => (typeof one === "string" ? redactText(one) : one)) as typeof given;
        method.apply(this, shown);
      },
    },
  };
  if (file !== undefined) return pino(settings, file);
  if (options.isPretty ?? process.stderr.isTTY) {
    const pretty = require("pino-pretty") as typeof PinoPretty;
    const colorize = process.stderr.isTTY && process.env["NO_COLOR"] === undefined;
    const ignore = "pid,hostname,worker,group";
    return pino(settings, pretty({ destination: stderrFd, sync: true, colorize, ignore, singleLine: true }));
  }
  return pino(settings, pino.destination({ dest: stderrFd, sync: true }));
}

/** A log that loads pino, and opens its file, when it is first used. */
export function createLog(options: LogOptions): ProcessLog {
  const file = options.file === undefined ? undefined : new LogFile(options.file);
  let loaded: Logger | undefined;
  const logger = (): Logger => (loaded ??= withCleanChildren(loadPino(options, file)));
  const leastLevel = logLevels.indexOf(options.level);
  const method = (level: keyof Omit<Log, "child">) => (fields: object | string, message?: string) => {
    if (logLevels.indexOf(level) < leastLevel) return;
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
    access: () => logger().child({}, { level: "info" }),
    load: () => void logger(),
    reopen: () => file?.reopen(),
  };
}
