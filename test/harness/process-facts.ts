// What Linux says of a running process: children, processor time, state, and where its threads wait. Read from /proc.
import { readFileSync, readdirSync } from "node:fs";

function read(path: string): string {
  try {
    return readFileSync(path, "latin1");
  } catch {
    return "";
  }
}

/** The fields of /proc/PID/stat after the name in brackets: [0] is the state, [1] the parent. */
function statOf(pid: number): string[] {
  const stat = read(`/proc/${pid}/stat`);
  return stat.slice(stat.lastIndexOf(")") + 2).split(" ");
}

function processIds(): number[] {
  return readdirSync("/proc").map(Number).filter(Number.isInteger);
}

export interface ChildProcessFacts {
  readonly pid: number;
  /** R, S, D, T (stopped), Z (zombie). */
  readonly state: string;
}

/** The direct children of a process, zombies too, oldest first. */
export function childrenOf(parent: number): ChildProcessFacts[] {
  const found: ChildProcessFacts[] = [];
  for (const pid of processIds()) {
    const [state = "", ppid] = statOf(pid);
    if (Number(ppid) === parent) found.push({ pid, state });
  }
  return found.sort((a, b) => a.pid - b.pid);
}

/** Processor time that a process has used, user and system, ms. */
export function processorMs(pid: number): number {
  const fields = statOf(pid);
  return (Number(fields[11] ?? 0) + Number(fields[12] ?? 0)) * 10;
}

/** The state letter of a process; "" when it is gone. */
export function stateOf(pid: number): string {
  return statOf(pid)[0] ?? "";
}

/** Whether a process has ended with all of its threads: its descriptors are closed with the last of them, not the first. */
export function hasEnded(pid: number): boolean {
  if (stateOf(pid) === "") return true;
  return ["Z", "X"].includes(stateOf(pid)) && threadsOf(pid).length <= 1;
}

function threadsOf(pid: number): string[] {
  try {
    return readdirSync(`/proc/${pid}/task`);
  } catch {
    return [];
  }
}

/** The kernel functions in which the threads of a process wait, one for each thread; "0" for one that runs. */
export function waitsOf(pid: number): string[] {
  const threads = threadsOf(pid);
  return threads.map((thread) => read(`/proc/${pid}/task/${thread}/wchan`).trim());
}

/** A line of /proc/PID/status, for example "Uid". */
export function statusLineOf(pid: number, name: string): string {
  return new RegExp(`^${name}:\\s*(.*)$`, "mu").exec(read(`/proc/${pid}/status`))?.[1] ?? "";
}

/** The environment that a process was started with. */
export function environmentOf(pid: number): Record<string, string> {
  const lines = read(`/proc/${pid}/environ`).split("\0");
  return Object.fromEntries(
    lines
      .filter((line) => line.includes("="))
      .map((line) => [line.slice(0, line.indexOf("=")), line.slice(line.indexOf("=") + 1)]),
  );
}
