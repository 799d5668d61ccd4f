// A process group: one listening socket and the workers that serve it. It carries out what the plan says.
// Rules: everything that happens ends in a step, which asks the plan what to do now; nothing else starts, drains or ends a
// worker. Chance and time come in here, and nowhere further in.

import { formatListenAddress } from "../config/address.ts";
import type { ListenAddress } from "../config/address.ts";
import { BootError } from "../errors.ts";
import type { Log } from "../spec.ts";
import type { SocketAccess } from "../server/listen.ts";
import { createPeerCheck } from "../server/peers.ts";
import type { SocketHandle } from "../server/socket-handle.ts";
import { Backoff, healthyMs, isForBackoff } from "./backoff.ts";
import { BootFailures } from "./boot-failures.ts";
import { GroupFigures } from "./collected-figures.ts";
import { carryOut } from "./command.ts";
import type { ReloadOutcome } from "./control.ts";
import type { ExitCause } from "./exit-cause.ts";
import type { GroupOptions } from "./group-setup.ts";
import {
  environmentOf,
  jittered,
  nodeFlagsOf,
  prepareLogFileOf,
  reopenLogFile,
  policyOf,
  runAsOf,
  socketAccessOf,
  workerConfigOf,
} from "./group-setup.ts";
import { Intake } from "./intake.ts";
import { Listener } from "./listener.ts";
import type { FromWorker, WorkerConfig } from "./messages.ts";
import type { Action, GroupView, Policy } from "./plan.ts";
import { plan, reliefFor } from "./plan.ts";
import { Relief } from "./relief.ts";
import { Reloads } from "./reloads.ts";
import type { RunAs } from "./run-as.ts";
import { SocketGuard } from "./socket-guard.ts";
import type { GroupState, GroupStatus } from "./status.ts";
import { Totals } from "./totals.ts";
import { WorkerHandle } from "./worker-handle.ts";

/** How often the plan is asked when nothing happens, ms. */
const tickMs = 100;
/** A step that comes this late was not ours to make: the process was stopped or the machine suspended. */
const gapMs = 500;
/** How often files are looked at: the socket's, and those of a broken application, ms. */
const lookMs = 1000;

let lastWorker = 0;

export class ProcessGroup {
  readonly name: string;
  /** Settles when the first generation serves; rejects with BootError when a worker of it could not boot. */
  readonly started: Promise<void>;
  readonly #options: GroupOptions;
  readonly #log: Log;
  readonly #policy: Policy;
  readonly #runAs: RunAs | undefined;
  #workerConfig: WorkerConfig;
  readonly #access: SocketAccess;
  readonly #workers = new Map<number, WorkerHandle>();
  readonly #backoff = new Backoff();
  readonly #reloads = new Reloads();
  readonly #intake: Intake;
  readonly #relief: Relief;
  readonly #restarts: Record<string, number> = {};
  readonly #totals = new Totals();
  readonly figures: GroupFigures = new GroupFigures();
  #listener: Listener | undefined;
  #guard: SocketGuard | undefined;
  #ticker: NodeJS.Timeout | undefined;
  #awakeSinceMs = performance.now();
  #lastTickMs = performance.now();
  #nextLookMs = 0;
  #isStopping = false;
  #isWhole = true;
  readonly #bootFailures = new BootFailures();
  #lastChange = "";
  #settleStarted: { readonly resolve: () => void; readonly reject: (error: Error) => void };
  #onEmpty: (() => void) | undefined;

  /** Throws BootError for accounts that do not exist. */
  constructor(options: GroupOptions) {
    const { config, log } = options;
    this.name = config.name;
    this.#options = options;
    this.#log = log;
    this.#policy = policyOf(config);
    this.#runAs = runAsOf(config);
    this.#workerConfig = workerConfigOf(config, this.#runAs, options.followsFiles);
    this.#access = socketAccessOf(config, this.#runAs, options.mayReplaceSocket);
    this.#relief = new Relief({ ...config, log, meter: this.figures.meter });
    this.#intake = new Intake({
      relief: this.#relief,
      workers: () => this.#workers.values(),
      isAllowed: createPeerCheck(config.allow, (address) =>
        log.warn({ code: "TSGI1101", address }, "FastCGI peer refused: not listed by --allow"),
      ),
      log,
    });
    let settle: { resolve: () => void; reject: (error: Error) => void } | undefined;
    this.started = new Promise<void>((resolve, reject) => (settle = { resolve, reject }));
    this.started.catch(() => {}); // whoever waits for it gets it too
    this.#settleStarted = settle ?? { resolve: () => {}, reject: () => {} };
  }

  /** Opens the socket. Throws BootError. */
  async open(): Promise<void> {
    prepareLogFileOf(this.#options.config, this.#runAs);
    this.#listener = await Listener.open(this.#options.config.listen, this.#access, {
      log: this.#log,
      onConnection: this.#intake.accepted,
    });
    this.#guard = new SocketGuard(this.#listener, this.#access, this.#log);
  }

  get address(): ListenAddress {
    return this.#listener?.address ?? this.#options.config.listen;
  }

  /** The user that owns what the workers write. */
  get runAs(): RunAs | undefined {
    return this.#runAs;
  }

  /** Starts the workers; `started` tells the outcome. */
  start(): void {
    this.#ticker = setInterval(() => this.#tick(), tickMs);
    this.#step();
  }

  /** The log file has been moved away: makes a new one and has the workers open it. */
  reopenLog(): void {
    reopenLogFile(this.#options.config, this.#runAs, this.#log);
    for (const worker of this.#workers.values()) worker.send({ type: "reopen-log" });
  }

  /** A new generation; settles when it serves or was given up. */
  reload(): Promise<ReloadOutcome> {
    if (this.#isStopping)
      return Promise.resolve({ ok: false, message: "the daemon is stopping", generation: this.#reloads.established });
    const outcome = this.#reloads.ask();
    this.#step();
    return outcome;
  }

  /** Lets running requests end within the shutdown timeout. True when none was cut off. */
  async stop(): Promise<boolean> {
    if (!this.#isStopping) {
      this.#isStopping = true;
      this.#reloads.stop();
      this.#settleStarted.reject(new BootError("the start was called off"));
      this.#listener?.close();
    }
    const empty = new Promise<void>((resolve) => (this.#onEmpty = resolve));
    this.#step();
    if (this.#workers.size > 0) await empty;
    clearInterval(this.#ticker);
    await this.#relief.close();
    return this.#isWhole;
  }

  /** Ends the workers at once. */
  kill(): void {
    for (const worker of this.#workers.values()) worker.kill("reload");
  }

  get status(): GroupStatus {
    const { config } = this.#options;
    const workers = [...this.#workers.values()];
    const totals = this.#totals.with(workers);
    const waiting = workers.reduce((sum, { pulse }) => sum + pulse.waiting, this.#intake.waiting);
    return {
      name: this.name,
      listen: formatListenAddress(this.address),
      state: this.#state(workers),
      generation: this.#reloads.established,
      processes: config.processes,
      workers: workers.map((worker) => worker.statusIn(this.name)),
      queue: { waiting, limit: config.queueLimit },
      ...totals,
      shed: totals.shed + this.#intake.shed,
      handedOver: this.#intake.handedOver,
      restarts: this.#restarts,
      reloads: this.#reloads.counts,
      lastBootError: this.#bootFailures.last ?? null,
      figures: this.figures.tally.figures(),
      slowest: this.figures.slowest(workers.map((worker) => worker.figures)),
    };
  }

  #state(workers: readonly WorkerHandle[]): GroupState {
    if (this.#isStopping) return "stopping";
    if (workers.some(({ state }) => state === "serving" || state === "retiring")) return "serving";
    return this.#reloads.established === 0 && this.#backoff.crashes === 0 ? "starting" : "unavailable";
  }

  #view(): GroupView {
    return {
      workers: [...this.#workers.values()].map((worker) => worker.view),
      generation: this.#reloads.wanted,
      established: this.#reloads.established,
      isStopping: this.#isStopping,
      notBeforeMs: this.#backoff.notBeforeMs,
      crashes: this.#backoff.crashes,
      awakeSinceMs: this.#awakeSinceMs,
    };
  }

  #tick(): void {
    const now = performance.now();
    if (now - this.#lastTickMs > gapMs) this.#awakeSinceMs = now;
    this.#lastTickMs = now;
    if (now >= this.#nextLookMs && !this.#isStopping) {
      this.#nextLookMs = now + lookMs;
      void this.#look();
    }
    this.#step();
  }

  #step(): void {
    const draining = [...this.#workers.values()].filter(({ state }) => state === "draining").length;
    if (!this.#isStopping && draining < 2 * this.#policy.processes && this.#reloads.begin()) {
      this.#backoff.reset();
      this.#bootFailures.forgetFiles();
    }
    const now = performance.now();
    for (const action of plan(this.#view(), this.#policy, now)) this.#apply(action, now);
    this.#relieve(now);
  }

  #relieve(now: number): void {
    const listener = this.#listener;
    if (listener === undefined || this.#isStopping) return;
    const mode = reliefFor(this.#view(), now);
    const workers = [...this.#workers.values()];
    const silent = workers.filter(({ state }) => state === "serving" || state === "retiring");
    const silentSinceMs = silent.length === 0 ? now : Math.max(...silent.map((worker) => worker.silentSinceMs));
    this.#intake.set(mode, listener, silentSinceMs);
    // Until one lends its handle, both accept.
    if (mode === "off" && listener.isAccepting)
      workers.find(({ state }) => state === "serving")?.send({ type: "lend" });
    const isWell = workers.filter(({ servingSinceMs }) => now - (servingSinceMs ?? now) >= healthyMs).length;
    if (this.#backoff.crashes > 0 && isWell >= this.#policy.processes) this.#backoff.reset();
  }

  #apply(action: Action, now: number): void {
    switch (action.type) {
      case "start":
        this.#startWorker(action.generation);
        break;
      case "establish":
        if (this.#reloads.establish())
          this.#log.info({ generation: action.generation, group: this.name }, "a new generation serves");
        this.#settleStarted.resolve();
        break;
      case "serve":
      case "retire":
      case "drain":
      case "kill": {
        const worker = this.#workers.get(action.id);
        if (worker === undefined) return;
        carryOut(action, worker, { group: this.name, handle: this.#listener?.handle, log: this.#log, now });
      }
    }
  }

  #startWorker(generation: number): void {
    const { config, reportDir } = this.#options;
    lastWorker += 1;
    const worker = new WorkerHandle({
      id: lastWorker,
      generation,
      config: this.#workerConfig,
      listening: this.#listener?.handle,
      environment: environmentOf(config, this.#runAs),
      nodeOptions: nodeFlagsOf(config),
      reportDir,
      requestLimit: jittered(config.maximumRequests),
      ageLimitMs: jittered(config.restartIntervalMs),
      events: { said: this.#said, ended: this.#ended },
    });
    this.#workers.set(worker.id, worker);
  }

  readonly #said = (worker: WorkerHandle, message: FromWorker, handle: SocketHandle | undefined): void => {
    switch (message.type) {
      case "pulse":
        return;
      case "figures":
        this.figures.add(message);
        return;
      case "ready":
        if (worker.state === "booting") worker.state = "ready";
        break;
      case "boot-failed":
        worker.kill("boot-failed");
        // Before the next step, which would start another one at once: the pause begins now.
        if (worker.generation === this.#reloads.wanted) this.#bootFailed(worker, message.message, message.files);
        break;
      case "connection":
        if (handle !== undefined) this.#intake.givenBack(handle, message.bytes, message.waitedMs);
        return;
      case "lent":
        if (handle !== undefined) this.#lent(handle);
        return;
      case "changed":
        this.#changed(message.file, message.fingerprint);
        break;
      case "drained":
        this.#drained(worker, message.isWhole);
        break;
      case "failing": // the worker has logged it, and the plan replaces it; from now on all know whose error the next is
        this.#workerConfig = { ...this.#workerConfig, isFollowing: true };
        for (const each of this.#workers.values()) each.send({ type: "follow" });
        break;
    }
    this.#step();
  };

  #lent(handle: SocketHandle): void {
    if (this.#isStopping || this.#listener === undefined) handle.close();
    else this.#listener.rest(handle);
  }

  #drained(worker: WorkerHandle, isWhole: boolean): void {
    if (!isWhole) {
      this.#isWhole = false;
      const fields = { code: "TSGI3203", group: this.name, worker: worker.pid };
      this.#log.warn(fields, "requests were cut off: they took too long to end");
    }
    worker.leave();
  }

  #changed(file: string, fingerprint: string): void {
    if (!this.#options.followsFiles || fingerprint === this.#lastChange || this.#reloads.isUnderWay) return;
    this.#lastChange = fingerprint;
    this.#log.info({ group: this.name, file }, "a file of the application changed: reload");
    void this.reload();
  }

  readonly #ended = (worker: WorkerHandle, exit: ExitCause): void => {
    this.#workers.delete(worker.id);
    this.#totals.keep(worker);
    this.figures.keep(worker.figures);
    if (this.#isStopping) {
      if (this.#workers.size === 0) this.#onEmpty?.();
      return;
    }
    this.#restarts[exit.cause] = (this.#restarts[exit.cause] ?? 0) + 1;
    const fields = { group: this.name, worker: worker.pid, cause: exit.cause, reason: exit.text };
    if (worker.hasBooted) {
      const now = performance.now();
      const servedMs = now - (worker.servingSinceMs ?? now);
      if (isForBackoff({ ...exit, isExpected: worker.isExpected, servedMs }))
        this.#backoff.crashed(now, servedMs, Math.random());
      if (worker.isExpected) this.#log.info(fields, "the worker has ended");
      else this.#log.error({ code: "TSGI3204", ...fields }, "the worker has ended: it will be replaced");
    } else if (worker.generation === this.#reloads.wanted && worker.bootFailure === undefined) {
      this.#bootFailed(worker, `a worker could not start: ${exit.text}`, []);
    }
    this.#step();
  };

  #bootFailed({ generation }: WorkerHandle, message: string, files: readonly string[]): void {
    this.#bootFailures.add({ message, generation, files });
    const isServing = [...this.#workers.values()].some(
      (other) => other.generation === generation && other.state === "serving",
    );
    if (this.#reloads.isUnderWay && !isServing) {
      this.#log.error(
        { code: "TSGI3205", group: this.name, problem: message },
        "the new generation could not start: the old one goes on serving",
      );
      this.#reloads.abandon(message);
      return;
    }
    this.#settleStarted.reject(new BootError(message));
    if (this.#reloads.established > 0)
      this.#log.error({ code: "TSGI3206", group: this.name, problem: message }, "a worker could not start");
    this.#backoff.crashed(performance.now(), 0, Math.random());
  }

  /** A look at files: whether a broken application was mended, and whether the socket is still where it was. */
  async #look(): Promise<void> {
    if (this.#bootFailures.isMended()) {
      this.#bootFailures.forgetFiles();
      this.#backoff.reset();
      const isServing = [...this.#workers.values()].some(({ state }) => state === "serving");
      if (isServing && this.#options.followsFiles) void this.reload();
    }
    if ((await this.#guard?.look()) !== true) return;
    for (const worker of this.#workers.values()) {
      if (worker.state === "serving" || worker.state === "retiring")
        worker.send({ type: "serve" }, this.#listener?.handle);
    }
  }
}
