// Where a place in a compiled script was written: through the source map at the end of the bundle.
// Rule: the watchdog asks, whose memory is small, and which must live on: a large file's map is not read, and one that was
// is kept for no longer than the stack that it is read for.

import { readFileSync, statSync } from "node:fs";
import { SourceMap } from "node:module";
import { dirname, resolve } from "node:path";
import { fileURLToPath } from "node:url";

const marker = "//# sourceMappingURL=data:application/json;base64,";

/** A map takes ten times as much memory as its file. */
const maxFileBytes = 6 * 2 ** 20;

/** Most calls of a stack are in the same file. A weak reference holds until the work that read it is done. */
let last: { readonly key: string; readonly map: WeakRef<SourceMap> } | undefined;

function mapOf(file: string): SourceMap | undefined {
  const { size, mtimeMs } = statSync(file);
  if (size > maxFileBytes) return undefined;
  const key = `${mtimeMs} ${size} ${file}`;
  const known = last?.key === key ? last.map.deref() : undefined;
  if (known !== undefined) return known;
  const text = readFileSync(file, "utf8");
  const start = text.lastIndexOf(marker);
  if (start === -1) return undefined;
  const encoded = text.slice(start + marker.length).trim();
  const map = new SourceMap(JSON.parse(Buffer.from(encoded, "base64").toString("utf8")));
  last = { key, map: new WeakRef(map) };
  return map;
}

/** "file:line:column" of the source, or of the given place where no map tells more. Lines and columns count from 1. */
export function originalPosition(url: string, line: number, column: number): string {
  if (!url.startsWith("file:")) return `${url}:${line}:${column}`;
  const file = fileURLToPath(url.replace(/[?#].*$/s, ""));
  try {
    const entry = mapOf(file)?.findEntry(line - 1, column - 1);
    if (entry !== undefined && "originalSource" in entry) {
      const source = entry.originalSource.startsWith("file:")
        ? fileURLToPath(entry.originalSource)
        : entry.originalSource;
      return `${resolve(dirname(file), source)}:${entry.originalLine + 1}:${entry.originalColumn + 1}`;
    }
  } catch {
    // A file that has gone or a map that is damaged: the compiled place is what can be told.
  }
  return `${file}:${line}:${column}`;
}
