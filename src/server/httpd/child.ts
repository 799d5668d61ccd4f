// A program that we started and that must not outlive us: its end, and stopping it with everything that it started.
// Rules: each child leads a process group of its own, so that a Ctrl-C of the terminal reaches us alone and one signal
// reaches all that the child started; stopping always comes to an end.

import type { ChildProcess, SpawnOptions } from "node:child_process";
import { spawn } from "node:child_process";
import { messageOf, systemCodeOf } from "../../errors.ts";

/** How a child ended, as a person would say it. */
export type Ending = string;

function describe(code: number | null, signal: NodeJS.Signals | null): Ending {
  return signal === null ? `exit code ${code}` : `killed by ${signal}`;
}

function signalGroup(pid: number, signal: NodeJS.Signals | 0): boolean {
  try {
    process.kill(-pid, signal);
    return true;
  } catch (error) {
    // EPERM: the group lives, but root's program has changed its user. It cannot happen to root himself.
    return systemCodeOf(error) === "EPERM";
  }
}

async function expires(ms: number): Promise<false> {
  return await new Promise((resolve) => {
    setTimeout(resolve, ms, false).unref();
  });
}

const groupPollMs = 50;
const groupDeadlineMs = 2000;

export class Child {
  readonly name: string;
  readonly process: ChildProcess;
  /** Settles when the child itself has ended; its output may still be on the way. */
  readonly ended: Promise<Ending>;
  #ending: Ending | undefined;

  constructor(name: string, command: readonly string[], options: SpawnOptions) {
    const [program = "", ...args] = command;
    this.name = name;
    this.process = spawn(program, args, { ...options, detached: true });
    this.ended = new Promise((resolve) => {
      const end = (ending: Ending): void => {
        this.#ending ??= ending;
        resolve(this.#ending);
      };
      this.process.once("exit", (code, signal) => end(describe(code, signal)));
      this.process.once("error", (error) => end(messageOf(error)));
    });
  }

  /** undefined while the child runs. */
  get ending(): Ending | undefined {
    return this.#ending;
  }

  signal(signal: NodeJS.Signals): void {
    if (this.#ending === undefined) this.process.kill(signal);
  }

  /**
   * Sends `signal` (undefined: it was sent already), after `deadlineMs` SIGKILL, and ends what is left of the group.
   * Settles when nothing is.
   */
  async stop(signal: NodeJS.Signals | undefined, deadlineMs: number): Promise<void> {
    if (signal !== undefined) this.signal(signal);
    const inTime = await Promise.race([this.ended, expires(deadlineMs)]);
    if (inTime === false) this.kill();
    await this.ended;
    await this.#endGroup();
  }

  /** SIGKILL to the child and everything it started. */
  kill(): void {
    if (this.process.pid !== undefined) signalGroup(this.process.pid, "SIGKILL");
  }

  async #endGroup(): Promise<void> {
    const { pid } = this.process;
    if (pid === undefined || !signalGroup(pid, "SIGTERM")) return;
    const deadline = performance.now() + groupDeadlineMs;
    while (signalGroup(pid, 0)) {
      if (performance.now() > deadline) signalGroup(pid, "SIGKILL");
      await new Promise((resolve) => {
        setTimeout(resolve, groupPollMs);
      });
      if (performance.now() > deadline + groupDeadlineMs) return; // not to be ended: a process that hangs in the kernel
    }
  }
}
