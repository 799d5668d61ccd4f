// Times and sizes as people write them.
import { expect, test } from "vitest";
import { parseDuration, parseSize } from "../../../src/config/units.ts";

test.each([
  ["10", 10_000],
  ["10s", 10_000],
  ["500ms", 500],
  ["5m", 300_000],
  ["1h", 3_600_000],
  ["1.5s", 1500],
  ["0", 0],
  [" 2S ", 2000],
])("%j is %i ms", (text, ms) => {
  expect(parseDuration(text)).toBe(ms);
});

test.each(["", "s", "-1", "1d", "1 2", "5x", "1e3", "0x10", "Infinity", "25000000"])("%j is no time", (text) => {
  expect(() => parseDuration(text)).toThrow(/expected a time/);
});

test.each([
  ["1048576", 1_048_576],
  ["64k", 65_536],
  ["1m", 1_048_576],
  ["2G", 2_147_483_648],
  ["1MiB", 1_048_576],
  ["1mb", 1_048_576],
])("%j is %i bytes", (text, bytes) => {
  expect(parseSize(text)).toBe(bytes);
});

test.each(["", "k", "-1", "1.5m", "1t", "m1", "9007199254740993", "99999999999g"])("%j is no size", (text) => {
  expect(() => parseSize(text)).toThrow(/expected a size/);
});
