// Applications of the usual frameworks, unchanged, through a real Apache and on node:http directly: reply by reply the same.
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { Apache } from "../harness/apache.ts";
import { requests } from "../harness/framework-requests.ts";
import { copyFrameworks, startOracle } from "../harness/frameworks.ts";
import type { HttpReply, HttpRequest } from "../harness/http.ts";
import { httpRequest } from "../harness/http.ts";
import { Workspace } from "../harness/workspace.ts";

const files = [
  "express5.mjs",
  "express4.mjs",
  "koa3.mjs",
  "koa2.mjs",
  "fastify.mjs",
  "hono.mjs",
  "itty.mjs",
  "connect.mjs",
  "plain.mjs",
  "listen-esm.mjs",
  "listen-commonjs.cjs",
  "listen-await.mjs",
  "listen-late.mjs",
  "listen-koa.mjs",
  "listen-hono.mjs",
  "listen-express.mjs",
];

const mountOf = (file: string): string => `/${file.replace(/\.[cm]js$/u, "")}`;

/** Fetch handlers get the whole URL, so they have to know where they are mounted. */
const bases = { HONO_BASE: "/hono", ITTY_BASE: "/itty", LISTEN_HONO_BASE: "/listen-hono" };

let workspace: Workspace;
let apache: Apache;
let oracle: Readonly<Record<string, number>>;

beforeAll(async () => {
  workspace = await Workspace.open();
  workspace.expectLog(
    /AH01071: Got error 'tsgi: (?:ContractError|Error|InputTruncatedError): /u,
    /AH01075: Error dispatching request to/u,
    /AH01067: Failed to read FastCGI header/u,
  );
  const folder = await copyFrameworks(workspace);
  oracle = await startOracle(workspace, folder, files);
  const applications = Object.fromEntries(files.map((file) => [mountOf(file), file]));
  const config = await workspace.write("frameworks/tsgi.config.json", JSON.stringify({ applications }));
  const { socket } = await workspace.daemon(["--config", config], { env: { NODE_ENV: "production", ...bases } });
  apache = await workspace.apache({
    modules: ["proxy", "proxy_fcgi"],
    config: `
AllowEncodedSlashes NoDecode
MergeSlashes Off
SetEnvIf Request_URI . ap_trust_cgilike_cl=1
ProxyPass / "unix:${socket}|fcgi://frameworks/" nocanon enablereuse=on flushpackets=on
<Location />
  Require all granted
  ProxyFCGIBackendType GENERIC
  CGIPassAuth On
</Location>`,
  });
}, 120_000);

afterAll(() => workspace.close(), 60_000);

/** What belongs to a connection or a server, and the date. */
const ofServer = new Set(["date", "server", "connection", "keep-alive", "transfer-encoding", "trailer"]);

function comparable(reply: HttpReply, mount: string): object {
  const unmounted = (text: string): string => text.replaceAll(`${mount}/`, "/").replaceAll(`"${mount}"`, '""');
  const headers = reply.headers
    .map(([name, value]) => `${name.toLowerCase()}: ${unmounted(value)}`)
    .filter((line) => !ofServer.has(line.slice(0, line.indexOf(":"))));
  const { status, reason, complete } = reply;
  return { status, reason, complete, headers: headers.toSorted(), body: unmounted(reply.body.toString("latin1")) };
}

async function ask(port: number, request: HttpRequest, mount: string): Promise<object | string> {
  const target = `${mount}${request.target}`;
  return await httpRequest(port, { ...request, target }).then(
    (reply) => comparable(reply, mount),
    (error: unknown) => String(error),
  );
}

describe.each(files)("%s", (file) => {
  const mount = mountOf(file);

  test.concurrent.each(requests)("%s", async (_name, request) => {
    const port = oracle[file] ?? 0;
    const wanted = await ask(port, request, "");
    expect(await ask(apache.port, request, mount)).toEqual(wanted);
  });
});
