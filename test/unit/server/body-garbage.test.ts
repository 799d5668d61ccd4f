import { PerformanceObserver, constants, type PerformanceEntry } from "node:perf_hooks";
import { setTimeout as sleep } from "node:timers/promises";
import { runInNewContext } from "node:vm";
import { expect, test } from "vitest";
import { countBody } from "../../../src/server/body-garbage.ts";

const mebibyte = 1024 * 1024;

interface Collection extends PerformanceEntry {
  readonly detail: { readonly flags: number };
}

/** Copies `mebibytes` as the pieces of a body are copied, and gives each to `take`; gives how often V8 was asked to collect. */
async function readBody(mebibytes: number, take: (piece: Buffer) => void): Promise<number> {
  const entries: Collection[] = [];
  const observer = new PerformanceObserver((list) => entries.push(...(list.getEntries() as Collection[])));
  observer.observe({ entryTypes: ["gc"] });
  for (let done = 0; done < mebibytes; done += 1) {
    for (let part = 0; part < 16; part += 1) {
      const piece = Buffer.alloc(mebibyte / 16, done);
      countBody(piece.length);
      take(piece);
    }
    await sleep(1);
  }
  observer.disconnect();
  return entries.filter(({ detail }) => (detail.flags & constants.NODE_PERFORMANCE_GC_FLAGS_FORCED) !== 0).length;
}

test("V8 is asked to collect while a body is read", async () => {
  expect(await readBody(96, () => {})).toBeGreaterThan(6);
});

test("it is hardly asked while bodies are kept, and they stay as they are", async () => {
  const kept: Buffer[] = [];
  expect(await readBody(96, (piece) => kept.push(piece))).toBeLessThan(6);
  for (const [index, piece] of kept.entries()) {
    expect(piece.equals(Buffer.alloc(mebibyte / 16, Math.floor(index / 16)))).toBe(true);
  }
});

test("nobody else gets V8's collector", () => {
  expect(runInNewContext("typeof gc")).toBe("undefined");
});
