// Which of its exports a script's application is, and servers that scripts let listen themselves.
import type { Server as HttpServer } from "node:http";
import type { AddressInfo, Server as NetServer } from "node:net";
import { createServer } from "node:net";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { LoadedApplication } from "../../../src/loader/load.ts";
import { runDirect } from "../../../src/server/direct.ts";
import { collectLog } from "../server/collected-log.ts";
import { Installed } from "./installed.ts";

let installed: Installed;
let count = 0;

beforeAll(async () => {
  installed = await Installed.open();
});

afterAll(() => installed.close());

type Options = Partial<Parameters<Installed["load"]["loadApplication"]>[1]>;

function load(code: string, options: Options = {}, name = "app.ts", exportName?: string): Promise<LoadedApplication> {
  count += 1;
  const file = installed.write(`home/shape-${count}/${name}`, code);
  return installed.load.loadApplication({ file, exportName }, { cacheDir: installed.cacheDir, ...options });
}

async function bodyOf({ application }: LoadedApplication): Promise<string> {
  return (await runDirect(application, { method: "GET", url: "/" })).body.toString();
}

const wsgi = (text: string): string => `(environ, startResponse) => { startResponse("200 OK", []); return "${text}"; }`;
const node = (text: string): string => `(req, res) => res.end("${text}")`;
const withFetch = (text: string): string => `{ fetch: () => new Response("${text}") }`;

describe("the application is", () => {
  it.each([
    [
      "`application`",
      `export const application = ${wsgi("a")}; export default ${node("d")};`,
      "a",
      "application",
      "wsgi",
    ],
    ["the default export", `export default ${node("d")}; export const app = ${node("x")};`, "d", "default", "node"],
    ["a default export with fetch", `export default ${withFetch("f")};`, "f", "default", "fetch"],
    ["a default export of the gateway's kind", `export default ${wsgi("w")};`, "w", "default", "wsgi"],
    ["`app`", `export const other = 1; export const app = ${node("p")};`, "p", "app", "node"],
    ["`handler`", `export const handler = (request: Request) => new Response("h");`, "h", "handler", "fetch"],
    ["`fetch`", `export function fetch(...all: unknown[]) { return new Response("f"); }`, "f", "fetch", "fetch"],
    [
      "`server`",
      `import { createServer } from "node:http"; export const server = createServer(${node("s")});`,
      "s",
      "server",
      "server",
    ],
    ["a foreign `application`", `export const application = ${withFetch("f")};`, "f", "application", "fetch"],
    ["an `application` (req, res)", `export const application = ${node("n")};`, "n", "application", "node"],
    [
      "what is left when the default export is none",
      `export default { setting: 1 }; export const app = ${node("p")};`,
      "p",
      "app",
      "node",
    ],
  ])("%s", async (_name, code, body, exportName, adapter) => {
    const loaded = await load(code);
    expect(loaded).toMatchObject({ exportName, adapter });
    expect(await bodyOf(loaded)).toBe(body);
  });

  it.each([
    ["module.exports, a handler", `module.exports = ${node("n")};`, "n", "default", "node"],
    ["module.exports of the gateway's kind", `module.exports = ${wsgi("w")};`, "w", "default", "wsgi"],
    ["module.exports with fetch", `module.exports = ${withFetch("f")};`, "f", "default", "fetch"],
    [
      "exports.application",
      `exports.application = ${wsgi("a")}; exports.app = ${node("p")};`,
      "a",
      "application",
      "wsgi",
    ],
    ["exports.app", `exports.app = ${node("p")};`, "p", "app", "node"],
    ["exports.default", `exports.__esModule = true; exports.default = ${node("d")};`, "d", "default", "node"],
  ])("of a CommonJS script: %s", async (_name, code, body, exportName, adapter) => {
    const loaded = await load(code, {}, "app.cjs");
    expect(loaded).toMatchObject({ exportName, adapter });
    expect(await bodyOf(loaded)).toBe(body);
  });

  it("the one that was named, whatever else there is, and of the gateway's kind unless its parameters tell", async () => {
    const code = `export const application = ${wsgi("a")}; export const admin = ${node("n")};
export const plain = (a, b) => { b("200 OK", []); return "p"; };`;
    expect(await load(code, {}, "app.ts", "admin")).toMatchObject({ exportName: "admin", adapter: "node" });
    const plain = await load(code, {}, "app.ts", "plain");
    expect(plain.adapter).toBe("wsgi");
    expect(await bodyOf(plain)).toBe("p");
  });

  it("what --adapter says, whatever it looks like", async () => {
    const code = `export default (a, b) => new Response("fetched");`;
    expect((await load(code)).adapter).toBe("node");
    const loaded = await load(code, { adapter: "fetch" });
    expect(loaded.adapter).toBe("fetch");
    expect(await bodyOf(loaded)).toBe("fetched");
    await expect(load(`export default {};`, { adapter: "koa" })).rejects.toMatchObject({
      kind: "failed-inside",
      message: expect.stringContaining("takes a Koa application"),
    });
  });
});

const http = `import { createServer } from "node:http";\nconst server = createServer(${node("served")});\n`;

describe("a server that listens itself", () => {
  it.each([
    ["on a port", `${http} server.listen(3000);`],
    ["on a port and a host, with a callback", `${http} server.listen(3000, "localhost", () => {});`],
    ["with options", `${http} server.listen({ port: 0, host: "::1" });`],
    ["on a path", `${http} server.listen("/nonexistent/app.sock");`],
    ["openly", `${http} server.listen("tsgi");`],
    ["below an await", `${http} await new Promise((resolve) => setTimeout(resolve, 5));\nserver.listen(3000);`],
    [
      "and waits for it",
      `${http} await new Promise<void>((resolve) => server.listen(3000, resolve));\nif (!server.listening) throw new Error("no");`,
    ],
    [
      "a little later",
      `${http} async function main() { await new Promise((resolve) => setTimeout(resolve, 80)); server.listen(3000); }\nvoid main();`,
    ],
    ["beside exports that are none", `${http} export const setting = 1; server.listen(3000);`],
    ["over TLS", `import { createServer } from "node:https"; createServer({}, ${node("served")}).listen(443);`],
  ])("%s", async (_name, code) => {
    const loaded = await load(code);
    expect(loaded).toMatchObject({ exportName: undefined, adapter: "server" });
    expect(await bodyOf(loaded)).toBe("served");
  });

  it("in CommonJS", async () => {
    const code = `require("http").createServer(${node("served")}).listen(process.env.NO_SUCH_PORT || 8080);`;
    expect(await bodyOf(await load(code, {}, "app.cjs"))).toBe("served");
  });

  it("is told that it listens, with an address, and not before listen has returned", async () => {
    const code = `${http}
const seen: unknown[] = [];
server.on("listening", () => seen.push("event"));
server.listen({ port: 4000, host: "127.0.0.1" }, () => seen.push("callback", server.listening, server.address()));
seen.push("returned", server.listening);
try { server.listen(5000); } catch (error) { seen.push((error as { code: string }).code); }
server.on("request", (req, res) => {});
server.removeAllListeners("request");
server.on("request", (req, res) => res.end(JSON.stringify(seen)));`;
    const address = { address: "127.0.0.1", family: "IPv4", port: 4000 };
    expect(JSON.parse(await bodyOf(await load(code)))).toEqual([
      "returned",
      true,
      "ERR_SERVER_ALREADY_LISTEN",
      "event",
      "callback",
      true,
      address,
    ]);
  });

  it("opens no port", async () => {
    const probe = createServer();
    await new Promise<void>((resolve) => {
      probe.listen(0, "127.0.0.1", resolve);
    });
    const { port } = probe.address() as AddressInfo;
    expect(await bodyOf(await load(`${http} server.listen(${port}, "127.0.0.1");`))).toBe("served");
    await new Promise((resolve) => probe.close(resolve));
  });

  it("is the first that listens; others are ignored, with a line in the log", async () => {
    const log = collectLog();
    const second = `createServer(${node("second")}).listen(3001);`;
    expect(await bodyOf(await load(`${http} server.listen(3000); ${second}`, { log }))).toBe("served");
    expect(log.lines.filter(({ message }) => message.startsWith("listen was ignored"))).toHaveLength(1);
  });

  it("gives way to an export", async () => {
    const loaded = await load(`${http} server.listen(3000); export default ${node("exported")};`);
    expect(loaded.exportName).toBe("default");
    expect(await bodyOf(loaded)).toBe("exported");
  });

  it("answers with an error of ours when it has been closed, and serves again when it listens again", async () => {
    const loaded = await load(`${http} server.listen(3000); Object.assign(globalThis, { closable: server });`);
    const { closable } = globalThis as unknown as { closable: HttpServer };
    await new Promise((resolve) => closable.close(resolve));
    expect([closable.listening, closable.address()]).toEqual([false, null]);
    expect(() => loaded.application({} as never, (() => {}) as never)).toThrow("has closed its server");
    const closedTwice = new Promise<Error | undefined>((resolve) => closable.close(resolve));
    expect(await closedTwice).toMatchObject({ code: "ERR_SERVER_NOT_RUNNING" });
    closable.listen(3000);
    expect(await bodyOf(loaded)).toBe("served");
  });

  it("leaves servers alone that are not http", async () => {
    const code = `import { createServer } from "node:net";
const server = createServer((socket) => socket.end("raw")).listen(0, "127.0.0.1");
await new Promise((resolve) => server.once("listening", resolve));
export const application = (environ, startResponse) => { startResponse("200 OK", []); return String(server.address().port); };
Object.assign(globalThis, { rawServer: server });`;
    expect(Number(await bodyOf(await load(code)))).toBeGreaterThan(1023);
    const { rawServer } = globalThis as unknown as { rawServer: NetServer };
    await new Promise((resolve) => rawServer.close(resolve));
  });

  it("belongs to the script that made it, when several are loaded at once", async () => {
    const code = (text: string, ms: number): string => `import { createServer } from "node:http";
await new Promise((resolve) => setTimeout(resolve, ${ms}));
createServer(${node(text)}).listen(3000);`;
    const loaded = await Promise.all([load(code("one", 40)), load(code("two", 20)), load(code("three", 30))]);
    expect(await Promise.all(loaded.map(bodyOf))).toEqual(["one", "two", "three"]);
  });
});

it("a script without any application fails soon, and says so", async () => {
  await expect(load(`export const a = 1;`)).rejects.toMatchObject({ kind: "no-export" });
});

it("an application of the gateway does not load what adapts others", async () => {
  const file = installed.write("home/light/app.ts", `export const application = ${wsgi("a")};`);
  const result = await installed.run(
    `await load.loadApplication({ file: ${JSON.stringify(file)}, exportName: undefined }, { cacheDir });
console.log(process.moduleLoadList.filter((name) => /_http_server|_http_outgoing/.test(name)).length);`,
  );
  expect(result.stdout).toBe("0\n");
});
