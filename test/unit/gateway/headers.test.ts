import { expect, test } from "vitest";
import { ContractError } from "../../../src/errors.ts";
import { checkHeaders } from "../../../src/gateway/headers.ts";
import type { HeaderList } from "../../../src/spec.ts";

test("gives the headers back in their order, doubles included, values byte for byte", () => {
  const headers: HeaderList = [
    ["Set-Cookie", "a=1"],
    ["X-Latin", "caf\xe9 \x80\xff"],
    ["set-cookie", "b=2"],
    ["X-Empty", ""],
    ["X-Tab", "a\tb"],
    ["!#$%&'*+-.^_`|~09AZaz", "every character that a name may have"],
  ];
  expect(checkHeaders(headers)).toEqual({ list: headers, contentLength: undefined });
});

test("copies the list: a later change by the application changes nothing", () => {
  const headers: Array<[string, string]> = [["X-A", "1"]];
  const { list } = checkHeaders(headers);
  headers.push(["X-B", "2"]);
  expect(list).toEqual([["X-A", "1"]]);
});

test("takes any iterable of pairs, a Map for example", () => {
  const map = new Map([["X-A", "1"]]);
  expect(checkHeaders(map as unknown as HeaderList).list).toEqual([["X-A", "1"]]);
});

test.each(["", " X", "X ", "X Y", "X:", "X\r", "X\n", "X\0", "X\xe9", "X\u20ac", "(x)", "X,Y", '"X"', "X/Y", "X=Y"])(
  "refuses the header name %j and names it",
  (name) => {
    expect(() => checkHeaders([[name, "1"]])).toThrow(ContractError);
    expect(() => checkHeaders([[name, "1"]])).toThrow(JSON.stringify(name));
  },
);

test.each(["a\r\nX-Evil: 1", "a\nb", "a\rb", "a\0b", "a\x0bb", "\x1b", "\x7f", "\u20ac", "\u{1f600}"])(
  "refuses the header value %j and names the header",
  (value) => {
    expect(() => checkHeaders([["X-Name", value]])).toThrow(ContractError);
    expect(() => checkHeaders([["X-Name", value]])).toThrow('"X-Name"');
  },
);

test.each([
  "Connection",
  "Keep-Alive",
  "Proxy-Authenticate",
  "Proxy-Authorization",
  "TE",
  "Trailer",
  "Trailers",
  "Transfer-Encoding",
  "Upgrade",
  "tRANSFER-eNCODING",
])("refuses the hop-by-hop header %s", (name) => {
  expect(() => checkHeaders([[name, "x"]])).toThrow(/hop-by-hop/);
});

test.each(["Status", "status", "STATUS"])("refuses a header named %s, which would replace the status", (name) => {
  expect(() => checkHeaders([[name, "200 OK"]])).toThrow(ContractError);
});

test.each([
  [undefined],
  [null],
  ["X-A: 1"],
  [7],
  [{ "X-A": "1" }],
  [["X-A", "1"]],
  [[["X-A"]]],
  [[["X-A", "1", "2"]]],
  [[null]],
  [[["X-A", 1]]],
  [[["X-A", undefined]]],
  [[["X-A", ["1"]]]],
  [[[1, "x"]]],
])("refuses %j in place of a list of pairs", (headers) => {
  expect(() => checkHeaders(headers as unknown as HeaderList)).toThrow(ContractError);
});

test("reads Content-Length whatever its spelling", () => {
  expect(checkHeaders([["content-LENGTH", "42"]]).contentLength).toBe(42);
  expect(checkHeaders([["Content-Length", "0"]]).contentLength).toBe(0);
});

test.each(["", "-1", "+1", "1.0", "1e3", "0x10", "1 2", "1,1", "abc", "9999999999999999", "5\xa0", "\xa05"])(
  "refuses the Content-Length %j",
  (value) => {
    expect(() => checkHeaders([["Content-Length", value]])).toThrow(/Content-Length/);
  },
);

test("sends a Content-Length that is given twice alike once, and refuses two different ones", () => {
  const twice = checkHeaders([
    ["Content-Length", "3"],
    ["X-A", "1"],
    ["content-length", "3"],
  ]);
  expect(twice).toEqual({
    list: [
      ["Content-Length", "3"],
      ["X-A", "1"],
    ],
    contentLength: 3,
  });
  const different: HeaderList = [
    ["Content-Length", "3"],
    ["Content-Length", "4"],
  ];
  expect(() => checkHeaders(different)).toThrow(/twice/);
});

test("takes the longest line that Apache takes, 8189 bytes, and refuses one more", () => {
  const value = "v".repeat(8189 - "X-Long: ".length);
  expect(checkHeaders([["X-Long", value]]).list).toHaveLength(1);
  expect(() => checkHeaders([["X-Long", `${value}v`]])).toThrow(/8189/);
});

test("an error names the header and never shows its value", () => {
  expect(() => checkHeaders([["X-Session", "secret\n"]])).not.toThrow(/secret/);
});
