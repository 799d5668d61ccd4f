// The hand-written record streams of test/vectors, each fed line by line, whole, byte by byte and in random pieces.
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";
import { FcgiPeerError } from "../../../src/errors.ts";
import { FcgiConnection } from "../../../src/fastcgi/connection.ts";
import { atRandom, byByte, logOf, whole } from "./connection-log.ts";
import type { Cutter } from "./connection-log.ts";
import { readVectors } from "./vector-file.ts";
import type { Step, Vector } from "./vector-file.ts";

const RANDOM_RUNS = 12;
const seed = Number(process.env["FASTCGI_SEED"] ?? Math.floor(Math.random() * 2 ** 31));

for (const kind of ["valid", "invalid"]) {
  const vectors = readVectors(fileURLToPath(new URL(`../../vectors/${kind}.txt`, import.meta.url)));

  describe(`${kind} FastCGI streams`, () => {
    it("are at least 60, with names of their own", () => {
      expect(vectors.length).toBeGreaterThanOrEqual(60);
      expect(new Set(vectors.map((vector) => vector.name)).size).toBe(vectors.length);
    });

    it.each(vectors.map((vector) => [vector.name, vector] as const))("%s", (_name, vector) => {
      runByLine(vector);
      runCut(vector, whole, "whole");
      runCut(vector, byByte, "byte by byte");
      for (let run = 0; run < RANDOM_RUNS; run += 1) {
        runCut(vector, atRandom(seed + run), `random pieces, FASTCGI_SEED=${seed + run}`);
      }
    });
  });
}

/** Each line of bytes in one piece; what it causes must be there right behind it. */
function runByLine(vector: Vector): void {
  const connection = connect(vector);
  for (const [index, step] of vector.steps.entries()) {
    if (vector.error !== undefined && index === vector.steps.length - 1) {
      expectDeath(connection, vector, step, whole);
      expect(step.expected, `line ${step.line}: nothing is told before the error`).toEqual([]);
    } else {
      expect(perform(connection, step, whole), `line ${step.line}`).toEqual(joinSent(step.expected));
    }
  }
}

/** The bytes between two commands as one stream, cut by `cutter`; only the order of what they cause is compared. */
function runCut(vector: Vector, cutter: Cutter, how: string): void {
  const connection = connect(vector);
  const steps = joinFeeds(vector.steps);
  for (const [index, step] of steps.entries()) {
    if (vector.error !== undefined && index === steps.length - 1) {
      const seen = expectDeath(connection, vector, step, cutter);
      // A piece that holds both a result and the error gives the error only.
      if (cutter === byByte) expect(seen, how).toEqual(step.expected);
      else expect(step.expected.slice(0, seen.length), how).toEqual(seen);
    } else {
      expect(perform(connection, step, cutter), how).toEqual(joinSent(step.expected));
    }
  }
}

function connect(vector: Vector): FcgiConnection {
  return new FcgiConnection({ maxParamsBytes: vector.maxParamsBytes, maxConnections: 100 });
}

function perform(connection: FcgiConnection, step: Step, cutter: Cutter): string[] {
  const { action } = step;
  switch (action.kind) {
    case "feed":
      return cutter(action.bytes).flatMap((piece) => logOf(connection.receive(piece)));
    case "eof":
      return logOf(connection.receiveEof());
    case "output":
      return sent(connection.send({ type: "output", ...action }));
    case "stderr":
      return sent(connection.send({ type: "stderr", ...action }));
    case "end":
      return sent(connection.send({ type: "end", ...action }));
  }
}

function sent(buffers: readonly Uint8Array[]): string[] {
  const bytes = Buffer.concat(buffers);
  return bytes.length === 0 ? [] : [`sent ${bytes.toString("hex")}`];
}

/** Feeds until the error comes, checks that it comes again, and returns what was told before. */
function expectDeath(connection: FcgiConnection, vector: Vector, step: Step, cutter: Cutter): string[] {
  if (step.action.kind !== "feed") throw new Error(`line ${step.line}: only bytes can be an error`);
  const seen: string[] = [];
  let death: unknown;
  for (const piece of cutter(step.action.bytes)) {
    try {
      seen.push(...logOf(connection.receive(piece)));
    } catch (error) {
      death ??= error;
      expect(error).toBe(death);
    }
  }
  expect(death).toBeInstanceOf(FcgiPeerError);
  expect((death as Error).message).toContain(vector.error);
  expect(() => connection.receive(Buffer.from("01010001000800000001000000000000", "hex"))).toThrow(vector.error);
  return seen;
}

function joinFeeds(steps: readonly Step[]): Step[] {
  const joined: Step[] = [];
  for (const step of steps) {
    const before = joined.at(-1);
    if (before?.action.kind === "feed" && step.action.kind === "feed") {
      const bytes = Buffer.concat([before.action.bytes, step.action.bytes]);
      joined[joined.length - 1] = {
        line: before.line,
        action: { kind: "feed", bytes },
        expected: [...before.expected, ...step.expected],
      };
    } else {
      joined.push(step);
    }
  }
  return joined;
}

/** Several `=` lines are the records of one command. */
function joinSent(expected: readonly string[]): string[] {
  const sentLines = expected.filter((line) => line.startsWith("sent "));
  if (sentLines.length < 2) return [...expected];
  return [`sent ${sentLines.map((line) => line.slice(5)).join("")}`];
}
