// The rows through the adapters: the application as a Node handler and as a fetch handler, which are applications again.
import { describe } from "vitest";
import { fromFetchHandler } from "../../src/adapters/fetch-handler.ts";
import { fromNodeHandler } from "../../src/adapters/node-handler.ts";
import { toFetchHandler } from "../../src/server/to-fetch.ts";
import { toNodeHandler } from "../../src/server/to-node.ts";
import type { Application, Log } from "../../src/spec.ts";
import { application } from "../fixtures/apps/rows.ts";
import { conform } from "./conform.ts";
import { collectingLog, direct } from "./ways.ts";

/** A Request has no body with GET, and a stream that fails drops what it holds: a failure after one chunk is a page. */
const notForFetch = [
  "GET may have a body",
  "close() is called once when the body fails",
  "a chunk that is a number after text breaks the message",
  "a body shorter than Content-Length is never complete",
  "write() of less than Content-Length is never complete",
  "a generator that fails after a chunk breaks the message",
  "a failure after write() breaks the message",
  "a failure inside a declared length breaks the message",
  "a failure after the last declared byte is logged; the message was complete",
  "excInfo after the head is thrown back and breaks the message",
];

function through(around: (log: Log) => Application, leftOut: readonly string[] = []): void {
  conform(
    "direct",
    async () => {
      let logged = "";
      const transport = direct("/m", around(collectingLog((text) => (logged += text))));
      return { ...transport, log: async () => logged + (await transport.log()) };
    },
    [],
    leftOut,
  );
}

describe("a Node handler", () => through((log) => fromNodeHandler(toNodeHandler(application, { log }))));
describe("a fetch handler", () =>
  through((log) => fromFetchHandler(toFetchHandler(application, { log, mountPoint: "/m" })), notForFetch));
