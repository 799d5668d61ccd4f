// Applications of the usual frameworks, unchanged, through a real Apache and on node:http directly: reply by reply the same.
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { requests } from "../harness/framework-requests.ts";
import { copyFrameworks, startOracle } from "../harness/frameworks.ts";
import type { HttpReply, HttpRequest } from "../harness/http.ts";
import { httpRequest } from "../harness/http.ts";
import { freePort } from "../harness/machine.ts";
import { until } from "../harness/until.ts";
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

const nameOf = (file: string): string => file.replace(/\.[cm]js$/u, "");

let workspace: Workspace;
/** Where Apache has each application, and where node:http has it. */
let ports: Readonly<Record<string, number>>;
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
  const groups = Object.fromEntries(
    files.map((file) => {
      const listen = `unix:${workspace.path("run", `${nameOf(file)}.sock`)}`;
      return [nameOf(file), { app: file, listen }];
    }),
  );
  const config = await workspace.write("frameworks/tsgi.config.json", JSON.stringify({ groups }));
  const program = workspace.tsgi(["daemon", "--config", config], { env: { NODE_ENV: "production" } });
  await until("the daemon to serve", () => {
    if (program.end !== undefined) throw new Error(program.report());
    return files.every((file) => program.stdout.includes(`${nameOf(file)}.sock`));
  });
  ports = Object.fromEntries(await Promise.all(files.map(async (file) => [file, await freePort()] as const)));
  await workspace.apache({
    modules: ["proxy", "proxy_fcgi"],
    config: files.map((file) => host(ports[file] ?? 0, workspace.path("run", `${nameOf(file)}.sock`))).join("\n"),
  });
}, 120_000);

afterAll(() => workspace.close(), 60_000);

function host(port: number, socket: string): string {
  return `
Listen 127.0.0.1:${port}
<VirtualHost 127.0.0.1:${port}>
AllowEncodedSlashes NoDecode
MergeSlashes Off
SetEnvIf Request_URI . ap_trust_cgilike_cl=1
ProxyPass / "unix:${socket}|fcgi://app${port}/" nocanon enablereuse=on flushpackets=on
<Location />
  Require all granted
  ProxyFCGIBackendType GENERIC
  CGIPassAuth On
  SetEnv TSGI_MOUNT_POINT /
</Location>
</VirtualHost>`;
}

/** What belongs to a connection or a server, and the date. */
const ofServer = new Set(["date", "server", "connection", "keep-alive", "transfer-encoding", "trailer"]);

/** What Apache may add or join: the length of a body that it has whole, and equal names, but for Set-Cookie. */
function headersOf({ headers, body }: HttpReply): string[] {
  const joined = new Map<string, string>();
  const lines: string[] = [];
  for (const [given, value] of headers) {
    const name = given.toLowerCase();
    if (ofServer.has(name) || (name === "content-length" && Number(value) === body.length)) continue;
    if (name === "set-cookie") lines.push(`${name}: ${value}`);
    else joined.set(name, joined.has(name) ? `${joined.get(name)}, ${value}` : value);
  }
  return [...lines, ...[...joined].map(([name, value]) => `${name}: ${value}`)].toSorted();
}

interface Comparable {
  readonly status: number;
  readonly reason: string;
  readonly complete: boolean;
  readonly headers: readonly string[];
  readonly body: string;
}

/** What came back, or why nothing did. */
type Outcome = Comparable | string;

function comparable(reply: HttpReply): Comparable {
  const { status, reason, complete } = reply;
  return { status, reason, complete, headers: headersOf(reply), body: reply.body.toString("latin1") };
}

async function ask(port: number | undefined, request: HttpRequest): Promise<Outcome> {
  return await httpRequest(port ?? 0, request, { deadlineMs: 8_000 }).then(comparable, String);
}

const isFetch = (file: string): boolean => /hono|itty/u.test(file);

/** @hono/node-server gives a type to a Response that has none, and spells it with a space. */
function withoutGuessedType(wanted: Outcome, got: Outcome): Outcome {
  if (typeof wanted === "string" || typeof got === "string") return wanted;
  const guessed = "content-type: text/plain; charset=UTF-8";
  const type = got.headers.find((line) => line.startsWith("content-type:"));
  const headers = wanted.headers.flatMap((line) => (line === guessed ? (type ?? []) : line));
  return { ...wanted, headers };
}

describe.each(files)("%s", (file) => {
  test.concurrent.each(requests)("%s", async (_name, request) => {
    const wanted = await ask(oracle[file], request);
    const got = await ask(ports[file], request);
    expect(got).toEqual(isFetch(file) ? withoutGuessedType(wanted, got) : wanted);
  });
});
