// What a test file leaves behind: processes that have to do with its folder, sockets and files in it, our own descriptors.
// A process belongs to a folder when its command line, working directory or environment names it (Linux, /proc).
import { existsSync, readFileSync, readdirSync, readlinkSync, statSync } from "node:fs";
import { join } from "node:path";

function read(path: string): string {
  try {
    return readFileSync(path, "latin1");
  } catch {
    return "";
  }
}

function link(path: string): string {
  try {
    return readlinkSync(path);
  } catch {
    return "";
  }
}

export interface RunningProcess {
  readonly pid: number;
  readonly parent: number;
  readonly command: string;
}

/** Processes other than this one that have to do with `dir`; zombies do not count. */
export function processesOf(dir: string): RunningProcess[] {
  if (!existsSync("/proc/self/stat")) return [];
  const found: RunningProcess[] = [];
  for (const entry of readdirSync("/proc")) {
    const pid = Number(entry);
    if (!Number.isInteger(pid) || pid === process.pid) continue;
    const command = read(`/proc/${pid}/cmdline`).replaceAll("\0", " ").trim();
    if (command === "") continue;
    const facts = [command, link(`/proc/${pid}/cwd`), read(`/proc/${pid}/environ`)];
    if (!facts.some((fact) => fact.includes(dir))) continue;
    const parent = Number(/\) \S (\d+)/u.exec(read(`/proc/${pid}/stat`))?.[1] ?? 0);
    found.push({ pid, parent, command });
  }
  return found;
}

/** Whether a process runs; a zombie does not. */
export function isRunning(pid: number): boolean {
  return read(`/proc/${pid}/cmdline`) !== "";
}

/** Files below `dir` for which `wanted` holds, relative to it. */
export function filesBelow(dir: string, wanted: (path: string) => boolean, prefix = ""): string[] {
  const found: string[] = [];
  if (!existsSync(dir)) return found;
  for (const entry of readdirSync(dir, { withFileTypes: true })) {
    const path = join(dir, entry.name);
    const name = join(prefix, entry.name);
    if (entry.isDirectory()) found.push(...filesBelow(path, wanted, name));
    else if (wanted(path)) found.push(name);
  }
  return found;
}

export function isSocket(path: string): boolean {
  try {
    return statSync(path).isSocket();
  } catch {
    return false;
  }
}

/** Number of sockets that this process has open. */
export function ownSockets(): number {
  if (!existsSync("/proc/self/fd")) return 0;
  return readdirSync("/proc/self/fd").filter((fd) => link(`/proc/self/fd/${fd}`).startsWith("socket:")).length;
}

/** Number of descriptors that a process has open. */
export function descriptorsOf(pid: number): number {
  return readdirSync(`/proc/${pid}/fd`).length;
}

/** Resident memory of a process in bytes. */
export function residentBytes(pid: number): number {
  return Number(/^VmRSS:\s+(\d+) kB/mu.exec(read(`/proc/${pid}/status`))?.[1] ?? Number.NaN) * 1024;
}
