import { describe, expect, test } from "vitest";
import { ContractError } from "../../../src/errors.ts";
import { cgiHead, Response } from "../../../src/gateway/response.ts";
import type { HeaderList } from "../../../src/spec.ts";
import { RecordingSink } from "./recording-sink.ts";

function responseOf(options: { method?: string; addsContentLength?: boolean } = {}): {
  response: Response;
  sink: RecordingSink;
  excesses: number[];
} {
  const sink = new RecordingSink();
  const excesses: number[] = [];
  const response = new Response({
    sink,
    method: options.method ?? "GET",
    addsContentLength: options.addsContentLength ?? true,
    onExcess: (declared) => excesses.push(declared),
    write: async () => {},
  });
  return { response, sink, excesses };
}

const length = (bytes: number): HeaderList => [["Content-Length", String(bytes)]];

test("the head of a CGI response always has a Status, CRLF lines and an empty line", () => {
  const head = cgiHead({
    status: { code: 302, reason: "Fo\xfcnd" },
    headers: [
      ["Location", "/x"],
      ["Set-Cookie", "a=1"],
      ["Set-Cookie", "b=\xe9"],
    ],
  });
  expect(head).toBe("Status: 302 Fo\xfcnd\r\nLocation: /x\r\nSet-Cookie: a=1\r\nSet-Cookie: b=\xe9\r\n\r\n");
  expect(cgiHead({ status: { code: 200, reason: "OK" }, headers: [] })).toBe("Status: 200 OK\r\n\r\n");
});

describe("the head", () => {
  test("waits for the first chunk that is not empty, and goes out once, with it", () => {
    const { response, sink } = responseOf();
    response.start("200 OK", [["X-A", "1"]]);
    expect(response.send("")).toBe(true);
    expect(response.send(new Uint8Array(0))).toBe(true);
    expect([sink.sends, response.isHeadSent]).toEqual([0, false]);
    response.send("a");
    response.send("b");
    expect([sink.sends, response.isHeadSent, sink.body]).toEqual([2, true, "ab"]);
    response.finishWith("");
    expect([sink.state, sink.offences]).toEqual(["complete", []]);
  });

  test("goes out with the end when there is no body", () => {
    const { response, sink } = responseOf();
    response.start("200 OK", []);
    response.finishWith("");
    expect([sink.sends, sink.statusLine, sink.body, sink.state]).toEqual([1, "200 OK", "", "complete"]);
  });

  test("with a body that is there at once leaves in one piece", () => {
    const { response, sink } = responseOf();
    response.start("200 OK", []);
    response.declareLength(2);
    response.finishWith("ab");
    expect([sink.sends, sink.header("content-length"), sink.body, sink.state]).toEqual([1, "2", "ab", "complete"]);
  });
});

describe("startResponse", () => {
  test("may not be called twice without the error", () => {
    const { response, sink } = responseOf();
    response.start("200 OK", []);
    expect(() => response.start("404", [])).toThrow(ContractError);
    expect(() => response.start("404", [], null)).toThrow(ContractError);
    expect(() => response.start("404", [], undefined)).toThrow(ContractError);
    response.finishWith("");
    expect(sink.statusLine).toBe("200 OK");
  });

  test("replaces status, headers and length when it is called again with the error before the head was sent", () => {
    const { response, sink } = responseOf();
    response.start("200 OK", [...length(99), ["X-Old", "1"]]);
    response.start("500 Oops", [["X-New", "1"]], new Error("x"));
    response.declareLength(1);
    response.finishWith("a");
    expect([sink.statusLine, sink.header("x-old"), sink.header("x-new")]).toEqual(["500 Oops", undefined, "1"]);
    expect([sink.header("content-length"), sink.state]).toEqual(["1", "complete"]);
  });

  test.each([new Error("x"), "text", 0, false, { any: 1 }])(
    "throws the application's own error %o, unchanged, after the head was sent",
    (error) => {
      const { response, sink } = responseOf();
      response.start("200 OK", []);
      response.send("a");
      let thrown: unknown;
      try {
        response.start("500", [], error);
      } catch (caught) {
        thrown = caught;
      }
      expect(thrown).toBe(error);
      expect(sink.statusLine).toBe("200 OK");
    },
  );

  test("may be called with an error the first time", () => {
    const { response, sink } = responseOf();
    response.start("500 Oops", [], new Error("x"));
    response.finishWith("");
    expect(sink.statusLine).toBe("500 Oops");
  });

  test("that was refused does not count: nothing of it is sent", () => {
    const { response, sink } = responseOf();
    expect(() => response.start("200 OK", [["X\n", "1"]])).toThrow(ContractError);
    expect(() => response.start("999 No", [])).toThrow(ContractError);
    expect(response.statusCode).toBeUndefined();
    response.start("200 OK", []);
    expect(() => response.start("500", [["X\n", "1"]], new Error("x"))).toThrow(ContractError);
    response.finishWith("");
    expect(sink.statusLine).toBe("200 OK");
  });

  test("is over with the response", () => {
    const { response } = responseOf();
    response.start("200 OK", []);
    response.finishWith("");
    expect(() => response.start("200 OK", [])).toThrow(ContractError);
    expect(() => response.start("200 OK", [], new Error("x"))).toThrow(ContractError);
  });

  test("has to come before a body", () => {
    const { response, sink } = responseOf();
    expect(() => response.send("a")).toThrow(/startResponse/);
    expect(() => response.finishWith("")).toThrow(/startResponse/);
    expect(sink.sends).toBe(0);
  });
});

describe("no body goes out", () => {
  test.each([
    ["HEAD", "200 OK"],
    ["GET", "204 No Content"],
    ["GET", "304 Not Modified"],
    ["POST", "204"],
    ["HEAD", "404"],
  ])("for %s with %s, whatever the application sends", (method, status) => {
    const { response, sink } = responseOf({ method });
    response.start(status, []);
    expect(response.wantsMore).toBe(false);
    response.send("a");
    response.finishWith("b");
    expect([sink.body, sink.state, sink.offences, response.sentBytes]).toEqual(["", "complete", [], 0]);
  });

  test("and a Content-Length that says otherwise is no shortfall", () => {
    for (const [method, status] of [
      ["HEAD", "200"],
      ["GET", "304"],
      ["GET", "204"],
    ] as const) {
      const { response, sink } = responseOf({ method });
      response.start(status, length(10));
      response.finishWith("");
      expect(sink.state, status).toBe("complete");
    }
  });

  test("HEAD and 304 keep the Content-Length of the body that they stand for, 204 has none", () => {
    const headOf = (method: string, status: string): string | undefined => {
      const { response, sink } = responseOf({ method });
      response.start(status, length(10));
      response.finishWith("");
      return sink.header("content-length");
    };
    expect([headOf("HEAD", "200"), headOf("GET", "304"), headOf("GET", "204")]).toEqual(["10", "10", undefined]);
  });

  test("HEAD has the Content-Length that GET would have, 204 and 304 get none", () => {
    const headOf = (method: string, status: string): string | undefined => {
      const { response, sink } = responseOf({ method });
      response.start(status, []);
      response.declareLength(3);
      response.finishWith("abc");
      return sink.header("content-length");
    };
    expect([headOf("HEAD", "200"), headOf("GET", "304"), headOf("GET", "204")]).toEqual(["3", undefined, undefined]);
  });

  test("an empty body for HEAD tells no length, for GET it does", () => {
    const headOf = (method: string): string | undefined => {
      const { response, sink } = responseOf({ method });
      response.start("200", []);
      response.declareLength(0);
      response.finishWith("");
      return sink.header("content-length");
    };
    expect([headOf("HEAD"), headOf("GET")]).toEqual([undefined, "0"]);
  });
});

describe("Content-Length", () => {
  test("is added to a body of known size, never over the application's own or to an authorizer", () => {
    const own = responseOf();
    own.response.start("200", length(3));
    own.response.declareLength(4);
    own.response.finishWith("abc");
    expect(own.sink.head?.headers).toEqual([["Content-Length", "3"]]);
    const authorizer = responseOf({ addsContentLength: false });
    authorizer.response.start("200", []);
    authorizer.response.declareLength(3);
    authorizer.response.finishWith("abc");
    expect(authorizer.sink.head?.headers).toEqual([]);
  });

  test.each<[string, Array<string | Uint8Array>, string]>([
    ["in one chunk", ["abcdef"], "abc"],
    ["in a later chunk", ["ab", "cdef"], "abc"],
    ["after the end", ["abc", "def"], "abc"],
    ["in bytes", [Buffer.from("abcdef")], "abc"],
    ["inside a character", ["aé日"], "a\xc3\xa9"],
  ])("cuts what exceeds it %s, and says so once", (_, chunks, sent) => {
    const { response, sink, excesses } = responseOf();
    response.start("200", length(3));
    for (const chunk of chunks) response.send(chunk);
    response.send("more");
    response.finishWith("and more");
    expect([sink.body, sink.state, excesses, sink.offences]).toEqual([sent, "complete", [3], []]);
  });

  test("a body of exactly that length is no excess, and more is asked for until there is some", () => {
    const { response, sink, excesses } = responseOf();
    response.start("200", length(3));
    response.send("abc");
    expect(response.wantsMore).toBe(true);
    response.send("");
    response.finishWith("");
    expect([sink.body, sink.state, excesses]).toEqual(["abc", "complete", []]);
    const more = responseOf();
    more.response.start("200", length(3));
    more.response.send("abcd");
    expect(more.response.wantsMore).toBe(false);
  });

  test("Content-Length 0 sends no body", () => {
    const { response, sink, excesses } = responseOf();
    response.start("200", length(0));
    response.finishWith("abc");
    expect([sink.body, sink.state, excesses]).toEqual(["", "complete", [0]]);
  });

  test.each([["after the head", ["ab"], ""] as const, ["in one piece", [], "ab"] as const])(
    "a shortfall never looks complete: %s",
    (_, chunks, last) => {
      const { response, sink } = responseOf();
      response.start("200", length(3));
      for (const chunk of chunks) response.send(chunk);
      expect(() => response.finishWith(last)).toThrow(/2 bytes .* 3/);
      // Open, so that the reason can still reach Apache's error log; whoever catches it breaks the response.
      expect([sink.state, response.isOver, sink.offences]).toEqual(["open", false, []]);
      response.break();
      expect([sink.state, response.isOver, sink.offences]).toEqual(["broken", true, []]);
    },
  );

  test("a shortfall that is known before the head makes the head close the connection", () => {
    const known = responseOf();
    known.response.start("200", length(3));
    expect(() => known.response.finishWith("ab")).toThrow(/2 bytes/);
    expect([known.sink.header("connection"), known.sink.body]).toEqual(["close", "ab"]);
    const late = responseOf();
    late.response.start("200", length(3));
    late.response.send("ab");
    expect(() => late.response.finishWith("")).toThrow(/2 bytes/);
    expect(late.sink.header("connection")).toBeUndefined();
  });

  test("counts bytes, not characters", () => {
    const { response, sink } = responseOf();
    response.start("200", length(5));
    response.finishWith("日é");
    expect([sink.state, response.sentBytes]).toEqual(["complete", 5]);
  });
});

test("passes on what the sink says about waiting", () => {
  const { response, sink } = responseOf();
  sink.capacity = 3;
  response.start("200", []);
  expect(response.send("ab")).toBe(true);
  expect(response.send("cd")).toBe(false);
  sink.drain();
  expect(response.send("ef")).toBe(true);
});

describe("a file that Apache sends in the place of a body", () => {
  const file = { header: "X-Sendfile", path: "/srv/a", sizeBytes: 5 };

  test.each<[string, string, HeaderList, boolean]>([
    ["GET", "200 OK", [], true],
    ["HEAD", "200 OK", length(5), true],
    ["GET", "200 OK", length(4), false],
    ["POST", "200 OK", [], false],
    ["GET", "206 Partial Content", [["Content-Range", "bytes 0-4/9"]], false],
    ["GET", "404 Not Found", [], false],
    ["GET", "200 OK", [["content-encoding", "gzip"]], false],
  ])("%s, %s, %j: %s", (method, status, headers, isNamed) => {
    const { response, sink } = responseOf({ method });
    response.start(status, headers);
    expect(response.replaceByFile(file)).toBe(isNamed);
    if (!isNamed) return;
    response.finishWith("");
    expect([sink.head?.headers, response.isComplete]).toEqual([[["X-Sendfile", "/srv/a"]], true]);
  });

  test("comes too late once the head is sent", () => {
    const { response } = responseOf();
    response.start("200 OK", []);
    response.send("x");
    expect(response.replaceByFile(file)).toBe(false);
  });
});
