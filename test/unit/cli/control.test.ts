// `tsgi status`, `reload` and `stop` against a control server in a process of its own, which stands for the daemon.
import { spawn } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, realpathSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterEach, beforeEach, describe, expect, onTestFinished, test } from "vitest";
import { until, within } from "../../harness/until.ts";
import { sampleGroup, sampleStatus } from "../supervisor/sample-status.ts";

const checkout = fileURLToPath(new URL("../../..", import.meta.url));
const module = (name: string): string => new URL(`../../../dist/${name}`, import.meta.url).href;

let folder: string;
let address: string;
let socket: string;

beforeEach(() => {
  folder = realpathSync(mkdtempSync(join(tmpdir(), "tsgi-cli-control-")));
  address = `unix:${join(folder, "app.sock")}`;
  socket = join(folder, "app.sock.control");
});

afterEach(() => rmSync(folder, { recursive: true }));

interface Run {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
}

function start(command: readonly string[], env: Record<string, string> = {}) {
  const child = spawn(process.execPath, command, {
    cwd: folder,
    env: { PATH: process.env["PATH"] ?? "", TSGI_CACHE_DIR: join(folder, "cache"), TMPDIR: folder, ...env },
    stdio: ["ignore", "pipe", "pipe"],
  });
  const output = { stdout: "", stderr: "" };
  child.stdout.setEncoding("utf8").on("data", (text: string) => (output.stdout += text));
  child.stderr.setEncoding("utf8").on("data", (text: string) => (output.stderr += text));
  const ended = new Promise<Run>((resolve) => {
    child.once("close", (code, signal) => resolve({ code, signal, ...output }));
  });
  onTestFinished(() => void child.kill("SIGKILL"));
  return { child, output, ended };
}

async function tsgi(args: readonly string[], env: Record<string, string> = {}): Promise<Run> {
  return await within(`tsgi ${args.join(" ")}`, start([join(checkout, "bin/tsgi"), ...args], env).ended);
}

/** A daemon's control server; `body` is the code of what it controls, with `status` and `sleep(ms)` at hand. */
async function daemon(body = "", path = socket) {
  const code = `
    import { ControlServer } from ${JSON.stringify(module("supervisor/control.js"))};
    import { createLog } from ${JSON.stringify(module("log.js"))};
    const given = ${JSON.stringify(sampleStatus([sampleGroup({ shed: 77 })]))};
    const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
    let server;
    const controlled = {
      status: () => ({ ...given, pid: process.pid }),
      reload: async () => ({ ok: true, message: "fine", generation: 4 }),
      stop: async () => { void server.close().then(() => process.exit(0)); return { whole: true }; },
      ${body}
    };
    server = await ControlServer.open(${JSON.stringify(path)}, controlled, createLog({ level: "silent" }));
    process.stdout.write("open\\n");
  `;
  const started = start(["--input-type=module", "-e", code]);
  await until("the daemon", () => {
    if (started.child.exitCode !== null) throw new Error(started.output.stderr);
    return started.output.stdout === "open\n";
  });
  return started;
}

const isRunning = (pid: number | undefined): boolean =>
  existsSync(`/proc/${pid}`) && !/^State:\s+Z/m.test(readFileSync(`/proc/${pid}/status`, "utf8"));

describe("which daemon is meant", () => {
  test.each([
    ["by its address", () => ["--listen", address], () => ({})],
    ["by its control socket", () => ["--control", `unix:${socket}`], () => ({})],
    ["by a relative control socket", () => ["--control", "unix:app.sock.control"], () => ({})],
    ["by TSGI_LISTEN", () => [], () => ({ TSGI_LISTEN: address })],
    ["by TSGI_CONTROL", () => [], () => ({ TSGI_CONTROL: `unix:${socket}` })],
    ["by its address, whatever TSGI_CONTROL says", () => ["--listen", address], () => ({ TSGI_CONTROL: "unix:/none" })],
  ])("is told %s", async (_, args, env) => {
    await daemon();
    const { code, stdout, stderr } = await tsgi(["reload", ...args()], env());
    expect({ code, stdout, stderr }).toEqual({ code: 0, stdout: "tsgi: generation 4 serves\n", stderr: "" });
  });

  test.each([
    ["its address", () => ({ listen: address })],
    ["its control socket", () => ({ control: "unix:app.sock.control", listen: "unix:/none/app.sock" })],
    [
      "its first group",
      () => ({ groups: { site: { app: "a.ts", listen: address }, shop: { app: "b.ts", listen: "unix:b" } } }),
    ],
  ])("is told by a configuration file with %s", async (_, content) => {
    await daemon();
    writeFileSync(join(folder, "tsgi.config.json"), JSON.stringify(content()));
    await expect(tsgi(["reload"])).resolves.toMatchObject({ code: 0, stderr: "" });
  });

  test("is found by a TCP address, with and without a session's own folder", async () => {
    const run = join(folder, "run");
    mkdirSync(run);
    const own = join(folder, `tsgi-${process.getuid?.() ?? 0}`);
    mkdirSync(own, { mode: 0o700 });
    await daemon("", join(own, "tsgi-127.0.0.1-9000.control"));
    for (const env of [{}, { XDG_RUNTIME_DIR: run }]) {
      await expect(tsgi(["status", "--listen", "tcp:127.0.0.1:9000"], env)).resolves.toMatchObject({ code: 0 });
    }
  });

  test("is asked for when nothing says it", async () => {
    for (const command of ["status", "reload", "stop"]) {
      await expect(tsgi([command])).resolves.toMatchObject({
        code: 2,
        stderr: expect.stringMatching(/^tsgi: which daemon\? /),
      });
    }
    const { code, stderr } = await tsgi(["status", "--listen", "fd:3"]);
    expect({ code, stderr }).toEqual({
      code: 2,
      stderr: "tsgi: a descriptor does not say where the control socket is: give --control\n",
    });
  });

  test("has to be in a folder that nobody else can write to", async () => {
    mkdirSync(join(folder, `tsgi-${process.getuid?.() ?? 0}`), { mode: 0o755 });
    const { code, stderr } = await tsgi(["status", "--listen", "tcp:127.0.0.1:9000"]);
    expect(code).toBe(1);
    expect(stderr).toContain("is not a folder for this user alone");
  });
});

describe("no daemon", () => {
  test.each(["status", "reload", "stop"])("is one line and exit code 1: tsgi %s", async (command) => {
    await expect(tsgi([command, "--listen", address])).resolves.toMatchObject({
      code: 1,
      stdout: "",
      stderr: `tsgi: no tsgi daemon answers: there is no control socket ${socket}\n`,
    });
    const { child, ended } = await daemon();
    child.kill("SIGKILL");
    await ended;
    await expect(tsgi([command, "--listen", address])).resolves.toMatchObject({
      code: 1,
      stderr: `tsgi: no tsgi daemon answers on ${socket}: the one that made it has ended\n`,
    });
  });

  test("and something else in its place is told, too", async () => {
    const other = createServer((connection) => connection.resume().end("hello\n")).listen(socket);
    onTestFinished(() => void other.close());
    const { code, stderr } = await tsgi(["status", "--listen", address]);
    expect(code).toBe(1);
    expect(stderr).toMatch(/^tsgi: cannot ask the daemon on .*\n$/);
  });
});

describe("every wait has an end", () => {
  test.each([
    ["status", "status: () => { for (;;); }", (path: string) => `the daemon on ${path} did not answer within 300ms`],
    ["reload", "reload: () => sleep(1e6)", () => "the reload is not done after 300ms; see tsgi status"],
    ["stop", "stop: () => sleep(1e6)", (path: string) => `the daemon on ${path} still runs after 300ms`],
    ["stop", "stop: async () => ({ whole: true })", (path: string) => `the daemon on ${path} still runs after 300ms`],
  ])("tsgi %s with %s", async (command, body, message) => {
    await daemon(`${body},`);
    const { code, stderr } = await tsgi([command, "--listen", address, "--timeout", "300ms"]);
    expect({ code, stderr }).toEqual({ code: 1, stderr: `tsgi: ${message(socket)}\n` });
  });

  test.each(["soon", "0", "-1"])("--timeout %s is refused", async (timeout) => {
    const { code, stderr } = await tsgi(["status", "--listen", address, "--timeout", timeout]);
    expect(code).toBe(2);
    expect(stderr).toContain(`tsgi: --timeout "${timeout}": expected`);
  });

  test("a daemon that dies meanwhile is told at once", async () => {
    await daemon("reload: () => process.kill(process.pid, 'SIGKILL') && sleep(1e6),");
    const { code, stderr } = await tsgi(["reload", "--listen", address]);
    expect({ code, stderr }).toEqual({ code: 1, stderr: `tsgi: the daemon on ${socket} ended before it answered\n` });
    await daemon("stop: () => process.kill(process.pid, 'SIGKILL') && sleep(1e6),");
    await expect(tsgi(["stop", "--listen", address])).resolves.toMatchObject({
      code: 1,
      stderr: `tsgi: the daemon on ${socket} ended before its last request was known to be done\n`,
    });
  });
});

describe("tsgi status", () => {
  test("draws a table, or prints what the daemon says", async () => {
    const { child } = await daemon();
    const drawn = await tsgi(["status", "--listen", address]);
    expect(drawn).toMatchObject({ code: 0, stderr: "" });
    expect(drawn.stdout).toMatch(new RegExp(`^tsgi 1\\.2\\.3: running, pid ${child.pid}, `));
    expect(drawn.stdout).toMatch(/^group default: serving on .* shed 77, /m);
    expect(drawn.stdout).toMatch(/^ +4712 +3 +serving /m);
    const { code, stdout } = await tsgi(["status", "--listen", address, "--json"]);
    expect(code).toBe(0);
    expect(JSON.parse(stdout)).toEqual({ ...sampleStatus([sampleGroup({ shed: 77 })]), pid: child.pid });
  });

  test("says so when the daemon speaks otherwise, and still prints it", async () => {
    await daemon("status: () => ({ version: '9' }),");
    await expect(tsgi(["status", "--listen", address])).resolves.toMatchObject({
      code: 1,
      stderr: `tsgi: what answers on ${socket} is another version of tsgi: use --json\n`,
    });
    await expect(tsgi(["status", "--listen", address, "--json"])).resolves.toMatchObject({
      code: 0,
      stdout: '{"version":"9"}\n',
    });
  });

  test("tells what the daemon could not do", async () => {
    await daemon("status: () => { throw new Error('no \\u001b luck'); },");
    await expect(tsgi(["status", "--listen", address])).resolves.toMatchObject({
      code: 1,
      stderr: "tsgi: the daemon could not tell: no ? luck\n",
    });
  });
});

test("tsgi reload waits for the new generation, and gives its error when it cannot serve", async () => {
  const go = join(folder, "go");
  const message = `Error: boom\\n    at /srv/app.ts:3:5\\u001b[31m`;
  await daemon(`reload: async () => {
    const { existsSync } = await import("node:fs");
    while (!existsSync(${JSON.stringify(go)})) await sleep(5);
    return { ok: false, message: "${message}", generation: 3 };
  },`);
  const { child, ended } = start([join(checkout, "bin/tsgi"), "reload", "--listen", address]);
  const { stdout } = await tsgi(["status", "--listen", address]); // answered meanwhile
  expect(stdout).toContain("serving");
  expect(child.exitCode).toBeNull();
  writeFileSync(go, "");
  await expect(within("tsgi reload", ended)).resolves.toMatchObject({
    code: 1,
    stdout: "",
    stderr: "tsgi: reload failed: Error: boom\n    at /srv/app.ts:3:5?[31m\n",
  });
});

describe("tsgi stop", () => {
  test("comes back when the process has gone, not before", async () => {
    const { child } = await daemon(
      "stop: async () => { void server.close().then(() => sleep(300)).then(() => process.exit(0)); return { whole: true }; },",
    );
    const { code, stdout } = await tsgi(["stop", "--listen", address]);
    expect({ code, stdout }).toEqual({ code: 0, stdout: "tsgi: stopped\n" });
    await until("the process to be reaped", () => !isRunning(child.pid), 1000);
    expect(existsSync(socket)).toBe(false);
  });

  test("tells when requests were cut off", async () => {
    await daemon("stop: async () => { void server.close().then(() => process.exit(0)); return { whole: false }; },");
    const { code, stdout } = await tsgi(["stop", "--listen", address]);
    expect({ code, stdout }).toEqual({ code: 0, stdout: "tsgi: stopped; requests that took too long were cut off\n" });
  });

  test("may be asked twice at once", async () => {
    await daemon(`stop: async () => {
      globalThis.asked = (globalThis.asked ?? 0) + 1;
      while (globalThis.asked < 2) await sleep(5);
      void server.close().then(() => process.exit(0));
      return { whole: true };
    },`);
    const both = await Promise.all([tsgi(["stop", "--listen", address]), tsgi(["stop", "--listen", address])]);
    expect(both.map(({ code }) => code)).toEqual([0, 0]);
  });
});
