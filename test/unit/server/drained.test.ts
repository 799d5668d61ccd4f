import { Writable } from "node:stream";
import { expect, test } from "vitest";
import { ClientGoneError } from "../../../src/errors.ts";
import { whenDrained } from "../../../src/server/drained.ts";
import { within } from "../../harness/until.ts";

/** A stream that takes bytes when it is told to. */
function held(): { stream: Writable; take: () => void } {
  const waiting: Array<() => void> = [];
  const stream = new Writable({ highWaterMark: 1, write: (_, __, done) => void waiting.push(done) });
  return { stream, take: () => waiting.shift()?.() };
}

test("settles at once where there is room, and with the drain where there is none", async () => {
  const { stream, take } = held();
  await whenDrained(stream);
  stream.write("xx");
  const drained = whenDrained(stream);
  take();
  await within("the drain", drained);
});

test("rejects when the stream closes before, or has closed", async () => {
  const { stream } = held();
  stream.write("xx");
  const drained = whenDrained(stream);
  stream.destroy();
  await expect(within("the close", drained)).rejects.toThrow(ClientGoneError);
  await expect(whenDrained(stream)).rejects.toThrow(ClientGoneError);
});

test("waits with one listener for any number that wait", async () => {
  const { stream, take } = held();
  stream.write("xx");
  const before = stream.listenerCount("drain");
  const all = Array.from({ length: 50 }, () => whenDrained(stream));
  expect(stream.listenerCount("drain")).toBe(before + 1);
  take();
  await within("the drain", Promise.all(all));
});

test("leaves no listener behind, however often it is asked", async () => {
  const { stream, take } = held();
  const listeners = (): number => stream.listenerCount("drain") + stream.listenerCount("close");
  const before = listeners();
  for (let count = 0; count < 20; count += 1) {
    stream.write("xx");
    const drained = whenDrained(stream);
    take();
    await drained;
  }
  expect(listeners()).toBe(before);
});
