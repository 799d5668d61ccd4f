import { spawn } from "node:child_process";
import { once } from "node:events";
import {
  chmodSync,
  existsSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  renameSync,
  rmSync,
  statSync,
  unlinkSync,
  writeFileSync,
} from "node:fs";
import { request } from "node:http";
import type { IncomingHttpHeaders, RequestOptions } from "node:http";
import type { Socket } from "node:net";
import { connect, createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, onTestFinished, test } from "vitest";
import { BootError } from "../../../src/errors.ts";
import { askControl } from "../../../src/supervisor/control-request.ts";
import type { Controlled, ReloadOutcome } from "../../../src/supervisor/control.ts";
import { isSupervisorAlive } from "../../../src/supervisor/control-socket.ts";
import { ControlServer } from "../../../src/supervisor/control.ts";
import { until, within } from "../../harness/until.ts";
import type { CollectedLog } from "../server/collected-log.ts";
import { collectLog } from "../server/collected-log.ts";
import { sampleStatus } from "./sample-status.ts";

let folder: string;
let path: string;
let log: CollectedLog;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "tsgi-control-"));
  path = join(folder, "app.sock.control");
  log = collectLog();
});

afterEach(() => rmSync(folder, { recursive: true, force: true }));

const reloaded: ReloadOutcome = { ok: true, message: "generation 4 serves", generation: 4 };

async function open(more: Partial<Controlled> = {}, place = path): Promise<ControlServer> {
  const controlled: Controlled = {
    status: () => sampleStatus(),
    history: () => ({ intervalMs: 5000, samples: [] }),
    metrics: async () => "# HELP\n",
    reload: async () => reloaded,
    stop: async () => ({ whole: true }),
    ...more,
  };
  const server = await ControlServer.open(place, controlled, log);
  onTestFinished(() => server.close());
  return server;
}

interface Answer {
  readonly status: number | undefined;
  readonly headers: IncomingHttpHeaders;
  readonly text: string;
  readonly json: unknown;
}

/** One request; the answer is complete with its first line, since the one to /stop ends with the process. */
async function ask(
  method: string,
  target: string,
  options: RequestOptions & { readonly body?: string } = {},
): Promise<Answer> {
  return await within(
    `the answer to ${method} ${target}`,
    new Promise((resolve, reject) => {
      const asked = request({ socketPath: path, method, path: target, agent: false, ...options });
      onTestFinished(() => void asked.destroy());
      asked.on("error", reject);
      asked.on("response", (response) => {
        const { statusCode: status, headers } = response;
        let text = "";
        const finish = (): void => resolve({ status, headers, text, json: text === "" ? undefined : JSON.parse(text) });
        response.setEncoding("utf8").on("data", (chunk: string) => {
          text += chunk;
          if (text.endsWith("\n")) finish();
        });
        response.on("end", finish);
        response.on("error", reject);
      });
      asked.end(options.body);
    }),
  );
}

/** Writes bytes and gives everything that comes back until the server closes. */
async function raw(bytes: string): Promise<string> {
  const socket = connect(path);
  onTestFinished(() => void socket.destroy());
  let text = "";
  socket.setEncoding("latin1").on("data", (chunk: string) => (text += chunk));
  socket.on("error", () => {});
  socket.write(bytes);
  await within("the server to close the connection", once(socket, "close"));
  return text;
}

/** A promise and its two ends. */
function deferred<T>() {
  let resolve!: (value: T) => void;
  let reject!: (error: Error) => void;
  const promise = new Promise<T>((...ends) => ([resolve, reject] = ends));
  return { promise, resolve, reject };
}

describe("answers", () => {
  test("GET /status with the status, as JSON and a line feed", async () => {
    await open();
    const answer = await ask("GET", "/status");
    expect(answer).toMatchObject({ status: 200, headers: { "content-type": "application/json" } });
    expect(answer.json).toEqual(JSON.parse(JSON.stringify(sampleStatus())));
    expect(answer.text.match(/\n/g)).toHaveLength(1);
    expect((await ask("GET", "/status?x=1")).status).toBe(200);
    expect(await ask("HEAD", "/status")).toMatchObject({ status: 200, text: "" });
  });

  test("POST /reload when the outcome is known: 200, or 500 with the reason", async () => {
    const outcomes = [reloaded, { ok: false, message: "Error: boom\n    at /srv/app.ts:3:5", generation: 3 }];
    const gate = deferred<void>();
    await open({
      reload: async () => {
        await gate.promise;
        return outcomes.shift() ?? reloaded;
      },
    });
    const first = ask("POST", "/reload");
    let isAnswered = false;
    void first.then(() => (isAnswered = true));
    await ask("GET", "/status"); // others are answered meanwhile
    expect(isAnswered).toBe(false);
    gate.resolve();
    await expect(first).resolves.toMatchObject({ status: 200, json: reloaded });
    const failed = { ok: false, message: "Error: boom\n    at /srv/app.ts:3:5", generation: 3 };
    await expect(ask("POST", "/reload")).resolves.toMatchObject({ status: 500, json: failed });
  });

  test("POST /stop when the last request ended, and keeps that connection until the process ends", async () => {
    const gate = deferred<{ whole: boolean }>();
    const server = await open({ stop: () => gate.promise });
    const asked = request({ socketPath: path, method: "POST", path: "/stop", agent: false }).end();
    onTestFinished(() => void asked.destroy());
    let isEnded = false;
    let text = "";
    asked.on("response", (response) => {
      response.setEncoding("utf8").on("data", (chunk: string) => (text += chunk));
      response.on("end", () => (isEnded = true));
    });
    await ask("GET", "/status");
    expect(text).toBe("");
    gate.resolve({ whole: false });
    await until("the answer", () => text.endsWith("\n"));
    expect(JSON.parse(text)).toEqual({ ok: true, whole: false, message: "requests that took too long were cut off" });
    await server.close();
    expect(isEnded).toBe(false);
  });

  test("an unknown path with 404, a wrong method with 405 and Allow", async () => {
    await open();
    for (const target of ["/", "/nothing", "/status/", "/toString", "/__proto__", "*"]) {
      const method = target === "*" ? "OPTIONS" : "GET";
      await expect(ask(method, target)).resolves.toMatchObject({ status: 404, json: { ok: false } });
    }
    await expect(ask("POST", "/status")).resolves.toMatchObject({ status: 405, headers: { allow: "GET, HEAD" } });
    for (const target of ["/reload", "/stop"]) {
      for (const method of ["GET", "PUT", "DELETE"]) {
        const answer = await ask(method, target);
        expect(answer).toMatchObject({
          status: 405,
          headers: { allow: "POST" },
          json: { message: `${target} takes POST` },
        });
      }
    }
  });

  test("a failure of the supervisor's own with 500 and a line in the log", async () => {
    const fails = (): never => {
      throw new Error("no luck");
    };
    await open({ status: fails, reload: async () => fails(), stop: async () => fails() });
    for (const [method, target] of [
      ["GET", "/status"],
      ["POST", "/reload"],
      ["POST", "/stop"],
    ] as const) {
      await expect(ask(method, target)).resolves.toMatchObject({
        status: 500,
        json: { ok: false, message: "no luck" },
      });
    }
    expect(log.lines.filter(({ level }) => level === "error")).toHaveLength(3);
  });

  test.each([
    ["of a body that Content-Length announces", { body: "x".repeat(100), headers: { "Content-Length": 100 } }],
    ["of a chunked body", { body: "{}", headers: { "Transfer-Encoding": "chunked" } }],
    [
      "of a client that waits for 100 Continue",
      { body: "{}", headers: { "Content-Length": 2, Expect: "100-continue" } },
    ],
  ])("a short body is read and means nothing: %s", async (_, options) => {
    await open();
    await expect(ask("POST", "/reload", options)).resolves.toMatchObject({ status: 200 });
  });

  test("a long body is refused", async () => {
    const asked: string[] = [];
    await open({
      reload: async () => {
        asked.push("reload");
        return reloaded;
      },
    });
    await expect(ask("POST", "/reload", { body: "x".repeat(20_000) })).resolves.toMatchObject({ status: 413 });
    expect(asked).toEqual([]);
  });

  test("what is no HTTP with 400 in JSON", async () => {
    await open();
    for (const bytes of [
      "nonsense\r\n\r\n",
      "\u0001\u0001\u0000\u0001\u0000\u0008\u0000\u0000",
      "GET /status HTTP/9\r\n\r\n",
    ]) {
      expect(await raw(bytes)).toMatch(/^HTTP\/1\.1 400 [^]*\r\n\r\n\{"ok":false,"message":"bad request"\}\n$/);
    }
    expect(await raw(`GET /status HTTP/1.1\r\nX: ${"x".repeat(40_000)}\r\n`)).toMatch(/^HTTP\/1\.1 431 /);
  });

  test("curl, as the documentation shows it", async () => {
    await open();
    const child = spawn("curl", ["-sS", "--max-time", "10", "--unix-socket", path, "http://localhost/status"]);
    let text = "";
    child.stdout.setEncoding("utf8").on("data", (chunk: string) => (text += chunk));
    const [code] = (await within("curl", once(child, "close"))) as [number];
    expect(code).toBe(0);
    expect(JSON.parse(text)).toMatchObject({ version: "1.2.3" });
  });
});

test("a client that is too slow is cut off with 408, whether in its head or in its body", async () => {
  const asked: string[] = [];
  await open({
    stop: async () => {
      asked.push("stop");
      return { whole: true };
    },
  });
  const slow = [
    "POST /stop HTTP/1.1\r\nHost: x\r\n",
    "POST /stop HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nhalf",
  ];
  const [head, body] = await Promise.all(slow.map(raw));
  expect(head).toMatch(/^HTTP\/1\.1 408 /);
  expect(body).not.toMatch(/^HTTP\/1\.1 200/);
  expect(asked).toEqual([]);
});

describe("the socket file", () => {
  const mode = (): number => statSync(path).mode & 0o777;

  test("has mode 0600, whatever the umask, and leaves nothing beside it", async () => {
    for (const umask of [0o000, 0o077, 0o777]) {
      const given = process.umask(umask);
      try {
        const server = await open();
        expect(process.umask()).toBe(umask);
        expect(mode()).toBe(0o600);
        expect(readdirSync(folder)).toEqual(["app.sock.control"]);
        await server.close();
      } finally {
        process.umask(given);
      }
      expect(readdirSync(folder)).toEqual([]);
    }
  });

  test("of a dead daemon is taken over", async () => {
    await leaveStale();
    const stale = statSync(path).ino;
    const server = await open();
    expect((await ask("GET", "/status")).status).toBe(200);
    expect(statSync(path).ino).not.toBe(stale);
    await server.close();
  });

  test("of a living daemon is left alone, and its pid is told", async () => {
    await open();
    await expect(open()).rejects.toThrow(
      new BootError(`another tsgi daemon runs: pid ${process.pid} answers on ${path}`),
    );
    expect((await ask("GET", "/status")).status).toBe(200);
    expect(readdirSync(folder)).toEqual(["app.sock.control"]);
  });

  test("of some other server is left alone", async () => {
    for (const onConnection of [
      (socket: Socket) => void socket.destroy(),
      (socket: Socket) => void socket.resume().end("HTTP/1.0 200 OK\r\n\r\n{}"),
      (socket: Socket) => void socket.resume(),
    ]) {
      const other = createServer(onConnection).listen(path);
      await once(other, "listening");
      await expect(open()).rejects.toThrow(new BootError(`${path} is in use: another process answers on it`));
      await new Promise((resolve) => other.close(resolve));
    }
  });

  test("takes no other file's place", async () => {
    writeFileSync(path, "text");
    await expect(open()).rejects.toThrow(`${path} exists and is not a socket`);
    expect(readFileSync(path, "utf8")).toBe("text");
    expect(readdirSync(folder)).toEqual(["app.sock.control"]);
  });

  test("is told to be impossible where it is", async () => {
    await expect(open({}, join(folder, "none", "x"))).rejects.toThrow(/cannot open the control socket in .*none/);
    await expect(open({}, join(folder, "x".repeat(120)))).rejects.toThrow("give a shorter one with --control");
  });

  test("is not removed when another daemon has put its own there", async () => {
    const server = await open();
    renameSync(path, join(folder, "moved"));
    const second = await open();
    const ino = statSync(path).ino;
    await server.close();
    expect(statSync(path).ino).toBe(ino);
    expect((await ask("GET", "/status")).status).toBe(200);
    await second.close();
    expect(readdirSync(folder)).toEqual(["moved"]);
  });

  test("is made again when somebody removed it", async () => {
    const server = await open();
    unlinkSync(path);
    await until("the file", () => existsSync(path));
    expect(mode()).toBe(0o600);
    expect((await ask("GET", "/status")).status).toBe(200);
    unlinkSync(path);
    await until("the file, once more", () => existsSync(path));
    expect((await ask("POST", "/reload")).status).toBe(200);
    await server.close();
    expect(readdirSync(folder)).toEqual([]);
  });

  test("is given up when another file is in its place", async () => {
    const server = await open();
    unlinkSync(path);
    writeFileSync(path, "text");
    await until("a line in the log", () => log.lines.some(({ level }) => level === "warn"));
    await server.close();
    expect(readFileSync(path, "utf8")).toBe("text");
  });
});

/** Makes a socket file that nobody accepts on any more. */
async function leaveStale(): Promise<void> {
  const temporary = join(folder, "stale");
  const server = createServer().listen(temporary);
  await once(server, "listening");
  renameSync(temporary, path);
  await new Promise((resolve) => server.close(resolve));
}

describe("closing", () => {
  test("delivers the answers that are still owed", async () => {
    const gate = deferred<ReloadOutcome>();
    const server = await open({ reload: () => gate.promise });
    const answer = ask("POST", "/reload");
    await until("the request", () => log.lines.some(({ fields }) => fields["target"] === "/reload"));
    const closed = server.close();
    expect(existsSync(path)).toBe(false);
    gate.resolve(reloaded);
    await expect(answer).resolves.toMatchObject({ status: 200, json: reloaded });
    await within("the server to close", closed);
  });

  test("answers 503 to those whose outcome never comes", async () => {
    const gate = deferred<ReloadOutcome>();
    const server = await open({ reload: () => gate.promise });
    const answer = ask("POST", "/reload");
    await until("the request", () => log.lines.some(({ fields }) => fields["target"] === "/reload"));
    await server.close(20);
    await expect(answer).resolves.toMatchObject({ status: 503, json: { ok: false, message: "the daemon stops" } });
    gate.resolve(reloaded);
  });

  test("takes no more requests, waits for no idle connection, and may be asked twice", async () => {
    const server = await open();
    const idle = connect(path);
    onTestFinished(() => void idle.destroy());
    await once(idle, "connect");
    await within("the server to close", server.close());
    await server.close();
    await expect(ask("GET", "/status")).rejects.toThrow("ENOENT");
  });
});

describe("whether a supervisor lives", () => {
  test("is told by its socket", async () => {
    await expect(isSupervisorAlive(path)).resolves.toBe("absent");
    const server = await open();
    await expect(isSupervisorAlive(path)).resolves.toBe("alive");
    await server.close();
    await leaveStale();
    await expect(isSupervisorAlive(path)).resolves.toBe("dead");
    writeFileSync(join(folder, "file"), "");
    await expect(isSupervisorAlive(join(folder, "file"))).resolves.toBe("absent");
  });

  test.runIf(process.getuid?.() !== 0)("is an error when that may not be asked", async () => {
    await open();
    chmodSync(path, 0);
    await expect(isSupervisorAlive(path)).rejects.toThrow("cannot tell whether a daemon answers");
  });
});

describe("asking", () => {
  const question = { method: "GET", target: "/status", timeoutMs: 10_000 } as const;

  test("tells the outcomes apart", async () => {
    await expect(askControl({ ...question, path })).resolves.toEqual({ kind: "absent" });
    await leaveStale();
    await expect(askControl({ ...question, path })).resolves.toEqual({ kind: "dead" });
    unlinkSync(path);
    await open({ reload: () => new Promise(() => {}) });
    await expect(askControl({ ...question, path })).resolves.toMatchObject({ kind: "answer", status: 200 });
    await expect(askControl({ path, method: "POST", target: "/reload", timeoutMs: 50 })).resolves.toEqual({
      kind: "silent",
    });
  });

  test.each([
    ["at once", ""],
    ["in the head", "HTTP/1.1 200 OK\r\nContent-"],
    ["in the body", 'HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{"a'],
    ["in a chunk", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n9\r\n{"],
  ])("an answer that breaks off %s is no answer", async (_, bytes) => {
    const other = createServer((socket) => socket.resume().once("data", () => socket.end(bytes))).listen(path);
    onTestFinished(() => void other.close());
    const outcome = await within("the outcome", askControl({ ...question, path }));
    expect(outcome).toMatchObject({ kind: expect.stringMatching(/^(?:cut|failed)$/) });
    if (bytes === "" || bytes.includes("\r\n\r\n")) expect(outcome).toEqual({ kind: "cut" });
  });

  test("an answer that is not JSON is none of ours", async () => {
    const other = createServer((socket) =>
      socket.resume().once("data", () => socket.end("HTTP/1.0 200 OK\r\n\r\nhello")),
    ).listen(path);
    onTestFinished(() => void other.close());
    const outcome = await askControl({ ...question, path });
    expect(outcome).toEqual({ kind: "failed", message: "the answer is not JSON: is this the control socket?" });
  });

  test("an answer without an end is cut off at its limit", async () => {
    const other = createServer((socket) => {
      const fill = (): void => {
        while (socket.writable && socket.write("x".repeat(2 ** 20)));
      };
      socket.on("error", () => {}).on("drain", fill);
      socket.once("data", () => {
        socket.write("HTTP/1.0 200 OK\r\n\r\n");
        fill();
      });
    }).listen(path);
    onTestFinished(() => void other.close());
    await expect(askControl({ ...question, path })).resolves.toEqual({
      kind: "failed",
      message: "the answer is too long",
    });
  });
});
