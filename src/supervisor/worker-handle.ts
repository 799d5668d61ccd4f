// A worker as the supervisor sees it: its process, what it last said, and how it ended.
// Rules: what a worker says is checked before it is used; a message that cannot be sent is no error, since the exit of
// the process tells the same; the exit is reported once, when the process is gone for certain.

import type { ChildProcess, SendHandle } from "node:child_process";
import { rmSync, existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { Readable } from "node:stream";
import { messageOf } from "../errors.ts";
import type { SocketHandle } from "../server/socket-handle.ts";
import { WorkerFigures } from "./collected-figures.ts";
import type { ExitCause } from "./exit-cause.ts";
import { exitCause } from "./exit-cause.ts";
import { takeHeadStart } from "./head-start.ts";
import type { BootFailure, FromWorker, ProcessStart, Pulse, ToWorker, WorkerConfig } from "./messages.ts";
import { pulseMs, readFromWorker } from "./messages.ts";
import { oomKills } from "./oom-kills.ts";
import { unresponsiveMs } from "./plan.ts";
import type { RestartCause, WorkerState, WorkerView } from "./plan.ts";
import { isProcessStopped } from "./process-state.ts";
import type { Held } from "./relief.ts";
import { waitedMs } from "./relief.ts";
import type { WorkerStatus } from "./status.ts";
import type { StuckReport } from "./stuck.ts";
import { onStuckReport, stuckFd, stuckRequests } from "./stuck.ts";
import { forkWorker } from "./worker-process.ts";

export interface WorkerOptions {
  readonly id: number;
  readonly generation: number;
  readonly config: WorkerConfig;
  /** What it will listen on. It goes on belonging to the caller. */
  readonly listening: SocketHandle | undefined;
  readonly environment: NodeJS.ProcessEnv;
  /** Flags for node. */
  readonly nodeOptions: readonly string[];
  /** Folder for node's own report of a heap that was full; the worker's user can write there and nobody else. */
  readonly reportDir: string;
  readonly requestLimit: number;
  readonly ageLimitMs: number;
  readonly events: WorkerEvents;
}

export interface WorkerEvents {
  /** It said something beside its pulse. `handle` is ours to close. */
  said(worker: WorkerHandle, message: FromWorker, handle: SocketHandle | undefined): void;
  /** The process is gone. */
  ended(worker: WorkerHandle, cause: ExitCause): void;
}

const silence: Pulse = {
  type: "pulse",
  busy: 0,
  waiting: 0,
  connections: 0,
  served: 0,
  shed: 0,
  timedOut: 0,
  rssBytes: 0,
  lagMs: 0,
  idleMs: 0,
};

export class WorkerHandle {
  readonly id: number;
  readonly generation: number;
  readonly bornMs = performance.now();
  state: WorkerState = "booting";
  /** When it began to serve; undefined before. */
  servingSinceMs: number | undefined;
  bootFailure: BootFailure | undefined;
  /** Why it is being replaced or ended; undefined while it is not. */
  intended: RestartCause | undefined;
  readonly figures: WorkerFigures = new WorkerFigures();
  readonly #options: WorkerOptions;
  readonly #process: ChildProcess;
  readonly #reportFile: string;
  readonly #oomKillsBefore = oomKills();
  #pulse = silence;
  /** What its watchdog said, since when it has not been heard of. */
  #stuck: { readonly report: StuckReport; readonly atMs: number } | undefined;
  #lastPulseMs = performance.now();
  #drainDeadlineMs = 0;
  #failure: string | undefined;
  #hasBooted = false;
  /** Connections that it was given since its last pulse. */
  #given = 0;
  /** Connections that may not have left yet: node forgets those that wait for their turn when the process ends. */
  readonly #unsent = new Set<(hasLeft: boolean) => void>();
  #isGone = false;
  #hasLeft = false;

  constructor(options: WorkerOptions) {
    this.id = options.id;
    this.generation = options.generation;
    this.#options = options;
    const reportName = `worker-${options.id}.json`;
    this.#reportFile = join(options.reportDir, reportName);
    const { environment, nodeOptions, config, reportDir } = options;
    const needs = { environment, nodeOptions, cacheDir: config.cacheDir };
    const headStart = takeHeadStart(needs);
    this.#process = headStart?.process ?? forkWorker(needs);
    const reports = this.#process.stdio[stuckFd];
    if (reports instanceof Readable)
      onStuckReport(reports, (report) => (this.#stuck = { report, atMs: performance.now() }));
    this.#process.on("message", (message: unknown, handle: unknown) => this.#received(message, handle));
    this.#process.on("error", (error) => this.#gone(null, null, messageOf(error)));
    this.#process.on("exit", (code, signal) => this.#gone(code, signal, undefined));
    this.#process.on("disconnect", () => this.#takeBackUnsent());
    const start: ProcessStart = {
      report: { folder: reportDir, name: reportName },
      withheld: headStart?.withheld ?? [],
    };
    this.send({ type: "boot", config, start }, options.listening);
  }

  get pid(): number {
    return this.#process.pid ?? 0;
  }

  get pulse(): Pulse {
    return this.#pulse;
  }

  /** How many connections it has, as far as we know. */
  get load(): number {
    return this.#pulse.connections + this.#given;
  }

  get silentSinceMs(): number {
    return this.#lastPulseMs;
  }

  get view(): WorkerView {
    const { id, generation, state, bornMs } = this;
    const { requestLimit, ageLimitMs } = this.#options;
    const { busy, connections, served, rssBytes, idleMs } = this.#pulse;
    const counts = { busy, connections, served, rssBytes, idleMs };
    const known = { id, generation, state, bornMs, ...counts, requestLimit, ageLimitMs };
    const isFailing = this.#failure !== undefined;
    const isStopped = performance.now() - this.#lastPulseMs > unresponsiveMs && isProcessStopped(this.pid);
    return { ...known, isStopped, lastPulseMs: this.#lastPulseMs, drainDeadlineMs: this.#drainDeadlineMs, isFailing };
  }

  /** Whether a message can be sent. A process that was killed is not reachable for a while before its end is told. */
  get isReachable(): boolean {
    return !this.#isGone && this.#process.connected;
  }

  /** Sends a message; `sent` tells whether it has left. The handle goes on belonging to the caller. */
  send(message: ToWorker, handle?: SocketHandle, sent: (hasLeft: boolean) => void = () => {}): void {
    if (!this.isReachable) {
      sent(false);
      return;
    }
    // eslint-disable-next-line typescript/no-unsafe-type-assertion -- native handles are taken too, as node:cluster does
    this.#process.send(message, handle as SendHandle | undefined, { keepOpen: true }, (error) => sent(error === null));
  }

  /** Hands it a connection. When it cannot be given, `failed` gets it back. */
  give(held: Held, failed: () => void): void {
    const { handle, bytes } = held;
    this.#given += 1;
    const settle = (hasLeft: boolean): void => {
      if (!this.#unsent.delete(settle)) return;
      if (hasLeft) handle.close();
      else failed();
    };
    this.#unsent.add(settle);
    this.send({ type: "connection", bytes, waitedMs: waitedMs(held) }, handle, settle);
  }

  #takeBackUnsent(): void {
    for (const settle of this.#unsent) settle(false);
  }

  /** Whether it came as far as having loaded the application. */
  get hasBooted(): boolean {
    return this.#hasBooted;
  }

  /** Whether it ended because we ended it, and not blocked. */
  get isExpected(): boolean {
    return this.#hasLeft || (this.state === "killed" && this.intended !== "blocked");
  }

  statusIn(group: string): WorkerStatus {
    const { pid, generation, state, pulse } = this;
    const { busy, waiting, connections, served, lagMs, rssBytes } = pulse;
    const ageSeconds = Math.round((performance.now() - this.bornMs) / 1000);
    const figures = this.#figuresStatus();
    const running = this.#stuck === undefined ? 0 : figures.running.length; // the pulse came before them
    const silentMs = Math.round(performance.now() - this.#lastPulseMs);
    const lateMs = Math.max(lagMs, silentMs - pulseMs); // the next pulse is so late already
    const counts = { busy: Math.max(busy, running), waiting, connections, served, rss: rssBytes, lagMs: lateMs };
    return { group, pid, generation, state, ...counts, silentMs, ageSeconds, ...figures };
  }

  /** A blocked worker reports nothing itself. */
  #figuresStatus(): ReturnType<WorkerFigures["status"]> {
    const figures = this.figures.status();
    if (this.#stuck === undefined) return figures;
    const { report, atMs } = this.#stuck;
    return { ...figures, running: stuckRequests(report, Math.round(performance.now() - atMs), figures.running) };
  }

  /** Lets it accept connections. What it has already need not be sent again: one handle after the other waits to be taken. */
  serve(listening: SocketHandle | undefined): void {
    this.state = "serving";
    this.servingSinceMs = performance.now();
    this.send({ type: "serve" }, listening === this.#options.listening ? undefined : listening);
  }

  /** It goes on serving until another one does in its place. */
  retire(cause: RestartCause): void {
    this.state = "retiring";
    this.intended = cause;
  }

  /** Its drain is over: it may end. */
  leave(): void {
    this.#hasLeft = true;
    this.send({ type: "leave" });
  }

  drain(deadlineMs: number, handsOver: boolean): void {
    this.state = "draining";
    this.#drainDeadlineMs = deadlineMs;
    const reason = handsOver ? (this.intended ?? "reload") : "stop";
    this.send({ type: "drain", deadlineMs: Math.max(0, deadlineMs - performance.now()), handsOver, reason });
  }

  kill(cause: RestartCause): void {
    this.state = "killed";
    this.intended = cause;
    this.#process.kill("SIGKILL");
  }

  #received(value: unknown, handle: unknown): void {
    // eslint-disable-next-line typescript/no-unsafe-type-assertion -- what comes beside a message is a native handle
    const socket = (handle ?? undefined) as SocketHandle | undefined;
    const message = readFromWorker(value);
    this.#lastPulseMs = performance.now();
    if (message === undefined) {
      socket?.close();
      return;
    }
    this.#stuck = undefined;
    if (message.type === "ready") this.#hasBooted = true;
    if (message.type === "pulse") {
      this.#pulse = message;
      this.#given = 0;
    } else if (message.type === "figures") this.figures.add(message);
    else if (message.type === "failing") this.#failure = message.message;
    else if (message.type === "boot-failed") this.bootFailure = message;
    this.#options.events.said(this, message, socket);
  }

  #gone(code: number | null, signal: NodeJS.Signals | null, failure: string | undefined): void {
    if (this.#isGone) return;
    this.#isGone = true;
    this.#takeBackUnsent();
    const cause = exitCause({
      code,
      signal,
      intended: this.#hasLeft || this.state === "killed" ? this.intended : undefined,
      hasBooted: this.#hasBooted,
      failure: failure ?? this.#failure,
      isHeapFull: this.#takeReport(),
      wasOomKilled: oomKills() > this.#oomKillsBefore,
    });
    this.#options.events.ended(this, cause);
  }

  /** Whether node has written its report of a full heap; the file is removed. */
  #takeReport(): boolean {
    if (!existsSync(this.#reportFile)) return false;
    try {
      return readFileSync(this.#reportFile, "utf8").includes('"trigger": "OOMError"');
    } finally {
      rmSync(this.#reportFile, { force: true });
    }
  }
}
