// Whether a process is stopped (proc(5), the third field of /proc/PID/stat).

import { readFileSync } from "node:fs";

/** Whether SIGSTOP or the like holds it; false for one that a debugger holds, and where the system does not tell. */
export function isProcessStopped(pid: number): boolean {
  try {
    const status = readFileSync(`/proc/${pid}/stat`, "latin1");
    return status.charAt(status.lastIndexOf(")") + 2) === "T"; // the name before it may hold anything
  } catch {
    return false; // gone, or no /proc
  }
}
