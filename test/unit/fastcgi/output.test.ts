import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { encodeOutput, encodeStderr } from "../../../src/fastcgi/output.ts";
import { end, readRecords, record } from "./wire.ts";

function stdoutOf(buffers: readonly Uint8Array[]): Buffer {
  return Buffer.concat(readRecords(Buffer.concat(buffers)).map((each) => (each.type === 6 ? each.content : none)));
}

const none = Buffer.alloc(0);
const SMALL = 16_384;

describe("encodeOutput", () => {
  it("sends a small answer as one buffer: STDOUT, its end, END_REQUEST", () => {
    const buffers = encodeOutput({ id: 1, head: "Status: 200 OK\r\n\r\n", data: "hello", last: true }, false);
    expect(buffers).toHaveLength(1);
    expect(Buffer.from(buffers[0]!)).toEqual(
      Buffer.concat([record(6, 1, "Status: 200 OK\r\n\r\nhello"), record(6, 1), end(1)]),
    );
  });

  it("sends nothing when there is nothing to say", () => {
    for (const piece of [{}, { head: "" }, { data: "" }, { head: "", data: new Uint8Array(0) }]) {
      expect(encodeOutput({ id: 1, last: false, ...piece }, true)).toEqual([]);
    }
  });

  it("ends a request without content in one buffer, and STDERR only where it was used", () => {
    expect(encodeOutput({ id: 9, last: true }, false)).toEqual([Buffer.concat([record(6, 9), end(9)])]);
    expect(encodeOutput({ id: 9, last: true }, true)).toEqual([Buffer.concat([record(6, 9), record(7, 9), end(9)])]);
    expect(encodeOutput({ id: 9, data: "x", last: false }, true)).toEqual([record(6, 9, "x")]);
  });

  it("writes a head as latin-1 and a string as UTF-8", () => {
    const data = "\u00e9 \u20ac \u{1f600} \ud800";
    const buffers = encodeOutput({ id: 1, head: "X: \u00e9\r\n\r\n", data, last: false }, false);
    expect(stdoutOf(buffers)).toEqual(Buffer.concat([Buffer.from("X: \u00e9\r\n\r\n", "latin1"), Buffer.from(data)]));
    const long = data.repeat(20_000);
    expect(stdoutOf(encodeOutput({ id: 1, data: long, last: false }, false)).equals(Buffer.from(long))).toBe(true);
  });

  it("copies a body up to the small size and frames a larger one around its own memory", () => {
    const small = encodeOutput({ id: 1, head: "12345678", data: Buffer.alloc(SMALL - 8), last: true }, false);
    expect(small).toHaveLength(1);
    const body = Buffer.alloc(SMALL - 7, "b");
    const large = encodeOutput({ id: 1, head: "12345678", data: body, last: true }, false);
    expect(large).toHaveLength(3);
    body.fill("c");
    expect(stdoutOf(large).toString()).toBe(`12345678${"c".repeat(SMALL - 7)}`);
  });

  it("takes a plain Uint8Array and a part of one", () => {
    for (const length of [10, 100_000]) {
      const memory = new Uint8Array(length + 20).map((_, index) => index);
      const data = memory.subarray(10, 10 + length);
      expect(stdoutOf(encodeOutput({ id: 1, data, last: true }, false)).equals(data)).toBe(true);
    }
  });

  it("cuts a large body into full records whose length is a multiple of eight", () => {
    const records = readRecords(Buffer.concat(encodeOutput({ id: 1, data: Buffer.alloc(200_000), last: true }, false)));
    expect(records.map((each) => [each.type, each.content.length])).toEqual([
      [6, 65_528],
      [6, 65_528],
      [6, 65_528],
      [6, 3416],
      [6, 0],
      [3, 8],
    ]);
  });

  it("sends what it was given, once and in order, whatever the sizes", () => {
    const sizes = fc.oneof(fc.nat(40), fc.constantFrom(SMALL - 1, SMALL, SMALL + 1, 65_527, 65_528, 65_529, 131_056));
    fc.assert(
      fc.property(sizes, sizes, fc.boolean(), fc.boolean(), fc.boolean(), (headSize, dataSize, last, text, stderr) => {
        const head = "h".repeat(headSize);
        const data = text ? "d".repeat(dataSize) : Buffer.alloc(dataSize, "d");
        const records = readRecords(Buffer.concat(encodeOutput({ id: 7, head, data, last }, stderr)));
        const content = Buffer.concat(records.map((each) => (each.type === 6 ? each.content : none))).toString();
        expect(content === head + "d".repeat(dataSize)).toBe(true);
        expect(records.every((each) => each.id === 7 && each.padding.length === 0)).toBe(true);
        const tail = last ? [6, ...(stderr ? [7] : []), 3] : [];
        const types = records.map((each) => (each.content.length > 0 && each.type === 6 ? 0 : each.type));
        expect(types.filter((type) => type !== 0)).toEqual(tail);
      }),
      { numRuns: 150 },
    );
  });
});

describe("encodeStderr", () => {
  it("is one record up to 7992 bytes, and none for nothing", () => {
    expect(encodeStderr(3, "caf\u00e9")).toEqual([record(7, 3, Buffer.from("caf\u00e9"))]);
    expect(encodeStderr(3, new Uint8Array([0xff, 0]))).toEqual([record(7, 3, Buffer.of(0xff, 0))]);
    expect(encodeStderr(3, "x".repeat(7992))).toHaveLength(1);
    expect(encodeStderr(3, "")).toEqual([]);
    expect(encodeStderr(3, new Uint8Array(0))).toEqual([]);
  });

  it("cuts a long text between characters", () => {
    for (const character of ["x", "\u00e9", "\u20ac", "\u{1f600}"]) {
      for (let shift = 0; shift < 4; shift += 1) {
        const text = "-".repeat(shift) + character.repeat(9000);
        const contents = encodeStderr(1, text).map((each) => readRecords(each)[0]!.content);
        expect(contents.every((content) => content.length > 7980 - 4 || content === contents.at(-1))).toBe(true);
        expect(contents.every((content) => content.length <= 7992)).toBe(true);
        expect(contents.map((content) => content.toString("utf8")).join("") === text).toBe(true);
      }
    }
  });

  it("cuts bytes that are no text at the limit", () => {
    const bytes = Buffer.alloc(20_000, 0x80);
    const contents = encodeStderr(1, bytes).map((each) => readRecords(each)[0]!.content);
    expect(contents.map((content) => content.length)).toEqual([7992, 7992, 4016]);
    expect(Buffer.concat(contents).equals(bytes)).toBe(true);
  });
});
