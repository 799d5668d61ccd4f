// The memory of this process.
// Rules: asking for it never fails. The system tells it in a file, and where no descriptor is left to open that, the last
// answer stands: whoever counts must not take a worker out of service.

import { systemCodeOf } from "../errors.ts";

const last = { rss: 0, usage: { rss: 0, heapTotal: 0, heapUsed: 0, external: 0, arrayBuffers: 0 } };

function orLast(ask: () => void): void {
  try {
    ask();
  } catch (error) {
    if (systemCodeOf(error) === undefined) throw error;
  }
}

/** Resident memory, bytes. */
export function residentBytes(): number {
  orLast(() => (last.rss = process.memoryUsage.rss()));
  return last.rss;
}

/** As `process.memoryUsage()`, bytes. */
export function memoryUsage(): NodeJS.MemoryUsage {
  orLast(() => (last.usage = process.memoryUsage()));
  return last.usage;
}
