// The bridges through a real Apache: `serveFastCGI` in this process with applications of every kind, an application inside
// Express, and the stand-in for node-fastcgi, also started by mod_fcgid and compared with that package.
import { chmod } from "node:fs/promises";
import { createServer as createHttpServer } from "node:http";
import type { AddressInfo } from "node:net";
import { createServer as createNetServer } from "node:net";
import { createRequire } from "node:module";
import { pathToFileURL } from "node:url";
import express from "express";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import * as dropIn from "../../src/node-fastcgi.ts";
import type { RequestListener } from "../../src/node-fastcgi.ts";
import type { FastCgiService } from "../../src/server/serve.ts";
import { serveFastCGI } from "../../src/server/serve.ts";
import { toNodeHandler } from "../../src/server/to-node.ts";
import type { Application } from "../../src/spec.ts";
import { application as loadApplication } from "../fixtures/apps/load.ts";
import type { Apache } from "../harness/apache.ts";
import type { HttpReply, HttpRequest } from "../harness/http.ts";
import { HttpConnection, headerValues } from "../harness/http.ts";
import { Load } from "../harness/load.ts";
import { until, within } from "../harness/until.ts";
import { collectLog } from "../unit/server/collected-log.ts";
import { Workspace } from "../harness/workspace.ts";

type Implementation = typeof dropIn;
/** It has no types of its own; ours promise the same. */
const original = createRequire(import.meta.url)("node-fastcgi") as Implementation;

/** What an application may do with both messages. */
const messages: RequestListener = (req, res) => {
  const url = new URL(req.url ?? "/", "http://x");
  switch (url.pathname.replace(/^\/[^/]+/, "")) {
    case "/echo":
      res.setHeader("Content-Type", req.headers["content-type"] ?? "none");
      req.pipe(res);
      break;
    case "/cookies":
      res.writeHead(201, "Made", { "Set-Cookie": ["a=1", "b=2"], "X-Cookies": req.headers.cookie ?? "" });
      res.end("cookies");
      break;
    case "/pieces":
      res.write("one ");
      setImmediate(() => res.end("two"));
      break;
    case "/redirect":
      res.writeHead(302, { Location: "/elsewhere" });
      res.end();
      break;
    case "/tell": {
      const { method, httpVersion, headers, socket, cgiParams } = req;
      const { host, accept } = headers;
      const variables = [cgiParams["QUERY_STRING"], cgiParams["SERVER_PROTOCOL"], cgiParams["REMOTE_ADDR"]];
      const { remoteAddress, localAddress } = socket;
      res.end(JSON.stringify([method, url.search, httpVersion, host, accept, variables, remoteAddress, localAddress]));
      break;
    }
    default:
      res.statusCode = 404;
      res.end("nothing here");
  }
};

const tellEnviron: Application = (environ, startResponse) => {
  startResponse("200 OK", [["Content-Type", "application/json"]]);
  return JSON.stringify(environ, (key, value: unknown) =>
    key === "" || typeof value === "string" ? value : undefined,
  );
};

let workspace: Workspace;
let apache: Apache;
const services: FastCgiService[] = [];
const servers: Array<ReturnType<Implementation["createServer"]>> = [];
const log = collectLog();

const socketOf = (name: string): string => workspace.path("run", `${name}.sock`);

async function serve(name: string, application: unknown): Promise<void> {
  services.push(await serveFastCGI(application, { listen: `unix:${socketOf(name)}`, socketMode: 0o666, log }));
}

async function serveMessages(name: string, { createServer }: Implementation, listener: RequestListener): Promise<void> {
  const server = createServer(listener);
  servers.push(server);
  await new Promise<void>((resolve) => server.listen(socketOf(name), resolve));
  await chmod(socketOf(name), 0o666);
}

function proxied(name: string, isReused = true): string {
  const reuse = isReused ? "enablereuse=on flushpackets=on" : "";
  return `ProxyPass "/${name}/" "unix:${socketOf(name)}|fcgi://${name}/" ${reuse}`;
}

beforeAll(async () => {
  workspace = await Workspace.open();
  workspace.expectLog(/AH01067: Failed to read FastCGI header/u, /AH01075: Error dispatching request to/u);
  const shop = express();
  shop.use(express.json());
  shop.post(
    "/items/:id",
    (req, res) => void res.cookie("seen", "yes").json({ id: req.params.id, body: req.body as unknown }),
  );
  const mounting = express();
  mounting.use("/inner", toNodeHandler(tellEnviron, { log }));
  mounting.use(toNodeHandler(loadApplication, { log }));
  await serve("wsgi", loadApplication);
  await serve("shop", shop);
  await serve("mounting", mounting);
  await serve(
    "server",
    createHttpServer((req, res) => void res.end(`server ${req.url}`)),
  );
  await serve("fetch", { fetch: async (request: Request) => new Response(await request.text(), { status: 202 }) });
  await serveMessages("ours", dropIn, messages);
  await serveMessages("theirs", original, messages);
  await serveMessages("loaded", dropIn, toNodeHandler(loadApplication, { mountPoint: "/loaded", log }));
  await serveMessages("failing", dropIn, (req, res) => {
    res.setHeader("Content-Length", "10");
    if (req.url?.endsWith("/short") === true) res.end("short");
    else if (req.url?.endsWith("/early") === true) res.end("not read: ");
    else res.destroy();
  });
  const script = await workspace.write(
    "www/started.fcgi",
    `#!${process.execPath}
import(${JSON.stringify(pathToFileURL(`${workspace.product.dir}/dist/node-fastcgi.js`).href)}).then(({ createServer, isService }) => {
  createServer((req, res) => {
    res.setHeader("X-Service", String(isService()));
    req.pipe(res);
  }).listen();
});
`,
    0o755,
  );
  apache = await workspace.apache({
    modules: ["proxy", "proxy_fcgi", "fcgid"],
    config: `
<Location "/">
  Require all granted
  ProxyFCGIBackendType GENERIC
  SetEnvIf Request_URI . ap_trust_cgilike_cl=1
</Location>
FcgidMaxRequestLen 30000000
${["wsgi", "shop", "mounting", "server", "fetch", "ours", "loaded", "failing"].map((name) => proxied(name)).join("\n")}
${proxied("theirs", false)}
Alias "/started" "${script}"
<Location "/started">
  Options +ExecCGI
  SetHandler fcgid-script
</Location>
`,
  });
}, 60_000);

afterAll(async () => {
  await Promise.all(services.map((service) => within("a service to close", service.close(5000), 20_000)));
  await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))));
  await workspace.close();
}, 60_000);

async function textOf(request: HttpRequest | string): Promise<string> {
  return (await apache.request(request)).body.toString("latin1");
}

const post = (target: string, body: string, type = "text/plain"): HttpRequest => ({
  method: "POST",
  target,
  body,
  headers: [["Content-Type", type]],
});

describe("serveFastCGI behind Apache", () => {
  test("an Express application, with its body parser and cookies", async () => {
    const reply = await apache.request(post("/shop/items/7", '{"a":1}', "application/json"));
    expect(JSON.parse(reply.body.toString())).toEqual({ id: "7", body: { a: 1 } });
    expect(headerValues(reply.headers, "Set-Cookie")).toEqual(["seen=yes; Path=/"]);
  });

  test("an http.Server that does not listen", async () => {
    expect(await textOf("/server/x?y")).toBe("server /x?y");
  });

  test("a fetch handler", async () => {
    const reply = await apache.request(post("/fetch/x", "fetched"));
    expect([reply.status, reply.body.toString()]).toEqual([202, "fetched"]);
  });

  test("an application inside Express inside Apache sees one mount point, and Apache's variables", async () => {
    const environ = JSON.parse(await textOf("/mounting/inner/a%20b?q")) as Record<string, string>;
    expect(environ).toMatchObject({
      SCRIPT_NAME: "/mounting/inner",
      PATH_INFO: "/a b",
      QUERY_STRING: "q",
      REQUEST_URI: "/mounting/inner/a%20b?q",
      REMOTE_ADDR: "127.0.0.1",
      DOCUMENT_ROOT: `${apache.root}/htdocs`,
    });
  });
});

describe("not a wrong byte under load over kept connections", () => {
  test.each([
    ["serveFastCGI", "/wsgi"],
    ["an application inside Express", "/mounting"],
    ["an application on the stand-in for node-fastcgi", "/loaded"],
  ])("%s", async (_, mountPoint) => {
    const report = await Load.run({ port: apache.port, mountPoint, clients: 8, requests: 400 });
    expect(report.outcomes).toEqual({ ok: 400 });
  });
});

test("serveFastCGI on a descriptor that another process opened", async () => {
  const opener = createNetServer();
  await new Promise<void>((resolve) => opener.listen(0, "127.0.0.1", resolve));
  const { port } = opener.address() as AddressInfo;
  const { fd } = (opener as unknown as { readonly _handle: { readonly fd: number } })._handle;
  const index = pathToFileURL(`${workspace.product.dir}/dist/index.js`).href;
  const script = await workspace.write(
    "serve.mjs",
    `import { serveFastCGI } from ${JSON.stringify(index)};
const application = (environ, startResponse) => {
  startResponse("200 OK", []);
  return "served on a descriptor";
};
const { address, close } = await serveFastCGI(application, { listen: "fd:0" }).then((service) => ({
  address: service.address,
  close: () => service.close(),
}));
process.once("SIGTERM", async () => console.log("whole:", await close()));
console.log("listening", JSON.stringify(address));
`,
  );
  const program = workspace.program("serve.mjs", [process.execPath, script], { stdin: fd });
  await until("the program to listen", () => program.stdout.includes('listening {"kind":"fd","fd":0}'));
  await new Promise((resolve) => opener.close(resolve));
  const other = await workspace.apache({
    modules: ["proxy", "proxy_fcgi"],
    config: `ProxyPass "/" "fcgi://127.0.0.1:${port}/"`,
  });
  expect((await other.request("/")).body.toString()).toBe("served on a descriptor");
  expect(await program.stop()).toEqual({ code: 0, signal: null });
  expect(program.stdout).toContain("whole: true");
});

describe("the stand-in for node-fastcgi and that package, through Apache", () => {
  /** What of a reply must be the same. */
  function shown({ status, reason, headers, body, complete }: HttpReply, name: string): unknown {
    const kept = headers
      .filter(([header]) => !/^(?:date|server|connection|keep-alive|transfer-encoding)$/i.test(header))
      .map(([header, value]) => `${header}: ${value}`)
      .toSorted();
    return { status, reason, kept, body: body.toString("latin1").replaceAll(name, "NAME"), complete };
  }

  const requests: ReadonlyArray<readonly [string, Omit<HttpRequest, "target">, string]> = [
    ["/tell?x=%20y", { headers: [["Accept", "text/html"]] }, "GET"],
    ["/tell", { version: "1.0" }, "HTTP/1.0"],
    ["/cookies", { headers: [["Cookie", "a=1; b=2"]] }, "cookies"],
    ["/cookies", { method: "HEAD" }, "HEAD"],
    ["/pieces", {}, "a response in pieces"],
    ["/redirect", {}, "a redirect"],
    ["/missing", {}, "404"],
    ["/echo", { method: "POST", body: "body", headers: [["Content-Type", "text/x"]] }, "POST"],
    ["/echo", { method: "PUT", body: "x".repeat(300_000) }, "a large body"],
    ["/echo", { method: "POST", chunks: ["a", "bc", "def"] }, "a chunked body"],
    ["/echo", { method: "POST", body: "" }, "an empty body"],
  ];

  test.each(requests)("%s: alike", async (path, request) => {
    const ours = await apache.request({ ...request, target: `/ours${path}` });
    // That package now and then closes a connection that Apache is about to use: a 503, which is asked for again.
    const theirs = await until("an answer of that package", async () => {
      const reply = await apache.request({ ...request, target: `/theirs${path}` });
      return reply.status === 503 ? undefined : reply;
    });
    expect(shown(ours, "ours")).toEqual(shown(theirs, "theirs"));
  });
});

describe("the stand-in for node-fastcgi keeps Apache from taking half for whole", () => {
  test("a body shorter than its Content-Length", async () => {
    expect((await apache.request("/failing/short")).complete).toBe(false);
  });

  test("a response that is destroyed before its head", async () => {
    expect((await apache.request("/failing/gone")).status).toBe(503);
  });

  test("an answer before the body was read does not spoil the next request on the connection", async () => {
    const body = "b".repeat(2_000_000);
    for (let count = 0; count < 20; count += 1) {
      const connection = await HttpConnection.open(apache.port);
      await connection.sendRequest({ method: "POST", target: "/failing/early", body }).catch(() => {}); // Apache may close
      const reply = await connection.readReply();
      connection.destroy();
      expect([reply.status, reply.body.toString()]).toEqual([200, "not read: "]);
      expect(await textOf("/ours/pieces")).toBe("one two");
    }
  });
});

test("the stand-in for node-fastcgi, started by mod_fcgid", async () => {
  const body = "started".repeat(200_000);
  const reply = await apache.request(post("/started", body));
  expect(headerValues(reply.headers, "X-Service")).toEqual(["true"]);
  expect(reply.body.toString() === body).toBe(true);
  expect(await textOf(post("/started", "again"))).toBe("again");
});
