import { mkdtempSync, readdirSync, rmSync, utimesSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { takeTurn } from "../../../src/loader/turn.ts";

let folder: string;

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "tsgi-turn-"));
});

afterAll(() => rmSync(folder, { recursive: true }));

test("one at a time has a turn, and the next one when it has ended", () => {
  const end = takeTurn(folder, "one");
  expect(end).toBeDefined();
  expect(takeTurn(folder, "one")).toBeUndefined();
  takeTurn(folder, "other")?.();
  end?.();
  takeTurn(folder, "one")?.();
  expect(readdirSync(folder)).toEqual([]);
});

test("a turn that was never ended counts for nothing after a while", () => {
  takeTurn(folder, "left");
  const ago = (seconds: number): Date => new Date(Date.now() - seconds * 1000);
  utimesSync(join(folder, "left.turn"), ago(30), ago(30));
  expect(takeTurn(folder, "left")).toBeUndefined();
  utimesSync(join(folder, "left.turn"), ago(90), ago(90));
  const end = takeTurn(folder, "left");
  expect(end).toBeDefined();
  end?.();
});

test("nobody has a turn where nothing can be written", () => {
  expect(takeTurn(join(folder, "missing"), "one")).toBeUndefined();
});
