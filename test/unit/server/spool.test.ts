import { mkdtempSync, readdirSync, readlinkSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { ClientGoneError } from "../../../src/errors.ts";
import { RequestInput } from "../../../src/gateway/input.ts";
import { SpoolingFlow } from "../../../src/server/spool.ts";
import { within } from "../../harness/until.ts";

const givenFolder = process.env["TMPDIR"];
let folder: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "tsgi-spool-test-"));
  process.env["TMPDIR"] = folder;
});

afterEach(() => {
  if (givenFolder === undefined) delete process.env["TMPDIR"];
  else process.env["TMPDIR"] = givenFolder;
  rmSync(folder, { recursive: true });
});

/** Descriptors that are open on a spool file (Linux). */
function openSpools(): number {
  return readdirSync("/proc/self/fd").filter((fd) => {
    try {
      return readlinkSync(`/proc/self/fd/${fd}`).startsWith(folder);
    } catch {
      return false;
    }
  }).length;
}

class Receiver {
  readonly received: string[] = [];
  ends = 0;
  onPush: () => void = () => {};

  push(bytes: Buffer): void {
    this.received.push(bytes.toString("latin1"));
    this.onPush();
  }

  readonly failures: Error[] = [];

  end(): void {
    this.ends += 1;
  }

  fail(error: Error): void {
    this.failures.push(error);
  }
}

interface Held {
  readonly spool: SpoolingFlow;
  readonly receiver: Receiver;
  readonly producer: { isPaused: boolean; pauses: number };
}

function spoolOf(): Held {
  const receiver = new Receiver();
  const producer = {
    isPaused: false,
    pauses: 0,
    pause(): void {
      producer.isPaused = true;
      producer.pauses += 1;
    },
    resume(): void {
      producer.isPaused = false;
    },
  };
  const spool = new SpoolingFlow(producer);
  spool.feed(receiver);
  return { spool, receiver, producer };
}

/** An output that is not read until the returned function is called. */
function blockOutput(spool: SpoolingFlow): () => Promise<void> {
  let unblock: () => void = () => {};
  const blocked = spool.whileBlocked(
    new Promise((resolve) => {
      unblock = resolve;
    }),
  );
  return () => {
    unblock();
    return blocked;
  };
}

const push = (spool: SpoolingFlow, text: string): void => spool.push(Buffer.from(text, "latin1"));

test("without both sides waiting it passes everything on, and uses no file", async () => {
  const { spool, receiver, producer } = spoolOf();
  push(spool, "a");
  spool.pause();
  expect(producer.isPaused).toBe(true);
  spool.resume();
  expect(producer.isPaused).toBe(false);
  const unblock = blockOutput(spool);
  push(spool, "b");
  await unblock();
  spool.end();
  expect([receiver.received.join(""), receiver.ends, openSpools()]).toEqual(["ab", 1, 0]);
  spool.dispose();
});

describe.each([
  ["the input first", (spool: SpoolingFlow) => (spool.pause(), blockOutput(spool))],
  [
    "the output first",
    (spool: SpoolingFlow) => {
      const unblock = blockOutput(spool);
      spool.pause();
      return unblock;
    },
  ],
])("when both sides wait, %s", (_, block) => {
  test("the producer goes on, its bytes wait in a file that has no name", async () => {
    const { spool, receiver, producer } = spoolOf();
    push(spool, "before ");
    const unblock = block(spool);
    expect(producer.isPaused).toBe(false);
    push(spool, "while ");
    push(spool, "blocked ");
    expect(receiver.received).toEqual(["before "]);
    expect(openSpools()).toBe(1);
    expect(readdirSync(folder)).toEqual([]);
    await unblock();
    spool.resume();
    push(spool, "after");
    expect(receiver.received.join("")).toBe("before while blocked after");
    spool.dispose();
    expect(openSpools()).toBe(0);
  });

  test("the end comes after everything, once, whenever it is told", async () => {
    for (const endsEarly of [true, false]) {
      const { spool, receiver } = spoolOf();
      const unblock = block(spool);
      push(spool, "spooled");
      if (endsEarly) spool.end();
      expect(receiver.ends).toBe(0);
      await unblock();
      spool.resume();
      expect(receiver.received.join("")).toBe("spooled");
      if (!endsEarly) spool.end();
      expect([receiver.ends, openSpools()]).toEqual([1, 0]);
      spool.dispose();
    }
  });

  test("a file that is read back while more comes keeps the order", async () => {
    const { spool, receiver } = spoolOf();
    const unblock = block(spool);
    const parts = Array.from({ length: 300 }, (__, index) => `${index},`.padEnd(1000, "."));
    receiver.onPush = () => spool.pause();
    for (const [index, part] of parts.entries()) {
      push(spool, part);
      if (index % 7 === 0) spool.resume();
    }
    spool.end();
    await unblock();
    for (let count = 0; count < 1000 && receiver.ends === 0; count += 1) spool.resume();
    expect(receiver.received.join("") === parts.join("")).toBe(true);
    expect(receiver.ends).toBe(1);
    spool.dispose();
  });

  test("dropping it closes the file, as often as it is asked, and lets the producer go on", async () => {
    const { spool, receiver, producer } = spoolOf();
    const unblock = block(spool);
    push(spool, "spooled");
    spool.dispose();
    spool.dispose();
    expect([openSpools(), producer.isPaused]).toEqual([0, false]);
    push(spool, "late");
    spool.resume();
    spool.pause();
    expect(producer.isPaused).toBe(false);
    spool.end();
    await unblock();
    expect([receiver.received, openSpools()]).toEqual([[], 0]);
  });
});

test("an output that fails is told to who waits, and input is not spooled from then on", async () => {
  const { spool, producer } = spoolOf();
  await expect(spool.whileBlocked(Promise.reject(new ClientGoneError()))).rejects.toThrow(ClientGoneError);
  spool.pause();
  expect([producer.isPaused, openSpools()]).toEqual([true, 0]);
  spool.dispose();
});

test("with the real input: a body without a length ends for a reader that has caught up", async () => {
  const { spool } = spoolOf();
  const input = new RequestInput(spool, undefined);
  spool.feed(input);
  const unblock = blockOutput(spool);
  for (let count = 0; count < 64; count += 1) spool.push(Buffer.alloc(8192, "x"));
  expect(openSpools()).toBe(1);
  await unblock();
  expect(await input.read(64 * 8192)).toHaveLength(64 * 8192);
  const rest = input.read();
  spool.end();
  expect(await within("the end of the body", rest, 3000)).toHaveLength(0);
  spool.dispose();
});

test("without a temporary folder the request fails, and nothing else", async () => {
  const { spool, receiver, producer } = spoolOf();
  const before = process.env["TMPDIR"];
  process.env["TMPDIR"] = "/nonexistent/folder";
  try {
    spool.pause();
    const unblock = blockOutput(spool);
    expect(receiver.failures.map(String)).toEqual([expect.stringMatching(/cannot be spooled/)]);
    push(spool, "dropped");
    spool.end();
    expect([receiver.received, producer.isPaused]).toEqual([[], false]);
    await unblock();
  } finally {
    if (before === undefined) delete process.env["TMPDIR"];
    else process.env["TMPDIR"] = before;
  }
});
