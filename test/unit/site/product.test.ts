import { describe, expect, test } from "vitest";
import { application } from "../../../apache/site/product.ts";
import { runDirect } from "../../../src/server/direct.ts";
import type { DirectReply } from "../../../src/server/direct.ts";

function request(method: string, url: string, type?: string, body?: string): Promise<DirectReply> {
  return runDirect(application, {
    method,
    url,
    headers: type === undefined ? [] : [["Content-Type", type]],
    ...(body === undefined ? {} : { body: Buffer.from(body) }),
  });
}

function jsonOf(reply: DirectReply): unknown {
  expect(reply.headers).toContainEqual(["Content-Type", "application/json"]);
  return JSON.parse(reply.body.toString());
}

const form = "application/x-www-form-urlencoded";

describe("GET", () => {
  test("answers a known id with its name and price", async () => {
    const reply = await request("GET", "/?id=A001");
    expect(reply.status).toBe(200);
    expect(jsonOf(reply)).toEqual({ name: "Clock", price: 24.5 });
  });

  test("takes the first of several ids", async () => {
    expect(jsonOf(await request("GET", "/?id=A002&id=A001"))).toEqual({ name: "Bi-Noculars", price: 89 });
  });

  test.each(["Z999", "", "__proto__", "constructor"])("answers 404 for the unknown id %j", async (id) => {
    const reply = await request("GET", `/?id=${id}`);
    expect(reply.status).toBe(404);
    expect(jsonOf(reply)).toEqual({ error: "there is no such product", id });
  });

  test("answers 400 without an id", async () => {
    expect((await request("GET", "/")).status).toBe(400);
  });
});

describe("POST", () => {
  test("finds the id in a form", async () => {
    for (const type of [form, `${form}; charset=UTF-8`, form.toUpperCase()]) {
      expect(jsonOf(await request("POST", "/", type, "x=1&id=A002"))).toEqual({ name: "Bi-Noculars", price: 89 });
    }
  });

  test("does not look for the id in the query", async () => {
    expect((await request("POST", "/?id=A001", form, "id=Z999")).status).toBe(404);
  });

  test("refuses a multipart form and says what it takes", async () => {
    const reply = await request("POST", "/", "multipart/form-data; boundary=x", "--x--");
    expect(reply.status).toBe(415);
    expect(jsonOf(reply)).toEqual({ error: "send the form as application/x-www-form-urlencoded" });
  });

  test("refuses a form over its limit with 413", async () => {
    const reply = await request("POST", "/", form, `id=A001&x=${"x".repeat(64 * 1024)}`);
    expect(reply.status).toBe(413);
  });
});

test("other methods are answered with 405 and what is allowed", async () => {
  const reply = await request("PUT", "/?id=A001");
  expect(reply.status).toBe(405);
  expect(reply.headers).toContainEqual(["Allow", "GET, HEAD, POST"]);
});
