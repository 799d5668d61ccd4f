// Fetch handlers: what the Request tells, and what becomes of the Response.
import { Readable } from "node:stream";
import { beforeAll, describe, expect, test } from "vitest";
import { installLightClasses } from "../../../src/adapters/fetch-globals.ts";
import type { FetchHandler } from "../../../src/adapters/fetch-handler.ts";
import { fromFetchHandler } from "../../../src/adapters/fetch-handler.ts";
import type { DirectReply, DirectRequest } from "../../../src/server/direct.ts";
import { runDirect } from "../../../src/server/direct.ts";

function ask(handler: FetchHandler, request: Partial<DirectRequest> = {}): Promise<DirectReply> {
  return runDirect(fromFetchHandler(handler), { method: "GET", url: "/", ...request });
}

/** What `look` makes of the Request, as JSON. */
async function seen(look: (request: Request) => unknown, request: Partial<DirectRequest> = {}): Promise<unknown> {
  const reply = await ask(async (given) => Response.json((await look(given)) ?? null), request);
  return JSON.parse(reply.body.toString()) as unknown;
}

async function* pieces(...texts: string[]): AsyncGenerator<Uint8Array> {
  for (const text of texts) yield Buffer.from(text);
}

describe.each([
  ["Node's classes", () => {}],
  ["light ones", installLightClasses],
])("with %s", (_name, prepare) => {
  beforeAll(prepare);

  describe("the Request", () => {
    test.each<[Partial<DirectRequest>, string]>([
      [{ url: "/a%20b/?c=%2F" }, "http://localhost/a%20b/?c=%2F"],
      [{ url: "http://example.org:81/x" }, "http://example.org:81/x"],
      [{ url: "https://example.org/x" }, "https://example.org/x"],
      [{ url: "/m/x?y", mountPoint: "/m" }, "http://localhost/m/x?y"],
      [{ url: "/x", variables: { REQUEST_URI: "http://other.example/x?y" } }, "http://other.example/x?y"],
      [{ url: "/x", variables: { REQUEST_URI: "*" } }, "http://localhost/"],
      [{ url: "/./x" }, "http://localhost/x"],
      [{ url: "/../x?y" }, "http://localhost/x?y"],
      [{ url: "/a/.." }, "http://localhost/"],
      [{ url: "/.?a" }, "http://localhost/?a"],
      [{ url: "/.well-known/x" }, "http://localhost/.well-known/x"],
      [{ url: "/%2e%2e/x" }, "http://localhost/x"],
      [{ url: "//x" }, "http://localhost//x"],
      [{ url: "/x", headers: [["Host", "EXAMPLE.org:80"]] }, "http://example.org/x"],
      [{ url: "/x", headers: [["Host", "0x7f.1"]] }, "http://127.0.0.1/x"],
      [{ url: "/x", headers: [["Host", "a/"]] }, "http://a//x"],
      [{ url: "/\u00e9", variables: { REQUEST_URI: "/\u00e9" } }, "http://localhost/%E9"],
    ])("has the URL that the client sees: %j", async (request, wanted) => {
      expect(await seen(({ url }) => url, request)).toBe(wanted);
    });

    test.each(["a b", "user:secret@host", "host:99999", ""])(
      "a Host header that is no host is refused: %j",
      async (host) => {
        const reply = await ask(() => new Response("x"), { headers: [["Host", host]] });
        expect(reply.status).toBe(host === "" ? 400 : 400);
      },
    );

    test("has method, headers and a signal", async () => {
      const look = (request: Request): unknown => [
        request.method,
        request.headers.get("x-a"),
        request.headers.get("cookie"),
        request.signal.aborted,
        request.body,
      ];
      const headers = [
        ["X-A", "caf\u00e9"],
        ["Cookie", "a=1, b=2"],
      ] as const;
      expect(await seen(look, { method: "OPTIONS", headers })).toEqual([
        "OPTIONS",
        "caf\u00e9",
        "a=1; b=2",
        false,
        null,
      ]);
    });

    test("has a body that streams", async () => {
      const variables = { HTTP_TRANSFER_ENCODING: "chunked" };
      const look = async (request: Request): Promise<unknown> => {
        const chunks: string[] = [];
        for await (const chunk of request.body ?? []) chunks.push(Buffer.from(chunk).toString());
        return chunks;
      };
      expect(await seen(look, { method: "POST", body: pieces("one", "two"), variables })).toEqual(["one", "two"]);
    });

    test("has forms and JSON", async () => {
      const form = new FormData();
      form.set("a", "1");
      form.set("file", new Blob(["text"]), "f.txt");
      const encoded = new Response(form);
      const look = async (request: Request): Promise<unknown> => {
        const parsed = await request.formData();
        const file = parsed.get("file") as File;
        return [parsed.get("a"), file.name, await file.text()];
      };
      const type = encoded.headers.get("content-type") ?? "";
      const body = new Uint8Array(await encoded.arrayBuffer());
      expect(await seen(look, { method: "POST", body, headers: [["Content-Type", type]] })).toEqual([
        "1",
        "f.txt",
        "text",
      ]);
      expect(await seen((request) => request.json(), { method: "PUT", body: Buffer.from(`{"a":1}`) })).toEqual({
        a: 1,
      });
    });

    test("of a body that is cut short fails as it is read, and answers 400", async () => {
      const headers = [["Content-Length", "10"]] as const;
      const reply = await ask(async (request) => new Response(await request.text()), {
        method: "POST",
        body: Buffer.from("half"),
        headers,
      });
      expect(reply.status).toBe(400);
    });

    test("comes with the environ and with waitUntil", async () => {
      let late = "not yet";
      const reply = await ask((_request, env, context) => {
        context.waitUntil(Promise.resolve().then(() => (late = "done")));
        context.passThroughOnException();
        return new Response(`${env.REQUEST_METHOD} ${env["wsgi.url_scheme"]}`);
      });
      expect([reply.body.toString(), late]).toEqual(["GET http", "done"]);
    });
  });

  describe("the Response", () => {
    test("of a text leaves with its length and type", async () => {
      const reply = await ask(() => new Response("t\u00e9xt", { status: 201, statusText: "Made" }));
      expect(reply).toMatchObject({ status: 201, reason: "Made", complete: true });
      expect(reply.body.toString()).toBe("t\u00e9xt");
      expect(Object.fromEntries(reply.headers)).toEqual({
        "content-type": "text/plain;charset=UTF-8",
        "Content-Length": "5",
      });
    });

    test.each([
      ["bytes", () => new Response(Buffer.from([0, 255]))],
      ["a blob", () => new Response(new Blob(["\u0000", new Uint8Array([255])]))],
    ])("of %s", async (_name, make) => {
      expect((await ask(make)).body).toEqual(Buffer.from([0, 255]));
    });

    test("keeps Set-Cookie headers apart and drops those of a connection", async () => {
      const headers = new Headers({ Connection: "keep-alive", "Transfer-Encoding": "chunked", Vary: "a" });
      headers.append("Vary", "b");
      headers.append("Set-Cookie", "a=1, 2");
      headers.append("Set-Cookie", "b=2");
      const reply = await ask(() => new Response(null, { headers }));
      expect(reply.headers).toEqual([
        ["set-cookie", "a=1, 2"],
        ["set-cookie", "b=2"],
        ["vary", "a, b"],
        ["Content-Length", "0"],
      ]);
    });

    test.each([204, 304])("of %d has no body", async (status) => {
      const reply = await ask(() => new Response(null, { status, headers: { ETag: "x" } }));
      expect(reply).toMatchObject({ status, headers: [["etag", "x"]], complete: true });
    });

    test("to HEAD tells the length and sends nothing", async () => {
      const reply = await ask(() => new Response("hello"), { method: "HEAD" });
      expect([reply.body.length, Object.fromEntries(reply.headers)["Content-Length"]]).toEqual([0, "5"]);
    });

    test("that streams is sent as it comes, without a length", async () => {
      const reply = await ask(() => {
        const stream = new ReadableStream({
          async start(controller) {
            for (const text of ["one ", "two ", "three"]) {
              await new Promise((resolve) => setTimeout(resolve, 3));
              controller.enqueue(Buffer.from(text));
            }
            controller.close();
          },
        });
        return new Response(stream);
      });
      expect([reply.body.toString(), reply.headers]).toEqual(["one two three", []]);
    });

    test("that fails at once is an error, and one that fails later is broken off", async () => {
      const failing = (ms: number): Response =>
        new Response(
          new ReadableStream({
            async start(controller) {
              controller.enqueue(Buffer.from("some"));
              if (ms > 0) await new Promise((resolve) => setTimeout(resolve, ms));
              controller.error(new Error("on purpose"));
            },
          }),
        );
      expect((await ask(() => failing(10))).complete).toBe(false);
      const early = await ask(() => failing(0));
      expect(early.complete && early.status === 200).toBe(false);
    });

    test("that nobody takes is cancelled", async () => {
      let isCancelled = false;
      const stream = new ReadableStream({
        async pull(controller) {
          await new Promise((resolve) => setTimeout(resolve, 2));
          if (!isCancelled) controller.enqueue(Buffer.from("x"));
        },
        cancel: () => void (isCancelled = true),
      });
      const reply = await ask(() => new Response(stream), { method: "HEAD" });
      expect([reply.body.length, isCancelled]).toEqual([0, true]);
    });

    test("of another implementation is taken", async () => {
      const foreign = { status: 202, statusText: "", headers: new Headers({ "X-A": "1" }), body: null };
      expect(await ask(() => foreign as unknown as Response)).toMatchObject({ status: 202, reason: "Accepted" });
      // That of node-fetch.
      const streamed = { ...foreign, body: Readable.from([Buffer.from("a"), Buffer.from("b")]) };
      const reply = await ask(() => streamed as unknown as Response);
      expect([reply.status, reply.body.toString(), reply.complete]).toEqual([202, "ab", true]);
    });

    test.each<[string, FetchHandler]>([
      ["nothing", () => undefined as unknown as Response],
      ["a text", () => "text" as unknown as Response],
      ["an object like one", () => ({ status: 200, headers: {}, body: "x" }) as unknown as Response],
      ["an error", () => Response.error()],
      [
        "a used one",
        async () => {
          const response = new Response("x");
          await response.text();
          return response;
        },
      ],
      [
        "a thrown one",
        () => {
          throw new Error("on purpose");
        },
      ],
    ])("that is %s is a failure", async (_name, handler) => {
      expect((await ask(handler)).status).toBe(500);
    });
  });
});
