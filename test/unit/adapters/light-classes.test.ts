// Light Requests and Responses beside Node's own: whatever is asked of one gives what it gives with the other.
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { inspect } from "node:util";
import { describe, expect, test } from "vitest";
import { fetchClasses, hasFetchClasses } from "../../../src/adapters/fetch-classes.ts";
import { installLightClasses } from "../../../src/adapters/fetch-globals.ts";
import { fromFetchHandler } from "../../../src/adapters/fetch-handler.ts";
import { LightResponse } from "../../../src/adapters/light-response.ts";
import type { Environ } from "../../../src/spec.ts";
import { runDirect } from "../../../src/server/direct.ts";

const ownFetch = fetch;
const isLazy = Object.getOwnPropertyDescriptor(globalThis, "Response")?.get !== undefined;
installLightClasses();
const known = { Request, Response };
const first = new Response("first");
const wasMadeWithout = !hasFetchClasses();
const own = { ...fetchClasses(), fetch: ownFetch };

const isLight = (value: object): boolean => Object.getPrototypeOf(value) === LightResponse.prototype;

type Outcome = Record<string, unknown>;

/** What something gives, or how it fails. */
async function outcomeOf(something: () => unknown): Promise<unknown> {
  try {
    return await something();
  } catch (error) {
    return { thrown: (error as Error).name };
  }
}

async function lookAtResponse(make: () => Response): Promise<unknown> {
  return await outcomeOf(async () => {
    const response = make();
    const { status, statusText, ok, type, url, redirected, bodyUsed } = response;
    const hasBody = response.body !== null;
    const seen: Outcome = { status, statusText, ok, type, url, redirected, bodyUsed, hasBody };
    seen["headers"] = [...response.headers];
    response.headers.append("x-added", "1");
    const copy = response.clone();
    seen["copied"] = [...copy.headers];
    seen["text"] = await response.text();
    seen["used"] = response.bodyUsed;
    seen["again"] = await outcomeOf(() => response.text());
    seen["clone"] = await outcomeOf(() => response.clone().bodyUsed);
    seen["bytes"] = Buffer.from(await copy.arrayBuffer()).toString("hex");
    return seen;
  });
}

const stream = (): ReadableStream => new Blob(["streamed"]).stream();

const bodies: ReadonlyArray<readonly [string, () => unknown]> = [
  ["nothing", () => undefined],
  ["null", () => null],
  ["a text", () => "t\u00e9xt"],
  ["an empty text", () => ""],
  ["half a surrogate pair", () => "a\ud800b"],
  ["a number", () => 5],
  ["bytes", () => Buffer.from("bytes")],
  ["no bytes", () => new Uint8Array()],
  ["shared bytes", () => new Uint8Array(new SharedArrayBuffer(3))],
  ["wide numbers", () => new Uint16Array([1, 256])],
  ["a stream", stream],
  ["a form", () => new URLSearchParams({ a: "1" })],
];

const inits: ReadonlyArray<readonly [string, () => unknown]> = [
  ["nothing", () => undefined],
  ["an empty object", () => ({})],
  ["null", () => null],
  ["a status", () => ({ status: 404, statusText: "Gone away" })],
  ["a status of no body", () => ({ status: 204 })],
  ["another", () => ({ status: 304 })],
  ["a status that is too small", () => ({ status: 199 })],
  ["one that is too large", () => ({ status: 600 })],
  ["one in a text", () => ({ status: "201" })],
  ["one that is no number", () => ({ status: "much" })],
  ["a status text with blanks", () => ({ statusText: " OK " })],
  ["a status text of two lines", () => ({ statusText: "a\r\nb" })],
  ["headers", () => ({ headers: { "X-A": "1", "content-TYPE": "text/html", "x-number": 5 } })],
  ["a header that names a type", () => ({ headers: { vary: "content-type" } })],
  ["blanks around a value", () => ({ headers: { "x-a": " 1 \t" } })],
  ["an empty value", () => ({ headers: { "x-a": "" } })],
  ["one name in two cases", () => ({ headers: { "X-A": "1", "x-a": "2" } })],
  ["a bad name", () => ({ headers: { "x a": "1" } })],
  ["a name beyond bytes", () => ({ headers: { "\u212a": "1" } })],
  ["a bad value", () => ({ headers: { "x-a": "1\n2" } })],
  ["a value beyond bytes", () => ({ headers: { "x-a": "\u20ac" } })],
  ["a value of Latin-1", () => ({ headers: { "x-a": "\u00e9" } })],
  ["a value that is nothing", () => ({ headers: { "x-a": undefined } })],
  ["headers in pairs", () => ({ headers: [["Set-Cookie", "a=1"], ["set-cookie", "b=2"]] })], // prettier-ignore
  ["bad pairs", () => ({ headers: [["x"]] })],
  ["headers of a class", () => ({ headers: cookies() })],
  ["headers of a map", () => ({ headers: new Map([["x-a", "1"]]) })],
  ["null headers", () => ({ headers: null })],
  ["a Response", () => new Response("other", { status: 418, headers: { "x-a": "1" } })],
  ["one of Node's", () => new own.Response("other", { status: 418, headers: { "x-a": "1" } })],
  ["getters", () => new (class { get status() { return 206; } })()], // prettier-ignore
];

function cookies(): Headers {
  const headers = new Headers({ "Content-Type": "x/y" });
  headers.append("Set-Cookie", "a=1");
  headers.append("Set-Cookie", "b=2");
  return headers;
}

describe("a Response", () => {
  test("of a text takes nothing of Node's", () => {
    expect([wasMadeWithout, isLight(first)]).toEqual([true, true]);
  });

  test("is light after Node's classes have been loaded, which Node 20 makes global in doing so", () => {
    if (process.version.startsWith("v20.")) expect(isLazy).toBe(true);
    expect({ Request, Response }).toEqual(known);
    expect([known.Request === own.Request, isLight(new Response("x"))]).toEqual([false, true]);
  });

  describe.each(bodies)("of %s", (_name, body) => {
    test.each(inits)("with %s is as Node's own", async (_title, init) => {
      const parameters = (): [never, never] => [body() as never, init() as never];
      const wanted = await lookAtResponse(() => new own.Response(...parameters()));
      expect(await lookAtResponse(() => new Response(...parameters()))).toEqual(wanted);
    });
  });

  test.each<[string, unknown, (() => ResponseInit)?]>([
    ["an object", { a: ["\u00e9"] }],
    ["null", null],
    ["nothing", undefined],
    ["a function", () => 1],
    ["a large number", 1n],
    ["an object with a type", {}, () => ({ headers: { "Content-Type": "application/problem+json" }, status: 400 })],
    ["one with other headers", [], () => ({ headers: cookies() })],
    ["one with no body", {}, () => ({ status: 204 })],
    ["one with nothing", {}, () => null as never],
  ])("of %s as JSON is as Node's own", async (_name, data, init) => {
    const wanted = await lookAtResponse(() => own.Response.json(data, init?.()));
    expect(await lookAtResponse(() => Response.json(data, init?.()))).toEqual(wanted);
  });

  test("keeps a type that was taken away away", async () => {
    const make = (Class: typeof Response) => async (): Promise<unknown> => {
      const response = new Class("x");
      response.headers.delete("content-type");
      return [(await response.clone().blob()).type, [...response.headers], [...response.clone().headers]];
    };
    expect(await outcomeOf(make(Response))).toEqual(await outcomeOf(make(own.Response)));
  });

  test("of a WebAssembly module is Node's own, as V8 wants it", async () => {
    const bytes = new Uint8Array([0, 0x61, 0x73, 0x6d, 1, 0, 0, 0]);
    const response = new Response(bytes, { headers: { "Content-Type": "application/wasm" } });
    expect(isLight(response)).toBe(false);
    const { WebAssembly } = globalThis as unknown as {
      WebAssembly: { compileStreaming(source: Response): Promise<object>; Module: new () => object };
    };
    expect(await WebAssembly.compileStreaming(response)).toBeInstanceOf(WebAssembly.Module);
  });

  test("is used up when it was sent", async () => {
    const reply = async (response: Response): Promise<number> =>
      (
        await runDirect(
          fromFetchHandler(() => response),
          { method: "GET", url: "/" },
        )
      ).status;
    const response = new Response("x");
    const empty = new Response(null, { status: 304 });
    expect([await reply(response), await reply(response)]).toEqual([200, 500]);
    expect([response.bodyUsed, await outcomeOf(() => response.text())]).toEqual([true, { thrown: "TypeError" }]);
    expect([await reply(empty), await reply(empty), empty.bodyUsed]).toEqual([304, 304, false]);
  });

  test("is sent as it is seen", async () => {
    const reply = async (response: Response): Promise<unknown> => {
      const { status, headers, body } = await runDirect(
        fromFetchHandler(() => response),
        { method: "GET", url: "/" },
      );
      return [status, Object.fromEntries(headers)["x-a"], body.toString()];
    };
    const changed = new Response("x");
    Object.defineProperty(changed, "status", { value: 201 });
    Object.defineProperty(changed, "headers", { value: new Headers({ "x-a": "1" }) });
    expect(await reply(changed)).toEqual([201, "1", "x"]);
    const before = new Proxy(new Response("x"), {
      get: (target, key, receiver) => (key === "status" ? 202 : (Reflect.get(target, key, receiver) as unknown)),
    });
    expect([await reply(before)].flat()[0]).toBe(202);
  });

  test("of JSON asks an object once how it is written", async () => {
    for (const init of [{}, { status: "202" }, { headers: new Map() }] as unknown as ResponseInit[]) {
      let asked = 0;
      const response = Response.json({ toJSON: () => (asked += 1) }, init);
      expect([await response.text(), response.headers.get("content-type")]).toEqual(["1", "application/json"]);
    }
  });

  test("has headers that stay the same ones, whoever reads it", async () => {
    const response = new Response("x", { headers: { a: "1" } });
    const { headers } = response;
    headers.set("b", "2");
    expect(await response.clone().text()).toBe("x");
    headers.set("c", "3");
    expect(response.headers).toBe(headers);
    expect(Object.fromEntries(response.clone().headers)).toMatchObject({ a: "1", b: "2", c: "3" });
    const reply = await runDirect(fromFetchHandler(() => response), { method: "GET", url: "/" }); // prettier-ignore
    expect([Object.fromEntries(reply.headers)["c"], reply.body.toString()]).toEqual(["3", "x"]);
  });

  test("is still read when it was cloned, or its stream was taken", async () => {
    const reply = async (response: Response): Promise<string> =>
      (
        await runDirect(
          fromFetchHandler(() => response),
          { method: "GET", url: "/" },
        )
      ).body.toString();
    const cloned = new Response("cloned");
    cloned.clone();
    expect(await reply(cloned)).toBe("cloned");
    const { body } = new Response("taken");
    expect(await reply(new Response(body))).toBe("taken");
    const first = new Response("made anew", { headers: { a: "1" } });
    expect(await reply(new Response(first.body, first))).toBe("made anew");
  });

  test("of bytes is what they were", async () => {
    const bytes = Buffer.from("first");
    const response = new Response(bytes);
    bytes.write("other");
    const reply = await runDirect(
      fromFetchHandler(() => response),
      { method: "GET", url: "/" },
    );
    expect(reply.body.toString()).toBe("first");
  });

  test("can be of a class that extends it", async () => {
    class Special extends Response {
      readonly special = 1;
    }
    const made = new Special("x", { status: 201 });
    expect([made instanceof Special, made instanceof Response, made.special, made.status]).toEqual([
      true,
      true,
      1,
      201,
    ]);
    expect([await made.text(), Object.getPrototypeOf(Special)]).toEqual(["x", Response]);
    expect(Special.json({}) instanceof Response).toBe(true);
  });
});

interface Kind {
  readonly name: "Request" | "Response" | "Headers";
  readonly make: () => Promise<object>;
  readonly real: () => object;
}

async function requestOf(
  given: Parameters<typeof runDirect>[1],
  look: (request: Request) => unknown,
): Promise<unknown> {
  let seen: unknown;
  const handler = async (request: Request, environ: Environ): Promise<Response> => {
    environ["HTTP_X_LATE"] = "1";
    seen = await outcomeOf(async () => await look(request));
    return new Response("");
  };
  await runDirect(fromFetchHandler(handler), given);
  return seen;
}

const someRequest = async (): Promise<object> => {
  const found: object[] = [];
  await requestOf({ method: "GET", url: "/" }, (request) => void found.push(request));
  return found[0] ?? {};
};

const kinds: readonly Kind[] = [
  { name: "Response", make: async () => new Response("x"), real: () => new own.Response("x") },
  { name: "Request", make: someRequest, real: () => new own.Request("http://localhost/") },
  { name: "Headers", make: async () => new Response(null).headers, real: () => new own.Headers() },
];

describe.each(kinds)("a light one of $name", ({ name, make, real }) => {
  const members = (value: object): string[] => {
    const seen: string[] = [];
    for (const key in value) seen.push(key); // oxlint-disable-line guard-for-in -- inherited ones are asked for
    return seen.toSorted();
  };

  test("is an instance, and looks like one", async () => {
    const light = await make();
    expect(light instanceof globalThis[name]).toBe(true);
    expect(light instanceof own[name]).toBe(true);
    expect(light.constructor).toBe(globalThis[name]);
    expect(Object.prototype.toString.call(light)).toBe(`[object ${name}]`);
    expect(members(light)).toEqual(members(real()));
    expect(Object.keys(light)).toEqual([]);
    expect(inspect(light).slice(0, 5)).toBe(inspect(real()).slice(0, 5));
  });

  test("is of a class that cannot be told from Node's", () => {
    const known = globalThis[name];
    expect(new Set(Reflect.ownKeys(known))).toEqual(new Set(Reflect.ownKeys(own[name])));
    expect(Object.keys(known).toSorted()).toEqual(Object.keys(own[name]).toSorted());
    expect([known.name, known.length, typeof known]).toEqual([own[name].name, own[name].length, "function"]);
    expect(known.prototype).toBe(own[name].prototype);
    expect(real() instanceof known).toBe(true);
    expect(() => Reflect.apply(known as never, undefined, [])).toThrow(TypeError);
    expect(globalThis.fetch.length).toBe(own.fetch.length);
  });
});

describe("a Request", () => {
  const headers = [["Content-Type", "text/plain"], ["X-A", "1"], ["Cookie", "a=1; b=2"]] as const; // prettier-ignore
  const get = { method: "GET", url: "/p?q=1", headers } as const;
  const post = { method: "POST", url: "/p?q=1", headers, body: Buffer.from('\u{feff}{"a":"\u00e9"}') } as const;
  const toReal = (given: typeof get | typeof post): Request => {
    const body = "body" in given ? { body: given.body } : {};
    const length = "body" in given ? [["Content-Length", String(given.body.length)]] : [];
    const sent = [...headers, ["Host", "localhost"], ...length];
    return new own.Request(`http://localhost${given.url}`, { method: given.method, headers: sent, ...body } as never);
  };

  const looks: ReadonlyArray<readonly [string, (request: Request) => unknown]> = [
    ["its members", ({ method, url, mode, cache, credentials, redirect, referrer, integrity, keepalive, destination, duplex }) =>
      [method, url, mode, cache, credentials, redirect, referrer, integrity, keepalive, destination, duplex]], // prettier-ignore
    ["its body", ({ body, bodyUsed }) => [body === null, bodyUsed]],
    ["text", (request) => request.text()],
    ["JSON", (request) => request.json()],
    ["bytes", async (request) => [...new Uint8Array(await request.arrayBuffer())]],
    ["a blob", async (request) => await (await request.blob()).text()],
    ["a form", (request) => request.formData()],
    ["text twice", async (request) => [await request.text(), request.bodyUsed, await request.text()]],
    ["text, then the stream", async (request) => [await request.text(), request.body?.locked, request.bodyUsed]],
    ["text, then a clone", async (request) => [await request.text(), request.clone()]],
    ["text, then another", async (request) => [await request.text(), await new Request(request).text()]],
    ["a clone, then both", async (request) => {
      const copy = request.clone();
      return [await copy.text(), await request.text(), copy.url, [...copy.headers]];
    }], // prettier-ignore
    ["another of it", async (request) => {
      const other = new Request(request, { headers: { "x-b": "2" } });
      return [other.url, other.method, [...other.headers], await other.text(), request.bodyUsed];
    }], // prettier-ignore
    ["another with a body", async (request) => {
      const other = new Request(request, { method: "PUT", body: "other" });
      return [other.method, await other.text()];
    }], // prettier-ignore
    ["another with its parts", async (request) => {
      const other = new Request("http://other.example/", request);
      return [other.url, other.method, [...other.headers], await other.text()];
    }], // prettier-ignore
    [
      "headers",
      ({ headers: given }) => [given.get("X-A"), given.get("x-b"), given.has("cookie"), given.has("no"), [...given]],
    ],
    ["bad headers", ({ headers: given }) => given.get("a b")],
    ["other headers", ({ headers: given }) => [...new Headers(given), Object.keys(given)]],
    ["each header", ({ headers: given }) => {
      const seen: unknown[] = [];
      // eslint-disable-next-line unicorn/no-array-for-each -- it is not one of arrays
      given.forEach((value, key, all) => seen.push(value, key, all === given));
      return [seen, [...given.keys()], [...given.values()], [...given.entries()], given.getSetCookie()];
    }], // prettier-ignore
    ["changed headers", (request) => {
      const { headers: given } = request;
      given.set("x-a", "2");
      const copy = request.clone();
      given.delete("x-a");
      given.append("x-c", "3");
      return [[...copy.headers], [...request.headers], request.headers === given, [...request.clone().headers]];
    }], // prettier-ignore
    [
      "JSON by a method of its own",
      async (request) => {
        const json = request.json.bind(request);
        Object.assign(request, {
          json: async () => ({ own: await json() }),
          text: async () => JSON.stringify(await request.json()),
        });
        return await request.text();
      },
    ],
    [
      "headers of its own",
      async (request) => {
        Object.defineProperty(request, "headers", { value: new Headers({ "x-a": "2" }) });
        return [request.headers.get("x-a"), request.clone().headers.get("x-a"), await request.text()];
      },
    ],
    [
      "a URL of its own",
      (request) => {
        Object.defineProperty(request, "url", { value: "http://other.example/" });
        return [request.url, request.clone().url, new Request(request).url];
      },
    ],
    ["headers that the environ has got since", ({ headers: given }) => given.get("x-late")],
    ["its signal", ({ signal }) => [signal instanceof AbortSignal, signal.aborted]],
  ];

  test.each(looks.flatMap((look) => [[...look, get] as const, [...look, post] as const]))(
    "gives %s as Node's own does",
    async (_name, look, given) => {
      const wanted = await outcomeOf(async () => await look(toReal(given)));
      const seen = await requestOf(given, look);
      const plain = (value: unknown): unknown => JSON.parse(JSON.stringify(value) ?? "null");
      expect(plain(seen)).toEqual(plain(wanted));
    },
  );

  test("is sent on by fetch", async () => {
    const server = createServer((request, response) => {
      response.setHeader("x-got", [request.method, request.url, request.headers["x-a"]].join(" "));
      request.pipe(response);
    });
    await new Promise((resolve) => server.listen(0, "127.0.0.1", () => resolve(undefined)));
    const { port } = server.address() as AddressInfo;
    const sentOn = async (request: Request): Promise<unknown> => {
      const answer = await fetch(request);
      return [answer instanceof Response, answer.headers.get("x-got"), await answer.text()];
    };
    try {
      const variables = { REQUEST_URI: `http://127.0.0.1:${port}/on` };
      expect(await requestOf({ ...get, variables }, sentOn)).toEqual([true, "GET /on 1", ""]);
      expect(await requestOf({ ...post, variables }, sentOn)).toEqual([true, "POST /on 1", '{"a":"\u00e9"}']);
    } finally {
      server.close();
      server.closeAllConnections();
    }
  });

  test.skipIf(Number(process.versions.node.split(".")[0]) >= 24)(
    "is found through a proxy and by what inherits",
    async () => {
      const look = async (request: Request): Promise<unknown> => {
        const through = new Proxy(request, {
          get: (target, key, receiver) =>
            key === "url" ? "http://x/" : (Reflect.get(target, key, receiver) as unknown),
        });
        const heir = Object.create(request) as Request;
        return [
          through.url,
          through.method,
          heir.url,
          heir.headers.get("x-a"),
          new Request(through).method,
          await through.text(),
        ];
      };
      const wanted = await outcomeOf(async () => await look(toReal(post)));
      expect(await requestOf(post, look)).toEqual(wanted);
    },
  );
});
