// Lets the stack of an error name the files that a pack was made of, in place of the pack.
// Rules: nothing is read before somebody looks at a stack that leads through the pack; the rest of a stack is as V8 writes it.
import { readFileSync } from "node:fs";
import { SourceMap } from "node:module";
import type { SourceMapPayload } from "node:module";
import { fileURLToPath } from "node:url";
import { wrapperStart } from "./pack.ts";
import type { Pack } from "./pack.ts";

export interface MappedText {
  /** What stacks call it. */
  readonly filename: string;
  readonly pack: Pick<Pack, "files" | "lines">;
  /** The file with the source map of the application, which is the first module. */
  readonly mapFile: string;
}

interface Place {
  readonly file: string;
  readonly line: number;
  readonly column: number;
}

/** Takes Error.prepareStackTrace over, as far as it is nobody else's. Gives a function that gives it back. */
export function mapStacks(text: MappedText): () => void {
  // eslint-disable-next-line typescript/unbound-method -- put back as it was
  const before = Error.prepareStackTrace;
  let sourceMap: SourceMap | undefined;
  const placeOf = (line: number, column: number): Place => {
    const index = text.pack.lines.findLastIndex((start) => start <= line);
    const start = text.pack.lines[index] ?? 1;
    const file = text.pack.files[index] ?? text.filename;
    const inside = { file, line: line - start + 1, column: line === start ? column - wrapperStart.length : column };
    if (index !== 0) return inside;
    sourceMap ??= new SourceMap(JSON.parse(readFileSync(text.mapFile, "utf8")) as SourceMapPayload);
    const entry = sourceMap.findEntry(inside.line - 1, inside.column - 1);
    if (!("originalSource" in entry)) return inside;
    return {
      file: fileURLToPath(entry.originalSource),
      line: entry.originalLine + 1,
      column: entry.originalColumn + 1,
    };
  };
  const show = (site: NodeJS.CallSite): string => {
    // eslint-disable-next-line typescript/no-base-to-string -- V8 writes it as in a stack
    const shown = String(site);
    const line = site.getLineNumber();
    const column = site.getColumnNumber();
    if (site.getFileName() !== text.filename || line === null || column === null) return shown;
    const place = placeOf(line, column);
    return shown.replace(`${text.filename}:${line}:${column}`, () => `${place.file}:${place.line}:${place.column}`);
  };
  Error.prepareStackTrace = (error, sites) => {
    if (before !== undefined && !sites.some((site) => site.getFileName() === text.filename))
      return before(error, sites) as unknown;
    const lines = sites.map((site) => `\n    at ${show(site)}`);
    return `${headOf(error)}${lines.join("")}`;
  };
  return () => {
    if (before === undefined) delete (Error as Partial<typeof Error>).prepareStackTrace;
    else Error.prepareStackTrace = before;
  };
}

/** The first line: errors of Node's own have their code in it. */
function headOf(error: Error): string {
  const isNodes = Object.hasOwn(error, "code") && Object.hasOwn(error, "toString");
  // eslint-disable-next-line typescript/unbound-method -- called with `this`
  return isNodes ? error.toString() : Reflect.apply(Error.prototype.toString, error, []);
}
