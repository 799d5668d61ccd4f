// Some lines of a source file around the place where an error came from.
// Rules: sources only, whatever a stack names; what cannot be read is not shown; long files and lines are left out.

import { readFileSync, statSync } from "node:fs";
import type { Frame } from "./frames.ts";

export interface SourceLine {
  readonly number: number;
  readonly text: string;
  /** Spaces and a caret for the place in this line; undefined in every other line. */
  readonly caret: string | undefined;
}

const sourceName = /\.[cm]?[jt]sx?$/;
const linesAround = 4;
const maxFileBytes = 2 * 1024 * 1024;
const maxLineChars = 300;

function readLines(file: string): readonly string[] {
  if (!sourceName.test(file)) return [];
  try {
    const status = statSync(file);
    if (!status.isFile() || status.size > maxFileBytes) return [];
    return readFileSync(file, "utf8").split(/\r?\n/);
  } catch {
    return []; // it has gone, or is not ours to read
  }
}

function caretAt(text: string, column: number): string {
  return column > maxLineChars ? "" : `${text.slice(0, Math.max(0, column - 1)).replace(/[^\t]/g, " ")}^`;
}

/** The lines, or none. */
export function excerptOf({ file, line, column }: Frame): readonly SourceLine[] {
  if (line === 0) return [];
  const first = Math.max(1, line - linesAround);
  const lines = readLines(file);
  if (line > lines.length) return []; // another file by now
  return lines.slice(first - 1, line + linesAround).map((text, index) => ({
    number: first + index,
    text: text.length > maxLineChars ? `${text.slice(0, maxLineChars)}...` : text,
    caret: first + index === line ? caretAt(text, column) : undefined,
  }));
}
