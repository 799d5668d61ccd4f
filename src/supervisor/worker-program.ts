// What a worker's process runs: forked by the supervisor, and of no use to anybody else.
// Rules: nothing of the application is loaded before the process has become who it shall be; when the channel to the
// supervisor closes, running requests may end and then the process does; standard output is the application's.

import type { SendHandle } from "node:child_process";
import { messageOf } from "../errors.ts";
import type { ProcessLog } from "../log.ts";
import { createLog, reopenLog, servingBase } from "../log.ts";
import { errorPagesOf } from "../server/error-pages.ts";
import type { SocketHandle } from "../server/socket-handle.ts";
import type { FromWorker, ProcessStart, ToWorker, WorkerConfig } from "./messages.ts";
import { become } from "./run-as.ts";
import type { WorkerParts } from "./worker.ts";
import { Worker } from "./worker.ts";

let worker: Worker | undefined;
let log: ProcessLog | undefined;
let hasServed = false;
/** Keeps the machine code of this program, which only the user may do who started it. */
let keepCode: () => void = () => {};

/** How long after it began to serve a worker does what need not be done before, ms. */
const settleMs = 300;

function settle(): void {
  keepCode();
  worker?.settled();
  log?.load();
}

function send(message: FromWorker, handle?: SocketHandle, done?: () => void): void {
  if (process.send === undefined || !process.connected) {
    done?.();
    return;
  }
  // eslint-disable-next-line typescript/no-unsafe-type-assertion -- native handles are taken too, as node:cluster does
  process.send(message, handle as SendHandle | undefined, { keepOpen: true }, () => done?.());
}

/** The whole state of the process that the application will find. Throws what keeps it from being so. */
async function prepare(
  config: WorkerConfig,
  { report, withheld }: ProcessStart,
): Promise<Pick<WorkerParts, "log" | "errorPages">> {
  for (const name of withheld) delete process.env[name];
  Object.assign(process.report, { directory: report.folder, filename: report.name, reportOnFatalError: true });
  process.title = config.title;
  if (config.runAs !== undefined) {
    keepCode();
    keepCode = () => {};
    become(config.runAs);
  }
  if (config.umask !== undefined) process.umask(config.umask);
  if (config.home !== undefined) process.chdir(config.home);
  const base = { ...servingBase(), group: config.group };
  log = createLog({ level: config.logLevel, file: config.logFile, base });
  log.reopen();
  log.debug("the worker starts");
  return { log, errorPages: await errorPagesOf(config) };
}

async function boot(config: WorkerConfig, start: ProcessStart, listening: SocketHandle | undefined): Promise<void> {
  let parts: Awaited<ReturnType<typeof prepare>>;
  try {
    parts = await prepare(config, start);
  } catch (error) {
    send({ type: "boot-failed", message: messageOf(error), files: [] });
    return;
  }
  worker = new Worker(config, { send }, { ...parts, listening });
  const { failed } = worker;
  process.on("uncaughtException", failed);
  await worker.boot();
}

function leave(): never {
  if (hasServed) {
    keepCode();
    worker?.settled();
  }
  // eslint-disable-next-line unicorn/no-process-exit -- timers and pools of the application must not keep the process
  process.exit(0);
}

function receive(message: ToWorker, given: unknown): void {
  // eslint-disable-next-line typescript/no-unsafe-type-assertion -- only the supervisor is on the other end
  const handle = given as SocketHandle | undefined;
  if (message.type === "boot") void boot(message.config, message.start, handle);
  else if (message.type === "reopen-log") reopenLog(log);
  else if (message.type === "leave") leave();
  else worker?.receive(message, handle);
  if (message.type === "serve" && !hasServed) {
    hasServed = true;
    setTimeout(settle, settleMs).unref();
  }
}

/** This module, as what evaluates its bundle sees it. */
export interface WorkerProgram {
  readonly runWorker: typeof runWorker;
}

/** Waits for what the supervisor says. `keep` keeps the machine code of this program. */
export function runWorker(keep: () => void = () => {}): void {
  keepCode = keep;
  process.on("message", receive);
  // Signals of a terminal or a service manager are for the supervisor: it tells us what follows from them.
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.on(signal, () => {});
  process.on("SIGUSR1", () => reopenLog(log)); // without it Node would open its debugger
  process.once("disconnect", () => {
    // eslint-disable-next-line unicorn/no-process-exit -- an orphan must not stay
    void (worker?.abandoned() ?? Promise.resolve()).finally(() => process.exit(0));
  });
}
