// What visitors never get, as the patterns say it. Apache's (?i) is the flag "i" of JavaScript.
import { expect, test } from "vitest";
import type { Directive } from "../../../src/apache/directives.ts";
import {
  hideFolders,
  hideNames,
  publishedConditions,
  publishedExpression,
  scriptPattern,
} from "../../../src/apache/published.ts";

function regex(pattern: string): RegExp {
  expect(pattern).toMatch(/^\(\?i\)/);
  return new RegExp(pattern.slice("(?i)".length), "i");
}

const namePatterns = hideNames().map((directive) => regex(directive.kind === "block" ? (directive.args[0] ?? "") : ""));

function isHiddenName(name: string): boolean {
  return namePatterns.some((pattern) => pattern.test(name));
}

const hidden = [
  ".env .htaccess .git .DS_Store prod.env config.env.local",
  "app.d.ts app.d.mts app.ts~ app.ts.bak app.ts.swp .app.ts.swp app.ts.orig app.tsx.old app.ts.map app.ts. APP.TS.BAK page.jsx",
  "notes.txt~ #notes# data.json.tmp index.html.save style.css.swo",
  "server.log error.log.1 npm-debug.log access.log-20260101",
  "package.json package-lock.json tsconfig.json tsconfig.build.json jsconfig.json yarn.lock pnpm-lock.yaml bun.lockb deno.jsonc",
  "vite.config.js tsgi.config.ts tsgi.config.json eslint.config.mjs app.tsbuildinfo docker-compose.yml compose.prod.yaml Dockerfile Dockerfile.dev PACKAGE.JSON",
]
  .join(" ")
  .split(" ");

const shown = [
  "index.html style.css client.js module.mjs data.json photo.jpg app.js.map changelog.txt logo.svg blog.html catalog.pdf",
  "packages.json tables.tsv notes.tst robots.txt manifest.webmanifest environment.html login.html",
]
  .join(" ")
  .split(" ");

test.each(hidden)("%s is hidden", (name) => {
  expect(isHiddenName(name)).toBe(true);
});

test.each(shown)("%s is for visitors", (name) => {
  expect(isHiddenName(name)).toBe(false);
});

test("TypeScript files are scripts, whatever the case of their names", () => {
  for (const name of ["a.ts", "a.mts", "a.cts", "a.tsx", "A.TS", "a.b.ts"])
    expect(regex(scriptPattern).test(name), name).toBe(true);
  for (const name of ["a.js", "a.tsv", "ts", "a.ts.bak", "a.mtsx.html"])
    expect(regex(scriptPattern).test(name), name).toBe(false);
});

test("folders are hidden below the served one, never because of where that lies", () => {
  const directive = hideFolders("/home/u/.sites/a+b (1)/");
  const pattern = regex(directive.kind === "block" ? (directive.args[0] ?? "") : "");
  const below = (path: string): boolean => pattern.test(`/home/u/.sites/a+b (1)/${path}`);
  for (const path of ["node_modules/", "node_modules", "x/node_modules/y/", ".git/", "x/.svn/y/", "Node_Modules/"]) {
    expect(below(path), path).toBe(true);
  }
  for (const path of ["", "x/", "my_node_modules/", "node_modules.html", ".well-known/", ".well-known/acme/"]) {
    expect(below(path), path).toBe(false);
  }
  expect(pattern.test("/home/u/.sites/aab (1)/.git/")).toBe(false);
});

function passes(path: string): boolean {
  const fromRewrite = publishedConditions("$1").every((directive: Directive) => {
    const pattern = directive.kind === "line" ? (directive.args[1] ?? "") : "";
    return !regex(pattern.replace(/^!/, "")).test(path);
  });
  const terms = publishedExpression().split(" && ");
  const fromExpression = terms.every((term) => {
    const [, pattern = ""] = /^%\{REQUEST_URI\} !~ m,(.*),i$/.exec(term) ?? [];
    expect(pattern, term).not.toBe("");
    return !new RegExp(pattern, "i").test(path);
  });
  expect(fromExpression, path).toBe(fromRewrite);
  return fromRewrite;
}

test("a path is let through only if neither its name nor a folder on the way is hidden", () => {
  for (const name of [...hidden, "app.ts", "App.TSX", "x.mts"]) {
    expect(passes(`/${name}`), name).toBe(false);
    expect(passes(`/a/b/${name}`), name).toBe(false);
    expect(passes(`/${name}/more/path.html`), `${name} with a path behind it`).toBe(false);
  }
  for (const name of shown) expect(passes(`/a/${name}`), name).toBe(true);
  for (const path of ["/node_modules/x.js", "/a/.git/config", "/.cache/x.css"]) expect(passes(path), path).toBe(false);
  expect(passes("/.well-known/security.txt")).toBe(true);
});
