import { once } from "node:events";
import { createReadStream } from "node:fs";
import { mkdtemp, open, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Readable } from "node:stream";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { ContractError } from "../../../src/errors.ts";
import { fileWrapper } from "../../../src/gateway/file-wrapper.ts";
import type { Application, Chunk, FileHandleLike, FileLike } from "../../../src/spec.ts";
import type { Played, PlayOptions } from "./play.ts";
import { play } from "./play.ts";

const content = Array.from({ length: 20_000 }, (_, index) => String(index % 10)).join("");
let folder: string;
let path: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "tsgi-file-wrapper-"));
  path = join(folder, "file.txt");
  await writeFile(path, content);
});

afterAll(async () => {
  await rm(folder, { recursive: true });
});

/** Sends a file through an exchange, the way an application does. */
async function sent(
  file: FileLike | FileHandleLike,
  options?: PlayOptions & { readonly blockSize?: number },
): Promise<Played> {
  const application: Application = (environ, startResponse) => {
    startResponse("200 OK", []);
    return environ["wsgi.file_wrapper"](file, options?.blockSize);
  };
  const played = play(application, options);
  await played.ended;
  return played;
}

class Reader {
  closes = 0;
  reads: number[] = [];
  readonly #chunks: Array<Chunk | null>;

  constructor(chunks: Array<Chunk | null>) {
    this.#chunks = chunks;
  }

  read(size: number): Chunk | null {
    this.reads.push(size);
    return this.#chunks.shift() ?? null;
  }

  close(): void {
    this.closes += 1;
  }
}

test("sends a FileHandle in blocks, from where it stands, and closes it", async () => {
  const handle = await open(path);
  await handle.read(Buffer.alloc(10), 0, 10, null);
  const { sink } = await sent(handle, { blockSize: 4096 });
  expect(sink.body).toBe(content.slice(10));
  expect(Math.max(...sink.chunks.map((chunk) => chunk.length))).toBe(4096);
  await expect(handle.stat()).rejects.toMatchObject({ code: "EBADF" });
});

test("blocks are not reused: each keeps its bytes until it is sent", async () => {
  const handle = await open(path);
  const chunks: Chunk[] = [];
  for await (const chunk of fileWrapper(handle, 1000)) chunks.push(chunk);
  await handle.close();
  expect(Buffer.concat(chunks as Buffer[]).toString("latin1")).toBe(content);
});

test.each([
  ["not opened yet", async () => {}],
  ["open already", async (stream: Readable) => void (await once(stream, "open"))],
])("sends a stream of node:fs that is %s", async (_, prepare) => {
  const stream = createReadStream(path);
  await prepare(stream);
  const { sink, failures } = await sent(stream);
  expect(failures).toEqual([]);
  expect(sink.body).toBe(content);
  expect(stream.destroyed).toBe(true);
});

test("sends any other stream, and any iterable", async () => {
  const stream = Readable.from(["a", "b"]);
  expect((await sent(stream)).sink.body).toBe("ab");
  expect(stream.destroyed).toBe(true);
  async function* chunks(): AsyncGenerator<Chunk> {
    yield "c";
    yield Buffer.from("d");
  }
  expect((await sent(chunks())).sink.body).toBe("cd");
});

test.each([[[null]], [[""]], [["a", Buffer.alloc(0), "never"]]])(
  "a reader ends with null or an empty chunk: %j",
  async (chunks: Array<Chunk | null>) => {
    const reader = new Reader([...chunks]);
    const { sink, failures } = await sent(reader, { blockSize: 7 });
    expect(failures).toEqual([]);
    expect(sink.body).toBe(chunks[0] === "a" ? "a" : "");
    expect(new Set(reader.reads)).toEqual(new Set([7]));
    expect(reader.closes).toBe(1);
  },
);

test("a reader may answer later, and need not have close()", async () => {
  const chunks = ["a", "b"];
  const { sink } = await sent({ read: async () => chunks.shift() ?? null });
  expect(sink.body).toBe("ab");
});

test("reads 64 KiB at a time unless told otherwise", async () => {
  const reader = new Reader(["x"]);
  await sent(reader);
  expect(reader.reads[0]).toBe(64 * 1024);
});

describe("closes the file exactly once", () => {
  test("when nothing of it was sent, for HEAD", async () => {
    const reader = new Reader(["a"]);
    const { sink } = await sent(reader, { method: "HEAD" });
    expect(sink.state).toBe("complete");
    expect([reader.reads, reader.closes]).toEqual([[], 1]);
    const handle = await open(path);
    await sent(handle, { method: "HEAD" });
    await expect(handle.stat()).rejects.toMatchObject({ code: "EBADF" });
    const stream = createReadStream(path);
    await sent(stream, { method: "HEAD" });
    expect(stream.destroyed).toBe(true);
  });

  test("when reading it fails", async () => {
    const reader = new Reader([]);
    reader.read = () => {
      throw new Error("broken disk");
    };
    const { failures, sink } = await sent(reader);
    expect(failures).toHaveLength(1);
    expect(sink.statusLine).toBe("500 Internal Server Error");
    expect(reader.closes).toBe(1);
  });

  test("when the client goes away while a block is being read", async () => {
    let answer: (chunk: Chunk | null) => void = () => {};
    let closes = 0;
    const file: FileLike = {
      read: () =>
        new Promise<Chunk | null>((resolve) => {
          answer = resolve;
        }),
      close: () => {
        closes += 1;
      },
    };
    const played = play((environ, startResponse) => {
      startResponse("200 OK", []);
      return environ["wsgi.file_wrapper"](file);
    });
    played.exchange.abort(new Error("gone"));
    answer("late");
    await played.ended;
    expect(closes).toBe(1);
    expect(played.sink.state).toBe("broken");
    expect(played.sink.body).toBe("");
  });
});

test.each([0, -1, 1.5, Number.NaN, Infinity, "8"])("refuses the block size %j", (size) => {
  expect(() => fileWrapper(new Reader([]), size as number)).toThrow(ContractError);
});

test.each([undefined, null, "path", 7, {}, { read: 1 }, { fd: 3 }])("refuses %j, which cannot be read", (file) => {
  expect(() => fileWrapper(file as unknown as FileLike)).toThrow(ContractError);
});
