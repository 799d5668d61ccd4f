import { IncomingMessage } from "node:http";
import { Socket } from "node:net";
import { describe, expect, test } from "vitest";
import { redactFields, redactText } from "../../../src/log/redact.ts";

const secret = "s3cr3t";

describe("fields", () => {
  test.each<[string, object]>([
    ["a header", { headers: { Authorization: secret, accept: "x" } }],
    ["a CGI variable", { environ: { HTTP_COOKIE: secret, REDIRECT_HTTP_AUTHORIZATION: secret } }],
    ["one that was mended", { [`tsgi.original.HTTP_AUTHORIZATION`]: secret }],
    ["a response's", { headers: [["Set-Cookie", secret]] }],
    ["Node's list of raw headers", { rawHeaders: ["Cookie", secret, "Proxy-Authorization", secret] }],
    ["what a middleware parsed", { req: { cookies: { session: secret } } }],
    ["something deep", { a: { b: { c: { cookie: secret } } } }],
    [
      "what JSON makes of an object",
      { client: { toJSON: () => ({ config: { headers: { authorization: secret } } }) } },
    ],
  ])("do not hold %s", (_, fields) => {
    expect(JSON.stringify(redactFields(fields as Record<string, unknown>))).not.toContain(secret);
  });

  test("hold everything else, and what was given is not changed", () => {
    const date = new Date(0);
    const bytes = Buffer.from("x");
    const given = { a: 1, b: [1, { c: null }], acceptsCookies: true, headers: { cookie: secret }, date, bytes };
    expect(redactFields(given)).toEqual({ ...given, headers: { cookie: "[redacted]" } });
    expect(given.headers.cookie).toBe(secret);
  });

  test("of a request of node:http do not hold its cookie", () => {
    const request = new IncomingMessage(new Socket());
    request.rawHeaders.push("Cookie", secret);
    expect(JSON.stringify(redactFields({ request }))).not.toContain(secret);
  });

  test("may be circular, huge, have getters that throw, or odd names", () => {
    const circular: Record<string, unknown> = {};
    circular["self"] = circular;
    circular["all"] = Array.from({ length: 100 }, () => circular);
    const bad = {
      get value(): never {
        throw new Error("no");
      },
    };
    const odd = JSON.parse('{"__proto__": {"polluted": 1}, "hasOwnProperty": 2}') as Record<string, unknown>;
    expect(JSON.stringify(redactFields({ circular }))).toContain("[left out]");
    const shown = redactFields({ bad, odd });
    expect(shown["bad"]).toBe("[cannot be read]");
    expect(JSON.stringify(shown["odd"])).toBe('{"__proto__":{"polluted":1},"hasOwnProperty":2}');
    expect(({} as Record<string, unknown>)["polluted"]).toBeUndefined();
  });

  test("keep errors for whoever shows them", () => {
    const error = new Error("x");
    expect(redactFields({ err: error })["err"]).toBe(error);
  });
});

describe("text", () => {
  test.each([
    `{ 'HTTP_COOKIE': '${secret}', x: 1 }`,
    `{ authorization: "Bearer ${secret}" }`,
    `Authorization: Basic ${secret}`,
    `Cookie: a=${secret}; b=${secret}`,
    `[ 'set-cookie', 'a=${secret}' ]`,
    `Map(1) { 'cookie' => 'a=${secret}' }`,
    `{ 'set-cookie': [ 'a=${secret}', 'b=${secret}' ] }`,
    `cookies: { a: '${secret}' }`,
  ])("does not hold the secret of %j", (text) => {
    const shown = redactText(text);
    expect(shown).not.toContain(secret);
    expect(shown).toContain("[redacted]");
  });

  test("of any other kind stays as it is, and a long one takes no long time", () => {
    for (const text of [
      "the cookie jar is open, authorization was granted",
      "{ headers: { cookie: undefined }, x: 1 }",
    ]) {
      expect(redactText(text)).toBe(text);
    }
    const long = `cookie: "${"\\\\a".repeat(200_000)}`;
    expect(redactText(long).length).toBeGreaterThan(0);
  });
});
