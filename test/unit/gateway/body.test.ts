import { describe, expect, test } from "vitest";
import { ContractError } from "../../../src/errors.ts";
import {
  BodySource,
  byteLengthOf,
  checkBody,
  checkChunk,
  isChunk,
  knownLengthOf,
  wholeOf,
} from "../../../src/gateway/body.ts";
import type { Body, Chunk } from "../../../src/spec.ts";

test.each(["", "text", Buffer.from("x"), new Uint8Array(3), [], ["a"], new Set(["a"]), (function* () {})()])(
  "takes %o as a body",
  (body) => {
    expect(() => checkBody(body)).not.toThrow();
  },
);

test.each([
  [undefined, "undefined"],
  [null, "null"],
  [42, "a number"],
  [true, "a boolean"],
  [() => "x", "a function"],
  [{ body: "x" }, "an object (Object)"],
  [Object.create(null), "an object (no prototype)"],
  [new ArrayBuffer(1), "an object (ArrayBuffer)"],
  [new Error("secret"), "an object (Error)"],
])("refuses %o as a body and says what it is", (value, description) => {
  expect(() => checkBody(value)).toThrow(ContractError);
  expect(() => checkBody(value)).toThrow(description);
  expect(() => checkBody(value)).not.toThrow(/secret/);
});

test("a chunk that is none is refused with its place", () => {
  expect(() => checkChunk(7, 3)).toThrow(/chunk 3 .* a number/);
  expect(() => knownLengthOf(["a", null] as unknown as Body)).toThrow(/chunk 1 .* null/);
  expect(isChunk(new Uint16Array(1))).toBe(false);
});

test("lengths are bytes of UTF-8", () => {
  expect(byteLengthOf("日é")).toBe(5);
  expect(byteLengthOf(Buffer.from("日é"))).toBe(5);
  expect(knownLengthOf(["日", Buffer.from("é"), ""])).toBe(5);
  expect(knownLengthOf([])).toBe(0);
  expect(knownLengthOf(new Set(["a"]))).toBeUndefined();
});

describe("a body that is there at once", () => {
  const whole = (body: Body): Chunk | undefined => wholeOf(body, knownLengthOf(body));

  test.each<[Body, string]>([
    ["text", "text"],
    [Buffer.from("text"), "text"],
    [[], ""],
    [["text"], "text"],
    [["te", "xt"], "text"],
    [["te", Buffer.from("xt")], "text"],
    [["日", new Uint8Array([0xc3, 0xa9])], "日é"],
  ])("%o leaves as one chunk", (body, text) => {
    expect(Buffer.from(whole(body) as Uint8Array).toString()).toBe(text);
  });

  test("each chunk is UTF-8 by itself: the one chunk has as many bytes as they have", () => {
    const halves = ["\ud83d", "\ude00"];
    expect(byteLengthOf(whole(halves) ?? "")).toBe(knownLengthOf(halves));
  });

  test("a large one, one with close(), and one to be iterated leave piece by piece", () => {
    const mib = Buffer.alloc(2 ** 20);
    expect(whole([mib, mib])).toBeUndefined();
    expect(whole(Object.assign(["a"], { close() {} }))).toBeUndefined();
    expect(whole(new Set(["a"]))).toBeUndefined();
  });
});

/** A body that counts what is called on it. */
class Counting {
  readonly calls: string[] = [];
  readonly #chunks: Chunk[];

  constructor(chunks: Chunk[]) {
    this.#chunks = chunks;
  }

  [Symbol.iterator](): Iterator<Chunk> {
    this.calls.push("iterate");
    return {
      next: () => {
        this.calls.push("next");
        const value = this.#chunks.shift();
        return value === undefined ? { done: true, value } : { done: false, value };
      },
      return: () => {
        this.calls.push("return");
        return { done: true, value: undefined };
      },
    };
  }

  close(): void {
    this.calls.push("close");
  }
}

describe("closing", () => {
  test("calls close() once, however often it is asked, also when nothing was read", async () => {
    const body = new Counting(["a"]);
    const source = new BodySource(body);
    await Promise.all([source.close(), source.close()]);
    await source.close();
    expect(body.calls).toEqual(["close"]);
    expect(source.isClosed).toBe(true);
  });

  test("leaves the iterator that is not at its end, and does not touch one that is", async () => {
    const half = new Counting(["a", "b"]);
    const source = new BodySource(half);
    await source.next();
    await source.close();
    expect(half.calls).toEqual(["iterate", "next", "return", "close"]);
    const finished = new Counting([]);
    const other = new BodySource(finished);
    await other.next();
    other.markDone();
    await other.close();
    expect(finished.calls).toEqual(["iterate", "next", "close"]);
  });

  test("calls close() also when leaving the iterator throws", async () => {
    const body = new Counting(["a"]);
    const source = new BodySource({
      [Symbol.iterator]: () => ({
        next: () => ({ done: false, value: "a" }),
        return: () => {
          throw new Error("clean-up failed");
        },
      }),
      close: () => body.close(),
    } as Exclude<Body, Chunk>);
    await source.next();
    await expect(source.close()).rejects.toThrow("clean-up failed");
    expect(body.calls).toEqual(["close"]);
  });

  test("rejects with what close() throws or rejects with", async () => {
    const sync = Object.assign(["a"], {
      close(): void {
        throw new Error("first");
      },
    });
    await expect(new BodySource(sync).close()).rejects.toThrow("first");
    const later = Object.assign(["a"], { close: () => Promise.reject(new Error("second")) });
    await expect(new BodySource(later).close()).rejects.toThrow("second");
  });

  test("takes an iterator without return(), and an object whose close is no function", async () => {
    const source = new BodySource({
      [Symbol.iterator]: () => ({ next: () => ({ done: false, value: "a" }) }),
      close: true,
    } as Exclude<Body, Chunk>);
    await source.next();
    await expect(source.close()).resolves.toBeUndefined();
  });

  test("calls close() on the body itself", async () => {
    const body = {
      isClosed: false,
      *[Symbol.iterator](): Generator<Chunk> {
        yield "a";
      },
      close(): void {
        this.isClosed = true;
      },
    };
    await new BodySource(body).close();
    expect(body.isClosed).toBe(true);
  });
});

test("prefers the asynchronous iteration of a body that has both", async () => {
  const both = {
    *[Symbol.iterator](): Generator<Chunk> {
      yield "sync";
    },
    async *[Symbol.asyncIterator](): AsyncGenerator<Chunk> {
      yield "async";
    },
  };
  expect(await new BodySource(both).next()).toEqual({ done: false, value: "async" });
});
