// Runs a program for the doctor: with a deadline, a limit for what it prints, and nothing of it left afterwards.
// Rules: as root, what belongs to others is run as its user and never as root; the environment is the one that is given.

import { spawn } from "node:child_process";
import { messageOf } from "../errors.ts";
import type { Account } from "../server/httpd/account.ts";

export interface Ran {
  /** null: it did not start, was killed, or went over the deadline. */
  readonly code: number | null;
  readonly stdout: string;
  /** The reason where it did not start. */
  readonly stderr: string;
  readonly isLate: boolean;
}

export interface RunOptions {
  /** Whom root becomes for it; ignored for others than root. */
  readonly account?: Account | undefined;
  readonly env?: Readonly<Record<string, string>>;
  readonly cwd?: string;
  /** Default 10 s. */
  readonly deadlineMs?: number;
}

const maxBytes = 1_000_000;

/** A PATH as Apache gives it when nobody has set another. */
export const usualPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

function identity(account: Account | undefined): { uid?: number; gid?: number } {
  return account === undefined || process.getuid?.() !== 0 ? {} : { uid: account.uid, gid: account.gid };
}

/** What belongs to others, and is not ours to run as root. */
export function mayRun(account: Account | undefined): boolean {
  return process.getuid?.() !== 0 || (account !== undefined && account.uid !== 0);
}

/** Never rejects: what kept it from running is in `stderr`. */
export async function run(program: string, args: readonly string[], options: RunOptions = {}): Promise<Ran> {
  const { account, env = { PATH: usualPath, LANG: "C" }, cwd = "/", deadlineMs = 10_000 } = options;
  return await new Promise((resolve) => {
    const texts = { stdout: "", stderr: "" };
    let isLate = false;
    let timer: NodeJS.Timeout | undefined;
    const end = (code: number | null): void => {
      clearTimeout(timer);
      resolve({ code, ...texts, isLate });
    };
    // A group of its own, so that what it starts ends with it.
    const child = spawn(program, args, {
      cwd,
      env: { ...env },
      stdio: ["ignore", "pipe", "pipe"],
      detached: true,
      ...identity(account),
    });
    const stop = (): void => {
      try {
        if (child.pid !== undefined) process.kill(-child.pid, "SIGKILL");
      } catch {
        // It has ended already.
      }
    };
    timer = setTimeout(() => {
      isLate = true;
      stop();
    }, deadlineMs);
    for (const name of ["stdout", "stderr"] as const) {
      child[name].setEncoding("utf8").on("data", (chunk: string) => {
        if (texts[name].length < maxBytes) texts[name] += chunk;
      });
    }
    child.once("error", (error) => {
      texts.stderr += messageOf(error);
      end(null);
    });
    child.once("exit", stop);
    child.once("close", end);
  });
}
