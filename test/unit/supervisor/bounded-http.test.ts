// Clients that do not do their part: their connections go, and whoever waits for an answer gets it.
import { mkdtempSync, rmSync } from "node:fs";
import type { Server } from "node:net";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, onTestFinished, test } from "vitest";
import type { Answerer } from "../../../src/supervisor/bounded-http.ts";
import { BoundedHttp, reply, replyText } from "../../../src/supervisor/bounded-http.ts";
import { askControl } from "../../../src/supervisor/control-request.ts";
import { until } from "../../harness/until.ts";

let folder: string;
let path: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "tsgi-http-"));
  path = join(folder, "http.sock");
});

afterEach(() => rmSync(folder, { recursive: true, force: true }));

/** Cuts clients off that take nothing for 100 ms. */
async function open(answer: Answerer): Promise<Server> {
  const http = new BoundedHttp({ "/": ["GET"] }, answer, 100);
  const listener = http.createListener(() => {});
  await new Promise<void>((resolve) => listener.listen(path, resolve));
  onTestFinished(async () => {
    listener.close();
    await http.close();
  });
  return listener;
}

function connectionsOf(listener: Server): Promise<number> {
  return new Promise((resolve, reject) =>
    listener.getConnections((error, count) => (error === null ? resolve(count) : reject(error))),
  );
}

test("a client that does not take its answer is cut off", async () => {
  let asked = 0;
  const listener = await open(async (_, response) => {
    asked += 1;
    replyText(response, 200, "x".repeat(8 * 2 ** 20), {});
  });
  const client = connect(path).pause();
  onTestFinished(() => void client.destroy());
  client.on("error", () => {});
  client.write("GET / HTTP/1.1\r\nHost: x\r\n\r\nGET / HTTP/1.1\r\nHost: x\r\n\r\n");
  await until("the request to be there", () => asked > 0);
  await until("the connection to be gone", async () => (await connectionsOf(listener)) === 0);
});

test("one that waits for an answer that takes long is not", async () => {
  await open(async (_, response) => {
    await new Promise((resolve) => setTimeout(resolve, 400));
    reply(response, 200, { ok: true });
  });
  const outcome = await askControl({ path, method: "GET", target: "/", timeoutMs: 10_000 });
  expect(outcome).toMatchObject({ kind: "answer", status: 200 });
});
