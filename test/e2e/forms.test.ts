// Forms through a real Apache: what clients send, uploads larger than memory, limits, clients that go away in the middle,
// and workers that die. The workspace's end checks that no temporary file is left.
import { execFile } from "node:child_process";
import { createHash } from "node:crypto";
import { readdirSync, rmSync, statSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { Apache } from "../harness/apache.ts";
import type { HttpReply } from "../harness/http.ts";
import { HttpConnection } from "../harness/http.ts";
import { residentBytes } from "../harness/leftovers.ts";
import { childrenOf } from "../harness/process-facts.ts";
import { until } from "../harness/until.ts";
import { Workspace, type Daemon } from "../harness/workspace.ts";

const mib = 1024 * 1024;
let workspace: Workspace;
let daemon: Daemon;
let apache: Apache;

beforeAll(async () => {
  workspace = await Workspace.open();
  workspace.expectLog(
    /AH01071: Got error 'tsgi: (?:Form|InputTruncated|ClientGone)/u,
    /AH01215: tsgi: Form|^tsgi: Form|mod_fcgid: stderr: /u,
    /\{"level":/u,
    // What Apache says of a worker that was killed, and of a client that went away.
    /AH01075|AH01067|AH10410|AH01587/u,
  );
  daemon = await workspace.daemon(["--processes", "1", workspace.app("forms.ts")]);
  const cgi = await workspace.wrapper("www/form.cgi", "tsgi-cgi", workspace.app("forms.ts"));
  const fcgid = await workspace.wrapper("www/form.fcgi", "tsgi-fcgid", workspace.app("forms.ts"));
  apache = await workspace.apache({
    modules: ["proxy", "proxy_fcgi", "fcgid", "cgid"],
    config: `
SetEnvIf Request_URI . ap_trust_cgilike_cl=1
SetEnv TMPDIR "${workspace.path("tmp")}"
FcgidInitialEnv TMPDIR "${workspace.path("tmp")}"
FcgidMaxRequestLen 10000000
FcgidMaxProcessesPerClass 1
ScriptAlias "/cgi" "${cgi}"
Alias "/fcgid" "${fcgid}"
<Location "/">
  Require all granted
</Location>
<Location "/fcgid">
  SetHandler fcgid-script
  Options +ExecCGI
</Location>
<Location "/app">
  ProxyFCGIBackendType GENERIC
  ProxyPass "unix:${daemon.socket}|fcgi://forms/" enablereuse=on flushpackets=on max=64
</Location>`,
  });
}, 60_000);

afterAll(() => workspace.close(), 60_000);

const url = (target: string): string => `${apache.url}${target}`;
const temporary = (): string[] => {
  const folder = readdirSync(workspace.path("tmp")).find((name) => name.startsWith("tsgi-uploads-"));
  return folder === undefined ? [] : readdirSync(workspace.path("tmp", folder));
};
/** The response may be there before the files of its request are gone. */
const allGone = (): Promise<true> => until("the temporary files to be removed", () => temporary().length === 0);
const sha256 = (data: string | Buffer): string => createHash("sha256").update(data).digest("hex");
const workerPid = (): number => childrenOf(daemon.program.pid)[0]?.pid ?? 0;

interface Described {
  readonly fields: ReadonlyArray<readonly [string, string]>;
  readonly files: ReadonlyArray<Record<string, unknown>>;
}

async function post(
  target: string,
  body: FormData | URLSearchParams,
  headers: Record<string, string> = {},
): Promise<Described> {
  const response = await fetch(url(target), { method: "POST", body, headers });
  expect(response.status).toBe(200);
  return (await response.json()) as Described;
}

describe.each(["/app", "/cgi", "/fcgid"])("%s", (mount) => {
  test("FormData of fetch: fields, files, names in any script", async () => {
    const form = new FormData();
    form.append("name", "Zo\u00eb \ud83d\ude00");
    form.append('quo"te\n', "line\nline");
    form.append("list", "1");
    form.append("list", "2");
    form.append("photo", new Blob(["\u0000\u0001 binary"], { type: "image/png" }), '\u65e5\u672c "1".png');
    const described = await post(`${mount}/collected`, form);
    expect(described.fields).toEqual([
      ["name", "Zo\u00eb \ud83d\ude00"],
      ['quo"te\r\n', "line\r\nline"],
      ["list", "1"],
      ["list", "2"],
    ]);
    expect(described.files).toEqual([
      {
        name: "photo",
        filename: '\u65e5\u672c "1".png',
        mimeType: "image/png",
        size: 9,
        sha256: sha256("\u0000\u0001 binary"),
      },
    ]);
    await allGone();
  });

  test("an urlencoded form, and a query", async () => {
    const described = await post(
      `${mount}/collected`,
      new URLSearchParams([
        ["a b", "\u00e4&="],
        ["__proto__", "x"],
      ]),
    );
    expect(described.fields).toEqual([
      ["a b", "\u00e4&="],
      ["__proto__", "x"],
    ]);
    const query = await fetch(url(`${mount}/query?a=1&a=%C3%A4+%zz&=`));
    expect(await query.json()).toEqual([
      ["a", "1"],
      ["a", "\u00e4 %zz"],
      ["", ""],
    ]);
  });

  const refused: ReadonlyArray<readonly [what: string, target: string, type: string, body: string, status: number]> = [
    ["no last boundary", "/collected", "multipart/form-data; boundary=b", "--b\r\n", 400],
    ["no boundary", "/collected", "multipart/form-data", "--b--\r\n", 400],
    ["a limit", "/collected?fieldBytes=3", "application/x-www-form-urlencoded", "a=1234", 413],
    ["a name that is too long", "/collected?nameBytes=1", "application/x-www-form-urlencoded", "ab=1", 400],
    ["JSON", "/collected", "application/json", "{}", 415],
  ];

  test.each(refused)("%s is refused", async (_, target, type, body, status) => {
    const headers: Array<[string, string]> = [["Content-Type", type]];
    const reply = await apache.request({ method: "POST", target: `${mount}${target}`, headers, body });
    expect(reply.status).toBe(status);
    expect(reply.body.toString()).not.toContain("boundary");
  });
});

describe("curl", () => {
  const run = promisify(execFile);
  const curl = async (...args: string[]): Promise<Described> =>
    JSON.parse((await run("curl", ["-sS", "--max-time", "60", ...args, url("/app/collected")])).stdout) as Described;

  test("fields, files, a list of files, types, and names with quotes", async () => {
    const small = await workspace.write("upload/small.txt", "small");
    const large = await workspace.write("upload/lar ge.bin", Buffer.alloc(3 * mib, "l"));
    const described = await curl(
      "-F",
      "text=hello world",
      "--form-string",
      "at=@no-file",
      "-F",
      `from=<${small}`,
      "-F",
      `one=@${small};type=text/x-own`,
      "-F",
      `two=@${large}`,
      "-F",
      `two=@${small};filename="we\\"ird.txt"`,
    );
    expect(described.fields).toEqual([
      ["text", "hello world"],
      ["at", "@no-file"],
      ["from", "small"],
    ]);
    expect(described.files.map(({ name, filename, mimeType, size }) => [name, filename, mimeType, size])).toEqual([
      ["one", "small.txt", "text/x-own", 5],
      ["two", "lar ge.bin", "application/octet-stream", 3 * mib],
      ["two", 'we"ird.txt', "text/plain", 5],
    ]);
    expect(described.files[1]?.["sha256"]).toBe(sha256(Buffer.alloc(3 * mib, "l")));
  });

  test("chunked, without a length", async () => {
    const described = await curl("-H", "Transfer-Encoding: chunked", "-F", "a=1", "-F", "b=2");
    expect(described.fields).toEqual([
      ["a", "1"],
      ["b", "2"],
    ]);
  });

  test("urlencoded", async () => {
    const described = await curl("--data-urlencode", "a=\u00e4 &", "-d", "b=2");
    expect(described.fields).toEqual([
      ["a", "\u00e4 &"],
      ["b", "2"],
    ]);
  });
});

const boundary = "----WebKitFormBoundaryAbCdEf0123456789";
const type: [string, string] = ["Content-Type", `multipart/form-data; boundary=${boundary}`];
const fileHead = (name: string): string =>
  `--${boundary}\r\nContent-Disposition: form-data; name="${name}"; filename="${name}.bin"\r\nContent-Type: application/octet-stream\r\n\r\n`;
const end = `\r\n--${boundary}--\r\n`;

test("a browser's form, byte by byte", async () => {
  const body = Buffer.from(
    [
      `--${boundary}\r\nContent-Disposition: form-data; name="title"\r\n\r\nA caf\u00e9\r\n`,
      `${fileHead("f")}--${boundary.slice(0, -1)}\r\n\r`,
      end,
    ].join(""),
  );
  const connection = await HttpConnection.open(apache.port);
  const length: [string, string] = ["Content-Length", String(body.length)];
  await connection.sendRequest({ method: "POST", target: "/app/streamed", headers: [type, length] });
  for (let index = 0; index < body.length; index += 1) await connection.send(body.subarray(index, index + 1));
  const reply = await connection.readReply();
  connection.destroy();
  expect(JSON.parse(reply.body.toString())).toEqual([
    ["title", "A caf\u00e9"],
    ["f", "f.bin", sha256(`--${boundary.slice(0, -1)}\r\n\r`)],
  ]);
});

/** An upload of `bytes` as one file. Calls `during` now and then. */
async function upload(target: string, bytes: number, during: () => void): Promise<{ reply: HttpReply; hash: string }> {
  const block = Buffer.alloc(mib);
  for (let index = 0; index < block.length; index += 1) block[index] = (index * 31 + (index >> 8)) & 255;
  const hash = createHash("sha256");
  const head = fileHead("large");
  const connection = await HttpConnection.open(apache.port, { deadlineMs: 120_000 });
  const length: [string, string] = ["Content-Length", String(head.length + bytes + end.length)];
  await connection.sendRequest({ method: "POST", target, headers: [type, length] });
  await connection.send(head);
  for (let sent = 0; sent < bytes; sent += block.length) {
    hash.update(block);
    await connection.send(block);
    if (sent % (8 * block.length) === 0) during();
  }
  await connection.send(end);
  const reply = await connection.readReply();
  connection.destroy();
  return { reply, hash: hash.digest("hex") };
}

test.each(["/app/collected", "/app/streamed"])(
  "an upload of 400 MiB to %s: right, with bounded memory",
  async (to) => {
    const total = 400 * mib;
    await upload(`${to}?fileBytes=${total}`, 32 * mib, () => {}); // warm
    const before = residentBytes(workerPid());
    expect(before).toBeGreaterThan(16 * mib);
    let most = before;
    const { reply, hash } = await upload(`${to}?fileBytes=${total}`, total, () => {
      most = Math.max(most, residentBytes(workerPid()));
    });
    expect(reply.status).toBe(200);
    expect(reply.body.toString()).toContain(hash);
    expect(most - before).toBeLessThan(64 * mib);
    await allGone();
  },
  240_000,
);

test("a file beyond the limit is refused while it comes, and nothing of it is left", async () => {
  const connection = await HttpConnection.open(apache.port);
  const length: [string, string] = ["Content-Length", String(200 * mib)];
  await connection.sendRequest({ method: "POST", target: "/app/collected?fileBytes=1000000", headers: [type, length] });
  await connection.send(fileHead("large"));
  const sending = connection.send(Buffer.alloc(8 * mib)).catch(() => undefined);
  expect((await connection.readHead()).status).toBe(413);
  connection.destroy();
  await sending;
  await allGone();
});

/** Begins an upload and waits until its file is there. */
async function beginUpload(): Promise<HttpConnection> {
  const connection = await HttpConnection.open(apache.port);
  const length: [string, string] = ["Content-Length", String(100 * mib)];
  await connection.sendRequest({ method: "POST", target: "/app/reported", headers: [type, length] });
  await connection.send(fileHead("large"));
  await connection.send(Buffer.alloc(2 * mib));
  await until("the temporary file", () => temporary().length === 1);
  return connection;
}

test("a client that goes away in the middle of a file: the application learns it, and the file goes", async () => {
  const connection = await beginUpload();
  connection.destroy();
  await until("the error in the application", () => daemon.program.stderr.includes("app: form failed: "));
  await allGone();
  expect(daemon.program.stderr).not.toContain("app: form was read");
});

test("a worker that is killed in the middle of a file: the next one removes what it left", async () => {
  const connection = await beginUpload();
  const killed = workerPid();
  process.kill(killed, "SIGKILL");
  await until("another worker", () => ![0, killed].includes(workerPid()));
  await allGone();
  connection.destroy();
  expect((await post("/app/collected", new URLSearchParams("a=1"))).fields).toEqual([["a", "1"]]);
});

test("a kept file stays, also when the daemon's next worker sweeps", async () => {
  const form = new FormData();
  form.append("f", new Blob(["kept"]), "f");
  const response = await fetch(url("/app/kept"), { method: "POST", body: form });
  const [path] = (await response.json()) as string[];
  const killed = workerPid();
  process.kill(killed, "SIGKILL");
  await until("another worker", () => ![0, killed].includes(workerPid()));
  await post("/app/collected", form);
  expect(statSync(path ?? "").size).toBe(4);
  expect(statSync(path ?? "").mode & 0o777).toBe(0o600);
  expect(statSync(join(path ?? "", "..")).mode & 0o777).toBe(0o700);
  rmSync(path ?? "");
});
