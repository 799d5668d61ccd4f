// The folder of one test file and everything that runs in it. `close` stops all of it, newest first, and then throws when
// a process, a socket or a temporary file is left, or when an Apache logged what the test did not expect.
import { chmod, chown, mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { inject } from "vitest";
import { Apache, type ApacheOptions } from "./apache.ts";
import { filesBelow, isSocket, ownSockets, processesOf } from "./leftovers.ts";
import { apacheAccount, freePort } from "./machine.ts";
import { Program } from "./program.ts";
import type { ProductCopy } from "./product.ts";
import { until } from "./until.ts";

export class Workspace {
  readonly dir: string;
  readonly product: ProductCopy;
  readonly #sockets = ownSockets();
  readonly #running: (Apache | Program)[] = [];
  readonly #expectedLog: RegExp[] = [];
  #names = 0;

  private constructor(dir: string, product: ProductCopy) {
    this.dir = dir;
    this.product = product;
  }

  static async open(): Promise<Workspace> {
    const dir = await mkdtemp(join(tmpdir(), "tsgi-test-"));
    await chmod(dir, 0o755);
    const workspace = new Workspace(dir, inject("product"));
    await workspace.ownedDir("run");
    await workspace.ownedDir("tmp");
    return workspace;
  }

  path(...names: string[]): string {
    return join(this.dir, ...names);
  }

  /** A folder that the programs under test may write to. */
  async ownedDir(name: string): Promise<string> {
    const path = this.path(name);
    await mkdir(path, { recursive: true, mode: 0o755 });
    const account = apacheAccount();
    if (account !== undefined) await chown(path, account.uid, account.gid);
    return path;
  }

  /** Writes a file, with its folders; mode 0644 unless another is given, whatever the umask. */
  async write(name: string, text: string | Uint8Array, mode = 0o644): Promise<string> {
    const path = this.path(name);
    await mkdir(dirname(path), { recursive: true, mode: 0o755 });
    await writeFile(path, text);
    await chmod(path, mode);
    return path;
  }

  /** A two-line wrapper that starts one of the product's programs for an application. */
  wrapper(name: string, program: "tsgi-cgi" | "tsgi-fcgid", ...args: string[]): Promise<string> {
    const words = [this.bin(program), `--cache-dir=${this.product.cacheDir}`, ...args];
    return this.write(name, `#!/bin/sh\nexec ${words.map((word) => `'${word}'`).join(" ")}\n`, 0o755);
  }

  bin(name: string): string {
    return join(this.product.dir, "bin", name);
  }

  /** An application of test/fixtures/apps, with an export after "#" if wanted. */
  app(name: string): string {
    return join(this.product.apps, name);
  }

  /** The environment of programs under test: nothing of ours but PATH; temporary files go to the workspace. */
  env(more: Readonly<Record<string, string>> = {}): Record<string, string> {
    return {
      PATH: process.env["PATH"] ?? "",
      TMPDIR: this.path("tmp"),
      HOME: this.path("tmp"),
      TSGI_CACHE_DIR: this.product.cacheDir,
      ...more,
    };
  }

  /** Starts `tsgi ARGS` as Apache's user. */
  tsgi(args: readonly string[], options: { env?: Record<string, string>; asRoot?: boolean } = {}): Program {
    return this.program(`tsgi ${args[0] ?? ""}`, [process.execPath, this.bin("tsgi"), ...args], options);
  }

  program(
    name: string,
    command: readonly string[],
    options: { env?: Record<string, string>; asRoot?: boolean; stdin?: "ignore" | "pipe" | number } = {},
  ): Program {
    const program = new Program(name, command, {
      cwd: this.dir,
      env: this.env(options.env),
      account: options.asRoot === true ? undefined : apacheAccount(),
      ...(options.stdin === undefined ? {} : { stdin: options.stdin }),
    });
    this.#running.push(program);
    return program;
  }

  /** A daemon on a fresh unix socket, or with `tcp` on a port of the loopback interface, that serves. */
  async daemon(
    args: readonly string[],
    options: { env?: Record<string, string>; asRoot?: boolean; tcp?: boolean } = {},
  ): Promise<Daemon> {
    this.#names += 1;
    const socket = this.path("run", `${this.#names}.sock`);
    const port = options.tcp === true ? await freePort() : 0;
    const listen = port === 0 ? `unix:${socket}` : `tcp:127.0.0.1:${port}`;
    const program = this.tsgi(["daemon", "--listen", listen, ...args], options);
    await until(`the daemon to serve: ${args.join(" ")}`, () => {
      if (program.end !== undefined) throw new Error(program.report());
      return program.stdout.includes("tsgi: listening on ");
    });
    return { socket, port, program };
  }

  async apache(options: Omit<ApacheOptions, "dir">): Promise<Apache> {
    this.#names += 1;
    const apache = await Apache.start({ dir: this.dir, name: `apache-${this.#names}`, ...options });
    this.#running.push(apache);
    return apache;
  }

  /** Apache log lines that tests of this file cause on purpose. */
  expectLog(...patterns: RegExp[]): void {
    this.#expectedLog.push(...patterns);
  }

  /** Stops everything; throws a list of what is left or was logged unexpectedly. */
  async close(): Promise<void> {
    const problems: string[] = [];
    for (const running of this.#running.toReversed()) {
      try {
        await running.stop();
      } catch (error) {
        problems.push(String(error));
      }
      if (running instanceof Apache) {
        const lines = await running.unexpectedLog(this.#expectedLog);
        if (lines.length > 0)
          problems.push(`Apache's error log has ${lines.length} unexpected lines:\n${lines.slice(0, 40).join("\n")}`);
      }
    }
    problems.push(...(await this.#leftovers()));
    await rm(this.dir, { recursive: true, force: true });
    if (problems.length > 0) throw new Error(problems.join("\n"));
  }

  async #leftovers(): Promise<string[]> {
    const problems: string[] = [];
    const check = async (what: string, left: () => string[]): Promise<void> => {
      try {
        await until(what, () => left().length === 0, 5_000);
      } catch {
        problems.push(`left behind: ${what}: ${left().join("; ")}`);
      }
    };
    await check("processes", () => processesOf(this.dir).map(({ pid, command }) => `${pid} ${command}`));
    for (const { pid } of processesOf(this.dir)) {
      try {
        process.kill(pid, "SIGKILL");
      } catch {
        // It ended between the two.
      }
    }
    // mod_fcgid leaves the socket of a process that it killed in a folder of its own.
    await check("sockets", () => filesBelow(this.dir, isSocket).filter((name) => !/apache-\d+\/fcgid\//u.test(name)));
    await check("temporary files", () => filesBelow(this.path("tmp"), () => true));
    await check("open sockets of the test", () =>
      ownSockets() > this.#sockets ? [String(ownSockets() - this.#sockets)] : [],
    );
    return problems;
  }
}

export interface Daemon {
  /** The unix socket's path. */
  readonly socket: string;
  /** The TCP port, 0 for a unix socket. */
  readonly port: number;
  readonly program: Program;
}

/** True when somebody accepts at an address. */
export async function accepts(address: { path: string } | { port: number; host: string }): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(address, () => {
      socket.destroy();
      resolve(true);
    });
    socket.once("error", () => resolve(false));
  });
}
