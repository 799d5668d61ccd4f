// How a daemon comes up: from its bundles or from the modules, with a head start for its first worker or without.
import { spawn } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { cpSync, mkdirSync, mkdtempSync, readdirSync, realpathSync, rmSync, statSync, symlinkSync } from "node:fs";
import { chmodSync, utimesSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from "vitest";
import { FcgiPeer, request, variables } from "../../harness/fcgi.ts";
import { processesOf } from "../../harness/leftovers.ts";
import { childrenOf } from "../../harness/process-facts.ts";
import { until, within } from "../../harness/until.ts";

const checkout = fileURLToPath(new URL("../../..", import.meta.url));

let base = "";
let cacheDir = "";
let count = 0;

/** What the application of these tests tells of its process. */
interface Told {
  readonly env: Readonly<Record<string, string>>;
  readonly argv: readonly string[];
  readonly execArgv: readonly string[];
  readonly hasMain: boolean;
  readonly isReporting: boolean;
  /** Whether what it imports in all ways is one library, and the one that serves it. */
  readonly isOneLibrary: Readonly<Record<string, boolean>>;
}

const application = `
import { InputTooLargeError } from "tsgi";
import { createServer } from "tsgi/node-fastcgi";
import * as esModule from "es-module-peer";
import commonJs from "common-js-peer";
export const application = async (environ, startResponse) => {
  const error = await environ["wsgi.input"].text(1).catch((reason) => reason);
  startResponse("200 OK", [["Content-Type", "application/json"]]);
  return JSON.stringify({
    env: process.env, argv: process.argv.slice(1), execArgv: process.execArgv, hasMain: process.mainModule !== undefined,
    isReporting: process.report.reportOnFatalError,
    isOneLibrary: {
      own: error instanceof InputTooLargeError,
      esModule: esModule.InputTooLargeError === InputTooLargeError,
      commonJs: commonJs.InputTooLargeError === InputTooLargeError,
      nodeFastCgi: esModule.createServer === createServer,
    },
  });
};
`;

/** A copy of what is installed. */
function copyOf(name: string): string {
  const folder = join(base, name);
  mkdirSync(folder);
  for (const part of ["bin", "dist", "package.json"])
    cpSync(join(checkout, part), join(folder, part), { recursive: true, preserveTimestamps: true });
  symlinkSync(join(checkout, "node_modules"), join(folder, "node_modules"));
  return folder;
}

/** An application and its packages, which find the installation `tsgi`. */
function appOf(name: string, tsgi: string): string {
  const packages = {
    "es-module-peer": ["index.mjs", 'export * from "tsgi"; export * from "tsgi/node-fastcgi";'],
    "common-js-peer": ["index.js", 'module.exports = require("tsgi");'],
  };
  const folder = join(base, name);
  for (const [peer, [file = "", text = ""]] of Object.entries(packages)) {
    mkdirSync(join(folder, "node_modules", peer), { recursive: true });
    writeFileSync(join(folder, "node_modules", peer, file), text);
    writeFileSync(join(folder, "node_modules", peer, "package.json"), JSON.stringify({ name: peer, main: file }));
  }
  symlinkSync(tsgi, join(folder, "node_modules", "tsgi"));
  writeFileSync(join(folder, "app.ts"), application);
  return join(folder, "app.ts");
}

let bundled = "";
let modules = "";

beforeAll(() => {
  base = realpathSync(mkdtempSync(join(tmpdir(), "tsgi-start-")));
  cacheDir = join(base, "cache");
  bundled = copyOf("bundled");
  modules = copyOf("modules");
  rmSync(join(modules, "dist/bundled"), { recursive: true });
}, 60_000);

afterAll(() => rmSync(base, { recursive: true }));

interface Daemon {
  readonly child: ChildProcess;
  readonly socket: string;
  readonly output: { stdout: string; stderr: string };
  readonly ended: Promise<number | null>;
}

const plainEnv = { PATH: process.env["PATH"] ?? "", HOME: "/nonexistent", LANG: "C" };

function start(tsgi: string, args: readonly string[], env: Record<string, string> = {}): Daemon {
  count += 1;
  const socket = join(base, `${count}.sock`);
  const all = [join(tsgi, "bin/tsgi"), "daemon", ...args, "--listen", `unix:${socket}`, "--processes", "1"];
  const child = spawn(process.execPath, all, { cwd: base, env: { ...plainEnv, ...env } });
  const output = { stdout: "", stderr: "" };
  child.stdout.setEncoding("utf8").on("data", (text: string) => (output.stdout += text));
  child.stderr.setEncoding("utf8").on("data", (text: string) => (output.stderr += text));
  const ended = new Promise<number | null>((resolve) => child.once("close", resolve));
  onTestFinished(async () => {
    child.kill();
    await within("the end", ended);
  });
  return { child, socket, output, ended };
}

async function listening(daemon: Daemon): Promise<void> {
  await until("the daemon to listen", () => {
    if (daemon.child.exitCode !== null) throw new Error(daemon.output.stderr);
    return daemon.output.stdout.includes("listening");
  });
}

async function ask({ socket }: Daemon): Promise<Told> {
  const peer = await FcgiPeer.open({ path: socket });
  try {
    peer.send(request(1, variables("/", { REQUEST_METHOD: "POST", CONTENT_LENGTH: "2" }), { body: "ab" }));
    const { stdout } = await peer.reply(1);
    return JSON.parse(stdout.toString("utf8").replace(/^.*?\r\n\r\n/s, "")) as Told;
  } finally {
    peer.destroy();
  }
}

const codeFiles = (): string[] => readdirSync(cacheDir).filter((name) => name.endsWith(".code"));

describe("from the bundles", () => {
  let app = "";
  beforeAll(() => {
    app = appOf("site-of-bundles", bundled);
  });

  test("a worker is what one from the modules is, and there is one library", async () => {
    const daemon = start(bundled, [app, "--cache-dir", cacheDir], { MAINPID: "1", KEPT: "yes" });
    await listening(daemon);
    const told = await ask(daemon);
    expect(told.isOneLibrary).toEqual({ own: true, esModule: true, commonJs: true, nodeFastCgi: true });
    expect(told.env).toEqual({ ...plainEnv, KEPT: "yes", UV_USE_IO_URING: "0" });
    expect(told).toMatchObject({ argv: [join(bundled, "dist/bundled/worker.cjs")], hasMain: false, isReporting: true });
    expect(daemon.output.stderr).toBe("");
  });

  test.each([[2], [2], [2]])(
    "the machine code of both programs is kept for this user alone: twice, not more",
    async (pass) => {
      const before = codeFiles();
      expect(before).toHaveLength(2);
      for (const name of before) expect(statSync(join(cacheDir, name)).mode & 0o777).toBe(0o600);
      const daemon = start(bundled, [app, "--cache-dir", cacheDir]);
      await listening(daemon);
      expect((await ask(daemon)).isOneLibrary["own"]).toBe(true);
      daemon.child.kill();
      expect(await within("the end", daemon.ended)).toBe(0);
      expect(codeFiles()).toEqual(before.map((name) => name.replace(/\.[12]\.code$/, `.${pass}.code`)));
    },
  );

  test("a broken file of machine code harms nothing", async () => {
    for (const name of codeFiles()) writeFileSync(join(cacheDir, name), "no code");
    const daemon = start(bundled, [app, "--cache-dir", cacheDir]);
    await listening(daemon);
    expect((await ask(daemon)).isOneLibrary["own"]).toBe(true);
  });

  test.each([
    [
      "flags of node",
      ["--max-old-space-size", "64"],
      { execArgv: expect.arrayContaining(["--max-old-space-size=64"]) },
    ],
    ["a variable of its own", ["--config", "zone.json"], { env: expect.objectContaining({ TZ: "Asia/Tokyo" }) }],
  ])("a worker that shall have %s gets a process of its own, and the other one ends", async (_, args, wanted) => {
    writeFileSync(join(base, "zone.json"), '{ "env": { "TZ": "Asia/Tokyo" } }');
    const daemon = start(bundled, [app, "--cache-dir", cacheDir, ...args]);
    await listening(daemon);
    await until("one process", () => childrenOf(daemon.child.pid ?? 0).length === 1);
    expect(await ask(daemon)).toMatchObject({ ...wanted, isReporting: true });
  });

  test("a node that loads something before the worker runs the modules", async () => {
    const preload = join(base, "preload.mjs");
    writeFileSync(preload, 'import "tsgi"; globalThis.preloaded = true;');
    symlinkSync(join(base, "site-of-bundles/node_modules"), join(base, "node_modules"));
    const daemon = start(bundled, [app, "--cache-dir", cacheDir, "--node-option", `--import=${preload}`]);
    await listening(daemon);
    const told = await ask(daemon);
    expect(told.isOneLibrary).toEqual({ own: true, esModule: true, commonJs: true, nodeFastCgi: true });
    expect(told.argv).toEqual([join(bundled, "dist/supervisor/worker-main.js")]);
  });

  test.each([
    ["wrong usage", ["--no-such-option"], 2],
    ["a value that cannot be", ["--processes", "many"], 2],
    ["an application that is not there", ["missing.ts"], 1],
  ])("%s leaves nothing behind", async (_, args, code) => {
    const mark = join(base, `mark-${count}`);
    const daemon = start(bundled, [...args, "--cache-dir", mark]);
    expect(await within("the end", daemon.ended)).toBe(code);
    expect(daemon.output.stderr).toMatch(/^tsgi: [^\n]*\n$/);
    await until("no process", () => processesOf(mark).length === 0);
  });

  test("a supervisor that is killed while it starts takes the head start along", async () => {
    const mark = join(base, `mark-${count}`);
    const daemon = start(bundled, [app, "--cache-dir", mark]);
    await until("the head start", () => childrenOf(daemon.child.pid ?? 0).length === 1);
    daemon.child.kill("SIGKILL");
    await within("the end", daemon.ended);
    await until("no process", () => processesOf(mark).length === 0);
  });

  test("a cache folder that others can read is not used", async () => {
    const open = join(base, "open");
    mkdirSync(open);
    chmodSync(open, 0o755);
    const daemon = start(bundled, [app, "--cache-dir", open]);
    expect(await within("the end", daemon.ended)).toBe(1);
    expect(daemon.output.stderr).toContain("has mode 0755 instead of 0700");
    expect(readdirSync(open)).toEqual([]);
  });
});

describe("from the modules", () => {
  test("where nothing is bundled", async () => {
    const daemon = start(modules, [appOf("site-of-modules", modules), "--cache-dir", cacheDir], { KEPT: "yes" });
    await listening(daemon);
    const told = await ask(daemon);
    expect(told.isOneLibrary).toEqual({ own: true, esModule: true, commonJs: true, nodeFastCgi: true });
    expect(told.env).toEqual({ ...plainEnv, KEPT: "yes", UV_USE_IO_URING: "0" });
    expect(told).toMatchObject({
      argv: [join(modules, "dist/supervisor/worker-main.js")],
      hasMain: false,
      isReporting: true,
    });
  });

  test("where something was compiled after the bundles", async () => {
    const stale = copyOf("stale");
    const later = new Date(Date.now() + 60_000);
    writeFileSync(join(stale, "dist/tsconfig.tsbuildinfo"), "{}");
    utimesSync(join(stale, "dist/tsconfig.tsbuildinfo"), later, later);
    const daemon = start(stale, [appOf("site-of-stale", stale), "--cache-dir", cacheDir]);
    await listening(daemon);
    expect((await ask(daemon)).argv).toEqual([join(stale, "dist/supervisor/worker-main.js")]);
  });
});
