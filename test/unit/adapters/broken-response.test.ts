// A response that its application breaks off: the client must never get what looks complete.
import type { IncomingMessage, ServerResponse } from "node:http";
import { expect, test } from "vitest";
import { fromNodeHandler } from "../../../src/adapters/node-handler.ts";
import { runDirect } from "../../../src/server/direct.ts";
import { collectLog } from "../server/collected-log.ts";

type Handler = (req: IncomingMessage, res: ServerResponse) => void;

test.each<readonly [name: string, handler: Handler]>([
  ["nothing was written", (_req, res) => void res.destroy()],
  ["only the head was made", (_req, res) => void res.writeHead(200, { "Content-Length": "20" }).destroy()],
  [
    "the body has not reached the socket",
    (_req, res) => {
      res.write("partial");
      res.destroy();
    },
  ],
])("a response that is broken off when %s is an error page and no empty answer", async (_name, handler) => {
  const reply = await runDirect(fromNodeHandler(handler), { method: "GET", url: "/", log: collectLog() });
  expect(reply).toMatchObject({ status: 500, complete: true });
  expect(reply.body.toString()).not.toContain("partial");
});

test("a response that is broken off after a part has left is not complete", async () => {
  const handler: Handler = (_req, res) => {
    res.write("partial");
    setImmediate(() => res.destroy());
  };
  const reply = await runDirect(fromNodeHandler(handler), { method: "GET", url: "/", log: collectLog() });
  expect(reply).toMatchObject({ status: 200, complete: false });
  expect(reply.body.toString()).toBe("partial");
});
