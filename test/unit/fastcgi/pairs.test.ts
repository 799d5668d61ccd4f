import { setFlagsFromString } from "node:v8";
import * as fc from "fast-check";
import { describe, expect, it, vi } from "vitest";
import { FcgiPeerError } from "../../../src/errors.ts";
import { PairReader, encodePairs } from "../../../src/fastcgi/pairs.ts";
import type { Params } from "../../../src/fastcgi/pairs.ts";
import { cutAt, pair, sortPairs } from "./wire.ts";

function decode(pieces: readonly Buffer[], maxBytes = 10_000_000): Params {
  const reader = new PairReader("PARAMS", maxBytes);
  for (const piece of pieces) reader.push(piece, 0, piece.length);
  return reader.finish();
}

const latin1 = (maxLength: number) =>
  fc.uint8Array({ maxLength }).map((bytes) => Buffer.from(bytes).toString("latin1"));
/** Lengths around the border of one and four bytes, and beyond what shares one string. */
const text = fc.oneof(
  { weight: 6, arbitrary: latin1(20) },
  { weight: 2, arbitrary: fc.integer({ min: 125, max: 131 }).map((length) => "b".repeat(length)) },
  { weight: 1, arbitrary: fc.integer({ min: 4000, max: 9000 }).map((length) => "c".repeat(length)) },
);
const pairList = fc.array(fc.tuple(text, text, fc.boolean()), { maxLength: 12 });
const places = fc.array(fc.nat(), { maxLength: 20 });

/** Feeds the lengths of a pair, byte by byte, to a reader with a limit of 65536 bytes. */
const announce = (lengths: string) => () => {
  const reader = new PairReader("PARAMS", 65_536);
  const bytes = Buffer.from(lengths, "hex");
  for (const at of bytes.keys()) reader.push(bytes, at, at + 1);
};

describe("PairReader", () => {
  it("gives the same pairs however they are cut, the last of a name", () => {
    fc.assert(
      fc.property(pairList, places, (pairs, cuts) => {
        const bytes = Buffer.concat(pairs.map(([name, value, long]) => pair(name, value, long)));
        const expected = new Map(pairs.map(([name, value]) => [name, value]));
        expect(sortPairs(Object.entries(decode(cutAt(bytes, cuts))))).toEqual(sortPairs(expected));
      }),
    );
  });

  it("reads what encodePairs writes", () => {
    fc.assert(
      fc.property(fc.dictionary(text, text), places, (params, cuts) => {
        expect({ ...decode(cutAt(encodePairs(params), cuts)) }).toEqual({ ...params });
      }),
    );
  });

  it("gives objects without prototype, alike however often their names came", () => {
    const params = { HTTP_HOST: "localhost", __proto__x: "1", "7": "seven", "wsgi.input": "forged", PATH: "" };
    const block = encodePairs(params);
    const first = decode([block]);
    const bytes = Buffer.concat([block, pair("__proto__", "own"), pair("PATH", "/bin")]);
    for (let time = 0; time < 10; time += 1) {
      const [again, more] = [decode([block]), decode([bytes])];
      expect(Object.getPrototypeOf(again)).toBe(null);
      expect(Object.entries(again)).toEqual(Object.entries(first));
      expect(Object.getPrototypeOf(more)).toBe(null);
      expect(Object.entries(more)).toEqual([...Object.entries({ ...params, PATH: "/bin" }), ["__proto__", "own"]]);
    }
    expect(Object.getOwnPropertyDescriptor(first, "HTTP_HOST")).toEqual({
      value: "localhost",
      writable: true,
      enumerable: true,
      configurable: true,
    });
  });

  it("takes names that could be code for no more than names", () => {
    const names = ['"];throw 1;//', "\\", "\u2028", "`${1}`", "a\0b", "constructor", "this"];
    const bytes = Buffer.concat(names.map((name) => pair(name, "x")));
    for (let time = 0; time < 10; time += 1) {
      const expected = names.map((name) => Buffer.from(name, "latin1").toString("latin1"));
      expect(Object.keys(decode([bytes]))).toEqual(expected);
    }
  });

  it("reads more names than it learns, too long ones, and ever new ones", () => {
    const many = Array.from({ length: 300 }, (_, index) => [`HTTP_NAME_${index}`, String(index)] as const);
    const long = [
      ["n".repeat(5000), "long"],
      ["HTTP_HOST", "after it"],
    ] as const;
    for (let time = 0; time < 10; time += 1) {
      for (const pairs of [many, long, [...many, ...long]]) {
        const bytes = Buffer.concat(pairs.map(([name, value]) => pair(name, value)));
        expect(Object.entries(decode(cutAt(bytes, [100, 2000])))).toEqual(pairs);
      }
    }
    for (let time = 0; time < 20_000; time += 1) {
      const [own, common] = [`HTTP_X_${time}`, ["REQUEST_METHOD", "GET"]] as const;
      const bytes = Buffer.concat([pair(...common), pair(own, "1"), pair("HTTP_HOST", "h")]);
      expect(Object.entries(decode([bytes]))).toEqual([common, [own, "1"], ["HTTP_HOST", "h"]]);
    }
  });

  it("keeps what it learned when a client sends ever new names, and makes few constructors for such", async () => {
    setFlagsFromString("--allow-natives-syntax");
    // eslint-disable-next-line no-new-func, typescript/no-implied-eval, typescript/no-unsafe-type-assertion -- of V8
    const isLearned = new Function("params", "return %HasFastProperties(params)") as (params: Params) => boolean;
    vi.resetModules();
    const fresh = await import("../../../src/fastcgi/pairs.ts");
    const read = (names: readonly string[]): boolean => {
      const reader = new fresh.PairReader("PARAMS", 65_536);
      const bytes = Buffer.concat(names.map((name) => pair(name, "v")));
      reader.push(bytes, 0, bytes.length);
      return isLearned(reader.finish());
    };
    const common = ["REQUEST_METHOD", "HTTP_HOST", "QUERY_STRING"];
    for (let time = 0; time < 4; time += 1) read(common);
    expect(read(common)).toBe(true);
    const many = Array.from({ length: 90 }, (_, index) => `HTTP_NAME_${index}`);
    let learned = 0;
    for (let client = 0; client < 1000; client += 1) {
      const names = [...many, ...[100, 10, 1].map((place) => `HTTP_${place}_${Math.floor(client / place) % 10}`)];
      for (let time = 0; time < 4; time += 1) read(names);
      if (read(names)) learned += 1;
    }
    expect(learned).toBeGreaterThan(10);
    expect(learned).toBeLessThan(200);
    for (let time = 0; time < 20_000; time += 1) read(["HTTP_HOST", `HTTP_X_${time % 7000}`, `HTTP_Y_${time}`]);
    expect(read(common)).toBe(true);
  });

  it("refuses every proper beginning of a pair, wherever it ends", () => {
    for (const bytes of [pair("NAME", "value"), pair("", "v"), pair("n".repeat(128), "v"), pair("n", "v", true)]) {
      for (let length = 1; length < bytes.length; length += 1) {
        const beginning = bytes.subarray(0, length);
        expect(() => decode([beginning]), `${length} bytes`).toThrow("PARAMS ended inside a name-value pair");
        expect(() => decode(cutAt(beginning, [...beginning.keys()])), `${length} bytes`).toThrow(FcgiPeerError);
      }
    }
  });

  it("gives an object without prototype and never touches another one", () => {
    const before = Object.getOwnPropertyNames(Object.prototype);
    const params = decode([Buffer.concat([pair("__proto__", "x"), pair("toString", "y"), pair("constructor", "z")])]);
    expect(Object.getPrototypeOf(params)).toBeNull();
    expect(Object.keys(params)).toEqual(["__proto__", "toString", "constructor"]);
    expect(Object.getOwnPropertyNames(Object.prototype)).toEqual(before);
  });

  it("takes exactly the limit and not one byte more, in one piece or in many", () => {
    const bytes = Buffer.concat([pair("A", "1"), pair("NAME", "x".repeat(200))]);
    for (const cuts of [[], [3], [5], [8], [...bytes.keys()]]) {
      expect(Object.keys(decode(cutAt(bytes, cuts), bytes.length))).toEqual(["A", "NAME"]);
      expect(() => decode(cutAt(bytes, cuts), bytes.length - 1)).toThrow(
        `PARAMS is longer than the limit of ${bytes.length - 1} bytes`,
      );
    }
  });

  it("refuses an announced length beyond the limit before the bytes come", () => {
    expect(announce("8000fff97f")).toThrow("longer than the limit");
    expect(announce("8000ff7c7f")).not.toThrow();
    for (const lengths of ["8001000000", "0080010000", "ffffffff00", "00ffffffff", "ffffffffffffffff"]) {
      expect(announce(lengths), lengths).toThrow("longer than the limit");
    }
  });

  it("keeps nothing of the memory that it was given", () => {
    const bytes = Buffer.concat([pair("NAME", "a value of some length"), pair("LONG", "y".repeat(5000))]);
    for (const cuts of [[], [2], [9, 40], [100, 4000]]) {
      const reader = new PairReader("PARAMS", 10_000);
      for (const piece of cutAt(bytes, cuts).map((part) => Buffer.from(part))) {
        reader.push(piece, 0, piece.length);
        piece.fill(0);
      }
      expect(reader.finish()).toMatchObject({ NAME: "a value of some length", LONG: "y".repeat(5000) });
    }
  });

  it("reads only between start and end", () => {
    const reader = new PairReader("PARAMS", 100);
    const bytes = Buffer.concat([Buffer.from("junk"), pair("A", "1"), Buffer.from("junk")]);
    reader.push(bytes, 4, 8);
    expect({ ...reader.finish() }).toEqual({ A: "1" });
  });

  it("takes a megabyte byte by byte", () => {
    const value = "v".repeat(1_000_000);
    const bytes = pair("HTTP_COOKIE", value);
    const reader = new PairReader("PARAMS", 1_048_576);
    for (let at = 0; at < bytes.length; at += 1) reader.push(bytes, at, at + 1);
    expect(reader.finish()["HTTP_COOKIE"] === value).toBe(true);
  });
});

describe("encodePairs", () => {
  it("writes lengths as short as they can be", () => {
    const params = { A: "", "": "1", ["n".repeat(127)]: "v".repeat(128), ["m".repeat(128)]: "\u00e9" };
    expect(encodePairs(params)).toEqual(
      Buffer.concat(Object.entries(params).map(([name, value]) => pair(name, value))),
    );
    expect(encodePairs({})).toHaveLength(0);
  });
});
