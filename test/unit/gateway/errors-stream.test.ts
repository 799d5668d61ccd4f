import { beforeEach, expect, test } from "vitest";
import { ErrorLines } from "../../../src/gateway/errors-stream.ts";

/** What Apache logs of one STDERR record, bytes. */
const entryBytes = 8000;

let lines: string[];
let errors: ErrorLines;

beforeEach(() => {
  lines = [];
  errors = new ErrorLines((line) => lines.push(line));
});

test("sends one entry per line, without the line end", () => {
  errors.write("first\nsecond\r\nthird\n");
  expect(lines).toEqual(["first", "second", "third"]);
});

test("joins a line that is written in pieces and keeps the last one until it is complete or flushed", () => {
  errors.write("he");
  errors.write("llo\nwor");
  expect(lines).toEqual(["hello"]);
  errors.write("ld");
  errors.flush();
  expect(lines).toEqual(["hello", "world"]);
  errors.flush();
  expect(lines).toHaveLength(2);
});

test("writelines adds no line ends, as PEP 3333 has it", () => {
  errors.writelines(["a", "b\n", "c\n"]);
  expect(lines).toEqual(["ab", "c"]);
});

test("sends nothing for empty lines and empty text", () => {
  errors.write("");
  errors.write("\n\n\r\n");
  errors.flush();
  expect(lines).toEqual([]);
});

test("shows a NUL, which would end the entry", () => {
  errors.write("a\0b\n");
  expect(lines).toEqual(["a\\0b"]);
});

test("keeps the bytes of a long line, in entries that Apache logs whole", () => {
  const line = "0123456789".repeat(2500);
  errors.write(`${line}\n`);
  expect(lines.join("")).toBe(line);
  for (const entry of lines) expect(Buffer.byteLength(entry)).toBeLessThan(entryBytes);
});

test.each(["é", "日", "😀", "x😀"])("counts the bytes of an entry, not its characters: %s", (unit) => {
  const line = unit.repeat(9000);
  errors.write(line);
  errors.flush();
  expect(lines.join("") === line).toBe(true);
  for (const entry of lines) expect(Buffer.byteLength(entry)).toBeLessThan(entryBytes);
});

test("cuts no character in two", () => {
  for (const lead of ["", "x"]) errors.write(`${lead}${"😀".repeat(9000)}\n`);
  expect(lines.length).toBeGreaterThan(2);
  expect(lines.filter((line) => /^[\udc00-\udfff]|[\ud800-\udbff]$/.test(line)).length).toBe(0);
});

test("a NUL that is shown makes no entry too long", () => {
  errors.write(`${"\0".repeat(9000)}\n`);
  for (const entry of lines) expect(Buffer.byteLength(entry)).toBeLessThan(entryBytes);
});

test("what waits for its line end is bounded", () => {
  for (let count = 0; count < 100; count += 1) errors.write("x".repeat(1000));
  const waiting = 100_000 - lines.join("").length;
  expect(waiting).toBeLessThan(entryBytes);
});
