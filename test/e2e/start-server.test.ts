// `tsgi start-server` as a person uses it: three modes, an application or a folder; what it prints, what it never sends,
// how it ends, and what it says when it cannot start.
import { chmod } from "node:fs/promises";
import { createServer } from "node:net";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { headerValues, httpRequest } from "../harness/http.ts";
import { filesBelow, isSocket, processesOf } from "../harness/leftovers.ts";
import { StartedServer } from "../harness/server.ts";
import { until } from "../harness/until.ts";
import { Workspace } from "../harness/workspace.ts";

const modes = ["proxy_fcgi", "fcgid", "cgi"] as const;
const secret = "never-to-be-seen";

let workspace: Workspace;
let folder: string;

const page = (text: string): string => `
import type { Application } from "tsgi";
const secret = ${JSON.stringify(secret)};
export const application: Application = (environ, startResponse) => {
  startResponse("200 OK", [["Content-Type", "text/plain"]]);
  return ${JSON.stringify(text)} + "|" + environ.SCRIPT_NAME + "|" + environ.PATH_INFO + "|" + String(secret.length);
};
`;

/** Files that lie in a served folder and are not for visitors. */
const hidden = [
  ".env",
  ".env.local",
  "prod.env",
  ".git/config",
  ".htaccess",
  "package.json",
  "package-lock.json",
  "tsconfig.json",
  "node_modules/dep/index.js",
  "node_modules/dep/readme.txt",
  "page.ts~",
  "page.ts.bak",
  "page.ts.orig",
  ".page.ts.swp",
  "old.bak",
  "app.log",
  "types.d.ts",
  "Dockerfile",
  "docker-compose.yml",
  ".hidden/file.txt",
];

beforeAll(async () => {
  workspace = await Workspace.open();
  folder = workspace.path("site");
  await workspace.write("site/index.html", "<h1>the index page</h1>");
  await workspace.write("site/style.css", "body { color: red }");
  await workspace.write("site/page.ts", page("page"));
  await workspace.write("site/sub/deep.ts", page("deep"));
  await workspace.write("site/sub/text.txt", "a text");
  await workspace.write("site/lib/helper.ts", `export const helper = ${JSON.stringify(secret)};\n`);
  await workspace.write("site/.well-known/security.txt", "for visitors");
  for (const name of hidden)
    await workspace.write(`site/${name}`, name.endsWith(".json") ? `{ "name": "${secret}" }\n` : `${secret}\n`);
  await workspace.write("app/app.ts", page("app"));
  await workspace.write("public/style.css", "body { color: blue }");
  await workspace.write("public/.env", secret);
}, 60_000);

afterAll(() => workspace.close(), 60_000);

/** SIGTERM: exit code 0, and no process, socket or temporary file is left. */
async function endsCleanly(server: StartedServer): Promise<void> {
  expect(await server.stop(), server.program.report()).toEqual({ code: 0, signal: null });
  await until("no process to be left", () => processesOf(workspace.dir).length === 0);
  expect(filesBelow(workspace.dir, isSocket)).toEqual([]);
  expect(filesBelow(workspace.path("tmp"), () => true)).toEqual([]);
}

for (const mode of modes) {
  describe(mode, () => {
    test("an application: its line, its answers, its end", async () => {
      const server = await StartedServer.start(workspace, workspace.path("app/app.ts"), { args: ["--mode", mode] });
      expect(server.program.stdout.trim()).toBe(
        `tsgi: serving ${workspace.path("app/app.ts")} at http://127.0.0.1:${server.port}/ (${mode})`,
      );
      expect(await server.text("/")).toBe(`app||/|${secret.length}`);
      expect(await server.text("/a%20b//c%2Fd?q")).toBe(`app||/a b//c/d|${secret.length}`);
      const posted = await server.request({ method: "POST", target: "/x", body: "x".repeat(300_000) });
      expect(posted.status).toBe(200);
      for (const target of ["/app.ts", "/../app.ts", "/.env"]) expect(await server.text(target)).not.toContain(secret);
      await endsCleanly(server);
    }, 60_000);

    test("an application with a mount point and a document root", async () => {
      const server = await StartedServer.start(workspace, workspace.path("app/app.ts"), {
        args: ["--mode", mode, "--mount-point", "/shop", "--document-root", workspace.path("public")],
      });
      expect(server.line).toContain(`http://127.0.0.1:${server.port}/shop/`);
      expect(await server.text("/shop/a%20b")).toBe(`app|/shop|/a b|${secret.length}`);
      expect(await server.text("/shop")).toBe(`app|/shop||${secret.length}`);
      const style = await server.request("/style.css");
      expect([style.status, style.body.toString()]).toEqual([200, "body { color: blue }"]);
      expect(headerValues(style.headers, "content-type").join()).toMatch(/^text\/css/u);
      expect(await server.text("/.env")).not.toContain(secret);
      await endsCleanly(server);
    }, 60_000);

    test("a folder, as root: scripts run, files are sent, sources and secrets never", async () => {
      const server = await StartedServer.start(workspace, folder, { args: ["--mode", mode], asRoot: true });
      expect(server.line).toBe(`tsgi: serving ${folder} at http://127.0.0.1:${server.port}/ (${mode})`);
      expect(await server.text("/")).toBe("<h1>the index page</h1>");
      expect(await server.text("/page.ts/more%20path?x")).toBe(`page|/page.ts|/more path|${secret.length}`);
      expect(await server.text("/sub/deep.ts")).toBe(`deep|/sub/deep.ts||${secret.length}`);
      expect(await server.text("/sub/text.txt")).toBe("a text");
      expect(await server.text("/.well-known/security.txt")).toBe("for visitors");
      expect((await server.request("/sub/")).status).not.toBe(200);
      for (const name of [
        ...hidden,
        "lib/helper.ts",
        "page.ts",
        "PAGE.TS",
        "page.ts%00.txt",
        "page.ts%3F.txt",
        "page.ts.",
        "page.ts%20",
      ]) {
        const reply = await server.request(`/${name}`);
        expect(`${name} ${reply.body.toString()}`).not.toContain(secret);
        if (hidden.includes(name)) expect([403, 404], name).toContain(reply.status);
      }
      await endsCleanly(server);
    }, 60_000);
  });
}

describe("the foreground", () => {
  test("shows what the application logs", async () => {
    const app = await workspace.write(
      "logging/app.ts",
      `export const application = (environ: any, startResponse: any) => {
  environ["wsgi.errors"].write("a line for the log\\n");
  console.log("a printed line");
  startResponse("200 OK", []);
  return "ok";
};\n`,
    );
    const server = await StartedServer.start(workspace, app);
    expect(await server.text("/")).toBe("ok");
    await until("the lines", () => {
      const shown = server.program.stdout + server.program.stderr;
      return shown.includes("a line for the log") && shown.includes("a printed line");
    });
    await endsCleanly(server);
  }, 60_000);

  test("SIGINT ends it as SIGTERM does", async () => {
    const server = await StartedServer.start(workspace, workspace.path("app/app.ts"));
    server.program.signal("SIGINT");
    expect(await server.program.ended).toEqual({ code: 0, signal: null });
    await until("no process to be left", () => processesOf(workspace.dir).length === 0);
  }, 60_000);

  test("a request that runs is finished before the end", async () => {
    const server = await StartedServer.start(workspace, workspace.app("engine.ts"));
    const file = workspace.path("start-gate");
    const asking = httpRequest(server.port, `/file-gate?${file}`);
    await until("the request to run", () => (server.program.stdout + server.program.stderr).includes("waiting for"));
    server.program.signal("SIGTERM");
    await workspace.write("start-gate", "");
    const reply = await asking;
    expect(reply.body.toString()).toBe("the file is there");
    expect(await server.program.ended).toEqual({ code: 0, signal: null });
  }, 60_000);

  test("an edited application is served", async () => {
    const app = await workspace.write("edited/app.ts", page("before"));
    const server = await StartedServer.start(workspace, app);
    expect(await server.text("/")).toContain("before|");
    await workspace.write("edited/app.ts", page("after"));
    await until("the edit", async () => (await server.text("/")).startsWith("after|"));
    await endsCleanly(server);
  }, 60_000);
});

describe("when it cannot start", () => {
  /** Exit code and what was said on standard error. */
  async function fails(
    args: readonly string[],
    options: { env?: Record<string, string>; asRoot?: boolean } = {},
  ): Promise<{ code: number | null; said: string }> {
    const program = workspace.tsgi(["start-server", ...args], options);
    const { code } = await program.ended;
    expect(program.stdout).not.toContain("serving");
    await until("no process to be left", () => processesOf(workspace.dir).length === 0);
    return { code, said: program.stderr };
  }

  test("a port in use is one clear line", async () => {
    const other = createServer().listen(0, "127.0.0.1");
    await new Promise((resolve) => other.once("listening", resolve));
    const { port } = other.address() as { port: number };
    const { code, said } = await fails([workspace.path("app/app.ts"), "--port", String(port)]);
    await new Promise((resolve) => other.close(resolve));
    expect(code).toBe(1);
    expect(said.trim().split("\n"), said).toHaveLength(1);
    expect(said).toContain(String(port));
  }, 60_000);

  test("no httpd is one line that says what to install", async () => {
    for (const more of [
      ["--httpd", "/no/such/httpd"],
      ["--modules-dir", workspace.path("public")],
    ]) {
      const { code, said } = await fails([workspace.path("app/app.ts"), "--port", "0", ...more]);
      expect(code, said).toBe(1);
      expect(said.trim().split("\n"), said).toHaveLength(1);
      expect(said).toMatch(/install|httpd|module/iu);
    }
  }, 60_000);

  test("a broken application is exit code 1 with file, line and column", async () => {
    const app = await workspace.write("bad/app.ts", "export const application = (;\n");
    const { code, said } = await fails([app, "--port", "0"]);
    expect(code).toBe(1);
    expect(said).toMatch(/app\.ts:1:\d+/u);
  }, 60_000);

  test("a folder that Apache's user may not enter is one line that names it", async () => {
    if (process.getuid?.() !== 0) return;
    const app = await workspace.write("private/home/app.ts", page("private"));
    await chmod(workspace.path("private"), 0o700);
    const { code, said } = await fails([app, "--port", "0"], { asRoot: true });
    expect(code).toBe(1);
    expect(said.trim().split("\n"), said).toHaveLength(1);
    expect(said).toContain(workspace.path("private"));
  }, 60_000);

  test("wrong usage is exit code 2", async () => {
    for (const args of [
      [],
      ["--no-such"],
      [workspace.path("app/app.ts"), "--port", "x"],
      [workspace.path("app/app.ts"), "--mode", "mod_perl"],
    ]) {
      const { code, said } = await fails(args);
      expect(code, said).toBe(2);
      expect(said.length).toBeGreaterThan(5);
    }
  }, 60_000);
});
