// The rows through the bridges: an application as a listener of node:http, and served by `serveFastCGI` in this process.
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { describe } from "vitest";
import { serveFastCGI } from "../../src/server/serve.ts";
import { toNodeHandler } from "../../src/server/to-node.ts";
import { application } from "../fixtures/apps/rows.ts";
import type { Workspace } from "../harness/workspace.ts";
import type { Transport } from "./conform.ts";
import { conform } from "./conform.ts";
import { collectingLog, over, overProxyFcgi, proxyFcgiLog } from "./ways.ts";

const mount = "/m";
/** No file was loaded, and this process is the tests' own. */
const leftOut = ["tsgi.script is the application's file", "a rejection that nobody handles does not end the server"];

describe("toNodeHandler", () => {
  async function nodeHandler(): Promise<Transport> {
    let logged = "";
    const log = collectingLog((text) => (logged += text));
    const server = createServer(toNodeHandler(application, { mountPoint: mount, log }));
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    const transport = over((server.address() as AddressInfo).port, async () => logged);
    return { ...transport, close: () => new Promise((resolve) => server.close(resolve)) };
  }

  // Without Apache, as `tsgi dev` is.
  conform("dev", nodeHandler, [], leftOut);
});

describe("serveFastCGI", () => {
  async function served(workspace: Workspace): Promise<Transport> {
    let logged = "";
    const log = collectingLog((text) => (logged += text));
    const socket = workspace.path("run", "served.sock");
    const service = await serveFastCGI(application, { listen: `unix:${socket}`, socketMode: 0o666, log });
    const transport = await overProxyFcgi(workspace, socket, () => logged);
    return { ...transport, close: () => service.close() };
  }

  conform("proxy_fcgi", served, proxyFcgiLog, leftOut);
});
