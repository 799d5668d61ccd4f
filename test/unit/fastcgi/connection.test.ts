import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { FcgiPeerError, UsageError } from "../../../src/errors.ts";
import { FcgiConnection } from "../../../src/fastcgi/connection.ts";
import { atRandom, byByte, logOf } from "./connection-log.ts";
import { Model } from "./model.ts";
import { begin, cutAt, end, pair, readRecords, record, sortPairs } from "./wire.ts";

const limits = { maxParamsBytes: 1_048_576, maxConnections: 100 };
const open = () => new FcgiConnection(limits);
const places = fc.array(fc.nat(), { maxLength: 20 });

/** Every kind of record that a request can have, with padding, and pairs cut in inconvenient places. */
const busyRequest = Buffer.concat([
  begin(1, 1, 1),
  record(
    4,
    1,
    Buffer.concat([pair("REQUEST_METHOD", "POST"), pair("n".repeat(130), "").subarray(0, 2)]),
    Buffer.alloc(3),
  ),
  record(4, 1, Buffer.concat([pair("n".repeat(130), "").subarray(2), pair("A", "b")])),
  record(9, 0, pair("FCGI_MPXS_CONNS", "")),
  record(4, 1, "", Buffer.alloc(255)),
  record(5, 1, "first", Buffer.alloc(3)),
  record(12, 1, "skipped"),
  record(5, 1, "second"),
  record(5, 1),
]);

describe("receive", () => {
  it("tells a beginning of the whole for every truncated request, and then that it was aborted", () => {
    const full = logOf(open().receive(busyRequest));
    expect(full).toHaveLength(3 + "firstsecond".length + 1);
    for (let length = 0; length <= busyRequest.length; length += 1) {
      const prefix = busyRequest.subarray(0, length);
      const inOnePiece = open();
      const log = logOf(inOnePiece.receive(prefix));
      expect(full.slice(0, log.length), `${length} bytes`).toEqual(log);
      const inBytes = open();
      expect(
        byByte(prefix).flatMap((byte) => logOf(inBytes.receive(byte))),
        `${length} bytes, one by one`,
      ).toEqual(log);
      const aborted = log.includes("begin 1 RESPONDER keep") ? ["abort 1"] : [];
      expect(logOf(inOnePiece.receiveEof()), `${length} bytes`).toEqual(aborted);
      expect(logOf(inBytes.receiveEof()), `${length} bytes, one by one`).toEqual(aborted);
    }
  });

  it("understands any request with any padding in any pieces", () => {
    const text = fc.uint8Array({ maxLength: 200 }).map((bytes) => Buffer.from(bytes).toString("latin1"));
    const request = fc.record({
      id: fc.integer({ min: 1, max: 65_535 }),
      role: fc.constantFrom(1, 2),
      keep: fc.boolean(),
      params: fc.array(fc.tuple(text, text), { maxLength: 10 }),
      body: fc.uint8Array({ maxLength: 500 }),
      recordCuts: places,
      paddings: fc.infiniteStream(fc.uint8Array({ maxLength: 255 })),
    });
    fc.assert(
      fc.property(request, places, ({ id, role, keep, params, body, recordCuts, paddings }, cuts) => {
        const stream = (type: number, content: Uint8Array) =>
          [...cutAt(Buffer.from(content), recordCuts).filter((piece) => piece.length > 0), Buffer.alloc(0)].map(
            (piece) => record(type, id, piece, paddings.next().value),
          );
        const bytes = Buffer.concat([
          begin(id, role, keep ? 1 : 0),
          ...stream(4, Buffer.concat(params.map(([name, value]) => pair(name, value)))),
          ...stream(5, body),
        ]);
        const who = `${id} ${role === 1 ? "RESPONDER" : "AUTHORIZER"}${keep ? " keep" : ""}`;
        const pairs = JSON.stringify(sortPairs(Object.entries(Object.fromEntries(params))));
        const connection = open();
        expect(cutAt(bytes, cuts).flatMap((piece) => logOf(connection.receive(piece)))).toEqual([
          `begin ${who}`,
          `request ${who} ${pairs}`,
          ...(role === 1 ? Array.from(body, (byte) => `stdin ${id} ${byte}`) : []),
          `stdin-end ${id}`,
        ]);
      }),
    );
  });

  it("agrees with a plain reference model on any sequence of records and commands", () => {
    const small = fc.uint8Array({ maxLength: 6, max: 4 });
    const content = fc.oneof(
      small,
      fc.constant(Buffer.alloc(0)),
      fc.constant(pair("A", "1")),
      fc.constant(pair("B", "")),
    );
    const beginBody = fc
      .tuple(fc.constantFrom(0, 1, 1, 1, 2, 3), fc.constantFrom(0, 1, 1, 1))
      .map(([role, flags]) => Buffer.of(0, role, flags, 0, 0, 0, 0, 0));
    const id = fc.constantFrom(0, 1, 1, 1, 1, 2);
    const anyRecord = fc.oneof(
      { weight: 3, arbitrary: fc.record({ type: fc.constant(1), id, content: beginBody }) },
      { weight: 6, arbitrary: fc.record({ type: fc.constantFrom(4, 4, 5, 5, 2, 9), id, content }) },
      { weight: 2, arbitrary: fc.record({ type: fc.constantFrom(4, 5), id, content: fc.constant(Buffer.alloc(0)) }) },
      { weight: 1, arbitrary: fc.record({ type: fc.nat(255), id, content }) },
    );
    const anyCommand = fc.record({ command: fc.constantFrom("end", "last", "output"), id: fc.constantFrom(1, 1, 2) });
    const step = fc.oneof({ weight: 6, arbitrary: anyRecord }, { weight: 1, arbitrary: anyCommand });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 30 }), places, (steps, cuts) => {
        const model = new Model();
        const connection = open();
        for (const each of steps) {
          if ("command" in each) {
            perform(connection, model, each.command, each.id);
            continue;
          }
          const expected = model.receive({ ...each, content: Buffer.from(each.content), padding: Buffer.alloc(0) });
          const feed = () =>
            cutAt(record(each.type, each.id, each.content), cuts).flatMap((piece) => logOf(connection.receive(piece)));
          if (model.dead) {
            expect(feed).toThrow(FcgiPeerError);
            return;
          }
          expect(feed()).toEqual(expected);
        }
      }),
      { numRuns: 600 },
    );
  });

  it("says the same of random bytes whole and in pieces, and throws nothing but FcgiPeerError", () => {
    const noise = fc.array(
      fc.oneof(
        fc.uint8Array({ maxLength: 12 }),
        fc
          .tuple(fc.nat(12), fc.constantFrom(0, 1, 1, 2), fc.uint8Array({ maxLength: 20 }))
          .map(([type, id, content]) => record(type, id, content)),
        fc.constantFrom(begin(1, 1, 1), record(4, 1), record(5, 1)),
      ),
      { maxLength: 12 },
    );
    fc.assert(
      fc.property(noise, fc.nat(), (parts, seed) => {
        const bytes = Buffer.concat(parts);
        const inBytes = runToDeath(byByte(bytes));
        const inPieces = runToDeath(atRandom(seed)(bytes));
        const inOnePiece = runToDeath([bytes]);
        expect(inPieces.error).toEqual(inBytes.error);
        expect(inOnePiece.error).toEqual(inBytes.error);
        if (inBytes.error === undefined) {
          expect(inPieces.log).toEqual(inBytes.log);
          expect(inOnePiece.log).toEqual(inBytes.log);
        }
      }),
      { numRuns: 600 },
    );
  });

  it("gives STDIN as views of what it was given, before the record is complete", () => {
    const connection = open();
    connection.receive(Buffer.concat([begin(1, 1, 0), record(4, 1)]));
    const piece = record(5, 1, "0123456789").subarray(0, 12);
    const [event] = connection.receive(piece);
    expect(event).toMatchObject({ type: "stdin", id: 1 });
    piece.write("ABCD", 8);
    expect(event?.type === "stdin" && Buffer.from(event.data).toString()).toBe("ABCD");
  });

  it("takes a plain Uint8Array", () => {
    expect(logOf(open().receive(new Uint8Array([9, ...begin(1, 1, 0)]).subarray(1)))).toEqual(["begin 1 RESPONDER"]);
  });

  it("gives params without prototype", () => {
    const events = open().receive(Buffer.concat([begin(1, 1, 0), record(4, 1, pair("__proto__", "x")), record(4, 1)]));
    const request = events.find((event) => event.type === "request");
    expect(request && Object.getPrototypeOf(request.params)).toBeNull();
    expect(request && Object.keys(request.params)).toEqual(["__proto__"]);
  });

  it("tells the number of connections that it was made with", () => {
    const connection = new FcgiConnection({ maxParamsBytes: 10, maxConnections: 7 });
    const [reply] = connection.receive(record(9, 0, pair("FCGI_MAX_CONNS", "")));
    expect(reply).toEqual({ type: "reply", bytes: record(10, 0, pair("FCGI_MAX_CONNS", "7")), close: false });
  });

  it("says why a request was aborted", () => {
    expect(reasonOf((connection) => connection.receive(record(2, 1)))).toBe("the web server sent FCGI_ABORT_REQUEST");
    expect(reasonOf((connection) => connection.receive(begin(1, 1, 1)))).toContain("another request with the id 1");
    expect(reasonOf((connection) => connection.receiveEof())).toBe("the web server closed the connection");
  });
});

describe("after an error of the peer", () => {
  it("throws the same error ever after, whatever comes", () => {
    const connection = open();
    const errors = ["GET /", "", "\x01\x01"].map((text): unknown => {
      try {
        return connection.receive(Buffer.from(text, "latin1"));
      } catch (error) {
        return error;
      }
    });
    expect(errors[0]).toBeInstanceOf(FcgiPeerError);
    expect(new Set(errors).size).toBe(1);
    expect(connection.isIdle).toBe(false);
  });

  it("gives the live request back as aborted, with the reason", () => {
    const connection = open();
    connection.receive(Buffer.concat([begin(1, 1, 1), record(4, 1)]));
    expect(() => connection.receive(record(4, 1))).toThrow(FcgiPeerError);
    expect(connection.receiveEof()).toEqual([
      { type: "abort", id: 1, reason: "PARAMS for the request id 1 after their end" },
    ]);
    expect(connection.receiveEof()).toEqual([]);
  });

  it("knows nothing of a request that was never told", () => {
    const connection = open();
    expect(() => connection.receive(Buffer.concat([begin(1, 1, 1), Buffer.from("GET")]))).toThrow(FcgiPeerError);
    expect(connection.isLive(1)).toBe(false);
    expect(connection.receiveEof()).toEqual([]);
  });
});

describe("send", () => {
  const commands = [
    { type: "output", id: 1, data: "x", last: false },
    { type: "output", id: 1, last: true },
    { type: "stderr", id: 1, data: "x" },
    { type: "end", id: 1, appStatus: 0, protocolStatus: 0 },
  ] as const;

  function expectSilence(connection: FcgiConnection): void {
    expect(connection.isLive(1)).toBe(false);
    for (const command of commands) expect(() => connection.send(command)).toThrow(UsageError);
  }

  it("refuses an id that never began", () => {
    expectSilence(open());
    const other = open();
    other.receive(begin(2, 1, 1));
    expectSilence(other);
  });

  it("lets not one byte leave after END_REQUEST, however it was sent", () => {
    for (const command of [commands[1], commands[3]]) {
      for (const keep of [0, 1]) {
        const connection = open();
        connection.receive(Buffer.concat([begin(1, 1, keep), record(4, 1)]));
        expect(readRecords(Buffer.concat(connection.send(command))).at(-1)?.type).toBe(3);
        expectSilence(connection);
      }
    }
  });

  it("lets not one byte leave for an id whose second BEGIN_REQUEST came", () => {
    const connection = open();
    connection.receive(begin(1, 1, 1));
    expect(connection.receive(begin(1, 1, 1)).at(-1)).toEqual({ type: "reply", bytes: end(1, 1), close: true });
    expectSilence(connection);
  });

  it("lets not one byte leave for a refused role or a refused id", () => {
    const connection = open();
    connection.receive(begin(1, 3, 1));
    expectSilence(connection);
    connection.receive(Buffer.concat([begin(2, 1, 1), begin(1, 1, 1)]));
    expectSilence(connection);
  });

  it("serves an aborted request until its END_REQUEST", () => {
    const connection = open();
    connection.receive(Buffer.concat([begin(1, 1, 1), record(4, 1), record(2, 1)]));
    expect(connection.isLive(1)).toBe(true);
    expect(connection.send({ type: "end", id: 1, appStatus: 0, protocolStatus: 0 })).toEqual([end(1)]);
    expectSilence(connection);
    expect(connection.isIdle).toBe(true);
  });

  it("counts an empty output as no STDOUT when the id begins again", () => {
    const connection = open();
    connection.receive(begin(1, 1, 1));
    connection.send({ type: "output", id: 1, head: "", data: "", last: false });
    connection.send({ type: "stderr", id: 1, data: "x" });
    expect(connection.receive(begin(1, 1, 1)).at(-1)).toMatchObject({ bytes: end(1, 1) });
  });
});

describe("isIdle", () => {
  it("is true before a request, between kept requests, and at no other time", () => {
    const connection = open();
    expect(connection.isIdle).toBe(true);
    for (const byte of byByte(Buffer.concat([begin(1, 1, 1), record(4, 1), record(5, 1)]))) {
      connection.receive(byte);
      expect(connection.isIdle).toBe(false);
    }
    connection.send({ type: "output", id: 1, last: true });
    expect(connection.isIdle).toBe(true);
    connection.receive(Buffer.of(1));
    expect(connection.isIdle).toBe(false);
  });

  it("is false in the middle of late input, after a last request and after the end of the connection", () => {
    const late = open();
    late.receive(Buffer.concat([begin(1, 1, 1), record(4, 1), record(5, 1, "half").subarray(0, 10)]));
    late.send({ type: "output", id: 1, last: true });
    expect(late.isIdle).toBe(false);
    late.receive(Buffer.from("lf"));
    expect(late.isIdle).toBe(true);

    const last = open();
    last.receive(begin(1, 1, 0));
    last.send({ type: "output", id: 1, last: true });
    expect(last.isIdle).toBe(false);

    const closed = open();
    closed.receiveEof();
    expect(closed.isIdle).toBe(false);
  });
});

function perform(connection: FcgiConnection, model: Model, command: "end" | "last" | "output", id: number): void {
  const send = () =>
    connection.send(
      command === "end"
        ? { type: "end", id, appStatus: 0, protocolStatus: 0 }
        : { type: "output", id, data: "x", last: command === "last" },
    );
  expect(connection.isLive(id)).toBe(model.live?.id === id);
  if (model.live?.id !== id) {
    expect(send).toThrow(UsageError);
    return;
  }
  const out = command === "output" ? record(6, id, "x") : Buffer.concat([record(6, id, "x"), record(6, id), end(id)]);
  expect(Buffer.concat(send())).toEqual(command === "end" ? end(id) : out);
  if (command === "output") model.live.stdout = true;
  else model.end(id);
}

function runToDeath(pieces: readonly Buffer[]): { log: string[]; error: unknown } {
  const connection = open();
  const log: string[] = [];
  try {
    for (const piece of pieces) log.push(...logOf(connection.receive(piece)));
  } catch (error) {
    if (!(error instanceof FcgiPeerError)) throw error;
    return { log, error: error.message };
  }
  return { log, error: undefined };
}

/** Why the request 1 is aborted when this happens to its connection. */
function reasonOf(happen: (connection: FcgiConnection) => ReturnType<FcgiConnection["receive"]>): string | undefined {
  const connection = open();
  connection.receive(begin(1, 1, 1));
  return happen(connection).find((event) => event.type === "abort")?.reason;
}
