// The sample site through start-server, in every mode: each page and form of its index does what it says.
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { headerValues, type HttpReply } from "../harness/http.ts";
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
      expect(new Set(targets).size).toBeGreaterThanOrEqual(12);
      for (const target of new Set(targets)) {
        const reply = await server.request(`/${target}`);
        expect(reply.complete, target).toBe(true);
        const wanted: Record<string, number> = { "dispatch.ts/nowhere": 404, "product.ts": 400 };
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

    test("sources and the debug log are not sent", async () => {
      for (const target of ["/lib/form.ts", "/lib/debug-log.ts", "/lib/", "/saying.ts", "/debug.log", "/lib/html.ts"]) {
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
