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
  /** Whether its machine code is kept already. */
  readonly isKept: boolean;
  /** Keeps what was compiled until now, functions that have run included; in `file` where it is given. Never throws. */
  readonly keep: (file?: string) => void;
}

/** Evaluates a text as a script, in which there is no `import()`: Node warns of experiments where it lets a script have it. `codeFile` is where its machine code is kept, if anywhere. Throws what the text throws. */
export function evaluateCached(text: string, filename: string, codeFile: string | undefined): CachedScript {
  const code = codeFile === undefined ? undefined : readIfThere(codeFile);
  return evaluate({ text, filename, code, keptFile: codeFile, toKeep: (made) => made });
}

/**
 * As evaluateCached, for the text of a file. It is kept together with its machine code, so that one file is read and not two:
 * the name of `keptFile` has to stand for the version of the text. Throws the system's error when there is no such file.
 */
export function evaluateFile(filename: string, keptFile: string | undefined): CachedScript {
  const kept = keptFile === undefined ? undefined : takeApart(readIfThere(keptFile));
  const text = kept?.text ?? readFileSync(filename, "utf8");
  return evaluate({ text, filename, code: kept?.code, keptFile, toKeep: (made) => putTogether(made, text) });
}

interface Evaluated {
  readonly text: string;
  readonly filename: string;
  readonly code: Buffer | undefined;
  readonly keptFile: string | undefined;
  /** What is written to `keptFile`. */
  readonly toKeep: (code: Buffer) => Buffer;
}

function evaluate({ text, filename, code, keptFile, toKeep }: Evaluated): CachedScript {
  const script = new Script(text, { filename, ...(code === undefined ? {} : { cachedData: code }) });
  const isKept = code !== undefined && script.cachedDataRejected === false;
  return {
    value: script.runInThisContext(),
    isKept,
    keep(file = keptFile) {
      if (file === undefined) return;
      try {
        writeWhole(dirname(file), basename(file), toKeep(script.createCachedData()));
      } catch (error) {
        if (systemCodeOf(error) === undefined) throw error; // a full or read-only disk: it is compiled the next time, too
      }
    },
  };
}

/** Two lengths of 32 bits, as this machine writes them. V8 copies machine code that does not begin at a multiple of eight bytes. */
const headBytes = 8;

function putTogether(code: Buffer, text: string): Buffer {
  const head = Buffer.from(Uint32Array.of(code.length, text.length).buffer);
  return Buffer.concat([head, code, Buffer.from(text)]);
}

/** A file read as a whole begins at a multiple of eight bytes. */
function takeApart(bytes: Buffer | undefined): { readonly code: Buffer; readonly text: string } | undefined {
  if (bytes === undefined || bytes.length < headBytes) return undefined;
  const [codeBytes = 0, textBytes = 0] = new Uint32Array(bytes.buffer, bytes.byteOffset, 2);
  const codeEnd = headBytes + codeBytes;
  if (bytes.length !== codeEnd + textBytes) return undefined; // broken
  return { code: bytes.subarray(headBytes, codeEnd), text: bytes.subarray(codeEnd).toString() }; // without a name Node starts at once
}

function readIfThere(file: string): Buffer | undefined {
  try {
    return readFileSync(file);
  } catch {
    return undefined;
  }
}
