// Which process a temporary file belongs to, written into its name, so that whoever comes later can tell whether that
// process still runs. A process id comes again: its start time tells the two apart, and the pid namespace tells
// containers apart that share a folder for temporary files.

import { readFileSync, readlinkSync } from "node:fs";

/** Namespace, process id and start time; 0 for what the system does not tell. */
export interface Owner {
  readonly namespace: string;
  readonly pid: number;
  readonly startedAt: string;
}

/** What cannot be looked up, in another container or on a system without /proc, is abandoned after this time, ms. */
const abandonedAfterMs = 24 * 60 * 60 * 1000;

function namespaceOf(process: "self" | number): string {
  try {
    return /\d+/.exec(readlinkSync(`/proc/${process}/ns/pid`))?.[0] ?? "0";
  } catch {
    return "0";
  }
}

/** Field 22 of /proc/PID/stat, in clock ticks since the machine's start; undefined when there is no such process. */
function startTimeOf(process: "self" | number): string | undefined {
  try {
    const stat = readFileSync(`/proc/${process}/stat`, "latin1");
    return stat.slice(stat.lastIndexOf(")") + 2).split(" ")[19];
  } catch {
    return undefined;
  }
}

/** The running process. */
export function thisProcess(): Owner {
  return { namespace: namespaceOf("self"), pid: process.pid, startedAt: startTimeOf("self") ?? "0" };
}

/** Whether the owner of a file that was last written `ageMs` ago is gone for certain, or for long enough. */
export function isGone(owner: Owner, self: Owner, ageMs: number): boolean {
  const isSelf = owner.pid === self.pid && owner.startedAt === self.startedAt && owner.namespace === self.namespace;
  if (isSelf) return false;
  if (owner.namespace !== self.namespace || self.startedAt === "0") return ageMs > abandonedAfterMs;
  return startTimeOf(owner.pid) !== owner.startedAt;
}

/** The owner as a part of a file name. */
export function nameOf(owner: Owner): string {
  return `${owner.namespace}.${owner.pid}.${owner.startedAt}`;
}

/** The owner in the name of a file, undefined in names that are not ours. */
export function ownerIn(fileName: string): Owner | undefined {
  const [, namespace = "", pid = "", startedAt = ""] = /^(\d+)\.(\d+)\.(\d+)\.[0-9a-f-]{36}$/.exec(fileName) ?? [];
  return startedAt === "" ? undefined : { namespace, pid: Number(pid), startedAt };
}
