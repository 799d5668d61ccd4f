import {
  chmodSync,
  existsSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { BootError } from "../../../../src/errors.ts";
import { ControlToken } from "../../../../src/supervisor/status-page/token.ts";

let folder: string;
let file: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "tsgi-token-"));
  file = join(folder, "token");
});

afterEach(() => rmSync(folder, { recursive: true, force: true }));

const read = (): string => readFileSync(file, "utf8").trim();

test("a new one is random, for its owner alone, and goes with the daemon", () => {
  writeFileSync(file, "what a killed daemon left\n", { mode: 0o644 });
  const token = ControlToken.create(file);
  expect(statSync(file).mode & 0o777).toBe(0o600);
  const first = read();
  expect(first).toMatch(/^[\w-]{32}$/);
  expect(token.check(first, 0)).toBe("right");
  ControlToken.create(file);
  expect(read()).not.toBe(first);
  token.remove();
  expect(existsSync(file)).toBe(false);
});

test("the operator's file is used as it is, made where it is missing, and stays", () => {
  const made = ControlToken.fromFile(file);
  const text = read();
  made.remove();
  expect(ControlToken.fromFile(file).check(text, 0)).toBe("right");
});

test("a file that others can read, or that holds no token, is refused", () => {
  writeFileSync(file, "0123456789abcdef\n", { mode: 0o600 });
  expect(ControlToken.fromFile(file).check("0123456789abcdef", 0)).toBe("right");
  const link = join(folder, "link");
  symlinkSync(file, link);
  expect(ControlToken.fromFile(link).check("0123456789abcdef", 0)).toBe("right");
  chmodSync(file, 0o644);
  expect(() => ControlToken.fromFile(link)).toThrow(/chmod 600/);
  expect(() => ControlToken.fromFile(file)).toThrow(/chmod 600/);
  chmodSync(file, 0o600);
  for (const text of ["", "short", "0123456789abcdef with spaces"]) {
    writeFileSync(file, text);
    expect(() => ControlToken.fromFile(file), text).toThrow(BootError);
  }
});

test("after five wrong guesses not even the right one counts, until ten seconds later", () => {
  const token = ControlToken.create(file);
  const right = read();
  for (let guess = 0; guess < 5; guess += 1) expect(token.check(`${right}x`, 1000 + guess)).toBe("wrong");
  expect(token.check(right, 2000)).toBe("too-many");
  expect(token.check(right, 10_999)).toBe("too-many");
  expect(token.check("wrong again", 11_000)).toBe("wrong");
  expect(token.check(right, 11_001)).toBe("too-many");
  expect(token.check(right, 21_000)).toBe("right");
  expect(token.check(right, 21_001)).toBe("right");
});

test.each(["", " ", "x".repeat(100_000)])("a guess of any length is only wrong", (guess) => {
  expect(ControlToken.create(file).check(guess, 0)).toBe("wrong");
});
