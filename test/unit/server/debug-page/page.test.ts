import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { ContractError, OverloadedError } from "../../../../src/errors.ts";
import type { ErrorPage } from "../../../../src/gateway/error-page.ts";
import { packageRoot } from "../../../../src/loader/package.ts";
import { loadApplication } from "../../../../src/loader/load.ts";
import { debugPages } from "../../../../src/server/debug-page/page.ts";
import type { Failure } from "../../../../src/server/error-pages.ts";
import { pageFromTemplate, statusOf } from "../../../../src/gateway/error-page.ts";
import { variablesOf } from "../../gateway/play.ts";
import { collectLog } from "../collected-log.ts";

let folder = "";

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "tsgi-debug-"));
  writeFileSync(
    join(folder, "app.ts"),
    [
      'import { find } from "./rows.ts";',
      "interface Wanted { readonly id: number }",
      "export const application = async () => {",
      "  const wanted: Wanted = { id: 7 };",
      "  try {",
      "    return await find(wanted.id);",
      "  } catch (error) {",
      '    throw new Error("the page <b>could not</b> be made", { cause: error });',
      "  }",
      "};",
    ].join("\n"),
  );
  writeFileSync(
    join(folder, "rows.ts"),
    [
      "export async function find(id: number): Promise<string> {",
      "\tthrow new TypeError(`no row ${id}`); // <i>",
      "}",
    ].join("\n"),
  );
  writeFileSync(join(folder, "broken.ts"), 'const a = 1;\nexport const application = (() => {\n\treturn "x" +* 2;\n');
});

afterAll(() => rmSync(folder, { recursive: true }));

const local = {
  REQUEST_METHOD: "GET",
  REQUEST_URI: "/a?x=1",
  REMOTE_ADDR: "127.0.0.1",
  HTTP_HOST: "localhost:8000",
  HTTP_ACCEPT: "text/html,*/*",
};

function show(error: unknown, more: Record<string, string> = {}, failure: Partial<Failure> = {}) {
  const log = collectLog();
  const pages = debugPages(({ error: failed, requestId }) =>
    pageFromTemplate("plain {{status}}", statusOf(failed), requestId),
  );
  const page = pages(
    { error, requestId: "id-7", script: "/srv/app.ts", variables: variablesOf({ ...local, ...more }), ...failure },
    log,
  ) as ErrorPage;
  return { ...page, log };
}

/** An error as the application above throws it; a test runner's own stacks have other paths than Node's. */
function thrown(): Error {
  const cause = new TypeError("no row 7");
  cause.stack = `TypeError: no row 7
    at find (${folder}/rows.ts:2:8)
    at application (file://${folder}/app.ts:6:18)
    at process.processTicksAndRejections (node:internal/process/task_queues:95:5)`;
  const error = new Error("the page <b>could not</b> be made", { cause });
  error.stack = `Error: the page <b>could not</b> be made
    at application (${folder}/app.ts:8:11)
    at async Exchange.run (${packageRoot}/dist/gateway/run.js:1:1)
    at handle (${folder}/node_modules/router/index.js:1:1)
    at ${folder}/app.ts:3:1`;
  return error;
}

async function loadFailure(name: string): Promise<unknown> {
  const cacheDir = join(folder, "cache");
  const reference = { file: join(folder, name), exportName: undefined };
  return await loadApplication(reference, { cacheDir }).catch((error: unknown) => error);
}

/** What a browser would show. */
function textOf(body: string): string {
  return body
    .replace(/<style>[^]*<\/style>/, "")
    .replace(/<[^>]*>/g, "")
    .replace(/&#(\d+);/g, (_, code: string) => String.fromCharCode(Number(code)));
}

describe("for an error of the application", () => {
  test("has the TypeScript source around each call, the chain of causes, the request and its id", async () => {
    const { status, body, headers } = show(thrown());
    const text = textOf(body);
    expect(status).toBe("500 Internal Server Error");
    expect(headers).toContainEqual(["Content-Type", "text/html; charset=utf-8"]);
    expect(text).toContain("Error: the page <b>could not</b> be made");
    expect(text).toContain("TypeError: no row 7");
    expect(text.indexOf("caused by")).toBeGreaterThan(text.indexOf("could not"));
    expect(text).toContain(`${folder}/app.ts:8:11`);
    expect(text).toContain(`${folder}/rows.ts:2:8`);
    expect(text).toContain("const wanted: Wanted = { id: 7 };");
    expect(text).toMatch(/8 {4}throw new Error\(.*\n {10}\^/);
    expect(text).toMatch(/2\tthrow new TypeError\(.*\n\t {6}\^/);
    expect(text).toMatch(/Request.*GET \/a\?x=1/);
    expect(text).toContain("id-7");
    expect(text).toContain("All 4 calls");
    expect(body.match(/class="source"/g)).toHaveLength(4); // the application's own calls, of both errors
  });

  test("is text for a client that takes no HTML", async () => {
    const { body, headers } = show(thrown(), { HTTP_ACCEPT: "*/*" });
    expect(headers).toContainEqual(["Content-Type", "text/plain; charset=utf-8"]);
    expect(headers.filter(([name]) => name === "Content-Type")).toHaveLength(1);
    expect(body).toMatch(/^>\s+8 \| {5}throw new Error/m);
    expect(body).toMatch(/^caused by: TypeError: no row 7$/m);
  });
});

test("for a syntax error has file, line and a caret", async () => {
  const text = textOf(show(await loadFailure("broken.ts")).body);
  expect(text).toMatch(/broken\.ts:3:14: .*\n {2}\treturn "x" \+\* 2;\n {2}\t {12}\^/);
  expect(text).toContain("tsgi explain TSGI3004");
});

describe("nothing becomes markup", () => {
  const evil = `<script>alert("1")</script>'&`;

  test.each<[string, () => { readonly body: string }]>([
    ["in a message", () => show(new Error(evil))],
    ["in a name", () => show(Object.assign(new Error("x"), { name: evil }))],
    ["in what was thrown", () => show(evil)],
    ["in a variable", () => show(new Error("x"), { HTTP_USER_AGENT: evil })],
    ["in a variable's name", () => show(new Error("x"), { [evil]: "x" })],
    ["in the URL", () => show(new Error("x"), { REQUEST_URI: `/${evil}` })],
    ["in the request id", () => show(new Error("x"), {}, { requestId: evil })],
    ["in a stack", () => show(Object.assign(new Error("x"), { stack: `Error: x\n    at ${evil} (/srv/a.ts:1:1)` }))],
    ["in a cause", () => show(new Error("x", { cause: new AggregateError([new Error(evil)], evil) }))],
  ])("%s", (_, make) => {
    const { body } = make();
    expect(body).not.toContain("<script");
    expect(textOf(body)).toContain(evil);
  });

  test("and the browser may neither run nor load anything", () => {
    const { headers } = show(new Error("x"));
    expect(Object.fromEntries(headers)).toMatchObject({
      "Content-Security-Policy": expect.stringContaining("default-src 'none'"),
      "X-Content-Type-Options": "nosniff",
      "Cache-Control": "no-store",
    });
  });
});

test("the environ is there without what is secret", () => {
  const secret = "s3cr3t";
  const { body } = show("thrown", {
    HTTP_AUTHORIZATION: secret,
    "tsgi.original.HTTP_AUTHORIZATION": secret,
    HTTP_COOKIE: secret,
    DB_PASSWORD: secret,
    API_KEY: secret,
    GITHUB_TOKEN: secret,
    DATABASE_URL: `postgres://user:${secret}@db/x`,
    QUERY_STRING: `a=1&access_token=${secret}`,
    REQUEST_URI: `/x?password=${secret}&b=2`,
    HTTP_ACCEPT_LANGUAGE: "de",
    NOTE: "gr\u00c3\u00bcn",
  });
  expect(body).not.toContain(secret);
  const text = textOf(body);
  expect(text).toContain("postgres://(hidden)@db/x");
  expect(text).toContain("a=1&access_token=(hidden)");
  expect(text).toMatch(/HTTP_ACCEPT_LANGUAGE.*de/);
  expect(text).toContain("grün");
});

describe("only shows sources, whatever a stack names", () => {
  test("neither other files nor what a message pretends", () => {
    const file = join(folder, "secret.env");
    writeFileSync(file, "PASSWORD=s3cr3t");
    const forged = new Error(`x\n    at f (${join(folder, "app.ts")}:1:1)`);
    const listed = Object.assign(new Error("x"), { stack: `Error: x\n    at f (${file}:1:1)` });
    expect(show(forged).body).not.toContain(`<code>${folder}/app.ts`);
    expect(show(listed).body).not.toContain("s3cr3t");
  });
});

describe("whatever was thrown", () => {
  const bad = new Error("x");
  Object.defineProperty(bad, "stack", {
    get: () => {
      throw new Error("no stack");
    },
  });
  const own = new Error("own cause");
  own.cause = own;

  test.each([[undefined], [null], [42], ["text"], [{}], [bad], [own], [Object.create(null)]])(
    "%# has a page",
    (error) => {
      const { status, body, log } = show(error);
      expect(status).toBe("500 Internal Server Error");
      expect(body).toContain("<h2>");
      expect(log.lines).toEqual([]);
    },
  );

  test("an error of ours has its own status and names its page", () => {
    const { status, body } = show(new ContractError("twice"));
    expect([status, textOf(body).includes("tsgi explain TSGI2001")]).toEqual(["500 Internal Server Error", true]);
  });
});

describe("the plain page goes to", () => {
  test.each<[string, Record<string, string>]>([
    ["a client on another machine", { REMOTE_ADDR: "192.0.2.1" }],
    ["a client without an address", { REMOTE_ADDR: "" }],
    ["an address that only begins like one of ours", { REMOTE_ADDR: "127.0.0.1.example" }],
    ["a client behind a proxy on this machine", { HTTP_X_FORWARDED_FOR: "192.0.2.1" }],
    ["one behind a proxy of another kind", { HTTP_FORWARDED: "for=192.0.2.1" }],
    ["one behind a proxy that is not trusted", { "tsgi.original.HTTP_X_FORWARDED_FOR": "192.0.2.1" }],
    ["a name that a foreign site may have bound to this machine", { HTTP_HOST: "rebound.example" }],
    ["a name that only looks local", { HTTP_HOST: "localhost.example:80" }],
  ])("%s", (_, more) => {
    const { body, log } = show(new Error("secret"), more);
    expect(body).toBe("plain 500");
    expect(log.lines).toMatchObject([{ level: "info", message: "the page for developers was not shown" }]);
  });

  test("somebody who finds the server overloaded, which is no mistake of a program's", () => {
    expect(show(new OverloadedError("x")).body).toBe("plain 503");
  });

  test.each<[string, Record<string, string>]>([
    ["::1", { REMOTE_ADDR: "::1" }],
    ["an IPv4 address in an IPv6 one", { REMOTE_ADDR: "::ffff:127.0.0.1" }],
    ["another loopback address", { REMOTE_ADDR: "127.8.9.10", HTTP_HOST: "127.8.9.10" }],
    ["[::1] as the host", { HTTP_HOST: "[::1]:8000" }],
    ["a name below .localhost", { HTTP_HOST: "shop.localhost" }],
  ])("none of these: %s", (_, more) => {
    expect(show(new Error("secret"), more).body).toContain("secret");
  });
});
