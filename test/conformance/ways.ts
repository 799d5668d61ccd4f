// The transports of the conformance rows: this process, `tsgi dev`, and a real Apache in three modes.
import { inspect } from "node:util";
import { runDirect } from "../../src/server/direct.ts";
import type { Application, Log, LogMethod } from "../../src/spec.ts";
import { application } from "../fixtures/apps/rows.ts";
import type { Apache } from "../harness/apache.ts";
import { httpRequest } from "../harness/http.ts";
import { freePort } from "../harness/machine.ts";
import { until } from "../harness/until.ts";
import { endWarmDaemons, pathWithoutPerl, warmDaemons, warmWrapper } from "../harness/warm.ts";
import type { Workspace } from "../harness/workspace.ts";
import { headersOf, targetOf, type Transport } from "./conform.ts";
import type { Row } from "./row.ts";

const mount = "/m";

async function* pieces(chunks: readonly string[]): AsyncGenerator<Uint8Array> {
  for (const chunk of chunks) yield Buffer.from(chunk, "latin1");
}

/** A log whose entries go to `add` as text. */
export function collectingLog(add: (text: string) => void): Log {
  const method: LogMethod = (fields: object | string, message?: string) => {
    add(`${typeof fields === "string" ? fields : inspect(fields)} ${message ?? ""}\n`);
  };
  const log: Log = {
    trace: method,
    debug: method,
    info: method,
    warn: method,
    error: method,
    fatal: method,
    child: () => log,
  };
  return log;
}

/** This process, no server; `served` stands for the application of the rows, with something around it. */
export function direct(mountPoint: string, served: Application = application): Transport {
  const port = 8000;
  let logged = "";
  const log = collectingLog((text) => (logged += text));
  return {
    mount: mountPoint,
    port,
    request: async (row) => {
      const body = row.request?.body;
      const chunks = row.request?.chunks;
      const target = targetOf(row, { mount: mountPoint, port });
      const reply = await runDirect(served, {
        method: row.request?.method ?? "GET",
        url: target.startsWith("http:") ? target : `http://127.0.0.1:${port}${target}`,
        headers: [...headersOf(row), ...(chunks === undefined ? [] : [["Transfer-Encoding", "chunked"] as const])],
        mountPoint,
        log,
        variables: { SERVER_PROTOCOL: `HTTP/${row.request?.version ?? "1.1"}` },
        ...(body === undefined ? {} : { body: Buffer.from(body as string, "latin1") }),
        ...(chunks === undefined ? {} : { body: pieces(chunks) }),
      });
      logged += `${reply.errors}\n`;
      return reply;
    },
    log: async () => logged,
  };
}

/** A transport that a TCP port leads to. */
export function over(port: number, log: () => Promise<string>): Transport {
  return {
    mount,
    port,
    request: (row: Row) => {
      const { method, version, body, chunks } = row.request ?? {};
      return httpRequest(port, {
        target: targetOf(row, { mount, port }),
        headers: headersOf(row),
        ...(method === undefined ? {} : { method }),
        ...(version === undefined ? {} : { version }),
        ...(body === undefined ? {} : { body }),
        ...(chunks === undefined ? {} : { chunks }),
      });
    },
    log,
  };
}

/** `tsgi dev`. */
export async function dev(workspace: Workspace): Promise<Transport> {
  const port = await freePort();
  const program = workspace.tsgi(["dev", workspace.app("rows.ts"), "--port", String(port), "--mount-point", mount]);
  await until("tsgi dev to answer", async () => {
    if (program.end !== undefined) throw new Error(program.report());
    return httpRequest(port, mount).catch(() => undefined);
  });
  return { ...over(port, async () => program.stdout + program.stderr), showsFailures: true };
}

function throughApache(apache: Apache, log: () => string = () => ""): Transport {
  return over(apache.port, async () => (await apache.errorLog()) + log());
}

/** What every mode needs so that the raw URL and Content-Length survive. */
const common = `
AllowEncodedSlashes NoDecode
MergeSlashes Off
SetEnvIf Request_URI . ap_trust_cgilike_cl=1
<Location "${mount}">
  Require all granted
  CGIPassAuth On
</Location>
`;

/** What Apache logs of the rows in which a broken answer must look broken, and of those that log. */
export const proxyFcgiLog = [
  /AH01071: Got error '(?:row|tsgi): /u,
  /AH01071: Got error 'l+/u,
  /AH01067: Failed to read FastCGI header/u,
  /AH01075: Error dispatching request to/u,
];

/** mod_proxy_fcgi with connection reuse, to a daemon. */
export async function proxyFcgi(workspace: Workspace): Promise<Transport> {
  const { socket, program } = await workspace.daemon([workspace.app("rows.ts")]);
  return await overProxyFcgi(workspace, socket, () => program.stderr);
}

/** mod_proxy_fcgi with connection reuse, to whoever listens on the socket and logs what `log` gives. */
export async function overProxyFcgi(workspace: Workspace, socket: string, log: () => string): Promise<Transport> {
  const apache = await workspace.apache({
    modules: ["proxy", "proxy_fcgi"],
    config: `${common}
<Proxy "fcgi://rows/" enablereuse=on flushpackets=on>
</Proxy>
<Location "${mount}">
  ProxyFCGIBackendType GENERIC
  SetHandler "proxy:unix:${socket}|fcgi://rows/"
</Location>
`,
  });
  return throughApache(apache, log);
}

/** mod_fcgid, which starts tsgi-fcgid itself. */
export async function fcgid(workspace: Workspace): Promise<Transport> {
  return overFcgid(workspace, await workspace.wrapper("app.fcgi", "tsgi-fcgid", workspace.app("rows.ts")));
}

async function overFcgid(workspace: Workspace, wrapper: string): Promise<Transport> {
  const apache = await workspace.apache({
    modules: ["fcgid"],
    config: `${common}
FcgidMaxRequestLen 10000000
FcgidMaxProcessesPerClass 2
FcgidOutputBufferSize 0
Alias "${mount}" "${wrapper}"
<Location "${mount}">
  SetHandler fcgid-script
  Options +ExecCGI
</Location>
`,
  });
  return throughApache(apache);
}

/** mod_cgid: a process for each request. */
export async function cgi(workspace: Workspace): Promise<Transport> {
  return overCgi(workspace, await workspace.wrapper("app.cgi", "tsgi-cgi", workspace.app("rows.ts")));
}

async function overCgi(workspace: Workspace, wrapper: string): Promise<Transport> {
  const apache = await workspace.apache({
    modules: ["cgid"],
    config: `${common}
ScriptAlias "${mount}" "${wrapper}"
`,
  });
  return throughApache(apache);
}

/** mod_cgid in front of relays to a warm daemon. */
export async function warmCgi(workspace: Workspace): Promise<Transport> {
  return await warm(workspace, overCgi, await warmWrapper(workspace, "tsgi-cgi", [workspace.app("rows.ts")]));
}

/** The same where there is no Perl: the relay in Node. */
export async function warmCgiWithoutPerl(workspace: Workspace): Promise<Transport> {
  const path = await pathWithoutPerl(workspace);
  const wrapper = await warmWrapper(workspace, "tsgi-cgi", [workspace.app("rows.ts")], { path });
  return await warm(workspace, overCgi, wrapper);
}

/** mod_fcgid in front of relays to a warm daemon. */
export async function warmFcgid(workspace: Workspace): Promise<Transport> {
  return await warm(workspace, overFcgid, await warmWrapper(workspace, "tsgi-fcgid", [workspace.app("rows.ts")]));
}

async function warm(workspace: Workspace, over: typeof overCgi, wrapper: string): Promise<Transport> {
  const transport = await over(workspace, wrapper);
  const close = async (): Promise<void> => {
    const daemons = warmDaemons(workspace).length;
    await endWarmDaemons(workspace);
    if (daemons !== 1) throw new Error(`${daemons} warm daemons ran, not 1`);
  };
  return { ...transport, close };
}
