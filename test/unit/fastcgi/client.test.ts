import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { FcgiPeerError } from "../../../src/errors.ts";
import { FcgiClient, encodeGetValues, encodeStream } from "../../../src/fastcgi/client.ts";
import type { FcgiClientEvent } from "../../../src/fastcgi/client.ts";
import { FcgiConnection } from "../../../src/fastcgi/connection.ts";
import { Role } from "../../../src/fastcgi/record.ts";
import { begin, cutAt, end, pair, record } from "./wire.ts";

const unlimited = { maxParamsBytes: 1_048_576, maxConnections: 5 };

describe("FcgiClient", () => {
  it("writes a request as the specification has it", () => {
    const bytes = new FcgiClient().request({
      id: 3,
      params: { A: "1", B: "" },
      stdin: Buffer.from("ab"),
      keepConn: true,
    });
    expect(bytes).toEqual(
      Buffer.concat([
        begin(3, 1, 1),
        record(4, 3, Buffer.concat([pair("A", "1"), pair("B", "")])),
        record(4, 3),
        record(5, 3, "ab"),
        record(5, 3),
      ]),
    );
  });

  it("sends no STDIN for an authorizer", () => {
    const bytes = new FcgiClient().request({ params: {}, role: Role.AUTHORIZER });
    expect(bytes).toEqual(Buffer.concat([begin(1, 2, 0), record(4, 1)]));
  });

  it("cuts streams into records of the size that was asked for", () => {
    expect(encodeStream(5, 1, Buffer.from("abcde"), 2)).toEqual(
      Buffer.concat([record(5, 1, "ab"), record(5, 1, "cd"), record(5, 1, "e"), record(5, 1)]),
    );
    expect(encodeStream(5, 1, Buffer.alloc(65_536))).toHaveLength(8 + 65_535 + 8 + 1 + 8);
  });

  it("reads an answer, with padding, byte by byte", () => {
    const client = new FcgiClient();
    client.request({ params: {} });
    const answer = Buffer.concat([
      record(6, 1, "ou", Buffer.alloc(6, 1)),
      record(7, 1, "err"),
      record(6, 1, "t"),
      record(6, 1),
      record(7, 1, "", Buffer.alloc(255)),
      record(3, 1, Buffer.of(0xff, 0, 0, 2, 1, 0, 0, 0), Buffer.alloc(3)),
    ]);
    const events = cutAt(answer, [...answer.keys()]).flatMap((piece) => client.receive(piece));
    expect(text(events, "stdout")).toBe("out");
    expect(text(events, "stderr")).toBe("err");
    expect(events.at(-1)).toEqual({ type: "end", id: 1, appStatus: 0xff000002, protocolStatus: 1 });
  });

  it("reads answers to management records", () => {
    const client = new FcgiClient();
    const values = record(10, 0, pair("FCGI_MAX_CONNS", "9"));
    const unknown = record(11, 0, Buffer.of(77, 0, 0, 0, 0, 0, 0, 0));
    const events = cutAt(Buffer.concat([values, unknown]), [3, 9, 20, 35, 44]).flatMap((piece) =>
      client.receive(piece),
    );
    expect(events).toMatchObject([
      { type: "values", values: { FCGI_MAX_CONNS: "9" } },
      { type: "unknown-type", recordType: 77 },
    ]);
  });

  it.each([
    ["a record for an id without a request", record(6, 2, "x"), "the id 2, which has no request"],
    ["a record behind END_REQUEST", Buffer.concat([end(1), record(6, 1)]), "the id 1, which has no request"],
    ["STDOUT behind its end", Buffer.concat([record(6, 1), record(6, 1, "x")]), "stdout of the request id 1 goes on"],
    ["two ends of STDERR", Buffer.concat([record(7, 1), record(7, 1)]), "stderr of the request id 1 goes on"],
    ["STDOUT with id 0", record(6, 0, "x"), "the id 0, which has no request"],
    ["a short END_REQUEST", record(3, 1, "abc"), "3 bytes of content, not 8"],
    ["a long UNKNOWN_TYPE", record(11, 0, "123456789"), "9 bytes of content, not 8"],
    ["a record that only web servers send", record(5, 1), "type 5 from an application"],
    ["a cut-off GET_VALUES_RESULT", record(10, 0, "\x05"), "GET_VALUES_RESULT ended inside"],
    ["CGI output", Buffer.from("Status: 200 OK"), "byte 83, not 1"],
  ])("refuses %s", (_name, bytes, reason) => {
    const receive = () => {
      const client = new FcgiClient();
      client.request({ params: {} });
      client.receive(bytes);
    };
    expect(receive).toThrow(FcgiPeerError);
    expect(receive).toThrow(reason);
  });
});

describe("a client and a connection joined together", () => {
  it("understand each other whatever the sizes and wherever the bytes are cut", () => {
    const exchange = fc.record({
      id: fc.integer({ min: 1, max: 65_535 }),
      params: fc.dictionary(fc.string({ unit: "binary-ascii", maxLength: 12 }), fc.string({ unit: "binary-ascii" })),
      stdin: fc.uint8Array({ maxLength: 600 }),
      recordBytes: fc.integer({ min: 1, max: 200 }),
      head: fc.string({ unit: "binary-ascii", maxLength: 30 }),
      errors: fc.string({ maxLength: 10 }),
      answers: fc.array(fc.string({ unit: "grapheme" }), { maxLength: 3 }),
    });
    const places = fc.array(fc.nat(), { maxLength: 20 });
    fc.assert(
      fc.property(fc.array(exchange, { maxLength: 4 }), places, (exchanges, cuts) => {
        const client = new FcgiClient();
        const connection = new FcgiConnection(unlimited);
        for (const { id, params, stdin, recordBytes, head, errors, answers } of exchanges) {
          const sent = client.request({ id, params, stdin, recordBytes, keepConn: true });
          const events = cutAt(sent, cuts).flatMap((piece) => connection.receive(piece));
          expect(events.find((event) => event.type === "request")).toEqual({
            type: "request",
            id,
            role: "RESPONDER",
            keepConn: true,
            params: Object.assign(Object.create(null), params),
          });
          const body = events.flatMap((event) => (event.type === "stdin" ? [event.data] : []));
          expect(Buffer.concat(body).equals(stdin)).toBe(true);
          expect(events.at(-1)).toEqual({ type: "stdin-end", id });

          const answer = Buffer.concat([
            ...connection.send({ type: "output", id, head, last: false }),
            ...connection.send({ type: "stderr", id, data: errors }),
            ...answers.flatMap((data) => connection.send({ type: "output", id, data, last: false })),
            ...connection.send({ type: "output", id, last: true }),
          ]);
          const received = cutAt(answer, cuts).flatMap((piece) => client.receive(piece));
          expect(text(received, "stdout")).toBe(head + answers.join(""));
          expect(text(received, "stderr")).toBe(errors);
          expect(received.at(-1)).toEqual({ type: "end", id, appStatus: 0, protocolStatus: 0 });
          expect(connection.isIdle).toBe(true);
        }
      }),
    );
  });

  it("pass bodies of megabytes both ways", () => {
    const body = Buffer.from(Array.from({ length: 3_000_000 }, (_, index) => index * 7));
    const client = new FcgiClient();
    const connection = new FcgiConnection(unlimited);
    const events = connection.receive(client.request({ params: {}, stdin: body }));
    const received = Buffer.concat(events.flatMap((event) => (event.type === "stdin" ? [event.data] : [])));
    expect(received.equals(body)).toBe(true);
    const answer = Buffer.concat(
      connection.send({ type: "output", id: 1, head: "X: y\r\n\r\n", data: body, last: true }),
    );
    const output = client.receive(answer).flatMap((event) => (event.type === "stdout" ? [event.data] : []));
    expect(Buffer.concat(output).subarray(8).equals(body)).toBe(true);
  });

  it("agree on management records", () => {
    const client = new FcgiClient();
    const replies = new FcgiConnection(unlimited).receive(
      Buffer.concat([encodeGetValues(["FCGI_MAX_REQS", "FCGI_MPXS_CONNS", "OTHER"]), record(200, 0, "?")]),
    );
    const bytes = Buffer.concat(replies.flatMap((event) => (event.type === "reply" ? [event.bytes] : [])));
    expect(client.receive(bytes)).toMatchObject([
      { type: "values", values: { FCGI_MAX_REQS: "5", FCGI_MPXS_CONNS: "0" } },
      { type: "unknown-type", recordType: 200 },
    ]);
  });
});

function text(events: readonly FcgiClientEvent[], stream: "stdout" | "stderr"): string {
  return Buffer.concat(events.flatMap((event) => (event.type === stream ? [event.data] : []))).toString();
}
