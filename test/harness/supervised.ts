// `tsgi daemon` with its supervisor and workers, and a real Apache in front of it, configured as `tsgi config` prints it.
// Rules: one for each test. When the test is over nothing may be left of it: no request in a worker, no descriptor in the
// supervisor, no connection in Apache beyond those of the load, then, after SIGTERM, no process, socket or file.
import { rm } from "node:fs/promises";
import { request as httpClient } from "node:http";
import { onTestFailed, onTestFinished } from "vitest";
import type { Apache } from "./apache.ts";
import { httpRequest, type HttpReply, type HttpRequest } from "./http.ts";
import { descriptorsOf, filesBelow, isRunning, isSocket, processesOf } from "./leftovers.ts";
import { Load, type LoadOptions } from "./load.ts";
import { freePort } from "./machine.ts";
import { childrenOf } from "./process-facts.ts";
import type { Program, ProgramEnd } from "./program.ts";
import { until, within } from "./until.ts";
import type { Workspace } from "./workspace.ts";

export interface SupervisedOptions {
  /** The application's file; undefined when `args` say what is served. */
  readonly app: string | undefined;
  /** Default a unix socket. */
  readonly isTcp?: boolean;
  /** Whether Apache keeps its connections to the daemon; default true, as `tsgi config` has it. */
  readonly hasReuse?: boolean;
  /** Default 2. */
  readonly processes?: number;
  readonly args?: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  readonly asRoot?: boolean;
  /** Requests that Apache can serve at once. */
  readonly threads?: number;
  /** A command line that runs before the daemon in its process, for example "ulimit -n 64". */
  readonly shell?: string;
  /** More lines for Apache. */
  readonly apacheConfig?: string;
  /** Lines of Apache's error log that the test causes on purpose. */
  readonly expectLog?: readonly RegExp[];
  /** For a daemon whose `args` name its addresses: where its control socket is, and which sockets are its own. */
  readonly controlPath?: string;
  readonly sockets?: readonly string[];
}

export interface WorkerFacts {
  readonly group: string;
  readonly pid: number;
  readonly generation: number;
  readonly state: string;
  readonly busy: number;
  readonly waiting: number;
  readonly connections: number;
  readonly served: number;
  readonly rss: number;
  readonly lagMs: number;
  readonly ageSeconds: number;
  readonly running: readonly RequestFacts[];
}

export interface RequestFacts {
  readonly id: string;
  readonly path: string;
  readonly elapsedMs: number;
  readonly status: number | null;
  readonly where?: readonly string[];
}

export interface GroupFacts {
  readonly name: string;
  readonly listen: string;
  readonly state: string;
  readonly generation: number;
  readonly processes: number;
  readonly workers: readonly WorkerFacts[];
  readonly queue: { readonly waiting: number; readonly limit: number };
  readonly served: number;
  readonly shed: number;
  readonly timedOut: number;
  readonly handedOver: number;
  readonly restarts: Readonly<Record<string, number>>;
  readonly reloads: { readonly done: number; readonly failed: number };
  readonly lastBootError: { readonly message: string; readonly at: string; readonly generation: number } | null;
}

export interface StatusFacts {
  readonly pid: number;
  readonly state: string;
  readonly workers: readonly WorkerFacts[];
  readonly queue: { readonly waiting: number; readonly limit: number };
  readonly served: number;
  readonly shed: number;
  readonly restarts: Readonly<Record<string, number>>;
  readonly lastBootError: { readonly message: string; readonly at: string; readonly generation: number } | null;
  readonly groups: readonly GroupFacts[];
}

export interface ControlReply {
  readonly status: number;
  readonly body: string;
}

/** Apache's words for a backend that ended a request or a connection early, or that was not there. */
/** What a request says in Apache's error log when a limit of ours ended it: each test asks for its status itself. */
const ourRefusals = /tsgi: (?:StoppingError|RequestTimeoutError|OverloadedError): /u;

export const brokenBackend: readonly RegExp[] = [
  /AH01075: Error dispatching request to/u,
  /AH01067: Failed to read FastCGI header/u,
  /AH10410: /u,
  /AH01068: Got bogus version/u,
  /AH02454: FCGI: attempt to connect/u,
  /AH01079: failed to make connection/u,
  /AH00959: ap_proxy_connect_backend disabling worker/u,
  /AH00957: /u,
  /AH01114: /u,
  /AH01102: /u,
];

/** Asks the control socket. */
export function askControl(socketPath: string, method: string, path: string): Promise<ControlReply> {
  return within(
    `${method} ${path} at ${socketPath}`,
    new Promise<ControlReply>((resolve, reject) => {
      const request = httpClient({ socketPath, method, path, agent: false }, (response) => {
        let body = "";
        response.setEncoding("utf8");
        response.on("data", (text: string) => (body += text));
        response.once("end", () => resolve({ status: response.statusCode ?? 0, body }));
        response.once("error", reject);
      });
      request.once("error", reject);
      request.end();
    }),
    60_000,
  );
}

/** Connections that a client may keep open beside those of the load: `tsgi config` and probes. */
const slack = 4;
let names = 0;

export class Supervised {
  readonly workspace: Workspace;
  readonly options: SupervisedOptions;
  readonly listen: string;
  /** The unix socket's path; "" for TCP. */
  readonly socket: string;
  readonly control: string;
  #program: Program;
  #apache: Apache | undefined;
  readonly #loads: Load[] = [];
  readonly #expectLog: RegExp[];
  #baseline: number | undefined;
  #apacheSockets = 0;
  #mostClients = 0;
  #asking = 0;
  #mostAsking = 0;
  #isStopped = false;
  #isKilled = false;

  private constructor(
    workspace: Workspace,
    options: SupervisedOptions,
    place: { readonly listen: string; readonly socket: string; readonly control: string },
  ) {
    this.workspace = workspace;
    this.options = options;
    this.listen = place.listen;
    this.socket = place.socket;
    this.control = place.control;
    this.#expectLog = [ourRefusals, ...(options.expectLog ?? [])];
    workspace.expectLog(...this.#expectLog);
    this.#program = this.#spawn();
  }

  /**
   * Starts the daemon and Apache and waits until both serve. At the end of the test `leaveNoTrace` runs, unless the test
   * has called it.
   */
  static async start(workspace: Workspace, options: SupervisedOptions): Promise<Supervised> {
    const supervised = await Supervised.spawn(workspace, options);
    await supervised.announced();
    await supervised.startApache();
    await supervised.takeBaseline();
    return supervised;
  }

  /** Starts the daemon alone and waits for nothing. */
  static async spawn(workspace: Workspace, options: SupervisedOptions): Promise<Supervised> {
    names += 1;
    const socket = options.isTcp === true ? "" : workspace.path("run", `s${names}.sock`);
    const listen = options.isTcp === true ? `tcp:127.0.0.1:${await freePort()}` : `unix:${socket}`;
    const beside = options.isTcp === true ? workspace.path("run", `s${names}.control`) : `${socket}.control`;
    const control = options.controlPath ?? beside;
    const supervised = new Supervised(workspace, options, { listen, socket, control });
    onTestFailed(() => {
      process.stderr.write(`${supervised.program.report().slice(-6000)}\n`);
    });
    onTestFinished(async () => {
      if (!supervised.#isStopped) await supervised.leaveNoTrace();
    });
    return supervised;
  }

  #spawn(): Program {
    const { app, processes = 2, args = [], env, asRoot, isTcp, shell } = this.options;
    const words = [
      "daemon",
      ...(app === undefined ? [] : [app]),
      ...(app === undefined ? [] : ["--listen", this.listen]),
      ...(isTcp === true ? ["--control", `unix:${this.control}`] : []),
      ...(app === undefined ? [] : ["--processes", String(processes)]),
      ...args,
    ];
    const options = { ...(env === undefined ? {} : { env }), ...(asRoot === undefined ? {} : { asRoot }) };
    if (shell === undefined) return this.workspace.tsgi(words, options);
    const quoted = [process.execPath, this.workspace.bin("tsgi"), ...words].map((word) => `'${word}'`).join(" ");
    return this.workspace.program("tsgi daemon", ["/bin/sh", "-c", `${shell}\nexec ${quoted}`], options);
  }

  get program(): Program {
    return this.#program;
  }

  get apache(): Apache {
    if (this.#apache === undefined) throw new Error("this test has no Apache");
    return this.#apache;
  }

  /** The supervisor. */
  get pid(): number {
    return this.#program.pid;
  }

  /** What the daemon logged. */
  get log(): string {
    return this.#program.stderr;
  }

  /** Waits for its line on standard output; throws with its output when it ends instead. */
  async announced(): Promise<void> {
    await until(
      "the daemon to serve",
      () => {
        if (this.#program.end !== undefined) throw new Error(this.#program.report());
        return /^tsgi: listening on /mu.test(this.#program.stdout);
      },
      30_000,
    );
  }

  async startApache(): Promise<void> {
    const { app } = this.options;
    if (app === undefined) throw new Error("without an application the test says how Apache is configured");
    const printing = this.workspace.tsgi(["config", "proxy_fcgi", app, "--listen", this.listen]);
    const { code } = await printing.ended;
    if (code !== 0) throw new Error(printing.report());
    await this.startApacheWith(printing.stdout);
  }

  /** Starts Apache with what `tsgi config` has printed. */
  async startApacheWith(printed: string): Promise<Apache> {
    const { hasReuse, threads, apacheConfig = "" } = this.options;
    if (!printed.includes("enablereuse=on")) throw new Error(`no enablereuse=on in\n${printed}`);
    const config = hasReuse === false ? printed.replaceAll("enablereuse=on", "enablereuse=off") : printed;
    this.#apache = await this.workspace.apache({
      modules: ["dir", "rewrite", "proxy", "proxy_fcgi"],
      config: `${config}\n<Location "/">\n  Require all granted\n</Location>\n${apacheConfig}`,
      ...(threads === undefined ? {} : { threadsPerChild: threads }),
    });
    // Apache opens some descriptors with its first request.
    await httpRequest(this.#apache.port, "/");
    this.#apacheSockets = await this.#settledCount("Apache to be quiet", () => this.#openInApache());
    return this.#apache;
  }

  /** Another daemon with the same arguments, for one that is gone. */
  async restart(): Promise<void> {
    this.#program = this.#spawn();
    this.#isKilled = false;
    await this.announced();
    await this.takeBaseline();
  }

  /** What a quiet supervisor has open now: more must not be left at the end. */
  async takeBaseline(): Promise<void> {
    this.#baseline = await this.#settledCount("the supervisor to be quiet", () => descriptorsOf(this.pid));
  }

  /** What `count` gives twice in a row. */
  async #settledCount(what: string, count: () => number): Promise<number> {
    let before = -1;
    await until(what, () => {
      const now = count();
      const isSame = now === before;
      before = now;
      return isSame;
    });
    return before;
  }

  expectLog(...patterns: readonly RegExp[]): void {
    this.#expectLog.push(...patterns);
    this.workspace.expectLog(...patterns);
  }

  /** Load through this Apache; ended with the test. */
  load(options: Omit<LoadOptions, "port"> = {}): Load {
    const load = Load.start({ port: this.apache.port, ...options });
    this.#loads.push(load);
    this.expectClients(options.clients ?? 16);
    return load;
  }

  /** So many clients of the test's own run at once. */
  expectClients(count: number): void {
    this.#mostClients += count;
  }

  async request(request: HttpRequest | string): Promise<HttpReply> {
    this.#asking += 1;
    this.#mostAsking = Math.max(this.#mostAsking, this.#asking);
    try {
      return await httpRequest(this.apache.port, request, { deadlineMs: 45_000 });
    } finally {
      this.#asking -= 1;
    }
  }

  async text(target: string): Promise<string> {
    const reply = await this.request(target);
    if (reply.status !== 200) throw new Error(`${target}: ${reply.statusLine}\n${this.#program.report()}`);
    return reply.body.toString("latin1");
  }

  /** GET /status of the control socket. */
  async status(): Promise<StatusFacts> {
    const { status, body } = await askControl(this.control, "GET", "/status");
    if (status !== 200) throw new Error(`GET /status: ${status} ${body}`);
    return JSON.parse(body) as StatusFacts;
  }

  /** The only group of a daemon that has one. */
  async group(): Promise<GroupFacts> {
    const { groups } = await this.status();
    const [group] = groups;
    if (group === undefined) throw new Error("no group in the status");
    return group;
  }

  /** Process ids of the workers, from the system, not from what the supervisor says. */
  workers(): number[] {
    return childrenOf(this.pid)
      .filter(({ state }) => state !== "Z")
      .map(({ pid }) => pid);
  }

  /** The ones that serve, once as many serve as should. */
  async serving(processes = this.options.processes ?? 2, deadlineMs = 30_000): Promise<WorkerFacts[]> {
    return until(
      `${processes} workers that serve`,
      async () => {
        const { workers } = await this.status();
        return workers.length === processes && workers.every(({ state }) => state === "serving") && [...workers];
      },
      deadlineMs,
    ).catch(async (error: unknown) => {
      const status = await this.status().catch(String);
      throw new Error(`${String(error)}\n${JSON.stringify(status, undefined, 1)}`, { cause: error });
    });
  }

  /** SIGHUP, and waits until another reload has been done or has failed. */
  async reload(): Promise<GroupFacts> {
    const before = await this.group();
    this.#program.signal("SIGHUP");
    return until(
      "the reload",
      async () => {
        const group = await this.group();
        return group.reloads.done + group.reloads.failed > before.reloads.done + before.reloads.failed && group;
      },
      60_000,
    );
  }

  /** One of the commands that talk to the daemon, such as `tsgi reload`, to its end. */
  async command(name: string, ...args: readonly string[]): Promise<Program> {
    const { asRoot } = this.options;
    const words = [name, "--control", `unix:${this.control}`, ...args];
    const program = this.workspace.tsgi(words, asRoot === undefined ? {} : { asRoot });
    await within(`tsgi ${name} to end`, program.ended, 60_000);
    return program;
  }

  /** Waits until the daemon logged something. */
  async logged(pattern: RegExp, deadlineMs = 15_000): Promise<void> {
    await until(`${String(pattern)} in the daemon's log`, () => pattern.test(this.log), deadlineMs);
  }

  /** SIGKILL to the supervisor, and its end. Nobody removes its sockets then, until another one takes them over. */
  async kill(): Promise<void> {
    const { pid } = this;
    this.#isKilled = true;
    process.kill(pid, "SIGKILL");
    await until("the supervisor to be gone", () => !isRunning(pid));
  }

  /** SIGTERM. */
  async stop(): Promise<ProgramEnd> {
    return this.#program.stop(30_000);
  }

  get #isRunning(): boolean {
    return !this.#isKilled && this.#program.end === undefined;
  }

  get #ownSockets(): readonly string[] {
    return [this.socket, this.control, ...(this.options.sockets ?? [])].filter((path) => path !== "");
  }

  /** The processes of Apache. */
  apacheProcesses(): number[] {
    const root = this.apache.program.pid;
    return [root, ...childrenOf(root).map(({ pid }) => pid)];
  }

  #openInApache(): number {
    return this.apacheProcesses().reduce((sum, pid) => {
      try {
        return sum + descriptorsOf(pid);
      } catch {
        return sum;
      }
    }, 0);
  }

  /** Everything that runs is over and nothing is open that was not open before. The daemon and Apache still run. */
  async settled(): Promise<void> {
    const problems: string[] = [];
    const check = async (what: string, left: () => Promise<string> | string): Promise<void> => {
      let last = "";
      try {
        await until(what, async () => (last = await left()) === "", 20_000);
      } catch {
        problems.push(`${what}: ${last}`);
      }
    };
    await check("the workers at rest, as many as there should be", async () => {
      const { workers, queue, groups } = await this.status();
      const wanted = groups.reduce((sum, group) => sum + group.processes, 0);
      const isQuiet =
        queue.waiting === 0 &&
        workers.length === wanted &&
        workers.every(({ state, busy, waiting }) => state === "serving" && busy + waiting === 0);
      return isQuiet ? "" : JSON.stringify({ workers, queue, wanted });
    });
    await check("no child that is no worker", async () => {
      const { workers } = await this.status();
      const known = new Set(workers.map(({ pid }) => pid));
      const strange = childrenOf(this.pid).filter(({ pid, state }) => state === "Z" || !known.has(pid));
      return strange.length === 0 ? "" : JSON.stringify({ strange, known: [...known] });
    });
    const baseline = this.#baseline;
    if (baseline !== undefined) {
      await check("the supervisor's descriptors", () => {
        const now = descriptorsOf(this.pid);
        return now <= baseline ? "" : `${now}, ${baseline} before`;
      });
    }
    if (this.#apache !== undefined) {
      await check("Apache's descriptors", () => {
        const now = this.#openInApache();
        const most = this.#apacheSockets + this.#mostClients + this.#mostAsking + slack;
        return now <= most ? "" : `${now}, at most ${most} expected`;
      });
    }
    await check("no other socket than the daemon's own", () => {
      const own = new Set(this.#ownSockets);
      const all = filesBelow(this.workspace.path("run"), isSocket).map((name) => this.workspace.path("run", name));
      return all.filter((path) => !own.has(path)).join(" ");
    });
    await check("no temporary file", () => filesBelow(this.workspace.path("tmp"), () => true).join(" "));
    if (problems.length > 0) throw new Error(`${problems.join("\n")}\n${this.#program.report()}`);
  }

  /** Checks that all is at rest, stops both, and checks that nothing is left and that Apache logged what was expected. */
  async leaveNoTrace(): Promise<void> {
    this.#isStopped = true;
    for (const load of this.#loads) load.destroy();
    const problems: string[] = [];
    const attempt = async (work: () => Promise<unknown>): Promise<void> => {
      await work().catch((error: unknown) => problems.push(String(error)));
    };
    if (this.#isRunning) await attempt(() => this.settled());
    await attempt(() => this.#endDaemon());
    await attempt(() => this.#endApache());
    if (problems.length > 0) throw new Error(problems.join("\n"));
  }

  async #endDaemon(): Promise<void> {
    const { workspace } = this;
    const wasRunning = this.#isRunning;
    const workers = wasRunning ? this.workers() : [];
    const end = await this.stop();
    if (wasRunning && (end.code !== 0 || end.signal !== null)) throw new Error(this.#program.report());
    await until(`the workers ${workers.join(", ")} to be gone`, () => !workers.some(isRunning), 5000);
    if (!wasRunning) for (const path of this.#ownSockets) await rm(path, { force: true });
    const files = filesBelow(workspace.path("run"), isSocket);
    if (files.length > 0) throw new Error(`left behind: ${files.join(", ")}\n${this.#program.report()}`);
  }

  async #endApache(): Promise<void> {
    if (this.#apache === undefined) return;
    await this.#apache.stop();
    const lines = await this.#apache.unexpectedLog(this.#expectLog);
    if (lines.length > 0) throw new Error(`unexpected in Apache's error log:\n${lines.slice(0, 30).join("\n")}`);
    const root = this.#apache.root;
    await until("Apache's processes to be gone", () => processesOf(root).length === 0, 10_000);
  }
}
