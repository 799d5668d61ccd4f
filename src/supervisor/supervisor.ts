// The supervisor: the process groups, and everything about the daemon as a whole.
// Rules: no application code is loaded here; the control socket tells whether a supervisor is alive, so that the sockets of
// one that was killed can be taken over; what was opened is closed in the reverse order, once.

import { chownSync, mkdtempSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { formatListenAddress } from "../config/address.ts";
import { defaultControlPath, makeControlFolder } from "../config/control-path.ts";
import type { ServerConfig } from "../config/groups.ts";
import { BootError, systemCodeOf } from "../errors.ts";
import type { HistogramCounts } from "../metrics/histogram.ts";
import { Histogram } from "../metrics/histogram.ts";
import type { Log } from "../spec.ts";
import { totalFigures } from "./collected-figures.ts";
import type { Controlled, ReloadOutcome } from "./control.ts";
import { isSupervisorAlive } from "./control-socket.ts";
import { ControlServer } from "./control.ts";
import { ProcessGroup } from "./group.ts";
import { ServiceNotifier } from "./notify.ts";
import { PidFile } from "./pid-file.ts";
import type { HistoryAnswer } from "./status-page/recorder.ts";
import { Recorder } from "./status-page/recorder.ts";
import type { StatusServer } from "./status-page/server.ts";
import type { Status } from "./status.ts";
import { totalStatus } from "./status.ts";

export interface SupervisorOptions {
  readonly config: ServerConfig;
  readonly version: string;
  readonly log: Log;
}

/** How often the touch file is looked at, ms. */
const touchCheckMs = 1000;
/** How long the port of a killed supervisor may be held by its workers beyond their deadlock timeout, ms. */
const takeOverMs = 3000;
const retryMs = 100;

function modifiedAt(file: string): number {
  return statSync(file, { throwIfNoEntry: false })?.mtimeMs ?? 0;
}

export class Supervisor implements Controlled {
  /** Settles when something asked for the end: `POST /stop`. */
  readonly stopAsked: Promise<void>;
  readonly #options: SupervisorOptions;
  readonly #log: Log;
  readonly #groups: ProcessGroup[] = [];
  readonly #startedMs = performance.now();
  readonly #startedAt = new Date().toISOString();
  readonly #notifier: ServiceNotifier;
  #pidFile: PidFile | undefined;
  #control: ControlServer | undefined;
  #statusServer: StatusServer | undefined;
  readonly #recorder: Recorder;
  readonly #reportDirs: string[] = [];
  #touchTimer: NodeJS.Timeout | undefined;
  #stopping: Promise<{ whole: boolean }> | undefined;
  #askStop: () => void = () => {};

  constructor(options: SupervisorOptions) {
    this.#options = options;
    this.#log = options.log;
    this.#notifier = new ServiceNotifier({ env: process.env, log: options.log, pid: process.pid });
    this.#recorder = new Recorder(this);
    this.stopAsked = new Promise((resolve) => (this.#askStop = resolve));
  }

  /**
   * Opens everything, and settles with the addresses when the first generation serves. Throws BootError, also when no
   * application could be loaded; call `stop` afterwards in any case.
   */
  async start(): Promise<readonly string[]> {
    const { config } = this.#options;
    const wasKilled = await this.#checkPredecessor();
    if (config.pidFile !== undefined) this.#pidFile = PidFile.write(config.pidFile);
    for (const group of config.groups) await this.#openGroup(group, wasKilled);
    for (const group of this.#groups) group.start();
    await this.#openControl(); // while the applications are being loaded
    if (config.status !== undefined) {
      const { openStatusServer } = await import("./status-page/open.ts");
      this.#statusServer = await openStatusServer(config, { control: this.#control?.path, wasKilled }, this, this.#log);
    }
    const outcomes = await Promise.allSettled(this.#groups.map(({ started }) => started));
    const failures = outcomes.flatMap((outcome, index) =>
      outcome.status === "rejected" ? [{ group: this.#groups[index]?.name, error: outcome.reason as Error }] : [],
    );
    const [first] = failures;
    if (first !== undefined && failures.length === outcomes.length) throw first.error;
    for (const { group, error } of failures)
      this.#log.error(
        { code: "TSGI3206", group, problem: error.message },
        "a group could not start: it is tried again",
      );
    this.#watchTouchFile();
    void this.#notifier.ready();
    return this.#groups.map(({ address }) => formatListenAddress(address));
  }

  status(): Status {
    const head = {
      version: this.#options.version,
      pid: process.pid,
      startedAt: this.#startedAt,
      uptimeSeconds: Math.round((performance.now() - this.#startedMs) / 1000),
      state: this.#stopping === undefined ? ("running" as const) : ("stopping" as const),
    };
    return totalStatus(
      head,
      this.#groups.map(({ status }) => status),
      totalFigures(this.#groups.map(({ figures }) => figures)),
    );
  }

  /** How long requests took in their applications since the start, of all groups. */
  applicationTimes(): HistogramCounts {
    const sum = new Histogram();
    for (const { figures } of this.#groups) sum.add(figures.tally.application.counts());
    return sum.counts();
  }

  history(): HistoryAnswer {
    return this.#recorder.answer;
  }

  async metrics(): Promise<string> {
    const status = this.status();
    const groups = this.#groups.map(({ figures }, index) => ({ figures, status: status.groups[index] }));
    const { prometheusText } = await import("./prometheus.ts");
    return await prometheusText(
      status,
      groups.flatMap(({ figures: { tally, lag }, status: group }) =>
        group === undefined ? [] : [{ status: group, tally, lag }],
      ),
    );
  }

  /** A new generation of every group. */
  async reload(): Promise<ReloadOutcome> {
    void this.#notifier.reloading();
    const outcomes = await Promise.all(this.#groups.map(async (group) => ({ group, ...(await group.reload()) })));
    if (this.#stopping === undefined) void this.#notifier.ready();
    const failed = outcomes.filter(({ ok }) => !ok);
    const told = failed.length === 0 ? outcomes : failed;
    const message = told
      .map((each) => (outcomes.length === 1 ? each.message : `${each.group.name}: ${each.message}`))
      .join("; ");
    return { ok: failed.length === 0, message, generation: Math.max(...outcomes.map(({ generation }) => generation)) };
  }

  /** The log files have been moved away: makes new ones, and has the workers write there. */
  reopenLogs(): void {
    for (const group of this.#groups) group.reopenLog();
  }

  /** Lets running requests end; settles when the last one has. */
  stop(): Promise<{ whole: boolean }> {
    this.#askStop();
    this.#stopping ??= this.#stopGroups();
    return this.#stopping;
  }

  /** Closes what is left when all has stopped. */
  async close(): Promise<void> {
    this.#recorder.stop();
    await this.#statusServer?.close();
    await this.#control?.close();
    await this.#notifier.close();
    this.#pidFile?.remove();
    for (const folder of this.#reportDirs) rmSync(folder, { recursive: true, force: true });
  }

  /** Ends every worker at once. */
  kill(): void {
    for (const group of this.#groups) group.kill();
  }

  async #stopGroups(): Promise<{ whole: boolean }> {
    clearInterval(this.#touchTimer);
    void this.#notifier.stopping();
    const whole = await Promise.all(this.#groups.map((group) => group.stop()));
    return { whole: whole.every(Boolean) };
  }

  get #controlPath(): string | undefined {
    const { control, groups } = this.#options.config;
    const [first] = this.#groups;
    const listen = first?.address ?? groups[0]?.listen;
    return control ?? (listen === undefined ? undefined : defaultControlPath(listen, process.env));
  }

  /** Whether a supervisor was here and is dead. Throws BootError when it lives. */
  async #checkPredecessor(): Promise<boolean> {
    const path = this.#controlPath;
    if (path === undefined) return false;
    const state = await isSupervisorAlive(path);
    if (state === "alive") {
      const listen = this.#options.config.groups.map((group) => formatListenAddress(group.listen)).join(", ");
      throw new BootError(`${listen} is in use: another tsgi daemon answers on its control socket ${path}`);
    }
    return state === "dead";
  }

  async #openGroup(config: ServerConfig["groups"][number], wasKilled: boolean): Promise<void> {
    const reportDir = mkdtempSync(join(tmpdir(), "tsgi-"));
    this.#reportDirs.push(reportDir);
    const group = new ProcessGroup({
      config,
      log: this.#log,
      followsFiles: config.reload,
      mayReplaceSocket: wasKilled,
      reportDir,
    });
    const { runAs } = group;
    if (runAs !== undefined) chownSync(reportDir, runAs.uid, runAs.gid);
    const deadlineMs = performance.now() + (wasKilled ? config.deadlockTimeoutMs + takeOverMs : 0);
    for (;;) {
      try {
        await group.open();
        break;
      } catch (error) {
        const cause = error instanceof Error ? error.cause : undefined;
        if (systemCodeOf(cause) !== "EADDRINUSE" || performance.now() > deadlineMs) throw error;
        await new Promise((resolve) => {
          setTimeout(resolve, retryMs); // its workers are about to leave
        });
      }
    }
    this.#groups.push(group);
  }

  async #openControl(): Promise<void> {
    const path = this.#controlPath;
    if (path === undefined) {
      this.#log.info("there is no control socket: give --control to have one");
      return;
    }
    makeControlFolder(path, process.env);
    this.#control = await ControlServer.open(path, this, this.#log);
  }

  #watchTouchFile(): void {
    const { touchFile } = this.#options.config;
    if (touchFile === undefined) return;
    let last = modifiedAt(touchFile);
    this.#touchTimer = setInterval(() => {
      const now = modifiedAt(touchFile);
      if (now === last) return;
      last = now;
      if (now === 0) return; // it was removed
      this.#log.info({ file: touchFile }, "the file was touched: reload");
      void this.reload();
    }, touchCheckMs);
  }
}
