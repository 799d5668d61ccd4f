// How many processes of our control group the kernel has killed for their memory (cgroup v2, memory.events).

import { readFileSync } from "node:fs";

function eventsFile(): string {
  // The line of the unified hierarchy: "0::/system.slice/app.service".
  const path = /^0::(.*)$/m.exec(readFileSync("/proc/self/cgroup", "utf8"))?.[1] ?? "/";
  return `/sys/fs/cgroup${path === "/" ? "" : path}/memory.events`;
}

/** 0 where the system does not tell. */
export function oomKills(): number {
  try {
    return Number(/^oom_kill (\d+)$/m.exec(readFileSync(eventsFile(), "utf8"))?.[1] ?? 0);
  } catch {
    return 0; // no cgroup v2, or none that we may read
  }
}
