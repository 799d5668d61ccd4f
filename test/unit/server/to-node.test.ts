import { once } from "node:events";
import type { IncomingMessage, RequestListener, Server } from "node:http";
import { createServer, request as httpRequestOf } from "node:http";
import { createRequire } from "node:module";
import type { AddressInfo } from "node:net";
import connect from "connect";
import express from "express";
import { afterEach, describe, expect, test } from "vitest";
import { ClientGoneError } from "../../../src/errors.ts";
import type { Application } from "../../../src/spec.ts";
import { toNodeHandler } from "../../../src/server/to-node.ts";
import { until, within } from "../../harness/until.ts";
import type { CollectedLog } from "./collected-log.ts";
import { collectLog } from "./collected-log.ts";

let server: Server | undefined;

afterEach(async () => {
  server?.closeAllConnections();
  await new Promise((resolve) => (server === undefined ? resolve(undefined) : server.close(resolve)));
  server = undefined;
});

async function serve(listener: RequestListener): Promise<string> {
  server = createServer(listener);
  await new Promise<void>((resolve) => server!.listen(0, "127.0.0.1", resolve));
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

/** Its variables as JSON. */
const tellEnviron: Application = (environ, startResponse) => {
  startResponse("200 OK", [["Content-Type", "application/json"]]);
  return JSON.stringify(environ, (key, value: unknown) =>
    key === "" || typeof value === "string" ? value : undefined,
  );
};

async function environOf(url: string, init?: RequestInit): Promise<Record<string, string>> {
  return (await (await fetch(url, init)).json()) as Record<string, string>;
}

const echo: Application = async (environ, startResponse) => {
  const body = await environ["wsgi.input"].read();
  startResponse("201 Made", [
    ["Set-Cookie", "a=1"],
    ["Set-Cookie", "b=2"],
  ]);
  return body;
};

const failing: Application = () => {
  throw new Error("failed on purpose");
};

describe("on node:http", () => {
  test("the environ is what Apache would have passed", async () => {
    const url = await serve(toNodeHandler(tellEnviron));
    const environ = await environOf(`${url}/a%20b/%C3%A9?x=1&y`, { headers: { "X-One": "two" } });
    expect(environ).toMatchObject({
      REQUEST_METHOD: "GET",
      REQUEST_URI: "/a%20b/%C3%A9?x=1&y",
      SCRIPT_NAME: "",
      PATH_INFO: "/a b/\u00c3\u00a9",
      QUERY_STRING: "x=1&y",
      SERVER_PROTOCOL: "HTTP/1.1",
      SERVER_NAME: "127.0.0.1",
      SERVER_PORT: new URL(url).port,
      REMOTE_ADDR: "127.0.0.1",
      HTTP_X_ONE: "two",
      "wsgi.url_scheme": "http",
      "tsgi.transport": "http",
    });
    expect(environ["REMOTE_PORT"]).toMatch(/^\d+$/);
  });

  test("a mount point that is given is cut off", async () => {
    const url = await serve(toNodeHandler(tellEnviron, { mountPoint: "/shop/" }));
    expect(await environOf(`${url}/shop/cart`)).toMatchObject({ SCRIPT_NAME: "/shop", PATH_INFO: "/cart" });
  });

  test("variables that the caller knows are added, and taken away", async () => {
    const variables = (request: IncomingMessage) => ({ REMOTE_USER: `user of ${request.url}`, HTTP_X_ONE: undefined });
    const environ = await environOf(await serve(toNodeHandler(tellEnviron, { variables })), {
      headers: { "X-One": "two" },
    });
    expect(environ["REMOTE_USER"]).toBe("user of /");
    expect(environ["HTTP_X_ONE"]).toBeUndefined();
  });

  test("body, status, reason and repeated headers pass", async () => {
    const reply = await fetch(await serve(toNodeHandler(echo)), { method: "POST", body: "b".repeat(300_000) });
    expect([reply.status, reply.statusText]).toEqual([201, "Made"]);
    expect(reply.headers.getSetCookie()).toEqual(["a=1", "b=2"]);
    expect((await reply.text()).length).toBe(300_000);
  });

  test("a failure is a page without details, and logged", async () => {
    const log = collectLog();
    const reply = await fetch(await serve(toNodeHandler(failing, { log })));
    expect(reply.status).toBe(500);
    expect(await reply.text()).not.toContain("on purpose");
    expect(log.lines.filter(({ level }) => level === "error").length).toBe(1);
  });

  test("an application that produces without end waits for a reader that does not read", async () => {
    let produced = 0;
    let isClosed = false;
    const endless: Application = (_, startResponse) => {
      startResponse("200 OK", []);
      return (function* () {
        try {
          for (;;) {
            produced += 65_536;
            yield Buffer.alloc(65_536);
          }
        } finally {
          isClosed = true;
        }
      })();
    };
    const url = await serve(toNodeHandler(endless));
    const request = httpRequestOf(url);
    request.on("error", () => {});
    request.on("response", (response) => response.pause().on("error", () => {}));
    request.end();
    let last = -1;
    await until("the application to stand still", () => {
      const stands = produced > 0 && produced === last;
      last = produced;
      return stands;
    });
    expect(produced).toBeLessThan(32 * 2 ** 20);
    request.destroy();
    await until("the body to be closed", () => isClosed);
  });
});

const frameworks: ReadonlyArray<readonly [string, () => ReturnType<typeof express>]> = [
  ["Express 5", () => express()],
  ["Express 4", () => (createRequire(import.meta.url)("express4") as typeof express)()],
];

describe.each(frameworks)("mounted in %s", (_, create) => {
  test("SCRIPT_NAME is the mount, also of nested routers, and PATH_INFO what follows", async () => {
    const app = create();
    const router = express.Router();
    router.use("/inner", toNodeHandler(tellEnviron));
    app.use("/outer", router);
    app.use("/plain", toNodeHandler(tellEnviron));
    const url = await serve(app);
    expect(await environOf(`${url}/outer/inner/x%2Fy?q=1`)).toMatchObject({
      SCRIPT_NAME: "/outer/inner",
      PATH_INFO: "/x/y",
      QUERY_STRING: "q=1",
      REQUEST_URI: "/outer/inner/x%2Fy?q=1",
    });
    expect(await environOf(`${url}/plain`)).toMatchObject({ SCRIPT_NAME: "/plain", PATH_INFO: "" });
    expect(await environOf(`${url}/plain/`)).toMatchObject({ SCRIPT_NAME: "/plain", PATH_INFO: "/" });
    expect(await environOf(`${url}/plain?x`)).toMatchObject({
      SCRIPT_NAME: "/plain",
      PATH_INFO: "",
      QUERY_STRING: "x",
    });
  });

  test("a URL that a middleware rewrote counts as it is now", async () => {
    const app = create();
    app.use((request, __, next) => {
      request.url = request.url.replace("/old", "/new");
      next();
    });
    app.use("/in", toNodeHandler(tellEnviron));
    const environ = await environOf(`${await serve(app)}/in/old?x`);
    expect(environ).toMatchObject({ SCRIPT_NAME: "/in", PATH_INFO: "/new", REQUEST_URI: "/in/new?x" });
  });

  test("X-Forwarded-Proto counts where the framework trusts the proxy", async () => {
    const app = create();
    app.set("trust proxy", true);
    app.use(toNodeHandler(tellEnviron));
    const headers = { "X-Forwarded-Proto": "https" };
    expect(await environOf(await serve(app), { headers })).toMatchObject({ "wsgi.url_scheme": "https", HTTPS: "on" });
  });

  test("a failure goes to the framework's error handler, unlogged", async () => {
    const log: CollectedLog = collectLog();
    const app = create();
    app.use(toNodeHandler(failing, { log }));
    app.use((error: Error, __: express.Request, response: express.Response, ___: express.NextFunction) => {
      response.status(418).send(`handled: ${error.message}`);
    });
    const reply = await fetch(await serve(app));
    expect([reply.status, await reply.text()]).toEqual([418, "handled: failed on purpose"]);
    expect(log.lines).toEqual([]);
  });

  test("a body that a parser has read already is an error that says so, not a wait", async () => {
    const app = create();
    app.use(express.json());
    app.use(toNodeHandler(echo));
    app.use((error: Error, __: express.Request, response: express.Response, ___: express.NextFunction) => {
      response.status(500).send(error.message);
    });
    const headers = { "Content-Type": "application/json" };
    const reply = await fetch(await serve(app), { method: "POST", body: "{}", headers });
    expect(await reply.text()).toContain("mount it before the body parser");
  });

  test("an empty body that was read already is an empty body, not a wait", async () => {
    const app = create();
    app.use((request, _, next) => {
      request.resume().once("end", () => setImmediate(next));
    });
    app.use(toNodeHandler(echo));
    const url = new URL(await serve(app));
    const asked = httpRequestOf(url, { method: "POST", headers: { "Transfer-Encoding": "chunked" } });
    asked.end();
    const [reply] = (await within("a response", once(asked, "response"))) as [IncomingMessage];
    reply.resume();
    expect(reply.statusCode).toBe(201);
  });
});

test("a client that has left before the handler runs is told to the application", async () => {
  let hasLeft = false;
  let reason: unknown;
  const handler = toNodeHandler(async (environ) => {
    const signal = environ["tsgi.signal"];
    if (!signal.aborted) await once(signal, "abort");
    reason = signal.reason;
    return "";
  });
  const url = await serve((request, response) => {
    response.once("close", () => {
      hasLeft = true;
      setImmediate(() => handler(request, response));
    });
  });
  const asked = httpRequestOf(url);
  asked.on("error", () => {});
  asked.flushHeaders();
  await once(server!, "request");
  asked.destroy();
  await until("the client to be gone", () => hasLeft);
  expect(await until("the application to know", () => reason)).toBeInstanceOf(ClientGoneError);
});

test("mounted in Connect: the mount is what was cut off", async () => {
  const app = connect();
  app.use("/in", toNodeHandler(tellEnviron));
  const url = await serve(app);
  expect(await environOf(`${url}/in/side?x`)).toMatchObject({ SCRIPT_NAME: "/in", PATH_INFO: "/side" });
  expect(await environOf(`${url}/in?x`)).toMatchObject({ SCRIPT_NAME: "/in", PATH_INFO: "", QUERY_STRING: "x" });
});
