import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import type { IncomingMessage } from "node:http";
import { Agent, request } from "node:http";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { BootError, LoadError } from "../../../src/errors.ts";
import type { DevServer } from "../../../src/server/http.ts";
import { startDevServer } from "../../../src/server/http.ts";
import { until, within } from "../../harness/until.ts";
import type { CollectedLog } from "./collected-log.ts";
import { collectLog } from "./collected-log.ts";

// Shared with the application, which is loaded into this process.
const shared: { abort: boolean; pulled: number } = { abort: false, pulled: 0 };
Object.assign(globalThis, { tsgiHttpTest: shared });

const source = `
import { once } from "node:events";
const shared = globalThis.tsgiHttpTest;
export async function application(environ, startResponse) {
  const pages = {
    async "/echo"() {
      const body = await environ["wsgi.input"].read();
      startResponse("201 Made \\xe9", [["Set-Cookie", "a"], ["Set-Cookie", "b"], ["X-Latin", "\\xff"]]);
      return body;
    },
    async "/latin"() {
      startResponse("200 Caf\\xe9", [["X-Latin", "\\xe9\\xff"]]);
      return "日";
    },
    async "/environ"() {
      startResponse("200 OK", []);
      return JSON.stringify(environ, (key, value) => (key === "" || typeof value === "string" ? value : undefined));
    },
    async "/wait"() {
      shared.abort = false;
      environ["tsgi.signal"].addEventListener("abort", () => { shared.abort = true; });
      await once(environ["tsgi.signal"], "abort");
    },
    async "/endless"() {
      shared.pulled = 0;
      startResponse("200 OK", []);
      return (function* () { for (;;) { shared.pulled += 65536; yield Buffer.alloc(65536); } })();
    },
    async "/broken"() {
      startResponse("200 OK", []);
      return (function* () { yield "some"; throw new Error("oops"); })();
    },
    async ""() {
      return await pages["/environ"]();
    },
    async "/early"() {
      startResponse("200 OK", [["Content-Type", "text/plain"]]);
      return "early";
    },
  };
  return await pages[environ.PATH_INFO]();
}
`;

let folder: string;
let server: DevServer | undefined;
let log: CollectedLog;

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "tsgi-http-"));
  writeFileSync(join(folder, "app.ts"), source);
});

afterEach(async () => {
  await server?.close();
  server = undefined;
});

afterAll(() => {
  rmSync(folder, { recursive: true });
});

async function start(options: Partial<Parameters<typeof startDevServer>[0]> = {}): Promise<string> {
  log = collectLog();
  server = await startDevServer({
    target: { kind: "application", reference: { file: join(folder, "app.ts"), exportName: undefined } },
    host: "127.0.0.1",
    port: 0,
    mountPoint: undefined,
    cacheDir: join(folder, "cache"),
    log,
    ...options,
  });
  return server.url;
}

interface Reply {
  readonly response: IncomingMessage;
  readonly body: Buffer;
}

async function fetched(
  url: string,
  options: { method?: string; body?: Buffer | string; agent?: Agent } = {},
): Promise<Reply> {
  const sent = request(url, { method: options.method ?? "GET", ...(options.agent && { agent: options.agent }) });
  sent.end(options.body);
  const [response] = (await within("a response", once(sent, "response"))) as [IncomingMessage];
  const chunks: Buffer[] = [];
  for await (const chunk of response) chunks.push(chunk as Buffer);
  return { response, body: Buffer.concat(chunks) };
}

test("answers with status, reason, headers and body as the application gave them", async () => {
  const url = await start();
  const { response, body } = await fetched(`${url}echo`, { method: "POST", body: "日本" });
  expect([response.statusCode, response.statusMessage, body.toString()]).toEqual([201, "Made \xe9", "日本"]);
  expect(response.headers["set-cookie"]).toEqual(["a", "b"]);
  expect([response.headers["x-latin"], response.headers["content-length"]]).toEqual(["\xff", "6"]);
  const latin = await fetched(`${url}latin`);
  expect([latin.response.statusMessage, latin.response.headers["x-latin"]]).toEqual(["Caf\xe9", "\xe9\xff"]);
  expect(latin.body.toString()).toBe("日");
});

test("makes the variables of the request", async () => {
  const url = await start({ mountPoint: "/m" });
  expect(url).toMatch(/^http:\/\/127\.0\.0\.1:\d+\/m\/$/);
  for (const path of ["/", "/mx", "/environ"]) expect((await fetch(new URL(path, url))).status).toBe(404);
  const { body } = await fetched(`${url}environ?a=%20`);
  expect(JSON.parse(body.toString())).toMatchObject({
    REQUEST_METHOD: "GET",
    SCRIPT_NAME: "/m",
    PATH_INFO: "/environ",
    QUERY_STRING: "a=%20",
    REQUEST_URI: "/m/environ?a=%20",
    SERVER_NAME: "127.0.0.1",
    SERVER_PORT: new URL(url).port,
    SERVER_PROTOCOL: "HTTP/1.1",
    REMOTE_ADDR: "127.0.0.1",
    "wsgi.url_scheme": "http",
    "tsgi.transport": "http",
    "tsgi.script": join(folder, "app.ts"),
  });
});

test("HEAD has the head of GET and no body, a large upload arrives whole", async () => {
  const url = await start();
  const head = await fetched(`${url}latin`, { method: "HEAD" });
  expect([head.response.headers["content-length"], head.body.length]).toEqual(["3", 0]);
  const large = Buffer.alloc(5_000_000, "0123456789");
  const { body } = await fetched(`${url}echo`, { method: "POST", body: large });
  expect(body.equals(large)).toBe(true);
});

test("an early answer leaves a connection that goes on", async () => {
  const url = await start();
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });
  for (let count = 0; count < 3; count += 1) {
    const { body } = await fetched(`${url}early`, { method: "POST", body: Buffer.alloc(3_000_000), agent });
    expect(body.toString()).toBe("early");
  }
  agent.destroy();
});

test("a response that breaks off is seen to be broken", async () => {
  const url = await start();
  const sent = request(`${url}broken`).end();
  const [response] = (await once(sent, "response")) as [IncomingMessage];
  let text = "";
  const read = (async () => {
    for await (const chunk of response) text += String(chunk);
  })();
  await expect(within("the end", read)).rejects.toThrow();
  expect([text, response.complete]).toEqual(["some", false]);
});

describe("a client that goes away", () => {
  test("fires the signal, and is no failure", async () => {
    const url = await start();
    const sent = request(`${url}wait`).on("error", () => {});
    sent.end();
    await once(sent, "finish");
    await until("the application to wait", () => log.lines.length >= 0 && sent.socket?.connecting === false);
    sent.destroy();
    await until("the signal to fire", () => shared.abort);
    expect(log.lines.filter(({ level }) => level === "error")).toEqual([]);
  });

  test("or does not read stops the body", async () => {
    const url = await start();
    const socket = connect(Number(new URL(url).port), "127.0.0.1");
    socket.pause();
    socket.write("GET /endless HTTP/1.1\r\nHost: x\r\n\r\n");
    await until("the body to be asked for", () => shared.pulled > 0);
    let last = -1;
    let same = 0;
    await until("the body to stop", () => {
      same = shared.pulled === last ? same + 1 : 0;
      last = shared.pulled;
      return same > 10;
    });
    expect(shared.pulled).toBeLessThan(32 * 2 ** 20);
    socket.destroy();
  });
});

test("logs one line for each request", async () => {
  const url = await start();
  await fetched(`${url}early?x`);
  await until("the line", () => log.lines.length === 1);
  expect(log.lines[0]?.message).toMatch(/^GET \/early\?x 200 5 bytes \d+ ms$/);
});

test("tells each broken rule of the contract once, and answers as without", async () => {
  const url = await start();
  for (let count = 0; count < 2; count += 1) expect((await fetched(`${url}latin`)).body.toString()).toBe("日");
  await until("both requests to be logged", () => log.lines.filter(({ level }) => level === "info").length === 2);
  const warnings = log.lines.filter(({ level }) => level === "warn");
  expect(warnings).toMatchObject([{ fields: { rule: "content-type", request: "GET /latin" } }]);
  expect(warnings[0]?.message).toMatch(/^lint: there is a body and no Content-Type: .+/);
});

test("a port that is in use, and an application that is broken, are one clear error", async () => {
  const url = await start();
  const options = {
    host: "127.0.0.1",
    port: Number(new URL(url).port),
    mountPoint: undefined,
    cacheDir: join(folder, "cache"),
    log,
  };
  const reference = { file: join(folder, "app.ts"), exportName: undefined };
  const used = startDevServer({ ...options, target: { kind: "application", reference } });
  await expect(used).rejects.toThrow(BootError);
  await expect(used).rejects.toThrow(/--port/);
  const absent = { file: join(folder, "absent.ts"), exportName: undefined };
  await expect(
    startDevServer({ ...options, port: 0, target: { kind: "application", reference: absent } }),
  ).rejects.toThrow(LoadError);
});

test("a folder serves its scripts and nothing above it", async () => {
  const url = await start({ target: { kind: "scripts", root: folder } });
  const { body } = await fetched(`${url}app.ts/environ`);
  expect(JSON.parse(body.toString())).toMatchObject({ SCRIPT_NAME: "/app.ts", PATH_INFO: "/environ" });
  const alone = await fetched(`${url}app.ts`);
  expect(JSON.parse(alone.body.toString())).toMatchObject({ SCRIPT_NAME: "/app.ts", PATH_INFO: "" });
  for (const path of ["absent.ts", "..%2Fx.ts", "%2e%2e/x.ts", "app.ts%00", "app%2ets%3F"]) {
    expect((await fetched(url + path)).response.statusCode, path).toBe(404);
  }
});

test("closing lets a running request end and does not wait for idle connections", async () => {
  const url = await start();
  const agent = new Agent({ keepAlive: true });
  await fetched(`${url}early`, { agent });
  await within("the close", server!.close());
  server = undefined;
  agent.destroy();
});
