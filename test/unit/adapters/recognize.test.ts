// What is recognized as what, with real applications of each framework.
import { createServer } from "node:http";
import { createServer as createSecureServer } from "node:https";
import connect from "connect";
import express from "express";
import fastify from "fastify";
import { Hono } from "hono";
import { AutoRouter, Router } from "itty-router";
import Koa from "koa";
import { describe, expect, test } from "vitest";
import { kindOfFunction, parameterNames } from "../../../src/adapters/function-kind.ts";
import type { AdapterName } from "../../../src/adapters/names.ts";
import { adapterOf, recognize } from "../../../src/adapters/recognize.ts";
import { runDirect } from "../../../src/server/direct.ts";
import type { Application } from "../../../src/spec.ts";

const modules = { express4: "express4", koa2: "koa2" };
const express4 = ((await import(modules.express4)) as { default: typeof express }).default;
const Koa2 = ((await import(modules.koa2)) as { default: typeof Koa }).default;

const application: Application = (_environ, startResponse) => {
  startResponse("200 OK", []);
  return "wsgi";
};

class Handler {
  fetch(): Response {
    return new Response("a class's");
  }
}

async function* generated(
  _environ: unknown,
  startResponse: (status: string, headers: []) => void,
): AsyncGenerator<string> {
  startResponse("200 OK", []);
  yield "generated";
}

const values: ReadonlyArray<readonly [string, unknown, AdapterName | undefined]> = [
  ["an application of the gateway", application, "wsgi"],
  ["a generator", generated, "wsgi"],
  ["an http.Server", createServer(), "server"],
  ["an https.Server", createSecureServer(), "server"],
  ["an Express 5 application", express(), "express"],
  ["an Express 4 application", express4(), "express"],
  ["an Express router", express.Router(), "node"],
  ["a Connect application", connect(), "connect"],
  ["a Koa 3 application", new Koa(), "koa"],
  ["a Koa 2 application", new Koa2(), "koa"],
  ["a Fastify instance", fastify(), "fastify"],
  ["a Hono application", new Hono(), "hono"],
  ["an AutoRouter of itty-router", AutoRouter(), "fetch"],
  ["a Router of itty-router", Router(), "fetch"],
  ["an object with fetch", { fetch: () => new Response("x") }, "fetch"],
  ["an instance with fetch", new Handler(), "fetch"],
  ["(req, res)", (_req: unknown, res: { end(): void }) => res.end(), "node"],
  ["(req, res, next)", (_req: unknown, _res: unknown, next: () => void) => next(), "node"],
  ["(a, b)", (a: unknown, b: unknown) => [a, b], "node"],
  ["(request)", (request: Request) => new Response(request.url), "fetch"],
  ["()", () => new Response("x"), "fetch"],
  ["(request, env, context)", (request: Request, _env: object, _context: object) => new Response(request.url), "fetch"],
  ["a class", Handler, undefined],
  ["an object", {}, undefined],
  ["a text", "text", undefined],
  ["nothing", undefined, undefined],
  ["null", null, undefined],
];

describe("the kind of", () => {
  test.each(values)("%s", (_name, value, wanted) => {
    expect(adapterOf(value)).toBe(wanted);
    if (wanted === undefined) expect(recognize(value)).toBeUndefined();
  });
});

describe("the parameters of", () => {
  test.each<[string, (...parameters: never[]) => unknown, string[]]>([
    ["an arrow function", (a: never, b: never) => [a, b], ["a", "b"]],
    ["an arrow function of one", (a: never) => a, ["a"]],
    ["an async arrow function", async (a: never, b: never) => [a, b], ["a", "b"]],
    [
      "a function",
      function named(a: never) {
        return a;
      },
      ["a"],
    ],
    ["a method", { handle: (req: never, res: never) => [req, res] }.handle, ["req", "res"]],
    ["a function that takes one apart", ({ a }: never, second: never) => [a, second], ["", "second"]],
    ["a function without", () => 1, []],
  ])("%s", (_name, value, wanted) => {
    expect(parameterNames(value)).toEqual(wanted);
  });

  test("decide before their number, and the caller's word before that", () => {
    const unknown = (a: never, b: never): unknown => [a, b];
    expect(kindOfFunction(unknown)).toBe("node");
    expect(kindOfFunction(unknown, "wsgi")).toBe("wsgi");
    expect(kindOfFunction((_req: never, _res: never) => 1, "wsgi")).toBe("node");
    expect(kindOfFunction((environ: never) => environ)).toBe("wsgi");
    expect(kindOfFunction((a: never, b: never, c: never, d: never) => [a, b, c, d])).toBeUndefined();
  });
});

describe("a given kind", () => {
  const body = async (value: unknown, given: AdapterName): Promise<string> => {
    const recognized = recognize(value, given);
    const reply = await runDirect((await recognized?.application) ?? application, { method: "GET", url: "/x" });
    return reply.body.toString();
  };

  test("is taken at its word", async () => {
    expect(await body((_a: unknown, b: { end(text: string): void }) => b.end("node"), "node")).toBe("node");
    expect(await body((_a: unknown, _b: unknown) => new Response("fetch"), "fetch")).toBe("fetch");
    expect(await body(application, "wsgi")).toBe("wsgi");
    expect(
      await body(
        createServer((_req, res) => res.end("server")),
        "server",
      ),
    ).toBe("server");
    expect(
      await body(
        fastify().get("/x", async () => "fastify"),
        "fastify",
      ),
    ).toBe("fastify");
  });

  test.each<[AdapterName, unknown]>([
    ["wsgi", {}],
    ["node", {}],
    ["express", "text"],
    ["fetch", null],
    ["koa", {}],
    ["fastify", new Koa()],
    ["server", {}],
  ])("%s is refused for what cannot be one", async (given, value) => {
    await expect(Promise.resolve().then(async () => recognize(value, given)?.application)).rejects.toMatchObject({
      code: "TSGI2001",
    });
  });

  test("a middleware that passes the request on gets 404, or its error", async () => {
    const pass = recognize((_req: unknown, _res: unknown, next: () => void) => next());
    const reply = await runDirect((await pass?.application) ?? application, { method: "GET", url: "/there?x" });
    expect([reply.status, reply.body.toString()]).toEqual([404, "Cannot GET /there?x\n"]);
    const failing = recognize((_req: unknown, _res: unknown, next: (error: Error) => void) => next(new Error("no")));
    expect((await runDirect((await failing?.application) ?? application, { method: "GET", url: "/" })).status).toBe(
      500,
    );
  });
});

test("a server's own classes of messages are used", async () => {
  const { IncomingMessage, ServerResponse } = await import("node:http");
  class OwnRequest extends IncomingMessage {
    readonly isOwn = true;
  }
  class OwnResponse extends ServerResponse {
    readonly isOwn = true;
  }
  const server = createServer({ IncomingMessage: OwnRequest, ServerResponse: OwnResponse as never }, (req, res) =>
    (res as OwnResponse).end(JSON.stringify([req.isOwn, (res as OwnResponse).isOwn])),
  );
  const reply = await runDirect((await recognize(server)?.application) ?? application, { method: "GET", url: "/" });
  expect(reply.body.toString()).toBe("[true,true]");
});
