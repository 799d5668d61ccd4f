import { describe, expect, test } from "vitest";
import { runDirect } from "../../../src/server/direct.ts";
import type { Application, Environ } from "../../../src/spec.ts";
import { within } from "../../harness/until.ts";
import { turn } from "../gateway/play.ts";

/** Runs a request and gives the environ that the application saw. */
async function environFor(request: Omit<Parameters<typeof runDirect>[1], "method">): Promise<Environ> {
  let seen: Environ | undefined;
  await runDirect(
    (environ, startResponse) => {
      seen = environ;
      startResponse("200 OK", []);
      return [];
    },
    { method: "GET", ...request },
  );
  return seen!;
}

const echo: Application = async (environ, startResponse) => {
  const body = await environ["wsgi.input"].read();
  startResponse("200 OK", [["X-Length", environ.CONTENT_LENGTH ?? "none"]]);
  return body;
};

async function* chunks(...parts: string[]): AsyncGenerator<Uint8Array> {
  for (const part of parts) {
    await turn();
    yield Buffer.from(part);
  }
}

test("gives status, headers in their order, body and what was written to wsgi.errors", async () => {
  const reply = await runDirect(
    (environ, startResponse) => {
      environ["wsgi.errors"].write("one\ntwo");
      startResponse("201 Made \xe9", [
        ["Set-Cookie", "a"],
        ["Set-Cookie", "b"],
      ]);
      return ["x", "y"];
    },
    { method: "GET", url: "/" },
  );
  expect(reply).toEqual({
    status: 201,
    reason: "Made \xe9",
    headers: [
      ["Set-Cookie", "a"],
      ["Set-Cookie", "b"],
      ["Content-Length", "2"],
    ],
    body: Buffer.from("xy"),
    complete: true,
    errors: "one\ntwo",
  });
});

test("a body in bytes has a length, one in chunks has none, unless the headers say one", async () => {
  const post = (body: Uint8Array | AsyncIterable<Uint8Array>, headers: Array<[string, string]> = []) =>
    runDirect(echo, { method: "POST", url: "/", body, headers });
  const whole = await post(Buffer.from("abc"));
  expect([whole.body.toString(), whole.headers[0]]).toEqual(["abc", ["X-Length", "3"]]);
  const streamed = await post(chunks("ab", "c"));
  expect([streamed.body.toString(), streamed.headers[0]]).toEqual(["abc", ["X-Length", "none"]]);
  const declared = await post(chunks("ab", "cd"), [["Content-Length", "3"]]);
  expect([declared.body.toString(), declared.headers[0]]).toEqual(["abc", ["X-Length", "3"]]);
  const truncated = await post(chunks("ab"), [["Content-Length", "3"]]);
  expect(truncated.status).toBe(400);
  const none = await runDirect(echo, { method: "GET", url: "/" });
  expect([none.body.length, none.headers[0]]).toEqual([0, ["X-Length", "none"]]);
});

describe("the URL", () => {
  test("may be a path or a whole one", async () => {
    expect(await environFor({ url: "/a%20b?c=d" })).toMatchObject({
      REQUEST_URI: "/a%20b?c=d",
      PATH_INFO: "/a b",
      QUERY_STRING: "c=d",
      HTTP_HOST: "localhost",
      "wsgi.url_scheme": "http",
      SERVER_PORT: "80",
    });
    expect(await environFor({ url: "https://example.org:8443/x?y" })).toMatchObject({
      PATH_INFO: "/x",
      QUERY_STRING: "y",
      HTTP_HOST: "example.org:8443",
      SERVER_NAME: "example.org",
      SERVER_PORT: "8443",
      "wsgi.url_scheme": "https",
    });
  });

  test("reaches the application as it is written when it is a path", async () => {
    for (const url of ["/a/../b//c%2Fd", "//double/slash"]) {
      const environ = await environFor({ url });
      expect(environ.REQUEST_URI).toBe(url);
      expect(environ.SERVER_NAME).toBe("localhost");
    }
  });

  test("is cut at the mount point, with or without its slash", async () => {
    for (const mountPoint of ["/m", "/m/"]) {
      expect(await environFor({ url: "/m/x", mountPoint })).toMatchObject({ SCRIPT_NAME: "/m", PATH_INFO: "/x" });
    }
    expect(await environFor({ url: "/m/x" })).toMatchObject({ SCRIPT_NAME: "", PATH_INFO: "/m/x" });
  });
});

test("a Host header that is given is the only one", async () => {
  const environ = await environFor({ url: "/", headers: [["host", "example.org"]] });
  expect(environ["HTTP_HOST"]).toBe("example.org");
});

test("variables may be added and replaced", async () => {
  const environ = await environFor({ url: "/", variables: { REMOTE_USER: "bob", SERVER_NAME: "x" }, script: "/a.ts" });
  expect(environ).toMatchObject({ REMOTE_USER: "bob", SERVER_NAME: "x", "tsgi.script": "/a.ts" });
});

test("a response that breaks off is not complete, and has what came before", async () => {
  const reply = await runDirect(
    (_, startResponse) => {
      startResponse("200 OK", []);
      return (function* () {
        yield "some";
        throw new Error("oops");
      })();
    },
    { method: "GET", url: "/" },
  );
  expect([reply.status, reply.body.toString(), reply.complete]).toEqual([200, "some", false]);
});

test("waits for work after the response", async () => {
  let isDone = false;
  await runDirect(
    (environ, startResponse) => {
      environ["tsgi.wait_until"](
        turn().then(() => {
          isDone = true;
        }),
      );
      startResponse("200 OK", []);
      return "x";
    },
    { method: "GET", url: "/" },
  );
  expect(isDone).toBe(true);
});

test("an answer that does not wait for the body ends the request, and the body is closed", async () => {
  let isClosed = false;
  async function* endless(): AsyncGenerator<Uint8Array> {
    try {
      for (;;) {
        await turn();
        yield Buffer.alloc(1000);
      }
    } finally {
      isClosed = true;
    }
  }
  const reply = await within(
    "the reply",
    runDirect(
      (_, startResponse) => {
        startResponse("200 OK", []);
        return "early";
      },
      { method: "POST", url: "/", body: endless() },
    ),
  );
  expect([reply.body.toString(), isClosed]).toEqual(["early", true]);
});

test("rejects with what the body throws, and tells the application", async () => {
  async function* broken(): AsyncGenerator<Uint8Array> {
    yield Buffer.from("x");
    throw new Error("cannot read on");
  }
  let signal: AbortSignal | undefined;
  const reply = runDirect(
    async (environ, startResponse) => {
      signal = environ["tsgi.signal"];
      return echo(environ, startResponse);
    },
    { method: "POST", url: "/", body: broken() },
  );
  await expect(reply).rejects.toThrow("cannot read on");
  expect(signal?.aborted).toBe(true);
});

test("an application that reads slowly holds a large body back", async () => {
  let given = 0;
  async function* large(): AsyncGenerator<Uint8Array> {
    for (; given < 1000; given += 1) yield Buffer.alloc(10_000);
  }
  let most = 0;
  let read = 0;
  const reply = await runDirect(
    async (environ, startResponse) => {
      for await (const chunk of environ["wsgi.input"]) {
        read += chunk.length;
        await turn();
        most = Math.max(most, given * 10_000 - read);
      }
      startResponse("200 OK", []);
      return String(read);
    },
    { method: "POST", url: "/", body: large() },
  );
  expect(reply.body.toString()).toBe("10000000");
  expect(most).toBeLessThan(2 ** 20);
});
