// Headers from CGI variables, and back from what node:http writes.
import { describe, expect, test } from "vitest";
import { parseWireHead, rawHeadersOf } from "../../../src/adapters/node-headers.ts";
import type { Environ } from "../../../src/spec.ts";

const raw = (variables: Record<string, unknown>): string[] => rawHeadersOf(variables as unknown as Environ);

describe("the request's headers", () => {
  test("get their usual names back, and nothing else of the environ gets in", () => {
    const variables = {
      HTTP_HOST: "h",
      HTTP_X_FORWARDED_FOR: "1.2.3.4",
      HTTP_ETAG: "e",
      HTTP_SEC_CH_UA: "u",
      REMOTE_USER: "me",
      HTTPS: "on",
      CONTENT_TYPE: "text/plain",
      CONTENT_LENGTH: "3",
      "tsgi.request_id": "1",
    };
    expect(raw(variables)).toEqual(
      ["Host", "h", "X-Forwarded-For", "1.2.3.4", "ETag", "e", "Sec-CH-UA", "u"].concat([
        "Content-Type",
        "text/plain",
        "Content-Length",
        "3",
      ]),
    );
  });

  test.each([
    ["a=1, b=2", "a=1; b=2"],
    ["a=1; b=2, c=3", "a=1; b=2; c=3"],
    ["a=one, two", "a=one, two"],
    ["a=1,b=2", "a=1,b=2"],
  ])("cookies that Apache joined: %s", (given, wanted) => {
    expect(raw({ HTTP_COOKIE: given })).toEqual(["Cookie", wanted]);
  });

  test.each([
    ["GET", "0", []],
    ["HEAD", "0", []],
    ["GET", "2", ["Content-Length", "2"]],
    ["POST", "0", ["Content-Length", "0"]],
  ])("mod_fcgid makes up a length of 0: %s %s", (method, length, wanted) => {
    expect(raw({ REQUEST_METHOD: method, CONTENT_LENGTH: length })).toEqual(wanted);
  });

  test("names from clients are not remembered without end", () => {
    for (let index = 0; index < 2_000; index += 1) {
      expect(raw({ [`HTTP_X_${index}`]: "v" })).toEqual([`X-${index}`, "v"]);
    }
  });
});

describe("the head of a response", () => {
  test("loses what belongs to a connection", () => {
    const text =
      "HTTP/1.1 404 Not  Here\r\nX-A: a: b\r\nConnection: keep-alive\r\nKeep-Alive: timeout=5\r\n" +
      "Transfer-Encoding: chunked\r\nTrailer: X\r\nSTATUS: 1\r\nX-Empty: \r\nSet-Cookie: a\r\nSet-Cookie: b\r\n\r\n";
    expect(parseWireHead(text)).toEqual({
      status: "404 Not  Here",
      headers: [
        ["X-A", "a: b"],
        ["X-Empty", ""],
        ["Set-Cookie", "a"],
        ["Set-Cookie", "b"],
      ],
      hasLength: false,
    });
  });

  test("takes values as they are, whatever blanks stand around them", () => {
    const { headers } = parseWireHead(
      "HTTP/1.1 200 OK\r\nContent-Length:2\r\nX-B:\t b\tc \t\r\nX-C:\r\nX-D:   \r\n\r\n",
    );
    expect(headers).toEqual([
      ["Content-Length", "2"],
      ["X-B", "b\tc"],
      ["X-C", ""],
      ["X-D", ""],
    ]);
  });

  test("tells whether it has a length", () => {
    expect(parseWireHead("HTTP/1.1 200 OK\r\ncontent-LENGTH: 3\r\n\r\n").hasLength).toBe(true);
  });
});
