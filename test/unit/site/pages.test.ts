import { mkdtempSync, rmSync } from "node:fs";
import { readdir, readFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, onTestFinished, test } from "vitest";
import { application as dispatch } from "../../../apache/site/dispatch.ts";
import { application as hello } from "../../../apache/site/hello.ts";
import { application as importing } from "../../../apache/site/importing.ts";
import { application as mangojuice } from "../../../apache/site/mangojuice.ts";
import { application as middleware } from "../../../apache/site/middleware.ts";
import { application as rest } from "../../../apache/site/rest.ts";
import { application as sample } from "../../../apache/site/sample.ts";
import { application as stream } from "../../../apache/site/stream.ts";
import { lint } from "../../../src/gateway/lint.ts";
import type { Violation } from "../../../src/gateway/lint/rules.ts";
import { loadApplication } from "../../../src/loader/load.ts";
import { runDirect } from "../../../src/server/direct.ts";
import type { DirectReply } from "../../../src/server/direct.ts";
import type { Application } from "../../../src/spec.ts";
import { sitePackages } from "../../harness/product.ts";

const site = new URL("../../../apache/site/", import.meta.url);

function isApplication(source: string): boolean {
  return /^(?:export const application:|export default |await app\.listen)/mu.test(source);
}

function get(application: Application, mountPoint: string, rest = ""): Promise<DirectReply> {
  return runDirect(application, { method: "GET", url: mountPoint + rest, mountPoint });
}

function header(reply: DirectReply, wanted: string): string | undefined {
  return reply.headers.find(([name]) => name.toLowerCase() === wanted)?.[1];
}

describe("hello.ts", () => {
  test("greets the world without a subject, or with an empty one", async () => {
    for (const url of ["", "?subject="]) {
      const reply = await get(hello, "/hello.ts", url);
      expect(reply.status).toBe(200);
      expect(header(reply, "content-type")).toBe("text/html; charset=utf-8");
      expect(reply.body.toString()).toContain("<h1>Hello World!</h1>");
    }
  });

  test("escapes the subject wherever it prints it", async () => {
    const reply = await get(hello, "/hello.ts", `?subject=${encodeURIComponent(`<script>"&'</script>`)}`);
    const page = reply.body.toString();
    expect(page).toContain("<h1>Hello &lt;script&gt;&quot;&amp;&#39;&lt;/script&gt;!</h1>");
    expect(page).not.toContain("<script>");
  });

  test("prints a subject in UTF-8", async () => {
    const reply = await get(hello, "/hello.ts", "?subject=%C3%81d%C3%A1m+%E6%BC%A2");
    expect(reply.body.toString()).toContain("<h1>Hello Ádám 漢!</h1>");
  });
});

test("sample.ts and mangojuice.ts send exactly their bytes", async () => {
  const first = await get(sample, "/sample.ts");
  expect(first).toMatchObject({ status: 200, complete: true });
  expect(header(first, "content-length")).toBe("12");
  expect(first.body.toString()).toBe("Hello World!");
  const second = await get(mangojuice, "/mangojuice.ts");
  expect(second).toMatchObject({ status: 200, reason: "OK", complete: true });
  expect(header(second, "content-type")).toBe("text/html");
  expect(second.body.toString()).toBe("Hello World");
});

describe("dispatch.ts", () => {
  test.each([
    ["", 200, "<h1>Hello World application</h1>"],
    ["/", 200, 'href="/dispatch.ts/hello/"'],
    ["/hello", 200, "<h1>Hello World!</h1>"],
    ["/hello/", 200, "<h1>Hello World!</h1>"],
    ["/hello?subject=Bob", 200, "<h1>Hello Bob!</h1>"],
    ["/hello/Ada?subject=Bob", 200, "<h1>Hello Ada!</h1>"],
    ["/hello/%3Cb%3E%C3%A9", 200, "<h1>Hello &lt;b&gt;é!</h1>"],
    ["/nowhere", 404, "Not Found"],
    ["/othello", 404, "Not Found"],
  ])("answers %s with %i", async (path, status, text) => {
    const reply = await get(dispatch, "/dispatch.ts", path);
    expect(reply.status).toBe(status);
    expect(reply.body.toString()).toContain(text);
  });

  test("puts what the pattern captured into the environ", async () => {
    let seen: unknown;
    const spy: Application = (environ, startResponse) => {
      const body = dispatch(environ, startResponse);
      seen = environ["myapp.url_args"];
      return body;
    };
    await get(spy, "/dispatch.ts", "/hello/Ada/Lovelace");
    expect(seen).toEqual(["Ada/Lovelace"]);
  });
});

test("rest.ts tells its own part of the path from the rest", async () => {
  const reply = await get(rest, "/rest", "/custompath");
  expect(reply.body.toString()).toBe("Hello World!\nPATH_INFO = /custompath\nSCRIPT_NAME = /rest\n");
  expect(header(reply, "content-length")).toBe(String(reply.body.length));
  const decoded = await get(rest, "/rest", "/caf%C3%A9");
  expect(decoded.body.toString()).toContain("PATH_INFO = /café\n");
});

test("importing.ts answers with what the module beside it says", async () => {
  const reply = await get(importing, "/importing.ts");
  expect(reply.body.toString()).toBe("just saying I did it, for GET /importing.ts\n");
});

describe("stream.ts", () => {
  test("sends the lines that were asked for", async () => {
    const reply = await get(stream, "/stream.ts", "?lines=2");
    expect(reply.complete).toBe(true);
    expect(reply.body.toString().match(/<li>/g)).toHaveLength(2);
    expect(reply.body.toString()).toMatch(/<\/html>\s*$/);
  });

  test("stops at the next line when the client has gone", async () => {
    const pieces: unknown[] = [];
    const body = await stream(
      Object.assign(Object.create(null), { QUERY_STRING: "lines=20", "tsgi.signal": AbortSignal.abort() }),
      () => async () => {},
    );
    if (typeof body === "string" || body instanceof Uint8Array) throw new Error("the body is not a stream");
    for await (const piece of body) pieces.push(piece);
    // The head and the first line were yielded, the other nineteen never.
    expect(pieces).toHaveLength(2);
  });
});

describe("middleware.ts", () => {
  test("turns the inner application's text into pig latin and adds its header", async () => {
    const reply = await get(middleware, "/middleware.ts", "?text=hello+apache+str%C3%B6m");
    expect(reply.complete).toBe(true);
    expect(reply.body.toString()).toBe("ellohay apacheway strömay\n");
    expect(header(reply, "x-passed-through")).toBe("latinator");
  });

  test("drops the length that no longer holds", async () => {
    const reply = await get(middleware, "/middleware.ts");
    expect([undefined, String(reply.body.length)]).toContain(header(reply, "content-length"));
  });
});

describe("index.html", () => {
  test("leads to every application and to nothing that is not there", async () => {
    const page = await readFile(new URL("index.html", site), "utf8");
    const targets = [...page.matchAll(/(?:href|action)="([^":]+)"/g)].map(([, target = ""]) => target);
    const linked = new Set(targets.map((target) => target.replace(/(\.ts)[/?].*$/, "$1")));
    const applications: string[] = [];
    for (const name of await readdir(site)) {
      if (!name.endsWith(".ts")) continue;
      if (isApplication(await readFile(new URL(name, site), "utf8"))) applications.push(name);
    }
    expect(applications).toContain("hello.ts");
    expect([...linked].sort()).toEqual(applications.sort());
  });

  test("needs nothing from another host", async () => {
    const page = await readFile(new URL("index.html", site), "utf8");
    expect(page).not.toMatch(/(?:src|href|action)="(?:https?:)?\/\//);
    expect(page).not.toMatch(/@import|url\(/);
  });
});

/** The applications of the site: every script that is one. */
async function scripts(): Promise<string[]> {
  const names = (await readdir(site)).filter((name) => name.endsWith(".ts"));
  const texts = await Promise.all(names.map(async (name) => await readFile(new URL(name, site), "utf8")));
  return names.filter((_name, index) => isApplication(texts[index] ?? ""));
}

describe("every script", () => {
  test("keeps the rules of the contract, alone and with what it imports", async () => {
    const folder = mkdtempSync(join(tmpdir(), "tsgi-test-"));
    onTestFinished(() => rmSync(folder, { recursive: true }));
    for (const name of await scripts()) {
      const reference = { file: fileURLToPath(new URL(name, site)), exportName: undefined };
      const { application } = await loadApplication(reference, { cacheDir: folder });
      const violations: Violation[] = [];
      const checked = lint(application, { report: (violation) => violations.push(violation) });
      const reply = await get(checked, `/${name}`, name === "download.ts" ? "?mib=1" : "?lines=1");
      expect([name, reply.complete, violations]).toEqual([name, true, []]);
    }
  });

  test("imports only packages that the container has", async () => {
    const names = await readdir(site, { recursive: true });
    const texts = await Promise.all(
      names.filter((name) => name.endsWith(".ts")).map((name) => readFile(new URL(name, site), "utf8")),
    );
    const imported = texts
      .flatMap((text) => [...text.matchAll(/ from "([^".][^"]*)"/gu)].map(([, name = ""]) => name))
      .filter((name) => name !== "tsgi" && !name.startsWith("node:"))
      .map((name) => name.replace(/\/.*$/u, ""));
    const dockerfile = await readFile(new URL("../Dockerfile", site), "utf8");
    const installed = [...dockerfile.matchAll(/"dependencies\.(\w+)=/gu)].map(([, name = ""]) => name);
    expect([...new Set(imported)].sort()).toEqual(installed.sort());
    expect(sitePackages.toSorted()).toEqual(installed);
  });
});
