// The status page in a real browser, through a real Apache, while the application does what it should not.
import { readFile } from "node:fs/promises";
import { networkInterfaces } from "node:os";
import { request as httpClient } from "node:http";
import type { Browser, Page } from "playwright-core";
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from "vitest";
import { startBrowser } from "../harness/browser.ts";
import type { HttpReply, HttpRequest } from "../harness/http.ts";
import { StartedServer } from "../harness/server.ts";
import { until } from "../harness/until.ts";
import { Workspace } from "../harness/workspace.ts";

const mount = "/tsgi-status";

/** Waits for a file, or blocks until it is there; anything else is answered at once. */
const application = `
import { existsSync } from "node:fs";
function spinUntil(path: string): void {
  while (!existsSync(path));
}
export async function application(environ, startResponse) {
  const { PATH_INFO: path, QUERY_STRING: gate } = environ;
  if (path === "/block") {
    process.stderr.write("app: block in " + process.pid + "\\n");
    spinUntil(gate);
  } else if (gate !== "") while (!existsSync(gate)) await new Promise((resolve) => setTimeout(resolve, 20));
  startResponse("200 OK", [["Content-Type", "text/plain"]]);
  return "hello";
}
`;

let workspace: Workspace;
let server: StartedServer;
let browser: Browser;
let page: Page;
/** Errors of the page and of its script, and requests to anybody else. */
let problems: string[];

beforeAll(async () => {
  workspace = await Workspace.open();
  const env = { TSGI_PROCESSES: "2", TSGI_SLOW_REQUEST: "500ms" };
  const options = { args: ["--status-mount", mount], env, asRoot: true, outlivesTest: true };
  server = await StartedServer.start(workspace, await workspace.write("app/app.ts", application), options);
  browser = await startBrowser(workspace);
}, 60_000);

afterAll(async () => {
  await browser?.close();
  expect(await server?.stop(), server?.program.report()).toEqual({ code: 0, signal: null });
  await workspace.close();
}, 60_000);

beforeEach(async () => {
  problems = [];
  page = await browser.newPage({ viewport: { width: 1200, height: 900 } });
  page.setDefaultTimeout(20_000);
  page.on("pageerror", (error) => problems.push(String(error)));
  page.on("console", (message) => {
    if (message.type() === "error" && !/status of 4\d\d/u.test(message.text())) problems.push(message.text());
  });
  page.on("request", (request) => {
    if (!request.url().startsWith(`http://127.0.0.1:${server.port}${mount}`)) problems.push(request.url());
  });
});

afterEach(async () => {
  await page.close();
  expect(problems).toEqual([]);
});

const openPage = () => page.goto(`http://127.0.0.1:${server.port}${mount}/`);
const textOf = async (selector: string): Promise<string> => (await page.textContent(selector)) ?? "";
const ask = (request: Partial<HttpRequest> = {}): Promise<HttpReply> =>
  server.request({ target: `${mount}/status.json`, ...request });
const messageOf = ({ body }: HttpReply): unknown => JSON.parse(body.toString()).message;

test("shows what goes on without being loaded again, and draws it", async () => {
  // Without a slash at its end, too: everything on the page is relative.
  await page.goto(`http://127.0.0.1:${server.port}${mount}`);
  await page.locator("#state", { hasText: "running" }).waitFor();
  expect(await page.locator("#workers tr").count()).toBe(2);
  for (let count = 0; count < 60; count += 1) await server.text("/hello");
  await page.locator("#groups tr td:nth-child(5)", { hasText: /6\d/u }).waitFor();
  await page.locator("#applications tr th", { hasText: "app.ts" }).waitFor();
  await page.locator("#latency-chart path.c1[d^=M]").waitFor({ state: "attached" });
  await page.locator("#rate-chart svg[aria-label*='requests']").waitFor();
  expect(await textOf("#p95")).toMatch(/ m?s$/u);
  // The arrow keys say what a chart shows.
  await page.focus("#rate-chart svg");
  await page.keyboard.press("ArrowLeft");
  expect(await page.getAttribute("#rate-chart svg", "aria-label")).toMatch(/; at .*: requests /u);
}, 60_000);

test("what a request is called stays text", async () => {
  const gate = workspace.path("gates", "name");
  const path = `/<script>document.title="broken"</script><img/src=x>`;
  const request = server.request({ target: `${path}?${gate}` });
  await openPage();
  await page.locator("#running td", { hasText: `GET ${path}` }).waitFor();
  await workspace.write("gates/name", "");
  expect((await request).status).toBe(200);
  await page.locator("#slowest td", { hasText: `GET ${path}` }).waitFor();
  expect(await page.title()).toBe("tsgi status");
  expect(await page.locator("img").count()).toBe(0);
}, 60_000);

test("answers while every worker is blocked, and says where they hang", async () => {
  const gate = workspace.path("gates", "blocked");
  const blocking: Promise<HttpReply>[] = [];
  await until("both workers to be blocked", async () => {
    blocking.push(server.request({ target: `/block?${gate}` }));
    await page.waitForTimeout(300);
    return new Set(server.program.stderr.match(/app: block in \d+/gu)).size >= 2;
  });
  await openPage();
  await page.locator("#workers .pill", { hasText: "blocked" }).nth(1).waitFor();
  const where = page.locator("#running summary", { hasText: /^spinUntil \(\S+\/app\.ts:4:\d+\)$/u });
  await where.nth(1).waitFor();
  await workspace.write("gates/blocked", "");
  for (const reply of await Promise.all(blocking)) expect(reply.status).toBe(200);
  await page.locator("#workers .pill", { hasText: "serving" }).nth(1).waitFor();
}, 60_000);

test("reloads with the right token, and not with another", async () => {
  await openPage();
  const reload = async (token: string): Promise<string> => {
    await page.click("#reload:enabled");
    await page.fill("#token", token);
    await page.keyboard.press("Enter");
    await page.locator("#told", { hasText: /eloaded/u }).waitFor();
    return await textOf("#told");
  };
  expect(await reload("not-the-control-token")).toBe("Not reloaded: this is not the control token");
  expect(await textOf("#groups tr td:nth-child(4)")).toBe("1");
  const token = (await readFile(await textOf("#token-file"), "utf8")).trim();
  expect(await reload(token)).toBe("Reloaded: generation 2 serves");
  await page.locator("#groups tr td:nth-child(4)", { hasText: "2" }).waitFor();
}, 60_000);

test("is read from this machine only, and changed by nobody else's page", async () => {
  expect((await ask()).status).toBe(200);
  const claimed: HttpRequest["headers"] = [["X-Forwarded-For", "127.0.0.1"]];
  const own = Object.values(networkInterfaces()).flatMap((addresses) => addresses ?? []);
  const outer = own.find(({ family, internal }) => family === "IPv4" && !internal)?.address;
  const status = await new Promise((resolve, reject) => {
    const path = `${mount}/status.json`;
    const headers = Object.fromEntries(claimed ?? []);
    const options = { host: "127.0.0.1", port: server.port, path, headers, agent: false, localAddress: outer };
    httpClient(options, (response) => resolve(response.resume().statusCode))
      .on("error", reject)
      .end();
  });
  // A machine without a network has no other address to come from.
  expect(status).toBe(outer === undefined ? 200 : 403);
  const rebound = await ask({ headers: [["Host", "site.example"], ...(claimed ?? [])] });
  expect(rebound.status).toBe(403);
  expect(messageOf(rebound)).toMatch(/foreign name/u);

  const target = `${mount}/reload`;
  expect((await ask({ target })).status).toBe(405);
  expect((await ask({ target, method: "POST", body: "token=x" })).status).toBe(401);
  const crossSite = await ask({
    target,
    method: "POST",
    headers: [
      ["Sec-Fetch-Site", "cross-site"],
      ["Tsgi-Control-Token", "whatever-it-may-be"],
    ],
  });
  expect(messageOf(crossSite)).toBe("asked for by another site");
});
