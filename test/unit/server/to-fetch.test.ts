import { Hono } from "hono";
import { describe, expect, test } from "vitest";
import type { Application, Environ } from "../../../src/spec.ts";
import { runDirect } from "../../../src/server/direct.ts";
import type { FetchListener } from "../../../src/server/to-fetch.ts";
import { toFetchHandler } from "../../../src/server/to-fetch.ts";
import { until, within } from "../../harness/until.ts";
import { collectLog } from "./collected-log.ts";

const tellEnviron: Application = (environ, startResponse) => {
  startResponse("200 OK", [["Content-Type", "application/json"]]);
  return JSON.stringify(environ, (key, value: unknown) =>
    key === "" || typeof value === "string" ? value : undefined,
  );
};

const echo: Application = async (environ, startResponse) => {
  const body = await environ["wsgi.input"].read();
  startResponse("201 Made", [
    ["Set-Cookie", "a=1"],
    ["Set-Cookie", "b=2"],
  ]);
  return body;
};

async function environOf(handler: FetchListener, url: string, init?: RequestInit): Promise<Record<string, string>> {
  return (await (await handler(new Request(url, init))).json()) as Record<string, string>;
}

test("the environ is what Apache would have passed", async () => {
  const environ = await environOf(toFetchHandler(tellEnviron), "https://example.org:8443/a%20b?x=1", {
    headers: { "X-One": "two" },
  });
  expect(environ).toMatchObject({
    REQUEST_METHOD: "GET",
    REQUEST_URI: "/a%20b?x=1",
    SCRIPT_NAME: "",
    PATH_INFO: "/a b",
    QUERY_STRING: "x=1",
    SERVER_NAME: "example.org",
    SERVER_PORT: "8443",
    HTTP_HOST: "example.org:8443",
    HTTP_X_ONE: "two",
    HTTPS: "on",
    "wsgi.url_scheme": "https",
  });
  expect(environ["REMOTE_ADDR"]).toBeUndefined();
});

test("body, status, reason and repeated headers pass", async () => {
  const request = new Request("http://x/", { method: "POST", body: "b".repeat(500_000) });
  const reply = await toFetchHandler(echo)(request);
  expect([reply.status, reply.statusText]).toEqual([201, "Made"]);
  expect(reply.headers.getSetCookie()).toEqual(["a=1", "b=2"]);
  expect((await reply.text()).length).toBe(500_000);
});

test.each([204, 205, 304])("%i has no body", async (code) => {
  const reply = await toFetchHandler((_, startResponse) => {
    startResponse(String(code), []);
    return "";
  })(new Request("http://x/"));
  expect([reply.status, reply.body]).toEqual([code, null]);
});

test("205 announces nothing that does not follow", async () => {
  const reply = await toFetchHandler((_, startResponse) => {
    startResponse("205 Reset Content", []);
    return "dropped";
  })(new Request("http://x/"));
  expect([reply.status, reply.body, reply.headers.get("Content-Length")]).toEqual([205, null, null]);
});

test("a failure is a page without details, and logged", async () => {
  const log = collectLog();
  const handler = toFetchHandler(
    () => {
      throw new Error("failed on purpose");
    },
    { log },
  );
  const reply = await handler(new Request("http://x/"));
  expect(reply.status).toBe(500);
  expect(await reply.text()).not.toContain("on purpose");
  expect(log.lines.map(({ level }) => level)).toEqual(["error"]);
});

test("a failure after the head makes the body fail", async () => {
  const log = collectLog();
  const handler = toFetchHandler(
    (_, startResponse) => {
      startResponse("200 OK", []);
      return (function* () {
        yield "some";
        throw new Error("oops");
      })();
    },
    { log },
  );
  const reply = await handler(new Request("http://x/"));
  await expect(reply.text()).rejects.toThrow("broken off");
});

describe("a response that is produced bit by bit", () => {
  function endless(): { application: Application; state: { produced: number; closed: number; aborted: boolean } } {
    const state = { produced: 0, closed: 0, aborted: false };
    const application: Application = (environ, startResponse) => {
      environ["tsgi.signal"].addEventListener("abort", () => (state.aborted = true));
      startResponse("200 OK", []);
      return (function* () {
        try {
          for (;;) {
            state.produced += 65_536;
            yield Buffer.alloc(65_536, state.produced / 65_536);
          }
        } finally {
          state.closed += 1;
        }
      })();
    };
    return { application, state };
  }

  test("is produced as fast as it is read, and ends when the reader cancels", async () => {
    const { application, state } = endless();
    const reply = await toFetchHandler(application)(new Request("http://x/"));
    const reader = reply.body!.getReader();
    expect(state.produced).toBeLessThan(2 ** 20);
    for (let bytes = 0; bytes < 4 * 2 ** 20;) bytes += (await reader.read()).value?.length ?? 0;
    expect(state.produced).toBeLessThan(5 * 2 ** 20);
    await reader.cancel();
    await until("the body to be closed", () => state.closed === 1);
    expect(state.aborted).toBe(true);
  });

  test("ends when the request's signal aborts", async () => {
    const { application, state } = endless();
    const controller = new AbortController();
    const reply = await toFetchHandler(application)(new Request("http://x/", { signal: controller.signal }));
    controller.abort();
    await until("the body to be closed", () => state.closed === 1);
    await expect(reply.arrayBuffer()).rejects.toThrow();
  });
});

test("a body that nobody reads is not taken", async () => {
  let pulled = 0;
  let isCancelled = false;
  const body = new ReadableStream<Uint8Array>({
    pull: (controller) => {
      pulled += 65_536;
      controller.enqueue(new Uint8Array(65_536));
    },
    cancel: () => {
      isCancelled = true;
    },
  });
  let release: () => void = () => {};
  const held = new Promise<void>((resolve) => {
    release = resolve;
  });
  const handler = toFetchHandler(async (_, startResponse) => {
    await held;
    startResponse("200 OK", []);
    return "unread";
  });
  const init: RequestInit = { method: "POST", body, duplex: "half" };
  const reply = handler(new Request("http://x/", init));
  let last = -1;
  await until("the body to stand still", () => {
    const stands = pulled > 0 && pulled === last;
    last = pulled;
    return stands;
  });
  expect(pulled).toBeLessThan(2 ** 20);
  release();
  expect(await (await within("the reply", reply)).text()).toBe("unread");
  await until("the body to be cancelled", () => isCancelled);
});

test("mounted in Hono, the variables of the gateway that runs it go on", async () => {
  const hono = new Hono();
  hono.mount("/in", toFetchHandler(tellEnviron));
  // Hono as an application, as a gateway would call it.
  const outer: Application = async (environ: Environ, startResponse) => {
    const reply = await hono.fetch(new Request("http://x/in/side?q"), environ);
    startResponse(String(reply.status), []);
    return Buffer.from(await reply.arrayBuffer());
  };
  const reply = await runDirect(outer, { method: "GET", url: "/in/side?q", variables: { REMOTE_USER: "ada" } });
  const environ = JSON.parse(reply.body.toString()) as Record<string, string>;
  expect(environ).toMatchObject({
    REMOTE_USER: "ada",
    PATH_INFO: "/side",
    QUERY_STRING: "q",
    REMOTE_ADDR: "127.0.0.1",
  });
  expect(environ["wsgi.url_scheme"]).toBe("http");
});
