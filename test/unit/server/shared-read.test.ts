import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import type { Server, Socket } from "node:net";
import { connect, createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { SharedRead } from "../../../src/server/shared-read.ts";
import { until, within } from "../../harness/until.ts";

let folder: string;
let server: Server;
const sockets: Socket[] = [];

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), "tsgi-read-"));
  server = createServer({ allowHalfOpen: true }).listen(join(folder, "socket"));
  await once(server, "listening");
});

afterEach(async () => {
  for (const socket of sockets.splice(0)) socket.destroy();
  await within("the server to close", new Promise((resolve) => server.close(resolve)));
  rmSync(folder, { recursive: true });
});

/** Both ends of a new connection, with what `prepare` does as soon as it is accepted. */
async function pair(prepare: (ours: Socket) => void): Promise<{ readonly ours: Socket; readonly peer: Socket }> {
  const accepted = new Promise<Socket>((resolve) => {
    server.once("connection", (socket) => {
      prepare(socket);
      resolve(socket);
    });
  });
  const peer = connect(join(folder, "socket"));
  const ours = await within("a connection", accepted);
  sockets.push(ours, peer);
  return { ours, peer };
}

/** What came on one connection, and in which memory. */
interface Received {
  text: string;
  readonly memory: Set<ArrayBufferLike>;
  readonly kept: Buffer[];
}

async function received(keeps: boolean, prepare: (ours: Socket) => void = () => {}) {
  const got: Received = { text: "", memory: new Set(), kept: [] };
  const ends = await pair((ours) => {
    prepare(ours);
    const reading: SharedRead = new SharedRead((bytes) => {
      got.memory.add(bytes.buffer);
      got.text += bytes.toString("latin1");
      if (keeps) got.kept.push(reading.keep(bytes));
    });
    reading.attach(ours);
  });
  return { ...ends, got };
}

/** Letters that tell where they were. */
function pattern(bytes: number, seed: number): Buffer {
  return Buffer.from(Array.from({ length: bytes }, (_, index) => 97 + ((index * 7 + seed + (index >> 9)) % 26)));
}

describe("bytes that nobody keeps", () => {
  test("come in the same memory on every connection", async () => {
    const one = await received(false);
    const two = await received(false);
    for (const [index, { peer }] of [one, two, one, two].entries()) peer.write(`piece ${index};`);
    await until("all pieces", () => one.got.text + two.got.text === "piece 0;piece 2;piece 1;piece 3;");
    expect(new Set([...one.got.memory, ...two.got.memory]).size).toBe(1);
  });

  test("come as data where Node keeps its own buffers", async () => {
    const { peer, got } = await received(true, (ours) => {
      Object.defineProperty((ours as unknown as { _handle: object })._handle, "useUserBuffer", { value: undefined });
    });
    peer.write("one");
    await until("the bytes", () => got.text === "one");
    expect(Buffer.concat(got.kept).toString()).toBe("one");
  });
});

describe("bytes that are kept", () => {
  test("stay as they are, large and small, while other connections read", async () => {
    const all = [await received(true), await received(false), await received(true)];
    const sent = all.map((_, index) => pattern(900_000, index));
    const small = Buffer.from("x".repeat(100));
    for (let at = 0; at < 900_000; at += 90_000) {
      for (const [index, { peer }] of all.entries()) peer.write(sent[index]?.subarray(at, at + 90_000) ?? small);
      for (const { peer } of all) peer.write(small);
    }
    await until("everything", () => all.every(({ got }) => got.text.length === 901_000));
    for (const [index, { got }] of all.entries()) {
      const body = sent[index] ?? small;
      const expected = Buffer.concat(
        Array.from({ length: 10 }, (_, part) => [body.subarray(part * 90_000, (part + 1) * 90_000), small]).flat(),
      );
      expect(got.text === expected.toString("latin1"), `connection ${index}`).toBe(true);
      if (got.kept.length > 0) expect(Buffer.concat(got.kept).equals(expected), `kept of ${index}`).toBe(true);
    }
  });

  test("are the right ones after errors that nobody caught, in the tick after a read", async () => {
    const listeners = process.listeners("uncaughtException");
    const errors: unknown[] = [];
    process.removeAllListeners("uncaughtException").on("uncaughtException", (error) => errors.push(error));
    try {
      const kept: Buffer[] = [];
      const { peer } = await pair((ours) => {
        const reading: SharedRead = new SharedRead((bytes) => {
          kept.push(reading.keep(bytes));
          process.nextTick(() => {
            throw new Error("nobody catches it");
          });
        });
        reading.attach(ours);
      });
      for (let piece = 1; piece <= 5; piece += 1) {
        peer.write(pattern(60_000, piece));
        await until("a piece", () => kept.reduce((sum, { length }) => sum + length, 0) === piece * 60_000);
      }
      const sent = [1, 2, 3, 4, 5].map((piece) => pattern(60_000, piece));
      expect(Buffer.concat(kept).equals(Buffer.concat(sent))).toBe(true);
      expect(errors).toHaveLength(kept.length);
    } finally {
      process.removeAllListeners("uncaughtException");
      for (const listener of listeners) process.on("uncaughtException", listener);
    }
  });

  test("that are not in the shared memory are not copied", async () => {
    const own = Buffer.from("of another process");
    const reading = new SharedRead(() => {});
    await pair((ours) => reading.attach(ours));
    expect(reading.keep(own)).toBe(own);
  });
});

test("pause and resume hold for it, and the end comes after the last byte", async () => {
  const { ours, peer, got } = await received(false);
  peer.write("a");
  await until("the first byte", () => got.text === "a");
  ours.pause();
  const ended = once(ours, "end");
  peer.end("b");
  const other = await received(false);
  other.peer.write("c");
  await until("another connection", () => other.got.text === "c");
  expect(got.text).toBe("a");
  ours.resume();
  await within("the end", ended);
  expect(got.text).toBe("ab");
});
