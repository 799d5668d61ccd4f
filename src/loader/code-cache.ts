// Scripts whose machine code is kept: V8 reads what it made of a text before, in place of compiling it.
// Rules: the cache lies in a folder that nobody else can write to, since V8 believes it; V8 itself refuses one of another
// version, other flags or another text, and then it compiles as ever.
import { readFileSync } from "node:fs";
import { basename, dirname } from "node:path";
import { Script } from "node:vm";
import { systemCodeOf } from "../errors.ts";
import { writeWhole } from "./whole-file.ts";

export interface CachedScript {
  /** What the text evaluates to. */
  readonly value: unknown;
  /**
   * Keeps what was compiled until now, functions that have run included, unless it came from the very file. It may be another
   * one than that which was read. Never throws.
   */
  readonly keep: (file?: string) => void;
}

/** Evaluates a text as a script, in which there is no `import()`: Node warns of experiments where it lets a script have it. `codeFile` is where its machine code is kept, if anywhere. Throws what the text throws. */
export function evaluateCached(text: string, filename: string, codeFile: string | undefined): CachedScript {
  const cachedData = codeFile === undefined ? undefined : readCode(codeFile);
  const script = new Script(text, {
    filename,
    ...(cachedData === undefined ? {} : { cachedData }),
  });
  const isCurrent = cachedData !== undefined && script.cachedDataRejected === false;
  return {
    value: script.runInThisContext(),
    keep(file = codeFile) {
      if (file === undefined || (isCurrent && file === codeFile)) return;
      try {
        writeWhole(dirname(file), basename(file), script.createCachedData());
      } catch (error) {
        if (systemCodeOf(error) === undefined) throw error; // a full or read-only disk: it is compiled the next time, too
      }
    },
  };
}

function readCode(file: string): Buffer | undefined {
  try {
    return readFileSync(file);
  } catch {
    return undefined;
  }
}
