import { expect, test } from "vitest";
import { InputTooLargeError, InputTruncatedError, LoadError, OverloadedError } from "../../../src/errors.ts";
import { errorPage, statusOf } from "../../../src/gateway/error-page.ts";

test.each([
  [new Error("secret"), 500],
  ["secret", 500],
  [undefined, 500],
  [Object.assign(new Error("not ours"), { status: 404 }), 500],
  [new InputTruncatedError(5, 1), 400],
  [new InputTooLargeError(1), 413],
  [new LoadError("not-found", "x"), 404],
  [new LoadError("refused", "x"), 403],
  [new LoadError("compile", "x"), 500],
  [new OverloadedError("x"), 503],
])("%o asks for the status %i", (error, status) => {
  expect(statusOf(error)).toBe(status);
});

test("the page has the status and the request id, escaped", () => {
  const page = errorPage(500, `<script>"a"&'b'</script>`);
  expect(page.status).toBe("500 Internal Server Error");
  expect(page.headers).toContainEqual(["Content-Type", "text/html; charset=utf-8"]);
  expect(page.headers).toContainEqual(["Cache-Control", "no-store"]);
  expect(page.body).toContain("500 Internal Server Error");
  expect(page.body).toContain("&#60;script&#62;&#34;a&#34;&#38;&#39;b&#39;&#60;/script&#62;");
  expect(page.body).not.toContain("<script");
});

test("a 503 says when to come again, no other page does", () => {
  expect(errorPage(503, "x").headers.map(([name]) => name)).toContain("Retry-After");
  expect(errorPage(500, "x").headers.map(([name]) => name)).not.toContain("Retry-After");
});
