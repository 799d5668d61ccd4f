import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { FcgiPeerError } from "../../../src/errors.ts";
import { RecordReader, asBuffer, encodeEnd, encodeRecord, writeHeader } from "../../../src/fastcgi/record.ts";
import { cutAt, readRecords, record } from "./wire.ts";

interface Seen {
  readonly type: number;
  readonly id: number;
  readonly contentLength: number;
  content: Buffer;
  ends: number;
}

function collect(): { seen: Seen[]; reader: RecordReader } {
  const seen: Seen[] = [];
  const reader = new RecordReader({
    header: (type, id, contentLength) => seen.push({ type, id, contentLength, content: Buffer.alloc(0), ends: 0 }),
    content: (bytes, start, end) => {
      const last = seen.at(-1)!;
      expect(end).toBeGreaterThan(start);
      last.content = Buffer.concat([last.content, bytes.subarray(start, end)]);
    },
    contentEnd: () => {
      seen.at(-1)!.ends += 1;
    },
  });
  return { seen, reader };
}

const anyRecord = fc.record({
  type: fc.integer({ min: 0, max: 255 }),
  id: fc.integer({ min: 0, max: 65_535 }),
  content: fc.uint8Array({ maxLength: 300 }),
  padding: fc.uint8Array({ maxLength: 255 }),
});
const places = fc.array(fc.nat(), { maxLength: 20 });

describe("RecordReader", () => {
  it("finds the same records however the bytes are cut and whatever the padding is", () => {
    fc.assert(
      fc.property(fc.array(anyRecord, { maxLength: 8 }), places, (records, cuts) => {
        const bytes = Buffer.concat(records.map((each) => record(each.type, each.id, each.content, each.padding)));
        const { seen, reader } = collect();
        for (const piece of cutAt(bytes, cuts)) reader.push(piece);
        expect(seen).toEqual(
          records.map(({ type, id, content }) => ({
            type,
            id,
            contentLength: content.length,
            content: Buffer.from(content),
            ends: 1,
          })),
        );
        expect(reader.isBetweenRecords).toBe(true);
      }),
    );
  });

  it("is between records only behind the padding of one and before the version of the next", () => {
    const { reader } = collect();
    const bytes = record(5, 1, "ab", Buffer.from("p"));
    const states = Array.from(bytes, (_, at) => {
      reader.push(bytes.subarray(at, at + 1));
      return reader.isBetweenRecords;
    });
    expect(states).toEqual([...Array<boolean>(bytes.length - 1).fill(false), true]);
  });

  it("knows a foreign version by its first byte, also behind a record", () => {
    for (const version of [0, 2, 0x16, 0x47, 255]) {
      const fresh = collect().reader;
      expect(() => fresh.push(Buffer.of(version))).toThrow(FcgiPeerError);
      const used = collect().reader;
      expect(() => used.push(Buffer.concat([record(5, 1), Buffer.of(version)]))).toThrow(`byte ${version}, not 1`);
    }
  });

  it("drops everything once it was stopped, even what is being pushed", () => {
    const seen: number[] = [];
    const reader = new RecordReader({
      header: (type) => {
        seen.push(type);
        reader.stop();
      },
      content: () => seen.push(-1),
      contentEnd: () => undefined,
    });
    reader.push(Buffer.concat([record(9, 0, "abc"), record(5, 1), Buffer.from("GET /")]));
    reader.push(record(5, 1));
    expect(seen).toEqual([9]);
    expect(reader.isBetweenRecords).toBe(false);
  });

  it("keeps nothing of a header that it was given in pieces", () => {
    const { seen, reader } = collect();
    const piece = Buffer.from(record(5, 0x1234, "x").subarray(0, 5));
    reader.push(piece);
    piece.fill(0xff);
    reader.push(record(5, 0x1234, "x").subarray(5));
    expect(seen).toMatchObject([{ type: 5, id: 0x1234, contentLength: 1 }]);
  });
});

describe("encoding of records", () => {
  it("writes every header as the specification has it", () => {
    fc.assert(
      fc.property(anyRecord, ({ type, id, content, padding }) => {
        const target = Buffer.alloc(10, 0xee);
        const next = writeHeader(target, 1, { type, id, contentLength: content.length, padding: padding.length });
        const expected = record(type, id, content, padding).subarray(0, 8);
        expect(next).toBe(9);
        expect(target).toEqual(Buffer.concat([Buffer.of(0xee), expected, Buffer.of(0xee)]));
      }),
    );
  });

  it("pads with zeros", () => {
    expect(encodeRecord(5, 65_535, Buffer.from("abc"), 5)).toEqual(record(5, 65_535, "abc", Buffer.alloc(5)));
    expect(encodeRecord(4, 1, Buffer.alloc(65_535, 1), 255)).toEqual(
      record(4, 1, Buffer.alloc(65_535, 1), Buffer.alloc(255)),
    );
  });

  it("writes END_REQUEST with a status of four bytes and zeros in the reserved ones", () => {
    expect(encodeEnd(258, { appStatus: 0x01020304, protocolStatus: 3 })).toEqual(
      record(3, 258, Buffer.of(1, 2, 3, 4, 3, 0, 0, 0)),
    );
    expect(readRecords(encodeEnd(1, { appStatus: 0xffffffff, protocolStatus: 0 }))[0]?.content.toString("hex")).toBe(
      "ffffffff00000000",
    );
  });
});

describe("asBuffer", () => {
  it("shares the memory of the bytes, also of a part", () => {
    const memory = new Uint8Array([1, 2, 3, 4]);
    const part = asBuffer(memory.subarray(1, 3));
    memory[1] = 9;
    expect([...part]).toEqual([9, 3]);
    const buffer = Buffer.of(1);
    expect(asBuffer(buffer)).toBe(buffer);
  });
});
