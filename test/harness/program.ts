// A program that a test started: its output, its end, and stopping it. Each has a process group of its own.
import { spawn, type ChildProcess } from "node:child_process";
import { within } from "./until.ts";
import type { Account } from "./machine.ts";

export interface ProgramOptions {
  readonly cwd: string;
  readonly env: Readonly<Record<string, string>>;
  /** Runs as this user; only root can. */
  readonly account?: Account | undefined;
  /** File descriptors 0, 3, 4 and so on, as node:child_process takes them; 1 and 2 are collected. */
  readonly stdin?: "ignore" | "pipe" | number;
}

export interface ProgramEnd {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

export class Program {
  readonly name: string;
  readonly child: ChildProcess;
  readonly ended: Promise<ProgramEnd>;
  #stdout = "";
  #stderr = "";
  #end: ProgramEnd | undefined;

  constructor(name: string, command: readonly string[], options: ProgramOptions) {
    this.name = name;
    const [file = "", ...args] = command;
    this.child = spawn(file, args, {
      cwd: options.cwd,
      env: { ...options.env },
      detached: true,
      stdio: [options.stdin ?? "ignore", "pipe", "pipe"],
      ...(options.account === undefined ? {} : { uid: options.account.uid, gid: options.account.gid }),
    });
    this.child.stdout?.setEncoding("utf8").on("data", (text: string) => (this.#stdout += text));
    this.child.stderr?.setEncoding("utf8").on("data", (text: string) => (this.#stderr += text));
    this.ended = new Promise((resolve) => {
      this.child.once("error", (error) => {
        this.#stderr += `\n${error.message}`;
        this.#end ??= { code: null, signal: null };
        resolve(this.#end);
      });
      this.child.once("close", (code, signal) => {
        this.#end ??= { code, signal };
        resolve(this.#end);
      });
    });
  }

  get pid(): number {
    return this.child.pid ?? -1;
  }

  get stdout(): string {
    return this.#stdout;
  }

  get stderr(): string {
    return this.#stderr;
  }

  /** How it ended, or undefined while it runs. */
  get end(): ProgramEnd | undefined {
    return this.#end;
  }

  /** What a failed test should show of it. */
  report(): string {
    const state = this.#end === undefined ? "runs" : `ended with ${this.#end.signal ?? this.#end.code}`;
    return `${this.name} ${state}\n--- stdout\n${this.#stdout}\n--- stderr\n${this.#stderr}`;
  }

  signal(signal: NodeJS.Signals): void {
    if (this.#end === undefined) this.child.kill(signal);
  }

  /** SIGTERM, then, at the deadline, SIGKILL to its whole group and an error. */
  async stop(deadlineMs = 15_000): Promise<ProgramEnd> {
    this.signal("SIGTERM");
    try {
      return await within(`${this.name} to end after SIGTERM`, this.ended, deadlineMs);
    } catch (error) {
      this.kill();
      await within(`${this.name} to end after SIGKILL`, this.ended);
      throw new Error(`${String(error)}\n${this.report()}`, { cause: error });
    }
  }

  /** SIGKILL to its whole group. */
  kill(): void {
    if (this.child.pid === undefined) return;
    try {
      process.kill(-this.child.pid, "SIGKILL");
    } catch {
      // The group has gone already.
    }
  }
}
