// What the doctor reads: first lines, wrappers, directives, mounts, rules of mod_rewrite, addresses of daemons.
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { backendAddress, listenersAt } from "../../../src/doctor/backend-check.ts";
import { readConfiguration, wildcard } from "../../../src/doctor/configuration.ts";
import { readDirectives } from "../../../src/doctor/directive-text.ts";
import { findingLine, oneLine } from "../../../src/doctor/finding.ts";
import { canOverride } from "../../../src/doctor/htaccess-directives.ts";
import { limitFindings } from "../../../src/doctor/limits-check.ts";
import { noexecMountOf } from "../../../src/doctor/mounts.ts";
import { followRules } from "../../../src/doctor/rewrite.ts";
import { isBinary, readFirstLine } from "../../../src/doctor/shebang.ts";
import { readWrapper } from "../../../src/doctor/wrapper.ts";

let dir = "";
beforeAll(() => {
  dir = mkdtempSync(join(tmpdir(), "tsgi-test-"));
  for (const name of ["app.cgi", ".env", "style.css"]) writeFileSync(join(dir, name), "x");
  mkdirSync(join(dir, "static"));
});
afterAll(() => rmSync(dir, { recursive: true }));

test.each([
  ["#!/bin/sh\n", "none", "/bin/sh", ""],
  ["#! /usr/bin/env  node --flag \n", "none", "/usr/bin/env", "node --flag"],
  ["#!/bin/sh", "none", "/bin/sh", ""],
  ["#!/bin/sh\r\nexec x\r\n", "crlf", "/bin/sh", ""],
  ["\u00EF\u00BB\u00BF#!/bin/sh\n", "byte-order-mark", "/bin/sh", ""],
  ["\u00FF\u00FE#\0!\0", "utf-16", "", ""],
  ["export const x = 1;\n", "no-line", "", ""],
  ["", "no-line", "", ""],
  ['#!"/bin/sh"\n', "quoted", '"/bin/sh"', ""],
  ["#!node\n", "relative", "node", ""],
  ["#!\n", "relative", "", ""],
])("the first line %j: %s", (text, problem, interpreter, argument) => {
  expect(readFirstLine(text)).toMatchObject({ problem, interpreter, argument });
});

test("a program of the machine needs no first line", () => {
  expect(isBinary("\u007FELF\u0002")).toBe(true);
  expect(isBinary("#!/bin/sh")).toBe(false);
});

test("a wrapper: what it sets and what it runs", () => {
  const text = `#!/bin/sh
# comment
export PATH=/opt/node/bin:"\${PATH:-/usr/bin:/bin}"
HOME='/home/me' NODE_ENV=production; export HOME NODE_ENV
cd "$HOME/app" || exit 1
exec '/opt/tsgi/bin/tsgi-cgi' --cache-dir=/x "$HOME/app.ts#admin"
echo never`;
  expect(readWrapper(text)).toMatchObject({
    command: ["/opt/tsgi/bin/tsgi-cgi", "--cache-dir=/x", "/home/me/app.ts#admin"],
    path: { folders: ["/opt/node/bin"], keepsOld: true },
    folder: "/home/me/app",
    printingLine: undefined,
    carriageReturnLine: undefined,
    commandLine: 6,
  });
});

test.each([
  ["#!/bin/sh\necho Starting\nexec /x\n", { printingLine: 2 }],
  ["#!/bin/sh\necho Starting >&2\nexec /x\n", { printingLine: undefined }],
  ["#!/bin/sh\necho 'Content-Type: text/plain'\n", { printingLine: undefined, command: [] }],
  ["#!/bin/sh\nexec /x\r\n", { carriageReturnLine: 2 }],
  [
    "#!/bin/sh\nPATH=/only\nnode app.js\n",
    { path: { folders: ["/only"], keepsOld: false }, command: ["node", "app.js"] },
  ],
  [
    "#!/bin/sh\nPATH=/a:$PATH; export PATH\ncd /x && exec /y z\n",
    { path: { folders: ["/a"], keepsOld: true }, folder: "/x", command: ["/y", "z"] },
  ],
  ["#!/bin/sh\n. ~/.nvm/nvm.sh\nexec /x\n", { path: undefined, command: ["/x"] }],
  ["#!/bin/sh\nPATH=$NODE/bin:$PATH\nexec /x\n", { path: undefined }],
  ["#!/bin/sh\nif [ -x /a ]; then\n  exec /a\nfi\nexec /b\n", { command: [] }],
])("a wrapper %j", (text, wanted) => {
  expect(readWrapper(text)).toMatchObject(wanted);
});

test("directives: quotes, continued lines, sections, and what does not close", () => {
  const { directives, problems } = readDirectives(
    'A "b c" \'d\' e\\\n  f\n# no\n<Files "x y">\r\n  B\n</files>\n</If>\n<Limit GET\n',
    "f",
  );
  expect(directives.map(({ name, args, line }) => [name, args, line])).toEqual([
    ["A", ["b c", "d", "e", "f"], 1],
    ["Files", ["x y"], 4],
    ["Limit", ["GET"], 8],
  ]);
  expect(directives[1]?.children).toMatchObject([{ name: "B", line: 5 }]);
  expect(problems.map(({ line }) => line)).toEqual([7, 8, 8]);
});

test("a configuration: Include, Define, IfModule, IfDefine", () => {
  mkdirSync(join(dir, "conf.d"));
  writeFileSync(join(dir, "conf.d/one.conf"), "ServerName ${NAME}\n");
  writeFileSync(join(dir, "conf.d/two.txt"), "ServerName wrong\n");
  writeFileSync(
    join(dir, "httpd.conf"),
    "Define NAME first\nLoadModule x_module modules/mod_x.so\nInclude conf.d/*.conf\n<IfModule mod_x.c>\nA\n</IfModule>\n<IfModule !x_module>\nB\n</IfModule>\n<IfDefine GIVEN>\nC\n</IfDefine>\nInclude nowhere.conf\n",
  );
  const found = readConfiguration({
    file: join(dir, "httpd.conf"),
    root: dir,
    defines: ["GIVEN"],
    variables: {},
    builtIn: ["core"],
  });
  expect(found.directives.map(({ name, args }) => [name, ...args].join(" "))).toEqual([
    "LoadModule x_module modules/mod_x.so",
    "ServerName first",
    "A",
    "C",
  ]);
  expect([...found.modules]).toEqual([
    ["core", ""],
    ["x", join(dir, "modules/mod_x.so")],
  ]);
  expect(found.unread).toEqual([join(dir, "nowhere.conf")]);
});

test("a pattern for files does not reach into folders", () => {
  expect(wildcard("*.conf").test("a.conf")).toBe(true);
  expect(wildcard("*.conf").test("a/b.conf")).toBe(false);
  expect(wildcard("a+b?").test("a+bc")).toBe(true);
});

describe("rules of mod_rewrite", () => {
  const follow = (rules: string, path: string) =>
    followRules(readDirectives(`RewriteEngine On\n${rules}`, "f").directives, { folder: dir, urlPath: "/site", path });

  test.each([
    ["RewriteRule ^(.*)$ app.cgi/$1 [L]", "page", { kind: "loop" }],
    [
      "RewriteCond %{REQUEST_FILENAME} !-f\nRewriteRule ^(.*)$ app.cgi/$1 [L]",
      "page",
      { kind: "rewritten", path: "app.cgi/page" },
    ],
    ["RewriteCond %{REQUEST_FILENAME} !-f\nRewriteRule ^(.*)$ app.cgi/$1 [L]", ".env", { kind: "stays", path: ".env" }],
    ["RewriteRule ^(.*)$ app.cgi/$1 [END]", "page", { kind: "rewritten", path: "app.cgi/page" }],
    [
      "RewriteRule ^app\\.cgi(/|$) - [L]\nRewriteRule ^(.*)$ app.cgi/$1 [B=%?#,L]",
      ".env",
      { kind: "rewritten", path: "app.cgi/.env" },
    ],
    ["RewriteRule ^\\.env - [F]", ".env", { kind: "forbidden" }],
    ["RewriteRule !^static/ /site/app.cgi [L]", "page", { kind: "rewritten", path: "app.cgi" }],
    ["RewriteRule ^(.*)$ /cgi-bin/app.cgi/$1 [L]", "page", { kind: "elsewhere" }],
    [
      "RewriteCond %{HTTPS} off\nRewriteRule ^ https://example.org/ [R=301,L]\nRewriteRule ^page$ style.css [L]",
      "page",
      { kind: "unknown" },
    ],
    ["RewriteRule ^ https://example.org/ [R=301,L]", "page", { kind: "stays" }],
    [
      "RewriteCond %{ENV:REDIRECT_STATUS} ^$\nRewriteRule ^(.*)$ app.cgi/$1 [L]",
      "page",
      { kind: "rewritten", path: "app.cgi/page" },
    ],
    [
      "RewriteCond %{REQUEST_URI} ^/site/a [OR]\nRewriteCond %{REQUEST_URI} b$\nRewriteRule .* style.css [END]",
      "ab",
      { kind: "rewritten", path: "style.css" },
    ],
    [
      "RewriteCond /$1 !(?i)/\\.[^/]*(/|$)\nRewriteRule ^(.*)$ - [L]\nRewriteRule ^ app.cgi [END]",
      ".ENV",
      { kind: "rewritten", path: "app.cgi" },
    ],
  ])("%j", (rules, path, wanted) => {
    expect(follow(rules, path)).toMatchObject(wanted);
  });

  test("off, they do nothing", () => {
    const { directives } = readDirectives("RewriteRule ^ app.cgi", "f");
    expect(followRules(directives, { folder: dir, urlPath: "", path: "page" })).toMatchObject({ kind: "stays" });
  });
});

test.each([
  ["Options +ExecCGI", ["options"], "allowed"],
  ["Options +ExecCGI", ["fileinfo"], "forbidden"],
  ["Options +ExecCGI", ["fileinfo", "nonfatal"], "ignored"],
  ["CGIPassAuth On", ["fileinfo"], "forbidden"],
  ["RewriteRule a b", ["all"], "allowed"],
  ["ProxyPass / x", ["all"], "forbidden"],
  ["NoSuchThing", ["fileinfo"], "allowed"],
])("%s with AllowOverride %j is %s", (text, classes, wanted) => {
  const [directive] = readDirectives(text, "f").directives;
  expect(
    canOverride(directive!, { classes: new Set(classes), list: new Set(), options: undefined, by: undefined }),
  ).toBe(wanted);
});

test("the mount that a path lies on", () => {
  const table =
    "/dev/a / ext4 rw 0 0\ntmpfs /srv/no\\040exec tmpfs rw,noexec 0 0\n/dev/b /srv/no\\040exec/but ext4 rw 0 0\n";
  expect(noexecMountOf("/srv/no exec/x", table)).toBe("/srv/no exec");
  expect(noexecMountOf("/srv/no exec/but/x", table)).toBeUndefined();
  expect(noexecMountOf("/srv/no execute", table)).toBeUndefined();
});

test("limits as /proc has them", () => {
  const table =
    "Limit                     Soft Limit           Hard Limit           Units\nMax processes             20                   20                   processes\nMax address space         2147483648           unlimited            bytes\n";
  expect(limitFindings(table, "x").map(({ code }) => code)).toEqual(["TSGI3552", "TSGI3553"]);
  expect(limitFindings(table.replace(" 20 ", " unlimited ").replace("2147483648", "unlimited"), "x")).toEqual([]);
});

test("addresses of daemons, and who listens there", () => {
  expect(backendAddress("unix:/run/x.sock|fcgi://app/")).toEqual({ path: "/run/x.sock" });
  expect(backendAddress("fcgi://127.0.0.1:9000/")).toEqual({ host: "127.0.0.1", port: 9000 });
  expect(backendAddress("fcgi://[::1]:9000")).toEqual({ host: "::1", port: 9000 });
  expect(backendAddress("http://127.0.0.1:9000/")).toBeUndefined();
  const line = (flags: string, path: string) => `0000000000000000: 00000002 00000000 ${flags} 0001 01 12345 ${path}\n`;
  expect(
    listenersAt("/run/x", line("00010000", "/run/x") + line("00000000", "/run/x") + line("00010000", "/run/y")),
  ).toBe(1);
});

test("a finding is one line, whatever it says", () => {
  const finding = {
    code: "TSGI3500",
    severity: "error",
    place: "/x\ny",
    message: `a\u001B[31m${"b".repeat(3000)}`,
    remedy: "",
  } as const;
  expect(findingLine(finding)).toMatch(/^error {3}TSGI3500 \/x y: a \[31mb+\.\.\.$/);
  expect(oneLine("a\nb\tc")).toBe("a b c");
});
