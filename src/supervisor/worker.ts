// A worker: one process that loads the application and serves the connections that it accepts or is given.
// Rules: it becomes its user before it reads anything of the application; it accepts when the supervisor says so and
// draws a breath (the pulse) as often as its event loop allows; it ends when the supervisor says so, or is gone. A drained
// connection is given back, never closed while Apache may send on it.

import { dirname } from "node:path";
import { messageOf, messageWithCode, systemCodeOf, TsgiError } from "../errors.ts";
import { emit } from "../events.ts";
import { sweepUploads } from "../forms/upload-folder.ts";
import { giveProof, takeProof } from "../loader/proof.ts";
import { checkWatch, fingerprint, signatureOf } from "../loader/watch.ts";
import type { ProcessLog } from "../log.ts";
import { captureConsole } from "../log/console.ts";
import { RequestScope } from "../log/scope.ts";
import { failRequest } from "../log/uncaught.ts";
import { residentBytes } from "../metrics/memory.ts";
import { accessLogTo } from "../server/access-log.ts";
import { Background } from "../server/background.ts";
import type { Engine } from "../server/engine.ts";
import { createEngine } from "../server/engine.ts";
import type { ErrorPages } from "../server/error-pages.ts";
import { createPeerCheck } from "../server/peers.ts";
import { listeningHandleOf, listenOnHandle } from "../server/listening-handle.ts";
import { peerSecretCheck } from "../server/peer-secret.ts";
import type { ReleasedConnection } from "../server/fastcgi-server.ts";
import type { Router, Target } from "../server/route.ts";
import { createRouter } from "../server/route.ts";
import { proxyTrust } from "../server/trusted-proxies.ts";
import type { SocketHandle } from "../server/socket-handle.ts";
import { SlowLog } from "../server/slow/slow-log.ts";
import { answerLooks } from "./blocked-thread.ts";
import { FiguresReporter } from "./figures-reporter.ts";
import { xSendfile } from "../server/x-sendfile.ts";
import type { FromWorker, ToWorker, WorkerConfig } from "./messages.ts";
import { pulseMs } from "./messages.ts";
import { createTracing } from "../tracing/otel.ts";
import { Watchdog } from "./watchdog.ts";

/** The way to the supervisor. */
export interface Channel {
  /** `done` is called when the message has left, or cannot. */
  send(message: FromWorker, handle?: SocketHandle, done?: () => void): void;
}

/** How old a look at the application's files may be, ms. */
const checkIntervalMs = 1000;

/** How long after its start a worker looks for what others have left, ms. */
const sweepMs = 200;

/** How long an application that is known to load may wait for something without a watchdog, and then serve without one, ms. */
const unwatchedLoadMs = 100;
const unwatchedMs = 20;

/** What a worker's process has made for it. */
export interface WorkerParts {
  readonly log: ProcessLog;
  readonly errorPages: ErrorPages | undefined;
  /** What it will listen on. */
  readonly listening: SocketHandle | undefined;
}

export class Worker {
  readonly #config: WorkerConfig;
  readonly #channel: Channel;
  readonly #log: ProcessLog;
  readonly #router: Router;
  readonly #background: Background;
  readonly #server: Engine;
  readonly #figures: FiguresReporter;
  #reported = "";
  readonly #watchdog: Watchdog;
  /** The bundles that were run. */
  readonly #ran = new Set<string>();
  #listening: SocketHandle | undefined;
  readonly #scope: RequestScope;
  #isFailing = false;
  #isStopping = false;

  constructor(config: WorkerConfig, channel: Channel, { log, errorPages, listening }: WorkerParts) {
    const scope = new RequestScope({ isExclusive: false, isFollowing: config.isFollowing });
    this.#scope = scope;
    captureConsole(log, scope);
    this.#config = config;
    this.#channel = channel;
    this.#log = log;
    this.#listening = listening;
    this.#watchdog = new Watchdog(config);
    this.#background = new Background(log);
    this.#figures = new FiguresReporter(config.group, (report) => channel.send(report));
    this.#router = createRouter({
      target: config.target,
      mountPoint: config.mountPoint,
      cacheDir: config.cacheDir,
      adapter: config.adapter,
      authScript: config.authScript,
      checkIntervalMs: config.followsFiles && config.target.kind === "scripts" ? checkIntervalMs : Infinity,
      mayBeProxied: true,
      log,
      beforeRun: (bundle) => {
        this.#ran.add(bundle);
        if (!takeProof(bundle)) this.#watchdog.start();
      },
    });
    this.#server = createEngine(config.engine, {
      ...config,
      service: {
        router: this.#router,
        log,
        background: this.#background,
        transport: "fastcgi",
        isMultiprocess: config.isMultiprocess,
        isRunOnce: false,
        isLogApaches: false,
        accessLog: config.hasAccessLog ? accessLogTo(log.access()) : undefined,
        scope,
        meter: this.#figures.meter,
        tracing: config.hasTracing ? createTracing({ folders: foldersOf(config.target), log }) : undefined,
        errorPages,
        checkPeer: config.secret === undefined ? undefined : peerSecretCheck(config.secret),
        mendEnviron: proxyTrust(config),
        nameFile: xSendfile(config),
      },
      isBehindFcgid: false,
      isAllowed: createPeerCheck(config.allow, (address) =>
        log.warn({ code: "TSGI1101", address }, "FastCGI peer refused: not listed by --allow"),
      ),
    });
  }

  /** Loads the application and says whether it is ready. */
  async boot(): Promise<void> {
    this.#startPulse();
    setTimeout(() => this.#watchdog.start(), unwatchedLoadMs);
    try {
      await this.#router.preload();
    } catch (error) {
      const files = this.#router.watches.flatMap((watch) => [...watch.files.map(({ path }) => path), ...watch.absent]);
      const stack = error instanceof Error && error.cause instanceof Error ? error.cause.stack : undefined;
      const message = error instanceof TsgiError || stack !== undefined ? messageWithCode(error) : describe(error);
      this.#log.debug({ err: error }, "the application could not be loaded");
      this.#channel.send({ type: "boot-failed", message, files });
      return;
    }
    if (this.#config.followsFiles) setInterval(() => this.#lookAtFiles(), checkIntervalMs).unref();
    this.#channel.send({ type: "ready" });
    setTimeout(() => this.#watchdog.start(), unwatchedMs);
    this.#figures.start();
    setTimeout(() => void sweepUploads(), sweepMs).unref(); // what a worker before this one left when it crashed; it never rejects
  }

  /** It serves, and has drawn breath. */
  settled(): void {
    for (const bundle of this.#ran) giveProof(bundle);
  }

  /** Does what the supervisor asks. */
  receive(message: ToWorker, handle: SocketHandle | undefined): void {
    switch (message.type) {
      case "serve":
        void this.#serve(handle);
        break;
      case "connection":
        if (handle !== undefined) this.#server.adopt(handle, bufferOf(message.bytes), message.waitedMs);
        break;
      case "drain":
        this.#tellStopping(message.reason);
        void this.#drain(message.deadlineMs, message.handsOver);
        break;
      case "lend": {
        const handle = listeningHandleOf(this.#server.netServer);
        if (handle !== undefined) this.#channel.send({ type: "lent" }, handle);
        break;
      }
      case "follow":
        this.#scope.follow();
        break;
      case "boot":
      case "reopen-log":
      case "leave":
        break; // the entry's part
    }
  }

  /** An error that nobody caught: it fails its request, where that can be told, and what is left of this process is in doubt. */
  readonly failed = (error: unknown): void => {
    const isRequests = failRequest(this.#scope, error);
    const fields = isRequests ? { code: "TSGI2101" } : { code: "TSGI2101", err: error };
    const place = isRequests ? "in" : "outside";
    this.#log.error(fields, `uncaught error ${place} a request: this worker will be replaced`);
    if (this.#isFailing) return;
    this.#isFailing = true;
    this.#channel.send({ type: "failing", message: describe(error) });
  };

  /** The supervisor is gone: ends what runs, and settles. */
  async abandoned(): Promise<void> {
    const { shutdownTimeoutMs } = this.#config;
    this.#tellStopping("stop");
    await this.#end(shutdownTimeoutMs, false);
  }

  async #serve(given: SocketHandle | undefined): Promise<void> {
    const handle = given ?? this.#listening;
    if (handle !== this.#listening) this.#listening?.close();
    this.#listening = undefined;
    if (handle === undefined) return;
    try {
      await listenOnHandle(this.#server.netServer, handle);
    } catch (error) {
      this.failed(error);
    }
  }

  #tellStopping(reason: string): void {
    if (this.#isStopping) return;
    this.#isStopping = true;
    emit("processStopping", { reason }, this.#log);
  }

  async #drain(deadlineMs: number, handsOver: boolean): Promise<void> {
    const isWhole = await this.#end(deadlineMs, handsOver);
    this.#figures.report();
    this.#sendPulse(0); // what was served since the last one
    this.#channel.send({ type: "drained", isWhole });
  }

  async #end(deadlineMs: number, handsOver: boolean): Promise<boolean> {
    const startMs = performance.now();
    this.#listening?.close();
    this.#listening = undefined;
    const handOver = handsOver ? this.#giveBack : undefined;
    const wereRequestsWhole = await this.#server.drain({ deadlineMs, handOver });
    const restMs = Math.max(0, deadlineMs - (performance.now() - startMs));
    return (await this.#background.idle(restMs)) && wereRequestsWhole;
  }

  readonly #giveBack = ({ handle, bytes, waitedMs }: ReleasedConnection): void => {
    this.#channel.send({ type: "connection", bytes, waitedMs }, handle, () => handle.close());
  };

  #startPulse(): void {
    const { meter } = this.#figures;
    const { slowRequestMs } = this.#config;
    const slow = slowRequestMs === 0 ? undefined : new SlowLog({ slowMs: slowRequestMs, meter, log: this.#log });
    answerLooks(() => ({ running: meter.longestRunning(), slow: slow?.takeBlocked() ?? [], nextMs: slow?.nextMs }));
    let dueMs = performance.now() + pulseMs;
    setInterval(() => {
      this.#watchdog.beat();
      slow?.look();
      const now = performance.now();
      const lagMs = Math.max(0, Math.round(now - dueMs));
      dueMs = now + pulseMs;
      this.#sendPulse(lagMs);
    }, pulseMs);
  }

  #sendPulse(lagMs: number): void {
    const { lastActivityMs, ...counts } = this.#server.stats;
    const idleMs = counts.busy > 0 ? 0 : Math.round(performance.now() - lastActivityMs);
    this.#channel.send({ type: "pulse", ...counts, rssBytes: residentBytes(), lagMs, idleMs });
  }

  /** Says once for each state of the files that they are no longer those that were loaded. */
  #lookAtFiles(): void {
    for (const watch of this.#router.watches) {
      const { change } = checkWatch(watch, Date.now());
      if (change === undefined) continue;
      const paths = [...watch.files.map(({ path }) => path), ...watch.absent];
      const state = fingerprint(paths.map((path) => `${path} ${signatureOf(path)}`).join("\n"));
      if (state === this.#reported) return;
      this.#reported = state;
      this.#channel.send({ type: "changed", file: change, fingerprint: state });
      return;
    }
  }
}

/** Where the applications lie. */
function foldersOf(target: Target): string[] {
  switch (target.kind) {
    case "application":
      return [dirname(target.reference.file)];
    case "mounts":
      return target.applications.map(({ reference }) => dirname(reference.file));
    case "scripts":
      return target.root === undefined ? [] : [target.root];
  }
}

function bufferOf(bytes: Uint8Array | undefined): Buffer | undefined {
  return bytes === undefined ? undefined : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

/** One line, with the first place outside Node that the stack names. */
function describe(error: unknown): string {
  if (!(error instanceof Error)) return messageOf(error);
  const place = /^ {4}at .*?((?:file:\/\/)?\/[^()]*:\d+:\d+)\)?$/m.exec(error.stack ?? "")?.[1];
  const code = systemCodeOf(error);
  return `${error.name}: ${messageOf(error)}${code === undefined ? "" : ` [${code}]`}${place === undefined ? "" : ` (at ${place})`}`;
}
