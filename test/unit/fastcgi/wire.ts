// Test support: FastCGI bytes written out from the specification, without the code under test.

/** A record (section 3.3). `padding` is given as bytes, since they may be anything. */
export function record(
  type: number,
  id: number,
  content: Uint8Array | string = "",
  padding: Uint8Array = none,
): Buffer {
  const body = typeof content === "string" ? Buffer.from(content, "latin1") : content;
  const header = [1, type, id >> 8, id & 0xff, body.length >> 8, body.length & 0xff, padding.length, 0];
  return Buffer.concat([Buffer.from(header), body, padding]);
}

const none = new Uint8Array(0);

/** BEGIN_REQUEST (section 5.1). */
export function begin(id: number, role: number, flags: number): Buffer {
  return record(1, id, Buffer.from([role >> 8, role & 0xff, flags, 0, 0, 0, 0, 0]));
}

/** END_REQUEST (section 5.5) with appStatus 0. */
export function end(id: number, protocolStatus = 0): Buffer {
  return record(3, id, Buffer.from([0, 0, 0, 0, protocolStatus, 0, 0, 0]));
}

/** A name-value pair (section 3.4); `long` writes short lengths with four bytes too, as is allowed. */
export function pair(name: string, value: string, long = false): Buffer {
  const lengths = [name.length, value.length].flatMap((length) =>
    length < 128 && !long
      ? [length]
      : [0x80 | (length >> 24), (length >> 16) & 0xff, (length >> 8) & 0xff, length & 0xff],
  );
  return Buffer.concat([Buffer.from(lengths), Buffer.from(name + value, "latin1")]);
}

/** Name-value pairs in an order that does not depend on where they came from. */
export function sortPairs(pairs: Iterable<[string, string]>): [string, string][] {
  return [...pairs].sort(([one], [other]) => (one < other ? -1 : Number(one > other)));
}

/** Cuts bytes at the places that are inside them. */
export function cutAt(bytes: Buffer, places: readonly number[]): Buffer[] {
  const inside = [...new Set(places.map((place) => place % (bytes.length + 1)))].sort((a, b) => a - b);
  return [0, ...inside].map((place, index) => bytes.subarray(place, inside[index] ?? bytes.length));
}

export interface WireRecord {
  readonly type: number;
  readonly id: number;
  readonly content: Buffer;
  readonly padding: Buffer;
}

/** The records of a complete byte string; throws when it is none. */
export function readRecords(bytes: Uint8Array): WireRecord[] {
  const buffer = Buffer.from(bytes);
  const records: WireRecord[] = [];
  for (let at = 0; at < buffer.length;) {
    const content = at + 8;
    const padding = content + buffer.readUInt16BE(at + 4);
    const next = padding + buffer.readUInt8(at + 6);
    if (buffer[at] !== 1 || buffer[at + 7] !== 0 || next > buffer.length) throw new Error(`no record at byte ${at}`);
    records.push({
      type: buffer.readUInt8(at + 1),
      id: buffer.readUInt16BE(at + 2),
      content: buffer.subarray(content, padding),
      padding: buffer.subarray(padding, next),
    });
    at = next;
  }
  return records;
}
