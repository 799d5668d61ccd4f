// The sample site through start-server, in every mode: each page and form of its index does what it says.
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from "vitest";
import { HttpConnection, headerValues, type HttpReply } from "../harness/http.ts";
import { descriptorsOf, processesOf, residentBytes } from "../harness/leftovers.ts";
import { StartedServer } from "../harness/server.ts";
import { until } from "../harness/until.ts";
import { Workspace } from "../harness/workspace.ts";

let workspace: Workspace;
let site: string;

beforeAll(async () => {
  workspace = await Workspace.open();
  site = join(workspace.product.dir, "apache/site");
}, 60_000);

afterAll(() => workspace.close(), 60_000);

for (const mode of ["proxy_fcgi", "fcgid", "cgi"] as const) {
  describe(mode, () => {
    let server: StartedServer;

    beforeAll(async () => {
      server = await StartedServer.start(workspace, site, { args: ["--mode", mode], asRoot: true, outlivesTest: true });
    }, 60_000);

    afterAll(async () => {
      expect(await server.stop(), server.program.report()).toEqual({ code: 0, signal: null });
    }, 60_000);

    const type = (reply: HttpReply): string => headerValues(reply.headers, "content-type").join();

    test("the index is the static page", async () => {
      const reply = await server.request("/");
      expect(reply.body.toString()).toBe(await readFile(join(site, "index.html"), "utf8"));
    });

    test("every link and form of the index leads to an answer", async () => {
      const index = await readFile(join(site, "index.html"), "utf8");
      const targets = [...index.matchAll(/(?:href|action)="([a-z][^":]*\.ts[^"]*)"/gu)].map((match) => match[1] ?? "");
      expect(new Set(targets).size).toBeGreaterThanOrEqual(22);
      for (const target of new Set(targets)) {
        if (target.startsWith("download.ts")) continue; // a test of its own
        const reply = await server.request(`/${target}`);
        expect(reply.complete, target).toBe(true);
        const wanted: Record<string, number> = {
          "dispatch.ts/nowhere": 404,
          "product.ts": 400,
          "router.ts/products/Z999": 404,
        };
        expect(`${target} ${reply.status}`).toBe(`${target} ${wanted[target] ?? 200}`);
      }
    }, 60_000);

    test("hello escapes its subject", async () => {
      const text = await server.text("/hello.ts?subject=%3Cscript%3Ealert(1)%3C/script%3E");
      expect(text).toContain("&lt;script&gt;");
      expect(text).not.toContain("<script>alert");
      expect(await server.text("/hello.ts")).toContain("Hello World");
    });

    test("product answers GET and POST with JSON, and 404 for an unknown id", async () => {
      const got = await server.request("/product.ts?id=A001");
      expect(type(got)).toMatch(/^application\/json/u);
      expect(JSON.stringify(JSON.parse(got.body.toString()))).toContain("Clock");
      const posted = await server.request({
        method: "POST",
        target: "/product.ts",
        headers: [["Content-Type", "application/x-www-form-urlencoded"]],
        body: "id=A002",
      });
      expect(JSON.stringify(JSON.parse(posted.body.toString()))).toContain("Bi-Noculars");
      const unknown = await server.request("/product.ts?id=Z999");
      expect(unknown.status).toBe(404);
      expect(() => JSON.parse(unknown.body.toString()) as unknown).not.toThrow();
      const wrong = await server.request({
        method: "POST",
        target: "/product.ts",
        headers: [["Content-Type", "text/plain"]],
        body: "id=A002",
      });
      expect(wrong.status).toBe(415);
    });

    test("the dispatcher passes captures on as myapp.url_args", async () => {
      expect(await server.text("/dispatch.ts/hello/Ada")).toContain("Hello Ada");
      expect((await server.request("/dispatch.ts/nowhere")).status).toBe(404);
    });

    test("the printer shows SCRIPT_NAME and PATH_INFO", async () => {
      expect(await server.text("/rest.ts/custompath")).toBe(
        "Hello World!\nPATH_INFO = /custompath\nSCRIPT_NAME = /rest.ts\n",
      );
      expect(await server.text("/rest.ts/caf%C3%A9/menu")).toContain("PATH_INFO = /café/menu");
    });

    test("an imported module, middleware, the sample and mango juice", async () => {
      expect(await server.text("/importing.ts")).toContain("GET /importing.ts");
      const latin = await server.request("/middleware.ts?text=hello+world");
      expect(latin.body.toString()).toContain("ellohay orldway");
      expect(headerValues(latin.headers, "x-passed-through").length).toBeGreaterThan(0);
      const sample = await server.request("/sample.ts");
      expect([sample.body.toString(), ...headerValues(sample.headers, "content-length")]).toEqual([
        "Hello World!",
        "12",
      ]);
      expect(await server.text("/mangojuice.ts")).toBe("Hello World");
    });

    test("the stream comes to its end", async () => {
      const reply = await server.request("/stream.ts?lines=3");
      expect(reply.complete).toBe(true);
      expect(reply.body.toString().match(/<li>/gu)).toHaveLength(3);
    });

    test.each([
      ["express", "Express"],
      ["fastify", "Fastify"],
      ["hono", "Hono"],
      ["koa", "Koa"],
    ])("%s.ts answers as an application of its framework", async (file, framework) => {
      const got = await server.request(`/${file}.ts/hello/Gr%C3%BC%C3%9Fe`);
      expect(type(got)).toMatch(/^application\/json/u);
      expect(JSON.parse(got.body.toString())).toEqual({ hello: "Gr\u00fc\u00dfe", from: "127.0.0.1", framework });
      const posted = await server.request({
        method: "POST",
        target: `/${file}.ts/`,
        headers: [
          ["Content-Type", "application/x-www-form-urlencoded"],
          ["Cookie", `other=1; ${file}=41`],
        ],
        body: "name=Ada+%3CLovelace%3E",
      });
      expect(posted.body.toString()).toContain("<h1>Hello Ada &lt;Lovelace&gt;!</h1>\n<p>This is visit 42.</p>");
      expect(headerValues(posted.headers, "set-cookie").join()).toMatch(new RegExp(`^${file}=42;`, "u"));
      expect((await server.request(`/${file}.ts/nowhere`)).status).toBe(404);
    });

    test("events come to their end, and go on after the last that a browser has seen", async () => {
      const reply = await server.request("/events.ts/stream?count=1");
      expect([type(reply), reply.complete]).toEqual(["text/event-stream", true]);
      const events = reply.body.toString();
      expect(events).toMatch(/^retry: 1000\n\nid: 1\nevent: tick\ndata: \{.*\}\n\nevent: end\ndata: \{\}\n\n$/u);
      const target = "/events.ts/stream?count=3";
      const rest = await server.request({ target, headers: [["Last-Event-ID", "2"]] });
      expect(rest.body.toString().match(/^id: .*$/gmu)).toEqual(["id: 3"]);
    });

    test("an upload is read part by part, and a form that is broken is refused", async () => {
      const part = (head: string, body: string): string =>
        `--b\r\nContent-Disposition: form-data; ${head}\r\n\r\n${body}\r\n`;
      const send = (body: string): Promise<HttpReply> =>
        server.request({
          method: "POST",
          target: "/upload.ts",
          headers: [
            ["Content-Type", "multipart/form-data; boundary=b"],
            ["Accept", "application/json"],
          ],
          body,
        });
      const file = part('name="file"; filename="C:\\\\dir\\\\a.txt"', "abc");
      const whole = await send(
        `${part('name="note"', "hello")}${file}${part('name="file"; filename=""', "")}--b--\r\n`,
      );
      expect(JSON.parse(whole.body.toString())).toEqual({
        note: "hello",
        files: [
          {
            name: "a.txt",
            type: "application/octet-stream",
            bytes: 3,
            sha256: "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
          },
        ],
      });
      expect((await send(file)).status).toBe(400);
    });

    test("a download has its length and its name", async () => {
      const reply = await server.request("/download.ts?mib=2");
      expect([reply.complete, reply.body.length, ...headerValues(reply.headers, "content-length")]).toEqual([
        true,
        2_097_152,
        "2097152",
      ]);
      expect(headerValues(reply.headers, "content-disposition")).toEqual([
        'attachment; filename="2-MiB-of-nothing.bin"',
      ]);
      const head = await server.request({ method: "HEAD", target: "/download.ts" });
      expect([head.status, head.body.length]).toEqual([200, 0]);
    });

    test("sources and the debug log are not sent", async () => {
      for (const target of [
        "/lib/framework-page.ts",
        "/lib/form.ts",
        "/lib/debug-log.ts",
        "/lib/",
        "/saying.ts",
        "/debug.log",
        "/lib/html.ts",
      ]) {
        const reply = await server.request(target);
        expect(reply.status, target).not.toBe(200);
        expect(reply.body.toString(), target).not.toMatch(/import |export /u);
      }
      const page = await server.text("/debug.ts");
      const [, id] = /request id <code>(.*?)<\/code>/u.exec(page) ?? [];
      expect(id).toBeDefined();
      await until("the kept line in the log", () => {
        const lines = server.program.stderr.split("\n").filter((line) => line.includes(`"request_id":"${id}"`));
        return lines.some((line) => line.includes("this line is always kept"));
      });
      expect(server.program.stderr).not.toContain("this line is kept in develop mode");
    });
  });
}

describe("a download of 1 GiB through Apache", () => {
  const total = 1024 * 1_048_576;
  let server: StartedServer;
  let workers: number[];

  beforeAll(async () => {
    server = await StartedServer.start(workspace, site, { asRoot: true, outlivesTest: true });
    await server.text("/download.ts?mib=1");
    workers = processesOf(workspace.dir)
      .filter(({ command }) => command.startsWith("tsgi: "))
      .map(({ pid }) => pid);
  }, 60_000);

  afterAll(async () => {
    expect(await server.stop(), server.program.report()).toEqual({ code: 0, signal: null });
  }, 60_000);

  const memory = (): number => workers.reduce((sum, pid) => sum + residentBytes(pid), 0);
  const descriptors = (): number => workers.reduce((sum, pid) => sum + descriptorsOf(pid), 0);

  test("arrives whole and is never in memory", async () => {
    expect(workers.length).toBeGreaterThan(0);
    const before = memory();
    let most = before;
    const connection = await HttpConnection.open(server.port, { deadlineMs: 60_000 });
    await connection.sendRequest({ target: "/download.ts" });
    expect(headerValues((await connection.readHead()).headers, "content-length")).toEqual([String(total)]);
    let bytes = 0;
    let looks = 0;
    for (let piece = await connection.readSome(); piece !== undefined; piece = await connection.readSome()) {
      bytes += piece.length;
      if (bytes < looks * 16 * 1_048_576) continue;
      looks += 1;
      most = Math.max(most, memory());
    }
    connection.destroy();
    expect(bytes).toBe(total);
    expect(most - before).toBeLessThan(128 * 1_048_576);
  }, 180_000);

  test("lets go of its file when the client has had enough", async () => {
    const connections: HttpConnection[] = [];
    onTestFinished(() => connections.forEach((connection) => connection.destroy()));
    const before = descriptors();
    for (let count = 0; count < 8; count += 1) {
      const connection = await HttpConnection.open(server.port);
      await connection.sendRequest({ target: "/download.ts" });
      await connection.readHead();
      connection.pause();
      connections.push(connection);
    }
    expect(descriptors()).toBeGreaterThanOrEqual(before + 8);
    for (const connection of connections) connection.destroy();
    await until("the files to be closed", () => descriptors() <= before);
    expect(await server.text("/hello.ts")).toContain("Hello World");
  }, 60_000);
});
