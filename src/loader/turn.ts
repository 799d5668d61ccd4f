// Whose turn it is to make something in the cache folder: one process makes it, and others do not wait for it.
// Rules: a turn is a file that exists. A process that was killed leaves it there: after a while it counts for nothing. That two
// processes have the same turn after all is wasted work and no more, since files of the cache folder appear whole.
import { closeSync, openSync, statSync } from "node:fs";
import { join } from "node:path";
import { systemCodeOf } from "../errors.ts";
import { removeQuietly } from "./whole-file.ts";

/** Longer than anything takes that is made in a turn, on a slow machine. */
const abandonedMs = 60_000;

/** Takes the turn, and gives what ends it; undefined when another process has it, or nothing can be written. Never waits. */
export function takeTurn(folder: string, name: string): (() => void) | undefined {
  const file = join(folder, `${name}.turn`);
  return open(file) ?? (isAbandoned(file) ? open(file) : undefined);
}

function open(file: string): (() => void) | undefined {
  try {
    closeSync(openSync(file, "wx", 0o600));
    return () => removeQuietly(file);
  } catch (error) {
    if (systemCodeOf(error) === undefined) throw error;
    return undefined;
  }
}

/** Removes a turn whose process must be gone. */
function isAbandoned(file: string): boolean {
  const status = statSync(file, { throwIfNoEntry: false });
  if (status === undefined || Date.now() - status.mtimeMs < abandonedMs) return false;
  removeQuietly(file);
  return true;
}
