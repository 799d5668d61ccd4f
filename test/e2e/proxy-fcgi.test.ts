// mod_proxy_fcgi with connection reuse in front of the daemon: no wrong byte under concurrency, early answers, streaming,
// clients that go away, and bodies larger than memory allows.
import { childrenOf } from "../harness/process-facts.ts";
import { createHash } from "node:crypto";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { Apache } from "../harness/apache.ts";
import { HttpConnection, headerValues } from "../harness/http.ts";
import { descriptorsOf, residentBytes } from "../harness/leftovers.ts";
import { until } from "../harness/until.ts";
import { Workspace, type Daemon } from "../harness/workspace.ts";

let workspace: Workspace;
let daemon: Daemon;
let apache: Apache;
/** Descriptors of the daemon that no request has used yet. */
let unused: number;

beforeAll(async () => {
  workspace = await Workspace.open();
  workspace.expectLog(
    /AH01071: Got error 'tsgi: (?:Error: failed late on purpose|InputTruncatedError)/u,
    // What Apache says of a backend that ends a broken answer, and of a client that went away.
    /AH01075: Error dispatching request to/u,
    /AH01067: Failed to read FastCGI header/u,
    /AH10410: /u,
  );
  daemon = await workspace.daemon([workspace.app("engine.ts")]);
  await until("the probe's connection to be closed", () => {
    const before = unused;
    unused = workerDescriptors();
    return before === unused;
  });
  apache = await workspace.apache({
    modules: ["proxy", "proxy_fcgi"],
    threadsPerChild: 400,
    config: `
<Location "/">
  Require all granted
  ProxyFCGIBackendType GENERIC
  SetEnvIf Request_URI . ap_trust_cgilike_cl=1
  ProxyPass "unix:${daemon.socket}|fcgi://engine/" enablereuse=on flushpackets=on max=400
</Location>`,
  });
}, 60_000);

afterAll(() => workspace.close(), 60_000);

/** Descriptors of all workers. */
function workerDescriptors(): number {
  return childrenOf(daemon.program.pid).reduce((sum, { pid }) => sum + descriptorsOf(pid), 0);
}

const text = async (target: string): Promise<string> => (await apache.request(target)).body.toString("latin1");

function pattern(total: number): Buffer {
  const chunk = Buffer.alloc(65_536);
  for (let index = 0; index < chunk.length; index += 1) chunk[index] = (index * 31) & 255;
  return Buffer.alloc(total, chunk);
}

describe("concurrency and reuse", () => {
  test("300 concurrent requests, each answered with its own nonce", async () => {
    const connections = await Promise.all(Array.from({ length: 300 }, () => HttpConnection.open(apache.port)));
    const answers = await Promise.all(
      connections.map(async (connection, index) => {
        const nonce = `nonce-${index}-${"n".repeat(index % 50)}`;
        const body = `body of ${index} ${"b".repeat(index * 17)}`;
        await connection.sendRequest({ method: "POST", target: `/nonce?${nonce}`, body });
        const reply = await connection.readReply();
        connection.destroy();
        return { reply, wanted: `${nonce} ${body}` };
      }),
    );
    for (const { reply, wanted } of answers) {
      expect(reply.status).toBe(200);
      expect(reply.complete).toBe(true);
      expect(reply.body.toString("latin1") === wanted).toBe(true);
    }
    expect(Number(await text("/most"))).toBeGreaterThan(1);
  }, 60_000);

  test("1,000 requests over reused connections, small and large, read and unread: no wrong byte", async () => {
    let next = 0;
    const wrong: string[] = [];
    const client = async (): Promise<void> => {
      const connection = await HttpConnection.open(apache.port);
      for (let index = next++; index < 1000; index = next++) {
        const kind = index % 4;
        const headers = [["Connection", "keep-alive"]] as const;
        const body = Buffer.alloc((index % 10) * 3000, index & 255);
        if (kind === 0) await connection.sendRequest({ target: `/nonce?${index}`, headers });
        else if (kind === 1)
          await connection.sendRequest({ method: "POST", target: `/ignore?${index}`, headers, body });
        else if (kind === 2) await connection.sendRequest({ method: "POST", target: "/echo", headers, body });
        else await connection.sendRequest({ target: "/random", headers });
        const reply = await connection.readReply();
        const hash = createHash("sha256").update(reply.body).digest("hex");
        const got = reply.body.toString("latin1");
        const isRight = [
          got === `${index} `,
          got === `ignored ${index}`,
          reply.body.equals(body),
          hash === headerValues(reply.headers, "x-hash")[0] && reply.body.length === 300_000,
        ][kind];
        if (isRight !== true || !reply.complete || reply.status !== 200)
          wrong.push(`${index} ${reply.statusLine} ${got.slice(0, 80)}`);
      }
      connection.destroy();
    };
    await Promise.all(Array.from({ length: 16 }, client));
    expect(wrong).toEqual([]);
  }, 60_000);

  test("connections stay open between requests and are used again", async () => {
    expect(await text("/hello")).toBe("hello");
    const kept = workerDescriptors() - unused;
    expect(kept).toBeGreaterThan(0);
    for (let count = 0; count < 50; count += 1) expect(await text("/hello")).toBe("hello");
    expect(workerDescriptors() - unused).toBeLessThanOrEqual(kept + 1);
  });

  test("an answer before a large body was read, then others on the same connections", async () => {
    for (let turn = 0; turn < 20; turn += 1) {
      const reply = await apache.request({
        method: "POST",
        target: `/ignore?early-${turn}`,
        body: Buffer.alloc(3_000_000, "e"),
      });
      expect(reply.body.toString()).toBe(`ignored early-${turn}`);
      const after = await Promise.all([1, 2, 3].map((part) => text(`/nonce?after-${turn}-${part}`)));
      expect(after).toEqual([1, 2, 3].map((part) => `after-${turn}-${part} `));
    }
  }, 60_000);
});

describe("streaming", () => {
  test("each chunk arrives before the next one is made", async () => {
    const connection = await HttpConnection.open(apache.port);
    await connection.sendRequest({ target: "/stream-gates?a,b,c" });
    await connection.readHead();
    let got = "";
    for (const key of ["a", "b", "c"]) {
      while (!got.endsWith(`before ${key};`)) {
        const piece = await connection.readSome();
        expect(piece, got).toBeDefined();
        got += piece?.toString("latin1") ?? "";
      }
      await until(`gate ${key}`, async () => (await text(`/open?${key}`)) === "opened");
    }
    got += (await connection.readBody()).toString("latin1");
    expect(got).toBe("before a;before b;before c;end");
    expect(connection.complete).toBe(true);
    connection.destroy();
  });

  test("a client that goes away during a stream aborts the signal and closes the body", async () => {
    const connection = await HttpConnection.open(apache.port);
    await connection.sendRequest({ target: "/first-then-abort?gone" });
    await connection.readHead();
    expect((await connection.readSome())?.toString()).toContain("first");
    connection.destroy();
    await until("the application to notice", () =>
      daemon.program.stderr.includes("app: first-then-abort gone aborted"),
    );
    const endless = await HttpConnection.open(apache.port);
    await endless.sendRequest({ target: "/forever?client" });
    await endless.readHead();
    await endless.readSome();
    endless.destroy();
    await until("the generator to be closed", () => daemon.program.stderr.includes("app: stream client was closed"));
  });

  test("a client that goes away during its upload: the application never sees a short body", async () => {
    const connection = await HttpConnection.open(apache.port);
    await connection.sendRequest({ method: "POST", target: "/truncated", headers: [["Content-Length", "1000000"]] });
    await connection.send(Buffer.alloc(200_000, "p"));
    await until("the request to reach the daemon", async () => (await text("/hello")) === "hello");
    connection.destroy();
    await until("the error in the application", () => daemon.program.stderr.includes("app: truncated: TSGI"));
    expect(daemon.program.stderr).not.toContain("truncated: got a body");
  });

  test("a failure after the first chunk is never a complete answer", async () => {
    const reply = await apache.request("/fail-late");
    expect(reply.complete).toBe(false);
    expect(reply.body.toString()).toBe("started");
  });
});

describe("size", () => {
  const total = 256 * 1_048_576;

  test("an upload of 256 MiB: right, with bounded memory", async () => {
    await text("/hello");
    const before = residentBytes(daemon.program.pid);
    let most = before;
    const hash = createHash("sha256");
    const block = pattern(1_048_576);
    const connection = await HttpConnection.open(apache.port, { deadlineMs: 60_000 });
    await connection.sendRequest({ method: "PUT", target: "/upload", headers: [["Content-Length", String(total)]] });
    for (let sent = 0; sent < total; sent += block.length) {
      hash.update(block);
      await connection.send(block);
      if (sent % (16 * block.length) === 0) most = Math.max(most, residentBytes(daemon.program.pid));
    }
    const reply = await connection.readReply();
    connection.destroy();
    expect(reply.body.toString()).toBe(`${total} ${hash.digest("hex")}`);
    expect(most - before).toBeLessThan(64 * 1_048_576);
  }, 120_000);

  test("a download of 256 MiB: right, with bounded memory though the client stops reading", async () => {
    await text("/hello");
    const before = residentBytes(daemon.program.pid);
    let most = before;
    const connection = await HttpConnection.open(apache.port, { deadlineMs: 60_000 });
    await connection.sendRequest({ target: `/download?${total}` });
    expect(headerValues((await connection.readHead()).headers, "content-length")).toEqual([String(total)]);
    connection.pause();
    for (let turn = 0; turn < 20; turn += 1) {
      await text("/hello");
      most = Math.max(most, residentBytes(daemon.program.pid));
    }
    connection.resume();
    const hash = createHash("sha256");
    let size = 0;
    for (let piece = await connection.readSome(); piece !== undefined; piece = await connection.readSome()) {
      hash.update(piece);
      size += piece.length;
      if (size % 16 < 8) most = Math.max(most, residentBytes(daemon.program.pid));
    }
    connection.destroy();
    expect(size).toBe(total);
    const wanted = createHash("sha256");
    for (let part = 0; part < 256; part += 1) wanted.update(pattern(1_048_576));
    expect(hash.digest("hex")).toBe(wanted.digest("hex"));
    expect(most - before).toBeLessThan(64 * 1_048_576);
  }, 120_000);
});

describe("the daemon comes and goes", () => {
  test("while it is away Apache answers 503; when it is back requests are served", async () => {
    const other = await workspace.daemon([workspace.app("engine.ts")]);
    const front = await workspace.apache({
      modules: ["proxy", "proxy_fcgi"],
      config: `<Location "/">
  Require all granted
  ProxyFCGIBackendType GENERIC
  ProxyPass "unix:${other.socket}|fcgi://other/" enablereuse=on
</Location>`,
    });
    workspace.expectLog(/AH02454: FCGI: attempt to connect/u, /AH01079: failed to make connection/u);
    expect((await front.request("/hello")).body.toString()).toBe("hello");
    await other.program.stop();
    expect((await front.request("/hello")).status).toBe(503);
    workspace.tsgi(["daemon", workspace.app("engine.ts"), "--listen", `unix:${other.socket}`]);
    await until("the daemon to be back", async () => (await front.request("/hello")).status === 200);
    expect((await front.request("/hello")).body.toString()).toBe("hello");
  });
});
