// The word that somebody may have meant.
import { expect, test } from "vitest";
import { nearestWord } from "../../../src/config/near.ts";

const known = ["app", "listen", "processes", "requestTimeout", "queueTimeout", "queueLimit", "env", "user"];

test.each([
  ["proceses", "processes"],
  ["process", "processes"],
  ["request-timeout", "requestTimeout"],
  ["request_timeout", "requestTimeout"],
  ["requestTimeoutMs", "requestTimeout"],
  ["REQUESTTIMEOUT", "requestTimeout"],
  ["lisetn", "listen"],
  ["usr", "user"],
  ["evn", "env"],
  ["queueLimits", "queueLimit"],
  ["queueTimeoutMilliseconds", "queueTimeout"],
])("%s may be meant as %s", (word, meant) => {
  expect(nearestWord(word, known)).toBe(meant);
});

test.each(["", "x", "workers", "threads", "application", "y".repeat(1000)])("%j is nothing that is known", (word) => {
  expect(nearestWord(word, known)).toBeUndefined();
});

test("nothing is near when nothing is known", () => {
  expect(nearestWord("listen", [])).toBeUndefined();
});
