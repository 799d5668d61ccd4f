// The sample site in a real browser, through a real Apache: forms, an upload with its progress, a stream of events.
import { createHash } from "node:crypto";
import { join } from "node:path";
import type { Browser, BrowserContext, CDPSession, Page } from "playwright-core";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { startBrowser } from "../harness/browser.ts";
import { StartedServer } from "../harness/server.ts";
import { until } from "../harness/until.ts";
import { Workspace } from "../harness/workspace.ts";

const mebibyte = 1024 * 1024;

let workspace: Workspace;
let server: StartedServer;
let browser: Browser;
let context: BrowserContext;
let page: Page;
/** Errors of pages and of their scripts, and requests to anybody else. */
let problems: string[];

beforeAll(async () => {
  workspace = await Workspace.open();
  const site = join(workspace.product.dir, "apache/site");
  server = await StartedServer.start(workspace, site, { asRoot: true, outlivesTest: true });
  browser = await startBrowser(workspace);
}, 60_000);

afterAll(async () => {
  await browser?.close();
  expect(await server?.stop(), server?.program.report()).toEqual({ code: 0, signal: null });
  await workspace.close();
}, 60_000);

async function open(options: { javaScriptEnabled?: boolean } = {}): Promise<void> {
  context = await browser.newContext({ baseURL: `http://127.0.0.1:${server.port}`, ...options });
  context.setDefaultTimeout(20_000);
  page = await context.newPage();
  page.on("pageerror", (error) => problems.push(String(error)));
  page.on("requestfailed", (request) => {
    // ERR_ABORTED is the page's own doing, and also what Chromium may say of a stream that was read to its end.
    const error = request.failure()?.errorText;
    if (error !== "net::ERR_ABORTED") problems.push(`${request.url()}: ${error}`);
  });
  page.on("request", (request) => {
    if (!request.url().startsWith(`http://127.0.0.1:${server.port}/`) && !request.url().startsWith("data:"))
      problems.push(`a request to ${request.url()}`);
  });
}

beforeEach(async () => {
  problems = [];
  await open();
});

afterEach(async () => {
  await context.close();
  expect(problems).toEqual([]);
});

const textOf = async (selector: string): Promise<string> => (await page.textContent(selector)) ?? "";

describe("the index", () => {
  const cardOf = (path: string, heading?: string) =>
    page
      .locator("section", { hasText: path })
      .filter({ hasText: heading ?? path })
      .first();

  test("runs each of its examples, and shows what came", async () => {
    await page.goto("/");
    await page.click("#all");
    const cards = page.locator("section:not([data-own-page])");
    const count = await cards.count();
    expect(count).toBeGreaterThan(9);
    for (let index = 0; index < count; index += 1) {
      const card = cards.nth(index);
      await card.locator(".result .good").waitFor();
      expect(await card.locator(".result .good").textContent()).toBe("200 OK");
    }
    expect(await cardOf("stream.ts").frameLocator(".result iframe").locator("li").count()).toBe(6);
  });

  test("sends a form by GET, and what was typed stays text", async () => {
    await page.goto("/");
    const card = cardOf("hello.ts");
    await card.locator(".result .good").waitFor(); // the page runs its first form by itself
    await card.locator("input[name=subject]").fill("<b>Gr\u00fc\u00dfe</b> & \u6f22");
    await card.locator("button").click();
    const frame = card.frameLocator(".result iframe");
    await frame.locator("h1", { hasText: "Gr\u00fc\u00dfe" }).waitFor();
    expect(await frame.locator("h1").textContent()).toBe("Hello <b>Gr\u00fc\u00dfe</b> & \u6f22!");
  });

  test("sends a form by POST", async () => {
    await page.goto("/");
    const card = cardOf("product.ts", "by POST");
    await card.locator("[name=id]").selectOption("A002");
    await card.locator("button").click();
    await card.locator(".result .good").waitFor();
    expect(JSON.parse((await card.locator(".result pre").textContent()) ?? "")).toEqual({
      name: "Bi-Noculars",
      price: 89,
    });
  });

  test("works without its script: a form opens its answer", async () => {
    await context.close();
    await open({ javaScriptEnabled: false });
    await page.goto("/");
    const card = cardOf("hello.ts");
    await card.locator("input[name=subject]").fill("Ada");
    await card.locator("button").click();
    await page.waitForURL("**/hello.ts?subject=Ada");
    expect(await textOf("h1")).toBe("Hello Ada!");
  });
});

describe("upload.ts", () => {
  const content = Buffer.alloc(6 * mebibyte, "0123456789abcdef");
  const file = { name: "pl\u00e4ne \u6f22.bin", mimeType: "application/octet-stream", buffer: content };
  const sha256 = createHash("sha256").update(content).digest("hex");

  /** The browser sends no faster than this, so that there is progress to be seen. */
  async function slow(bytesPerSecond: number): Promise<CDPSession> {
    const session = await context.newCDPSession(page);
    await session.send("Network.enable");
    const network = { offline: false, latency: 0, downloadThroughput: -1, uploadThroughput: bytesPerSecond };
    await session.send("Network.emulateNetworkConditions", network);
    return session;
  }

  /** Every value that the page's progress bar takes from now on. */
  async function watchProgress(): Promise<number[]> {
    const values: number[] = [];
    await page.exposeFunction("tellProgress", (value: number) => values.push(value));
    await page.evaluate(`new MutationObserver(() => tellProgress(document.getElementById("progress").value))
      .observe(document.getElementById("progress"), { attributes: true, attributeFilter: ["value"] })`);
    return values;
  }

  test("shows how far the upload is, and then what arrived", async () => {
    await page.goto("/upload.ts");
    await slow(4 * mebibyte);
    const values = await watchProgress();
    await page.setInputFiles("input[type=file]", [file, { ...file, name: "b.txt", buffer: Buffer.from("b") }]);
    await page.fill("input[name=note]", "two files");
    await page.click("button:not([type=button])");
    await page.locator("#state", { hasText: "done" }).waitFor();
    expect(values.filter((value) => value > 0 && value < 1).length).toBeGreaterThan(1);
    expect(values).toEqual(values.toSorted((one, other) => one - other));
    expect(values.at(-1)).toBe(1);
    expect(await page.locator("#received li").allTextContents()).toEqual([
      `${file.name}: ${content.length} bytes, ${sha256}`,
      `b.txt: 1 bytes, ${createHash("sha256").update("b").digest("hex")}`,
    ]);
  });

  test("may be cancelled in the middle, and tried again", async () => {
    await page.goto("/upload.ts");
    const session = await slow(mebibyte);
    const values = await watchProgress();
    await page.setInputFiles("input[type=file]", file);
    await page.click("button:not([type=button])");
    await until("the upload to be under way", () => values.some((value) => value > 0));
    await page.click("#cancel");
    await page.locator("#state", { hasText: "cancelled" }).waitFor();
    expect(await page.locator("#received li").count()).toBe(0);
    await session.send("Network.emulateNetworkConditions", {
      offline: false,
      latency: 0,
      downloadThroughput: -1,
      uploadThroughput: -1,
    });
    await page.click("button:not([type=button])");
    await page.locator("#state", { hasText: "done" }).waitFor();
    expect(await textOf("#received li")).toContain(sha256);
  });

  test("works without its script", async () => {
    await context.close();
    await open({ javaScriptEnabled: false });
    await page.goto("/upload.ts");
    await page.setInputFiles("input[type=file]", file);
    await page.fill("input[name=note]", "<i>escaped</i>");
    await page.click("button:not([type=button])");
    await page.locator("h1", { hasText: "Received" }).waitFor();
    expect(await textOf("li")).toBe(`${file.name}: ${content.length} bytes, ${sha256}`);
    expect(await textOf("p")).toBe("<i>escaped</i>");
  });
});

describe("events.ts", () => {
  test("shows each event when it is sent, long before the last one", async () => {
    // A thousand events take minutes: what is seen at all is seen while the stream is open.
    await page.goto("/events.ts?count=1000");
    for (const count of [1, 2, 3])
      await page
        .locator("#events li")
        .nth(count - 1)
        .waitFor();
    expect(await textOf("#state")).toBe("open");
    expect(await textOf("#events li")).toMatch(/^event 1 of 1000, /u);
    await page.click("#stop");
    expect(await textOf("#state")).toBe("stopped");
  });

  test("comes to its end, and is not asked for again", async () => {
    await page.goto("/events.ts?count=2");
    await page.locator("#state", { hasText: "ended" }).waitFor();
    expect(await page.locator("#events li").count()).toBe(2);
  });

  test("several streams at once do not wait for each other", async () => {
    const pages = await Promise.all([1, 2, 3].map(() => context.newPage()));
    await Promise.all(
      pages.map(async (one) => {
        await one.goto("/events.ts?count=1000");
        await one.locator("#events li").nth(1).waitFor();
      }),
    );
    await page.goto("/hello.ts");
    expect(await textOf("h1")).toBe("Hello World!");
    await Promise.all(pages.map((one) => one.close()));
  });
});

test("download.ts is saved under its name, with its length", async () => {
  await page.goto("/");
  const downloading = page.waitForEvent("download");
  await page.evaluate('location.href = "download.ts?mib=3"');
  const download = await downloading;
  expect(download.suggestedFilename()).toBe("3-MiB-of-nothing.bin");
  let bytes = 0;
  for await (const chunk of await download.createReadStream()) bytes += (chunk as Buffer).length;
  expect(bytes).toBe(3 * mebibyte);
});

describe.each([
  ["express", "Express"],
  ["fastify", "Fastify"],
  ["hono", "Hono"],
  ["koa", "Koa"],
])("%s.ts", (file, name) => {
  test("answers its page, its form and its routes as the framework does", async () => {
    await page.goto(`/${file}.ts`);
    expect(await textOf("h1")).toBe(name);
    await page.fill("input[name=name]", "Ada <Lovelace>");
    await page.click("button");
    await page.locator("h1", { hasText: "Hello Ada <Lovelace>!" }).waitFor();
    expect(await textOf("p")).toContain("visit 1");
    await page.goBack();
    await page.fill("input[name=name]", "Ada");
    await page.click("button");
    await page.locator("p", { hasText: "visit 2" }).waitFor();
    await page.goBack();
    await page.click("a");
    expect(JSON.parse(await textOf("body"))).toEqual({ hello: "Gr\u00fc\u00dfe", from: "127.0.0.1", framework: name });
    expect((await page.goto(`/${file}.ts/nowhere`))?.status()).toBe(404);
  });
});
