// The status server by itself: what it answers to whom, and what becomes of its files.
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync, unlinkSync } from "node:fs";
import { request } from "node:http";
import type { IncomingHttpHeaders, OutgoingHttpHeaders, RequestOptions } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, onTestFinished, test } from "vitest";
import type { ListenAddress } from "../../../../src/config/address.ts";
import { StatusServer } from "../../../../src/supervisor/status-page/server.ts";
import type { Watched } from "../../../../src/supervisor/status-page/server.ts";
import { ControlToken } from "../../../../src/supervisor/status-page/token.ts";
import { until } from "../../../harness/until.ts";
import type { CollectedLog } from "../../server/collected-log.ts";
import { collectLog } from "../../server/collected-log.ts";
import { sampleStatus } from "../sample-status.ts";

let folder: string;
let path: string;
let log: CollectedLog;
let reloads: number;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "tsgi-page-"));
  path = join(folder, "status.sock");
  log = collectLog();
  reloads = 0;
});

afterEach(() => rmSync(folder, { recursive: true, force: true }));

const tokenFile = (): string => join(folder, "token");

async function open(more: { address?: ListenAddress; watched?: Partial<Watched> } = {}): Promise<StatusServer> {
  const watched: Watched = {
    status: () => sampleStatus(),
    history: () => ({ intervalMs: 5000, samples: [] }),
    metrics: async () => "# HELP\n",
    reload: async () => ({ ok: true, message: "generation 4 serves", generation: (reloads += 1) }),
    ...more.watched,
  };
  const server = await StatusServer.open({
    address: more.address ?? { kind: "unix", path },
    access: { mode: 0o660, uid: undefined, gid: undefined, mayReplace: false },
    watched,
    token: ControlToken.create(tokenFile()),
    log,
  });
  onTestFinished(() => server.close());
  return server;
}

interface Answer {
  readonly status: number | undefined;
  readonly headers: IncomingHttpHeaders;
  readonly text: string;
}

async function ask(target: string, headers: OutgoingHttpHeaders = {}, more: RequestOptions = {}): Promise<Answer> {
  return await new Promise((resolve, reject) => {
    const asked = request({ socketPath: path, path: target, agent: false, headers, timeout: 10_000, ...more });
    asked.once("timeout", () => asked.destroy(new Error("no answer")));
    asked.once("error", reject);
    asked.once("response", (response) => {
      let text = "";
      response.setEncoding("utf8").on("data", (chunk: string) => (text += chunk));
      response.once("end", () => resolve({ status: response.statusCode, headers: response.headers, text }));
    });
    asked.end();
  });
}

const reload = (headers: OutgoingHttpHeaders): Promise<Answer> => ask("/reload", headers, { method: "POST" });

test("the page loads nothing, and runs only what is of this answer", async () => {
  await open();
  const one = await ask("/");
  const other = await ask("/");
  const policy = String(one.headers["content-security-policy"]);
  const nonce = /script-src 'nonce-([^']+)'/.exec(policy)?.[1] ?? "";
  expect(policy).toMatch(/^default-src 'none'; /);
  expect(policy).not.toMatch(/unsafe|https?:|\*/);
  expect(one.text.split(`nonce="${nonce}"`)).toHaveLength(3);
  expect(other.text).not.toContain(nonce);
  const outside = /<(?:link|img|iframe|base)\b|\b(?:src|href)="|https?:\/\/(?!www\.w3\.org\/2000\/svg")|url\(|@import/;
  expect(outside.exec(one.text)?.[0]).toBeUndefined();
  expect(one.text.includes("innerHTML")).toBe(false);
  expect(one.headers).toMatchObject({ "cache-control": "no-store", "x-content-type-options": "nosniff" });
});

test("its data is that of the control socket", async () => {
  await open();
  expect(JSON.parse((await ask("/status.json")).text)).toMatchObject({ ...sampleStatus(), tokenFile: tokenFile() });
  expect(JSON.parse((await ask("/history.json?x")).text)).toEqual({ intervalMs: 5000, samples: [] });
  expect(await ask("/metrics")).toMatchObject({ status: 200, text: "# HELP\n" });
  expect((await ask("/stop", {}, { method: "POST" })).status).toBe(404);
  expect((await ask("/status.json", {}, { method: "POST" })).status).toBe(405);
});

test("a reload needs the token in its header, and no other site's page may ask", async () => {
  await open();
  const token = readFileSync(tokenFile(), "utf8").trim();
  expect((await reload({})).status).toBe(401);
  expect((await reload({ "Tsgi-Control-Token": "wrong" })).status).toBe(403);
  expect((await reload({ "Tsgi-Control-Token": token, "Sec-Fetch-Site": "same-site" })).status).toBe(403);
  expect((await ask("/reload", {}, { method: "OPTIONS" })).headers).not.toHaveProperty("access-control-allow-origin");
  expect(reloads).toBe(0);
  expect(await reload({ "Tsgi-Control-Token": token, "Sec-Fetch-Site": "same-origin" })).toMatchObject({ status: 200 });
  expect(reloads).toBe(1);
  expect(log.lines.filter(({ fields }) => fields["code"] === "TSGI1121")).toHaveLength(1);
  for (let guess = 0; guess < 5; guess += 1) await reload({ "Tsgi-Control-Token": "wrong" });
  expect(await reload({ "Tsgi-Control-Token": token })).toMatchObject({
    status: 429,
    headers: { "retry-after": "10" },
  });
  // One wrong before, four more until there were too many: those are not told.
  expect(log.lines.filter(({ fields }) => fields["code"] === "TSGI1121")).toHaveLength(5);
  expect(JSON.stringify(log.lines)).not.toContain(token);
});

test("a foreign name for this machine is refused, whoever claims to be whom", async () => {
  const server = await open({ address: { kind: "tcp", host: "127.0.0.1", port: 0 } });
  const port = server.address.kind === "tcp" ? server.address.port : 0;
  const direct = { socketPath: undefined, host: "127.0.0.1", port };
  expect((await ask("/status.json", {}, direct)).status).toBe(200);
  expect((await ask("/status.json", { Host: `localhost:${port}` }, direct)).status).toBe(200);
  expect((await ask("/status.json", { Host: "site.example" }, direct)).status).toBe(403);
  // A script of that site, which may write these.
  const pretending = { Host: "site.example", "X-Forwarded-For": "10.0.0.7", "X-Forwarded-Host": "localhost" };
  expect((await ask("/status.json", pretending, direct)).status).toBe(403);
  // As Apache adds to what the client sent: the last one is true.
  const through = (client: string, host: string): OutgoingHttpHeaders => ({
    "X-Forwarded-For": client,
    "X-Forwarded-Host": host,
  });
  expect((await ask("/status.json", through("127.0.0.1", "site.example"), direct)).status).toBe(403);
  expect((await ask("/status.json", through("8.8.8.8, ::1", "localhost, site.example"), direct)).status).toBe(403);
  expect((await ask("/status.json", through("127.0.0.1", "localhost:8080"), direct)).status).toBe(200);
  // The operator let others in: their names are his.
  expect((await ask("/status.json", through("10.0.0.7", "www.site.example"), direct)).status).toBe(200);
});

test("a failure of ours is a 500, and logged", async () => {
  const status = (): never => {
    throw new Error("broken on purpose");
  };
  await open();
  const other = join(folder, "other.sock");
  let isBroken = false;
  await open({
    address: { kind: "unix", path: other },
    watched: { status: () => (isBroken ? status() : sampleStatus()) },
  });
  isBroken = true;
  expect((await ask("/status.json", {}, { socketPath: other })).status).toBe(500);
  expect(log.lines.at(-1)).toMatchObject({ level: "error", fields: { code: "TSGI4101" } });
});

test("the socket has its mode, is made again when it was removed, and goes at the end with the token", async () => {
  const server = await open();
  expect(statSync(path).mode & 0o777).toBe(0o660);
  unlinkSync(path);
  await until("the socket to be made again", () => existsSync(path));
  expect((await ask("/status.json")).status).toBe(200);
  await server.close();
  expect([existsSync(path), existsSync(tokenFile())]).toEqual([false, false]);
});
