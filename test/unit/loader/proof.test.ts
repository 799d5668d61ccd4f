import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { giveProof, takeProof } from "../../../src/loader/proof.ts";

let folder: string;

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "tsgi-proof-"));
});

afterAll(() => rmSync(folder, { recursive: true }));

test("a proof is there until somebody takes it, for that bundle alone", () => {
  const bundle = join(folder, "one.mjs");
  expect(takeProof(bundle)).toBe(false);
  giveProof(bundle);
  giveProof(bundle); // another worker of the same application
  expect(takeProof(join(folder, "other.mjs"))).toBe(false);
  expect(takeProof(bundle)).toBe(true);
  expect(takeProof(bundle)).toBe(false);
  expect(readdirSync(folder)).toEqual([]);
});

test("there is none where nothing can be written", () => {
  const bundle = join(folder, "missing", "one.mjs");
  giveProof(bundle);
  expect(takeProof(bundle)).toBe(false);
});
