// Where a place in a compiled script was written.
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { transformSync } from "esbuild";
import { afterEach, beforeEach, expect, test } from "vitest";
import { originalPosition } from "../../../src/supervisor/source-position.ts";

let folder: string;
let file: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "tsgi-position-"));
  file = join(folder, "out.mjs");
});

afterEach(() => {
  rmSync(folder, { recursive: true });
});

const source = 'interface A {\n  a: string;\n}\n\nexport const one: A = { a: "x" };\nthrow new Error("boom");\n';

/** Compiles the source, with its map at the end; the line and column of the error in it. */
function compile(name: string): { readonly line: number; readonly column: number } {
  const { code } = transformSync(source, { loader: "ts", sourcemap: "inline", sourcefile: name });
  writeFileSync(file, code);
  const lines = code.split("\n");
  const line = lines.findIndex((text) => text.includes("new Error")) + 1;
  return { line, column: (lines[line - 1]?.indexOf("new Error") ?? 0) + 1 };
}

function place(line: number, column: number): string {
  return originalPosition(pathToFileURL(file).href, line, column);
}

test.each<[string, () => string, () => string]>([
  ["beside it", () => "app.ts", () => join(folder, "app.ts")],
  ["elsewhere, relative to it", () => "../src/app.ts", () => join(folder, "../src/app.ts")],
  ["at an absolute path", () => "/srv/app.ts", () => "/srv/app.ts"],
  ["at a URL", () => "file:///srv/an%20app.ts", () => "/srv/an app.ts"],
])("finds the source %s", (_, name, found) => {
  const { line, column } = compile(name());
  expect(line).not.toBe(6);
  expect(place(line, column)).toBe(`${found()}:6:7`);
});

test("a file that is too large for the watchdog's memory has its own place", () => {
  const { line, column } = compile("app.ts");
  const text = readFileSync(file, "utf8");
  writeFileSync(file, text.replace("\n//#", `\n//${"x".repeat(6 * 2 ** 20)}\n//#`));
  expect(place(line, column)).toBe(`${file}:${line}:${column}`);
});

test("a query, as reloaded modules have one, is no part of the file's name", () => {
  const { line, column } = compile("app.ts");
  expect(originalPosition(`${pathToFileURL(file).href}?v=2#x`, line, column)).toBe(`${join(folder, "app.ts")}:6:7`);
});

test("a name with a space and a percent sign is read back from its URL", () => {
  file = join(folder, "a 100% b.mjs");
  const { line, column } = compile("app.ts");
  expect(place(line, column)).toBe(`${join(folder, "app.ts")}:6:7`);
});

test.each<[string, () => void]>([
  ["there is no map", () => writeFileSync(file, source)],
  ["the file has gone", () => {}],
  [
    "the map is no JSON",
    () => writeFileSync(file, `x\n//# sourceMappingURL=data:application/json;base64,${btoa("{oops")}\n`),
  ],
  ["the map is cut off", () => writeFileSync(file, "x\n//# sourceMappingURL=data:application/json;base64,\n")],
  [
    "the map is empty",
    () =>
      writeFileSync(
        file,
        `x\n//# sourceMappingURL=data:application/json;base64,${btoa('{"version":3,"sources":[],"mappings":""}')}\n`,
      ),
  ],
])("tells the compiled place when %s", (_, make) => {
  make();
  expect(place(7, 9)).toBe(`${file}:7:9`);
});

test.each(["node:internal/process/task_queues", "evalmachine.<anonymous>", "data:text/javascript,throw 1"])(
  "what is no file is told as it is: %s",
  (url) => {
    expect(originalPosition(url, 7, 9)).toBe(`${url}:7:9`);
  },
);
