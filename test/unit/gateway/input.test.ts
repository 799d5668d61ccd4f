import { once } from "node:events";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { describe, expect, test } from "vitest";
import {
  ClientGoneError,
  ContractError,
  InputFormatError,
  InputTooLargeError,
  InputTruncatedError,
  RequestOverError,
} from "../../../src/errors.ts";
import { parseContentLength, RequestInput, hasBody } from "../../../src/gateway/input.ts";
import { until, within } from "../../harness/until.ts";
import { turn } from "./play.ts";
import { watchUncaught } from "./uncaught.ts";

/** What starts and stops: a producer that remembers what it was asked. */
class Producer {
  isPaused = false;
  pauses = 0;
  resumes = 0;

  pause(): void {
    this.isPaused = true;
    this.pauses += 1;
  }

  resume(): void {
    this.isPaused = false;
    this.resumes += 1;
  }
}

/** A body that has come whole, in these pieces; without `length` it ends when the producer says so. */
function bodyOf(pieces: readonly string[], length?: number): RequestInput {
  const input = new RequestInput(new Producer(), length);
  for (const piece of pieces) input.push(Buffer.from(piece, "latin1"));
  input.end();
  return input;
}

const text = (bytes: Buffer): string => bytes.toString("latin1");

/** Bytes of the heap that are in use, garbage not counted. */
function liveHeapBytes(): number {
  setFlagsFromString("--expose-gc");
  (runInNewContext("gc") as () => void)();
  return process.memoryUsage().heapUsed;
}

/** Bytes of buffers that are in use. */
function liveBufferBytes(): number {
  liveHeapBytes();
  return process.memoryUsage().arrayBuffers;
}

/** Whether a promise is still waiting after everything that is due has run. */
async function isPending(promise: Promise<unknown>): Promise<boolean> {
  let settled = false;
  const note = (): void => {
    settled = true;
  };
  promise.then(note, note);
  await turn();
  return !settled;
}

test.each([
  [undefined, undefined],
  ["", undefined],
  ["0", 0],
  ["007", 7],
  ["2147483648", 2_147_483_648],
])("the CONTENT_LENGTH %j is %j", (given, length) => {
  expect(parseContentLength(given)).toBe(length);
});

test.each<[Record<string, string>, boolean]>([
  [{}, false],
  [{ CONTENT_LENGTH: "" }, false],
  [{ CONTENT_LENGTH: "0" }, false],
  [{ CONTENT_LENGTH: "5" }, true],
  [{ HTTP_TRANSFER_ENCODING: "chunked" }, true],
  [{ HTTP_TRANSFER_ENCODING: "chunked", CONTENT_LENGTH: "" }, true],
  [{ HTTP_TRANSFER_ENCODING: "chunked", CONTENT_LENGTH: "0" }, false],
])("a request with %j has a body: %s", (variables, expected) => {
  expect(hasBody(variables)).toBe(expected);
});

test.each(["-1", "+1", "1.5", "1e3", " 1", "1 ", "0x1", "abc", "1,1", "1".repeat(16)])(
  "the CONTENT_LENGTH %j is the client's mistake",
  (given) => {
    expect(() => parseContentLength(given)).toThrow(InputFormatError);
  },
);

// The same body in one piece, a byte at a time, and cut in the middle of lines.
const body = "one\ntwo\r\n\nfour";
const cuts: ReadonlyArray<readonly [string, readonly string[]]> = [
  ["whole", [body]],
  ["byte by byte", body.split("")],
  ["in odd pieces", ["on", "e\ntw", "o\r", "\n\nfou", "r"]],
  ["with empty pieces", ["", "one\n", "", "two\r\n\nfour", ""]],
];

describe.each(cuts)("a body that comes %s", (_, pieces) => {
  test.each([
    ["of a known length", body.length],
    ["without a length", undefined],
  ])("%s is read by every method", async (__, length) => {
    expect(text(await bodyOf(pieces, length).read())).toBe(body);
    expect(text(await bodyOf(pieces, length).bytes())).toBe(body);
    expect(await bodyOf(pieces, length).text()).toBe(body);
    expect((await bodyOf(pieces, length).readlines()).map(text)).toEqual(["one\n", "two\r\n", "\n", "four"]);
    const lines: string[] = [];
    for await (const line of bodyOf(pieces, length).lines()) lines.push(text(line));
    expect(lines).toEqual(["one\n", "two\r\n", "\n", "four"]);
    const chunks: string[] = [];
    for await (const chunk of bodyOf(pieces, length)) {
      expect(chunk.length).toBeGreaterThan(0);
      chunks.push(text(chunk));
    }
    expect(chunks.join("")).toBe(body);
    const streamed: Buffer[] = [];
    for await (const chunk of bodyOf(pieces, length).stream()) streamed.push(chunk as Buffer);
    expect(text(Buffer.concat(streamed))).toBe(body);
  });

  test("read(size) gives exactly that many bytes, fewer only at the end, and nothing from then on", async () => {
    const input = bodyOf(pieces);
    const parts: string[] = [];
    for (let count = 0; count < 4; count += 1) parts.push(text(await input.read(5)));
    expect(parts).toEqual([body.slice(0, 5), body.slice(5, 10), body.slice(10), ""]);
    expect(text(await input.read())).toBe("");
    expect(text(await input.readline())).toBe("");
    expect(await input.readlines()).toEqual([]);
  });

  test("readline(size) gives no more than that of a line", async () => {
    const input = bodyOf(pieces);
    const lines: string[] = [];
    for (let count = 0; count < 7; count += 1) lines.push(text(await input.readline(3)));
    expect(lines).toEqual(["one", "\n", "two", "\r\n", "\n", "fou", "r"]);
  });

  test("the methods may be mixed", async () => {
    const input = bodyOf(pieces);
    expect(text(await input.read(2))).toBe("on");
    expect(text(await input.readline())).toBe("e\n");
    expect((await input.readlines(1)).map(text)).toEqual(["two\r\n"]);
    expect(text(await input.read(1))).toBe("\n");
    expect(text(await input.read(-1))).toBe("four");
  });
});

test("read(0) and readline(0) give nothing, at once, and take nothing", async () => {
  const input = new RequestInput(new Producer(), 5);
  expect(text(await input.read(0))).toBe("");
  expect(text(await input.readline(0))).toBe("");
  input.push(Buffer.from("a\nbcd"));
  expect(text(await input.read())).toBe("a\nbcd");
});

test("readlines(hint) stops after the line that reaches it; none or nothing for a hint is all", async () => {
  const lines = ["aa\n", "bb\n", "cc\n"];
  for (const [hint, count] of [
    [1, 1],
    [3, 1],
    [4, 2],
    [undefined, 3],
    [0, 3],
    [-1, 3],
  ] as const) {
    expect((await bodyOf(lines).readlines(hint)).map(text), String(hint)).toEqual(lines.slice(0, count));
  }
});

test.each([1.5, Number.NaN, "5", null, {}])("refuses the size %j", async (size) => {
  await expect(bodyOf(["x"]).read(size as number)).rejects.toThrow(ContractError);
  await expect(bodyOf(["x"]).readline(size as number)).rejects.toThrow(ContractError);
});

test("a read waits for bytes, and never beyond CONTENT_LENGTH for the end", async () => {
  const input = new RequestInput(new Producer(), 6);
  const whole = input.read();
  input.push(Buffer.from("abc"));
  expect(await isPending(whole)).toBe(true);
  input.push(Buffer.from("def"));
  expect(text(await whole)).toBe("abcdef");
  expect(text(await input.read(1))).toBe("");
});

test("without a length only the producer's end ends a body", async () => {
  const input = new RequestInput(new Producer(), undefined);
  const whole = input.read();
  input.push(Buffer.from("abc"));
  expect(await isPending(whole)).toBe(true);
  input.end();
  expect(text(await whole)).toBe("abc");
});

test("an empty body ends at once, with or without the producer's end", async () => {
  expect(text(await new RequestInput(new Producer(), 0).read())).toBe("");
  expect(text(await bodyOf([]).read())).toBe("");
});

test("bytes beyond CONTENT_LENGTH are dropped", async () => {
  const input = bodyOf(["abc", "defgh", "ijk"], 5);
  expect(text(await input.read())).toBe("abcde");
  expect(text(await input.read())).toBe("");
  const none = new RequestInput(new Producer(), 0);
  none.push(Buffer.from("x"));
  expect(text(await none.read())).toBe("");
});

describe("a body that ends before CONTENT_LENGTH", () => {
  const readers: Readonly<Record<string, (input: RequestInput) => Promise<unknown>>> = {
    "read()": (input) => input.read(),
    "readline()": (input) => input.readline(),
    "readlines()": (input) => input.readlines(),
    "bytes()": (input) => input.bytes(),
    "text()": (input) => input.text(),
    "json()": (input) => input.json(),
    "for await": async (input) => {
      for await (const _ of input);
    },
    "lines()": async (input) => {
      for await (const _ of input.lines());
    },
    "stream()": async (input) => {
      for await (const _ of input.stream());
    },
  };

  test.each(Object.entries(readers))("is an error and not an end for %s", async (_, read) => {
    await expect(read(bodyOf(["abc"], 5))).rejects.toThrow(InputTruncatedError);
    await expect(read(bodyOf([], 5))).rejects.toThrow(InputTruncatedError);
  });

  test("gives what came, then the error, as often as asked", async () => {
    const input = bodyOf(["abc"], 5);
    expect(text(await input.read(3))).toBe("abc");
    await expect(input.read(1)).rejects.toThrow(/3 of 5/);
    await expect(input.read(1)).rejects.toThrow(InputTruncatedError);
  });
});

describe("bytes, text and json", () => {
  test("take a body as long as their limit and refuse a longer one", async () => {
    expect(text(await bodyOf(["abc"], 3).bytes(3))).toBe("abc");
    expect(text(await bodyOf(["abc"]).bytes(3))).toBe("abc");
    for (const length of [4, undefined]) {
      await expect(bodyOf(["ab", "cd"], length).bytes(3)).rejects.toThrow(InputTooLargeError);
      await expect(bodyOf(["ab", "cd"], length).text(3)).rejects.toThrow(InputTooLargeError);
      await expect(bodyOf(["ab", "cd"], length).json(3)).rejects.toThrow(InputTooLargeError);
    }
  });

  test("refuse by CONTENT_LENGTH before anything has come", async () => {
    await expect(new RequestInput(new Producer(), 2 ** 20 + 1).bytes()).rejects.toThrow(InputTooLargeError);
  });

  test("have a limit of 1 MiB unless another is given", async () => {
    const mib = "x".repeat(2 ** 20);
    expect(await bodyOf([mib]).bytes()).toHaveLength(2 ** 20);
    await expect(bodyOf([mib, "x"]).bytes()).rejects.toThrow(InputTooLargeError);
    expect(await bodyOf([mib, "x"]).bytes(2 ** 21)).toHaveLength(2 ** 20 + 1);
  });

  test("decode UTF-8 across pieces", async () => {
    const bytes = Buffer.from("日本", "utf8").toString("latin1");
    expect(await bodyOf(bytes.split("")).text()).toBe("日本");
    expect(await bodyOf([`"${bytes}"`]).json()).toBe("日本");
  });

  test.each(["", "{", "undefined", "{'a':1}", "[1,]"])("json() calls %j the client's mistake", async (given) => {
    const failure = bodyOf([given]).json();
    await expect(failure).rejects.toThrow(InputFormatError);
    await expect(failure).rejects.toMatchObject({ status: 400, fault: "peer" });
  });
});

test("reads that are asked at once are answered in their order", async () => {
  const input = new RequestInput(new Producer(), 12);
  const reads = [input.read(2), input.readline(), input.read(1), input.read(), input.read()];
  for (const byte of "abcd\nefghijk".split("")) {
    input.push(Buffer.from(byte));
    await turn();
  }
  expect((await Promise.all(reads)).map(text)).toEqual(["ab", "cd\n", "e", "fghijk", ""]);
});

test("a failed read does not stop those after it", async () => {
  const input = bodyOf(["abc"]);
  const [bad, good] = await Promise.allSettled([input.read(1.5), input.read()]);
  expect(bad.status).toBe("rejected");
  expect(good).toMatchObject({ status: "fulfilled" });
});

test("a loop that is left keeps the rest for the next reader", async () => {
  const input = new RequestInput(new Producer(), 9);
  for (const piece of ["abc", "def", "ghi"]) input.push(Buffer.from(piece));
  for await (const chunk of input) {
    expect(text(chunk)).toBe("abc");
    break;
  }
  for await (const line of input.lines()) {
    expect(text(line)).toBe("defghi");
  }
});

describe("flow", () => {
  test("the producer is stopped when enough waits, and started when most of it has been read", async () => {
    const producer = new Producer();
    const input = new RequestInput(producer, undefined);
    const block = Buffer.alloc(16 * 1024);
    let pushed = 0;
    while (!producer.isPaused && pushed < 2 ** 24) {
      input.push(block);
      pushed += block.length;
    }
    expect(producer.isPaused).toBe(true);
    expect(pushed).toBeLessThanOrEqual(256 * 1024);
    input.push(block); // what was on its way already
    expect(producer.pauses).toBe(1);
    await input.read(1);
    expect(producer.isPaused).toBe(true);
    await input.read(pushed - 1);
    expect(producer.isPaused).toBe(false);
    expect(producer.resumes).toBe(1);
    await input.read(block.length);
    expect(producer.resumes).toBe(1);
  });

  test("a reader that keeps up never stops it", async () => {
    const producer = new Producer();
    const input = new RequestInput(producer, undefined);
    for (let count = 0; count < 200; count += 1) {
      input.push(Buffer.alloc(8192));
      expect(await input.read(8192)).toHaveLength(8192);
    }
    expect([producer.pauses, producer.resumes]).toEqual([0, 0]);
  });

  test("the producer is free again when the whole body has come: nothing is left to hold back", () => {
    for (const length of [512 * 1024, undefined]) {
      const producer = new Producer();
      const input = new RequestInput(producer, length);
      for (let count = 0; count < 64; count += 1) input.push(Buffer.alloc(8192));
      expect(producer.pauses).toBe(1);
      input.end();
      expect(producer.isPaused).toBe(false);
    }
  });

  test("the producer is free again when the request failed or ended: it has more to carry", () => {
    for (const finish of [
      (input: RequestInput) => input.fail(new ClientGoneError()),
      (input: RequestInput) => input.close(),
    ]) {
      const producer = new Producer();
      const input = new RequestInput(producer, undefined);
      for (let count = 0; count < 64; count += 1) input.push(Buffer.alloc(8192));
      finish(input);
      expect(producer.isPaused).toBe(false);
      input.push(Buffer.alloc(2 ** 20));
      expect(producer.isPaused).toBe(false);
    }
  });

  test("a body of single bytes costs what it weighs: it is stopped, or joined, before it takes megabytes", () => {
    const producer = new Producer();
    const input = new RequestInput(producer, undefined);
    const received = Buffer.alloc(64 * 1024, "x");
    const before = liveHeapBytes();
    let pushed = 0;
    while (!producer.isPaused && pushed < 2 ** 20) {
      input.push(received.subarray(pushed % received.length, (pushed % received.length) + 1));
      pushed += 1;
    }
    expect(liveHeapBytes() - before).toBeLessThan(4 * 2 ** 20);
    expect(producer.isPaused).toBe(true);
    expect(input.isComplete).toBe(false);
  });

  test("a body of single bytes that is read whole costs what it weighs, too", async () => {
    const input = new RequestInput(new Producer(), undefined);
    const whole = input.bytes();
    const received = Buffer.alloc(64 * 1024, "x");
    const before = liveHeapBytes();
    for (let count = 0; count < 200_000; count += 1) {
      input.push(received.subarray(count % received.length, (count % received.length) + 1));
      if (count % 100 === 0) await turn();
    }
    expect(liveHeapBytes() - before).toBeLessThan(4 * 2 ** 20);
    input.end();
    expect(await whole).toHaveLength(200_000);
  });

  test("what has been read is let go, also while more always waits", async () => {
    const producer = new Producer();
    const input = new RequestInput(producer, undefined);
    const before = liveBufferBytes();
    input.push(Buffer.alloc(65_536));
    for (let count = 0; count < 500; count += 1) {
      input.push(Buffer.alloc(65_536));
      expect(await input.read(65_536)).toHaveLength(65_536);
    }
    // The collector frees the bytes of buffers in the background.
    await until("the buffers to be freed", () => liveBufferBytes() - before < 2 ** 20);
  });

  test("reading eight times as many single bytes takes about eight times as long", async () => {
    const timeFor = async (count: number): Promise<number> => {
      const input = new RequestInput(new Producer(), count);
      for (let index = 0; index < count; index += 1) input.push(Buffer.from("x"));
      const start = performance.now();
      expect(await input.read()).toHaveLength(count);
      return performance.now() - start;
    };
    await timeFor(4000);
    const small = Math.min(await timeFor(8000), await timeFor(8000), await timeFor(8000));
    const large = Math.min(await timeFor(64_000), await timeFor(64_000));
    expect(large).toBeLessThan(32 * Math.max(small, 1));
  });
});

describe("the end of the request", () => {
  test("a read that waits, and every later one, learns of it", async () => {
    const input = new RequestInput(new Producer(), 5);
    const waiting = [input.read(), input.readline()];
    input.close();
    for (const read of waiting) await expect(within("the read", read)).rejects.toThrow(RequestOverError);
    await expect(input.read()).rejects.toThrow(RequestOverError);
    await expect(input.bytes()).rejects.toThrow(RequestOverError);
    await expect(input[Symbol.asyncIterator]().next()).rejects.toThrow(RequestOverError);
  });

  test("also when the rest of the body came only then, and was dropped", async () => {
    const input = new RequestInput(new Producer(), 5);
    input.close();
    input.push(Buffer.from("late"));
    input.end();
    await expect(input.read()).rejects.toThrow(RequestOverError);
  });

  test("also when the body had come whole", async () => {
    const input = bodyOf(["abc"], 3);
    input.close();
    await expect(input.read()).rejects.toThrow(RequestOverError);
    input.push(Buffer.from("late"));
    input.end();
    input.fail(new ClientGoneError());
    await expect(input.read()).rejects.toThrow(RequestOverError);
  });

  test("also when the rest of the body comes later, or never", async () => {
    const input = new RequestInput(new Producer(), 5);
    input.close();
    input.push(Buffer.from("late"));
    input.end();
    input.fail(new ClientGoneError());
    await expect(input.read()).rejects.toThrow(RequestOverError);
  });

  test("a client that goes away: what came can be read, then the reason", async () => {
    const input = new RequestInput(new Producer(), 5);
    input.push(Buffer.from("abc"));
    const reason = new ClientGoneError();
    input.fail(reason);
    expect(text(await input.read(3))).toBe("abc");
    await expect(input.read(1)).rejects.toBe(reason);
  });

  test("a client that goes away after its whole body has not failed it", async () => {
    const input = new RequestInput(new Producer(), 3);
    input.push(Buffer.from("abc"));
    input.fail(new ClientGoneError());
    expect(text(await input.read())).toBe("abc");
    expect(text(await input.read())).toBe("");
  });
});

describe("stream()", () => {
  test("reports a truncated body as its error", async () => {
    const stream = bodyOf(["abc"], 5).stream();
    stream.resume();
    const [error] = (await once(stream, "error")) as [unknown];
    expect(error).toBeInstanceOf(InputTruncatedError);
  });

  test("reads no further than it is read", async () => {
    const producer = new Producer();
    const input = new RequestInput(producer, undefined);
    const stream = input.stream();
    stream.once("readable", () => {});
    for (let count = 0; count < 1024 && !producer.isPaused; count += 1) {
      input.push(Buffer.alloc(8192));
      await turn();
    }
    expect(producer.isPaused).toBe(true);
    stream.destroy();
  });

  test("destroying it leaves the body to nobody and harms nothing", async () => {
    const input = new RequestInput(new Producer(), 6);
    const stream = input.stream();
    stream.resume();
    input.push(Buffer.from("abc"));
    await turn();
    stream.destroy();
    input.close();
    await within("the stream to close", once(stream, "close"));
  });

  test.each([
    ["the request ends", (input: RequestInput) => input.close()],
    ["the client goes away", (input: RequestInput) => input.fail(new ClientGoneError())],
    ["the body is truncated", (input: RequestInput) => input.end()],
  ])("a stream that nobody watches does not bring the process down when %s", async (_, finish) => {
    const watch = watchUncaught();
    try {
      const input = new RequestInput(new Producer(), 6);
      const stream = input.stream();
      stream.resume();
      input.push(Buffer.from("abc"));
      await turn();
      finish(input);
      await until("the stream to close", () => stream.closed || watch.errors.length > 0);
      expect(watch.errors).toEqual([]);
    } finally {
      watch.stop();
    }
  });
});
