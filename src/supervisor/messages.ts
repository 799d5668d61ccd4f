// What the supervisor and its workers say to each other, over the IPC channel that Node opens to a forked process.
// Rules: every message has a type; what a worker says is checked before it is believed, since it runs the application's
// code; no message names a process or a file to act on. A message marked "with a socket" carries a native handle.

import type { FiguresReport } from "../metrics/report.ts";
import { readReport } from "../metrics/report.ts";
import type { EngineName } from "../config/engine.ts";
import type { AdapterName } from "../adapters/names.ts";
import type { RunAs } from "./run-as.ts";
import type { AdmissionLimits } from "../server/admission.ts";
import type { LogLevel } from "../log.ts";
import type { Target } from "../server/route.ts";

/** All that a worker has to know. */
export interface WorkerConfig {
  readonly group: string;
  readonly target: Target;
  /** URL path of the one application, where Apache does not tell it. */
  readonly mountPoint: string | undefined;
  readonly cacheDir: string | undefined;
  /** What kind of application it is, where its shape shall not decide. */
  readonly adapter: AdapterName | undefined;
  readonly authScript: string | undefined;
  readonly logLevel: LogLevel;
  readonly logFile: string | undefined;
  readonly hasAccessLog: boolean;
  readonly errorPage: string | undefined;
  readonly isDebug: boolean;
  /** Whether an application that has set OpenTelemetry up gets spans for its requests. */
  readonly hasTracing: boolean;
  readonly isMultiprocess: boolean;
  /** Whether requests are followed from the first on: errors that nobody caught are theirs then. */
  readonly isFollowing: boolean;
  /** Whether changed files are looked for, once a second. */
  readonly followsFiles: boolean;
  readonly allow: readonly string[];
  /** That of `--secret-file`. */
  readonly secret: string | undefined;
  readonly trustedProxies: readonly string[];
  readonly trustedProxyHeaders: readonly string[];
  readonly xSendfile: readonly string[];
  readonly xSendfileHeader: string;
  /** What speaks FastCGI. */
  readonly engine: EngineName;
  readonly admission: AdmissionLimits;
  readonly maxParamsBytes: number;
  readonly maxConnections: number;
  readonly paramsTimeoutMs: number;
  readonly idleTimeoutMs: number;
  readonly requestTimeoutMs: number;
  readonly shutdownTimeoutMs: number;
  readonly deadlockTimeoutMs: number;
  /** 0: none is. */
  readonly slowRequestMs: number;
  readonly ignoredActivity: readonly string[];
  /** Whom to become before anything of the application is read. */
  readonly runAs: RunAs | undefined;
  readonly umask: number | undefined;
  readonly home: string | undefined;
  readonly title: string;
}

/** What a process has to know of itself. */
export interface ProcessStart {
  /** Where node's own report of a heap that was full goes; the worker's user can write there and nobody else. */
  readonly report: { readonly folder: string; readonly name: string };
  /** Variables that are to be taken out of its environment. */
  readonly withheld: readonly string[];
}

export type ToWorker =
  /** With the listening socket, on which it is not to accept yet. */
  | { readonly type: "boot"; readonly config: WorkerConfig; readonly start: ProcessStart }
  /** Accept from now on: on the socket that comes with it, in the place of an earlier one, else on that of "boot". */
  | { readonly type: "serve" }
  /** With a socket: a connection that another process accepted. `bytes` were read from it and not looked at. */
  | { readonly type: "connection"; readonly bytes?: Uint8Array | undefined; readonly waitedMs: number }
  /** Accept no more, end what runs within the deadline, then say "drained". */
  | { readonly type: "drain"; readonly deadlineMs: number; readonly handsOver: boolean; readonly reason: string }
  /** Open the log file that has the name now. */
  | { readonly type: "reopen-log" }
  /** Know from now on which request code belongs to, whatever that costs. */
  | { readonly type: "follow" }
  /** Send the listening socket back. */
  | { readonly type: "lend" }
  /** All that was to be done is done: end. */
  | { readonly type: "leave" };

/** How often a worker sends its pulse, ms. */
export const pulseMs = 200;

export interface Pulse {
  readonly type: "pulse";
  readonly busy: number;
  readonly waiting: number;
  readonly connections: number;
  readonly served: number;
  readonly shed: number;
  readonly timedOut: number;
  readonly rssBytes: number;
  /** How late the event loop ran this pulse, ms. */
  readonly lagMs: number;
  /** Since the last request began or ended, ms; 0 while one runs. */
  readonly idleMs: number;
}

/** The files that a broken application was made of: a change of one is a reason to try again. */
export interface BootFailure {
  readonly type: "boot-failed";
  readonly message: string;
  readonly files: readonly string[];
}

export type FromWorker =
  | { readonly type: "ready" }
  | BootFailure
  | Pulse
  | FiguresReport
  /** With a socket: an idle connection that this worker will not serve. */
  | { readonly type: "connection"; readonly bytes?: Uint8Array | undefined; readonly waitedMs: number }
  /** With the listening socket. */
  | { readonly type: "lent" }
  /** An error that nobody caught: the state of this process is in doubt. */
  | { readonly type: "failing"; readonly message: string }
  /** A file of the application is not what it was. */
  | { readonly type: "changed"; readonly file: string; readonly fingerprint: string }
  /** Nothing runs any more, or the deadline cut it off. */
  | { readonly type: "drained"; readonly isWhole: boolean };

const maxTextLength = 8192;
const maxFiles = 2000;
/** One read of a connection at most. */
const maxBytes = 1024 * 1024;

type Fields = Readonly<Record<string, unknown>>;

function text(value: unknown): string {
  return typeof value === "string" ? value.slice(0, maxTextLength) : "";
}

function count(value: unknown): number {
  return typeof value === "number" && Number.isFinite(value) && value >= 0 ? value : 0;
}

function readPulse(fields: Fields): Pulse {
  return {
    type: "pulse",
    busy: count(fields["busy"]),
    waiting: count(fields["waiting"]),
    connections: count(fields["connections"]),
    served: count(fields["served"]),
    shed: count(fields["shed"]),
    timedOut: count(fields["timedOut"]),
    rssBytes: count(fields["rssBytes"]),
    lagMs: count(fields["lagMs"]),
    idleMs: count(fields["idleMs"]),
  };
}

function readBytes(value: unknown): Uint8Array | undefined {
  return value instanceof Uint8Array && value.length <= maxBytes ? value : undefined;
}

/** A worker's message, or undefined for anything else, such as what an application sent with `process.send`. */
export function readFromWorker(value: unknown): FromWorker | undefined {
  if (typeof value !== "object" || value === null) return undefined;
  const fields: Fields = { ...value };
  switch (fields["type"]) {
    case "ready":
    case "lent":
      return { type: fields["type"] };
    case "boot-failed": {
      const files = Array.isArray(fields["files"]) ? fields["files"].slice(0, maxFiles).map(text) : [];
      return { type: "boot-failed", message: text(fields["message"]), files };
    }
    case "pulse":
      return readPulse(fields);
    case "figures":
      return readReport(fields);
    case "connection":
      return { type: "connection", bytes: readBytes(fields["bytes"]), waitedMs: count(fields["waitedMs"]) };
    case "failing":
      return { type: "failing", message: text(fields["message"]) };
    case "changed":
      return { type: "changed", file: text(fields["file"]), fingerprint: text(fields["fingerprint"]) };
    case "drained":
      return { type: "drained", isWhole: fields["isWhole"] === true };
    default:
      return undefined;
  }
}
