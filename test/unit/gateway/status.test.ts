import { expect, test } from "vitest";
import { ContractError } from "../../../src/errors.ts";
import { parseStatus, reasonOf } from "../../../src/gateway/status.ts";
import { encodeText } from "../../../src/gateway/text.ts";

test.each([
  ["200 OK", 200, "OK"],
  ["200", 200, "OK"],
  ["404 ", 404, "Not Found"],
  ["404", 404, "Not Found"],
  ["299 Quite Alright", 299, "Quite Alright"],
  ["299", 299, "Unknown"],
  ["599 Network Connect Timeout", 599, "Network Connect Timeout"],
  ["418 I'm a (small) teapot: 100%", 418, "I'm a (small) teapot: 100%"],
  ["200 a  b\tc", 200, "a  b\tc"],
  ["200 caf\xe9 \x80\xff", 200, "caf\xe9 \x80\xff"],
])("takes the status %j", (text, code, reason) => {
  expect(parseStatus(text)).toEqual({ code, reason });
});

test("keeps every byte of a reason phrase, also one that ends in 0xA0", () => {
  const reason = encodeText("et voilà");
  expect(reason.endsWith("\xa0")).toBe(true);
  expect(parseStatus(`200 ${reason}`).reason).toBe(reason);
});

test.each([
  "",
  "OK",
  "200OK",
  " 200 OK",
  "200\tOK",
  "20 OK",
  "2000 OK",
  "99 Low",
  "100 Continue",
  "101 Switching Protocols",
  "103 Early Hints",
  "199 x",
  "600 x",
  "999",
  "+200",
  "2e2",
  "200 OK\n",
  "200 OK\r\nX-Evil: 1",
  "200 O\0K",
  "200 \x1b[31m",
  "200 \x7f",
  "200 \u20ac",
  "\uff12\uff10\uff10 OK",
])("refuses the status %j and names it", (text) => {
  expect(() => parseStatus(text)).toThrow(ContractError);
  expect(() => parseStatus(text)).toThrow(JSON.stringify(text));
});

test.each([200, undefined, null, ["200 OK"], { code: 200 }])("refuses the status %j, which is no string", (value) => {
  expect(() => parseStatus(value as unknown as string)).toThrow(ContractError);
});

test("refuses a reason phrase that would make the Status line longer than Apache takes", () => {
  const longest = 8189 - "Status: 200 ".length;
  expect(parseStatus(`200 ${"x".repeat(longest)}`).reason).toHaveLength(longest);
  expect(() => parseStatus(`200 ${"x".repeat(longest + 1)}`)).toThrow(ContractError);
});

test("knows the usual reason phrases", () => {
  expect([200, 204, 304, 404, 413, 500, 503].map(reasonOf)).toEqual([
    "OK",
    "No Content",
    "Not Modified",
    "Not Found",
    "Content Too Large",
    "Internal Server Error",
    "Service Unavailable",
  ]);
});
