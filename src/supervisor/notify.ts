// Telling systemd how the service is: readiness, reloads, the end, and the watchdog.
// Rules: Node cannot send datagrams to a unix socket, so systemd's own `systemd-notify` does it, one helper after the other,
// each with a deadline; without NOTIFY_SOCKET nothing happens at all; a missing helper is one warning, never a failure. The
// message comes from another process than the main one: the unit needs NotifyAccess=all.

import { spawn } from "node:child_process";
import type { Readable } from "node:stream";
import type { Log } from "../spec.ts";

export interface NotifierOptions {
  /** Where NOTIFY_SOCKET, WATCHDOG_USEC, WATCHDOG_PID and PATH are looked up. */
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly log: Log;
  /** The process that the messages are about. */
  readonly pid: number;
  /** For one message, and for the last ones at the end; the default is a little longer than the helper's own. */
  readonly deadlineMs?: number;
}

const helper = "systemd-notify";
const helperMs = 6000;
const usualPath = "/usr/local/bin:/usr/bin:/bin";
const maxStatusLength = 200;

/** How often the watchdog wants to hear of the process, in ms: half of its limit. Undefined when it does not. */
export function watchdogIntervalMs(env: Readonly<Record<string, string | undefined>>, pid: number): number | undefined {
  const limit = env["WATCHDOG_USEC"] ?? "";
  const owner = env["WATCHDOG_PID"];
  if (!/^[1-9]\d{0,15}$/.test(limit) || (owner !== undefined && owner !== String(pid))) return undefined;
  return Math.min(Math.max(Math.floor(Number(limit) / 2000), 1), 2 ** 31 - 1);
}

function oneLine(text: string): string {
  // oxlint-disable-next-line no-control-regex -- a line feed would begin another assignment
  return text.replace(/[\u0000-\u001f\u007f]+/g, " ").slice(0, maxStatusLength);
}

function monotonicMicroseconds(): string {
  return String(process.hrtime.bigint() / 1000n);
}

export class ServiceNotifier {
  readonly #options: NotifierOptions;
  readonly #socket: string | undefined;
  #last: Promise<void> = Promise.resolve();
  #watchdog: NodeJS.Timeout | undefined;
  #hasPing = false;
  #hasWarned = false;

  constructor(options: NotifierOptions) {
    this.#options = options;
    const socket = options.env["NOTIFY_SOCKET"];
    this.#socket = socket === undefined || socket === "" ? undefined : socket;
  }

  /** Whether a service manager listens. */
  get isActive(): boolean {
    return this.#socket !== undefined;
  }

  /** The service serves: after the start, and after every reload, be it a failed one. Starts the watchdog's messages. */
  async ready(status = "serving"): Promise<void> {
    this.#startWatchdog();
    await this.#send(() => ["READY=1", `MAINPID=${this.#options.pid}`, `STATUS=${oneLine(status)}`]);
  }

  /** A reload begins; `ready` must follow. */
  async reloading(status = "reloading"): Promise<void> {
    await this.#send(() => ["RELOADING=1", `MONOTONIC_USEC=${monotonicMicroseconds()}`, `STATUS=${oneLine(status)}`]);
  }

  /** The service ends. The watchdog goes on hearing of us until `close`. */
  async stopping(status = "stopping"): Promise<void> {
    await this.#send(() => ["STOPPING=1", `STATUS=${oneLine(status)}`]);
  }

  /** A line for `systemctl status`. */
  async status(text: string): Promise<void> {
    await this.#send(() => [`STATUS=${oneLine(text)}`]);
  }

  /** Ends the watchdog's messages; settles when the last message has left, or had its time. */
  async close(): Promise<void> {
    clearInterval(this.#watchdog);
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<void>((resolve) => {
      timer = setTimeout(resolve, this.#deadlineMs);
    });
    await Promise.race([this.#last, late]);
    clearTimeout(timer);
  }

  get #deadlineMs(): number {
    return this.#options.deadlineMs ?? helperMs;
  }

  /** The timer runs in our event loop: a supervisor that hangs is not heard of, and is replaced. */
  #startWatchdog(): void {
    const interval = watchdogIntervalMs(this.#options.env, this.#options.pid);
    if (interval === undefined || !this.isActive || this.#watchdog !== undefined) return;
    this.#watchdog = setInterval(() => {
      if (this.#hasPing) return;
      this.#hasPing = true;
      void this.#send(() => ["WATCHDOG=1"]).then(() => (this.#hasPing = false)); // #send never rejects
    }, interval).unref();
  }

  /** One after the other, since systemd goes by the order. Never rejects. */
  async #send(assignments: () => readonly string[]): Promise<void> {
    if (this.#socket === undefined) return;
    const socket = this.#socket;
    this.#last = this.#last.then(async () => {
      const problem = await this.#run(socket, assignments());
      if (problem === undefined || this.#hasWarned) return;
      this.#hasWarned = true;
      this.#options.log.warn({ code: "TSGI3216", reason: problem }, "the service manager cannot be notified");
    });
    await this.#last;
  }

  /** Runs the helper; gives what went wrong, or undefined. */
  async #run(socket: string, assignments: readonly string[]): Promise<string | undefined> {
    return await new Promise((resolve) => {
      const child = spawn(helper, assignments, {
        env: { NOTIFY_SOCKET: socket, PATH: this.#options.env["PATH"] ?? usualPath },
        stdio: ["ignore", "ignore", "pipe"],
      });
      const stderr: Readable | undefined = child.stderr; // undefined when there is no descriptor left for it
      let output = "";
      const finish = (problem: string | undefined): void => {
        clearTimeout(timer);
        stderr?.destroy(); // a child of the helper may hold the other end
        resolve(problem);
      };
      const timer = setTimeout(() => {
        child.kill("SIGKILL");
        finish(`${helper} took longer than ${this.#deadlineMs} ms`);
      }, this.#deadlineMs);
      stderr?.setEncoding("utf8").on("data", (text: string) => (output = (output + text).slice(0, 500)));
      child.once("error", (error) => finish(error.message));
      child.once("close", (code, signal) => {
        finish(code === 0 ? undefined : `${helper} ended with ${signal ?? code}: ${output.trim()}`);
      });
    });
  }
}
