// What a worker says is checked before it is believed.
import * as fc from "fast-check";
import { expect, test } from "vitest";
import type { FromWorker, Pulse } from "../../../src/supervisor/messages.ts";
import { readFromWorker } from "../../../src/supervisor/messages.ts";

const pulse: Pulse = {
  type: "pulse",
  busy: 1,
  waiting: 2,
  connections: 3,
  served: 4,
  shed: 5,
  timedOut: 6,
  rssBytes: 7,
  lagMs: 8.5,
  idleMs: 9.5,
};

test.each<FromWorker>([
  { type: "ready" },
  { type: "lent" },
  { type: "boot-failed", message: "no such file", files: ["/a.ts", "/b.ts"] },
  pulse,
  { type: "connection", bytes: Uint8Array.of(1, 2), waitedMs: 12.5 },
  { type: "connection", bytes: undefined, waitedMs: 0 },
  { type: "failing", message: "boom" },
  { type: "changed", file: "/a.ts", fingerprint: "1:2" },
  { type: "drained", isWhole: true },
  { type: "drained", isWhole: false },
])("reads %j as it was said, and drops what does not belong to it", (message) => {
  expect(readFromWorker(message)).toStrictEqual(message);
  expect(readFromWorker({ ...message, pid: 1, path: "/etc/passwd" })).toStrictEqual(message);
});

test.each([
  undefined,
  null,
  0,
  "ready",
  ["ready"],
  {},
  { type: 1 },
  { type: "Ready" },
  { type: ["ready"] },
  { type: "boot" },
  { type: "leave" },
  { type: "constructor" },
  { type: "__proto__" },
])("takes %j for what an application sent", (value) => {
  expect(readFromWorker(value)).toBeUndefined();
});

test.each([Number.NaN, Infinity, -Infinity, -1, "5", null, undefined, {}, 5n])("counts %s as nothing", (value) => {
  const nothing = Object.fromEntries(Object.keys(pulse).map((key) => [key, 0]));
  const said = Object.fromEntries(Object.keys(pulse).map((key) => [key, value]));
  expect(readFromWorker({ ...said, type: "pulse" })).toEqual({ ...nothing, type: "pulse" });
});

test.each<[string, unknown, FromWorker]>([
  ["no files", { type: "boot-failed" }, { type: "boot-failed", message: "", files: [] }],
  ["files that are no list", { type: "boot-failed", files: "/a" }, { type: "boot-failed", message: "", files: [] }],
  ["a file that is no text", { type: "boot-failed", files: [1] }, { type: "boot-failed", message: "", files: [""] }],
  ["a message that is no text", { type: "failing", message: { a: 1 } }, { type: "failing", message: "" }],
  ["no file", { type: "changed" }, { type: "changed", file: "", fingerprint: "" }],
  [
    "bytes that are no bytes",
    { type: "connection", bytes: "abc" },
    { type: "connection", bytes: undefined, waitedMs: 0 },
  ],
  [
    "bytes as a list",
    { type: "connection", bytes: [1, 2], waitedMs: -1 },
    { type: "connection", bytes: undefined, waitedMs: 0 },
  ],
  ["a yes that is none", { type: "drained", isWhole: "true" }, { type: "drained", isWhole: false }],
])("makes the best of %s", (_, value, message) => {
  expect(readFromWorker(value)).toStrictEqual(message);
});

test("cuts what is too long", () => {
  const long = "x".repeat(100_000);
  const failed = readFromWorker({
    type: "boot-failed",
    message: long,
    files: Array.from({ length: 5000 }, () => long),
  });
  if (failed?.type !== "boot-failed") throw new Error("not read");
  expect([failed.message.length, failed.files.length, failed.files[0]?.length]).toEqual([8192, 2000, 8192]);
});

test("takes no more bytes than one read of a connection has", () => {
  const most = 1024 * 1024;
  const read = [most, most + 1].map((length) => readFromWorker({ type: "connection", bytes: new Uint8Array(length) }));
  expect(read.map((message) => message?.type === "connection" && message.bytes?.length)).toEqual([most, undefined]);
});

test("never throws, and what it reads it reads again as the same", () => {
  const types = ["ready", "lent", "boot-failed", "pulse", "connection", "failing", "changed", "drained", "figures"];
  const fields = [
    "message",
    "files",
    "busy",
    "served",
    "lagMs",
    "bytes",
    "file",
    "fingerprint",
    "isWhole",
    "counts",
    "running",
  ];
  const messages = fc
    .tuple(fc.constantFrom(...types), fc.dictionary(fc.constantFrom(...fields), fc.anything()))
    .map(([type, rest]) => Object.assign(rest, { type }));
  fc.assert(
    fc.property(fc.oneof(messages, fc.anything()), (value) => {
      const message = readFromWorker(value);
      expect(readFromWorker(message)).toStrictEqual(message);
    }),
  );
});
