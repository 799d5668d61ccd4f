// A folder of scripts: the file comes from SCRIPT_FILENAME, inside the root, with an allowed extension, or not at all.
// What is refused says why in the log; what is asked for by a trick is 403 or 404, never another file.
import { chmod, mkdir, symlink } from "node:fs/promises";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { Apache } from "../harness/apache.ts";
import { FcgiPeer, request, variables } from "../harness/fcgi.ts";
import { until } from "../harness/until.ts";
import { Workspace, type Daemon } from "../harness/workspace.ts";

let workspace: Workspace;
let daemon: Daemon;
let apache: Apache;
let root: string;

const source = (name: string): string => `
export const application = (environ: Record<string, string>, startResponse: (status: string, headers: [string, string][]) => unknown) => {
  startResponse("200 OK", [["Content-Type", "text/plain"]]);
  return ${JSON.stringify(`${name}|`)} + environ.SCRIPT_NAME + "|" + environ.PATH_INFO;
};
`;
const plain = (name: string): string =>
  source(name).replace(/: Record<string, string>|: \(status.*?\) => unknown/gu, "");

beforeAll(async () => {
  workspace = await Workspace.open();
  root = workspace.path("www");
  for (const extension of ["ts", "mts", "tsx", "js", "mjs", "jsx"]) {
    await workspace.write(
      `www/page.${extension}`,
      /^(?:js|mjs|jsx)$/u.test(extension) ? plain(extension) : source(extension),
    );
  }
  await workspace.write("www/page.cjs", plain("cjs").replace("export const application", "exports.application"));
  await workspace.write("www/page.cts", source("cts"));
  await workspace.write("www/deep/er/inner.ts", source("inner"));
  await workspace.write("www/page.php", source("php"));
  await workspace.write("www/page.ts.bak", source("bak"));
  await workspace.write("www/page.json", "{}");
  await workspace.write("www/data.txt", "some text");
  await workspace.write("www/writable.ts", source("writable"));
  await chmod(workspace.path("www/writable.ts"), 0o666);
  await workspace.write("www/secret?.ts", source("with a question mark"));
  await workspace.write("outside/evil.ts", source("evil"));
  await workspace.write("www2/sibling.ts", source("sibling"));
  await mkdir(workspace.path("www/folder.ts"));
  await symlink(workspace.path("outside/evil.ts"), workspace.path("www/link.ts"));
  await symlink(workspace.path("outside"), workspace.path("www/linked"));
  await symlink(workspace.path("www/deep"), workspace.path("www/within"));
  await workspace.write("www/broken.ts", "export const application = (;\n");
  await workspace.write("www/nothing.ts", "export const other = 1;\n");
  daemon = await workspace.daemon([`--script-root=${root}`]);
  apache = await workspace.apache({
    modules: ["proxy", "proxy_fcgi"],
    documentRoot: root,
    config: `<FilesMatch "\\.[mc]?[tj]sx?$|\\.php$|\\.bak$">
  SetHandler "proxy:unix:${daemon.socket}|fcgi://scripts"
</FilesMatch>`,
  });
  // The reasons of what is refused; a compile error has the source line and a caret below it.
  workspace.expectLog(/AH01071: Got error '(?:tsgi: LoadError: |  )/u);
}, 60_000);

afterAll(() => workspace.close(), 60_000);

/** One request with a SCRIPT_FILENAME of the tester's choice. */
async function ask(
  filename: string | undefined,
  more: Record<string, string> = {},
): Promise<{ status: number; body: string }> {
  const peer = await FcgiPeer.open({ path: daemon.socket });
  const values = variables("/x", { ...(filename === undefined ? {} : { SCRIPT_FILENAME: filename }), ...more });
  peer.send(request(1, values));
  const { stdout } = await peer.reply(1);
  peer.destroy();
  const text = stdout.toString();
  return { status: Number(/^Status: (\d+)/u.exec(text)?.[1]), body: text.slice(text.indexOf("\r\n\r\n") + 4) };
}

describe("scripts that are served", () => {
  for (const extension of ["ts", "mts", "cts", "tsx", "js", "mjs", "cjs", "jsx"]) {
    test(`.${extension}`, async () => {
      const reply = await apache.request(`/page.${extension}/more%20path`);
      expect(reply.body.toString(), daemon.program.stderr).toBe(`${extension}|/page.${extension}|/more path`);
    });
  }

  test("below folders, and through a link that stays inside the root", async () => {
    expect((await apache.request("/deep/er/inner.ts")).body.toString()).toBe("inner|/deep/er/inner.ts|");
    expect((await ask(`${root}/within/er/inner.ts`)).body).toMatch(/^inner\|/u);
  });

  test("with the prefixes that mod_proxy_fcgi writes", async () => {
    for (const prefix of [
      "proxy:fcgi://scripts",
      "proxy:fcgi://127.0.0.1:9000",
      "proxy:balancer://b1",
      "proxy:fcgi://localhost/",
    ]) {
      expect((await ask(`${prefix}${root}/page.ts`)).status, prefix).toBe(200);
    }
  });

  test("with a path after the script", async () => {
    expect((await ask(`${root}/page.ts/a/b`)).status).toBe(200);
  });
});

describe("scripts that are refused", () => {
  const names: ReadonlyArray<readonly [string, (base: string) => string | undefined]> = [
    ["outside the root", (base) => `${base}/outside/evil.ts`],
    ["a sibling whose name starts like the root", (base) => `${base}/www2/sibling.ts`],
    ["a link that leads outside", (base) => `${base}/www/link.ts`],
    ["below a link that leads outside", (base) => `${base}/www/linked/evil.ts`],
    ["by dot segments", (base) => `${base}/www/../outside/evil.ts`],
    ["by dot segments inside", (base) => `${base}/www/deep/../../outside/evil.ts`],
    ["by encoded dot segments", (base) => `${base}/www/%2e%2e/outside/evil.ts`],
    ["by a NUL", (base) => `${base}/www/page.ts\0.txt`],
    ["by a NUL after another extension", (base) => `${base}/www/data.txt\0.ts`],
    ["by a question mark", (base) => `${base}/www/page.ts?.txt`],
    ["by a question mark before the extension", (base) => `${base}/www/data.txt?.ts`],
    ["another extension", (base) => `${base}/www/page.php`],
    ["a backup file", (base) => `${base}/www/page.ts.bak`],
    ["JSON", (base) => `${base}/www/page.json`],
    ["a text file", (base) => `${base}/www/data.txt`],
    ["a folder with the name of a script", (base) => `${base}/www/folder.ts`],
    ["the root itself", (base) => `${base}/www`],
    ["the root with a slash", (base) => `${base}/www/`],
    ["world-writable", (base) => `${base}/www/writable.ts`],
    ["not there", (base) => `${base}/www/missing.ts`],
    ["not there, with an extension left out", (base) => `${base}/www/page`],
    ["a relative name", () => "page.ts"],
    ["an empty name", () => ""],
    ["no name", () => undefined],
    ["another proxy scheme", (base) => `proxy:http://x${base}/www/page.ts`],
    ["a prefix in the middle", (base) => `/xproxy:fcgi://h${base}/www/page.ts`],
    ["/etc/passwd", () => "/etc/passwd"],
    ["/etc/passwd by a prefix", () => "proxy:fcgi://h/etc/passwd"],
  ];

  for (const [name, filename] of names) {
    test(`${name}: 403 or 404 and a line in the log that says why`, async () => {
      const before = daemon.program.stderr.length;
      const reply = await ask(filename(workspace.dir));
      expect([403, 404], reply.body).toContain(reply.status);
      expect(reply.body).not.toMatch(/evil|root:|sibling|\/www/u);
      await until("a line in the log", () => /LoadError|TSGI30/u.test(daemon.program.stderr.slice(before)));
    });
  }

  test("through Apache: what it maps is served, tricks are not", async () => {
    for (const target of [
      "/page.php",
      "/page.ts.bak",
      "/writable.ts",
      "/page.ts%3F.txt",
      "/link.ts",
      "/..%2foutside/evil.ts",
      "/page.ts%00.txt",
    ]) {
      const reply = await apache.request(target);
      expect([400, 403, 404], target).toContain(reply.status);
      expect(reply.body.toString()).not.toContain("evil");
    }
    workspace.expectLog(/AH10508|AH00026|AH00127|AH00128|AH00036|AH00037|AH10244/u);
  });

  test("a file whose name has a question mark is that file, and no other", async () => {
    workspace.expectLog(/AH10414: To be forwarded path contains control characters or '\?'/u);
    const reply = await apache.request("/secret%3F.ts/x");
    expect(reply.status === 200 ? reply.body.toString() : reply.status).toSatisfy(
      (got: unknown) => got === "with a question mark|/secret?.ts|/x" || got === 403 || got === 404,
    );
  });

  test("a broken script is 500, the others go on", async () => {
    expect((await apache.request("/broken.ts")).status).toBe(500);
    expect((await apache.request("/nothing.ts")).status).toBe(500);
    await until(
      "the reasons",
      () => /broken\.ts/u.test(daemon.program.stderr) && /exports other/u.test(daemon.program.stderr),
    );
    expect((await apache.request("/page.ts")).status).toBe(200);
  });

  test("a script may not be chosen by variables of a client", async () => {
    const reply = await apache.request({
      target: "/page.ts",
      headers: [
        ["Script-Filename", "/etc/passwd"],
        ["Tsgi-Script-Root", "/"],
        ["Path-Translated", "/etc/passwd"],
      ],
    });
    expect(reply.body.toString()).toBe("ts|/page.ts|");
  });
});
