// The ground that all peers stand on: a copy of the product, a folder for sockets and built programs, the account that all
// of them run as, and every process that was started. Whatever happens, `clear` takes all of it away.
import { execFile } from "node:child_process";
import { chmodSync, existsSync, rmSync } from "node:fs";
import { chmod, chown, copyFile, mkdir, writeFile } from "node:fs/promises";
import { connect } from "node:net";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { build } from "esbuild";
import { processesOf } from "../harness/leftovers.ts";
import { apacheAccount, type Account } from "../harness/machine.ts";
import { copyProduct, type ProductCopy } from "../harness/product.ts";
import { Program } from "../harness/program.ts";
import { until } from "../harness/until.ts";

const run = promisify(execFile);
const sources = join(dirname(fileURLToPath(import.meta.url)), "peers");

/** The environment of every peer: nothing of whoever runs the benchmark. */
const environment = { PATH: "/usr/local/bin:/usr/bin:/bin", LANG: "C.UTF-8", NODE_ENV: "production" };

/** The Node that runs here, by its real name: "env" would cost time. */
export const nodeFile = process.execPath;

export class Ground {
  readonly product: ProductCopy;
  /** Where applications and built programs lie. Below the product, so that its packages are found. */
  readonly dir: string;
  readonly account: Account | undefined = apacheAccount();
  readonly #remove: () => Promise<void>;
  readonly #programs: Program[] = [];
  readonly #built = new Map<string, Promise<string>>();

  private constructor(product: ProductCopy, remove: () => Promise<void>) {
    this.product = product;
    this.dir = join(product.dir, "bench");
    this.#remove = remove;
  }

  static async open(): Promise<Ground> {
    const { product, remove } = await copyProduct();
    const ground = new Ground(product, remove);
    await mkdir(ground.dir, { recursive: true });
    await chmod(ground.dir, 0o755);
    for (const folder of ["run", "tmp"]) await mkdir(join(ground.dir, folder));
    await ground.give("run");
    await ground.give("tmp");
    for (const file of [
      "hello.ts",
      "app.ts",
      "content.ts",
      "express-app.ts",
      "fastify-app.ts",
      "hono-app.ts",
      "wsgi.py",
      "app.php",
    ]) {
      await ground.copy(file);
    }
    return ground;
  }

  path(...parts: readonly string[]): string {
    return join(this.dir, ...parts);
  }

  socket(name: string): string {
    return this.path("run", `${name}.sock`);
  }

  /** The account owns this from now on. */
  async give(name: string): Promise<void> {
    if (this.account !== undefined) await chown(this.path(name), this.account.uid, this.account.gid);
  }

  /** A source of a peer, readable for the account. */
  async copy(name: string, mode = 0o644): Promise<string> {
    await copyFile(join(sources, name), this.path(name));
    await chmod(this.path(name), mode);
    return this.path(name);
  }

  async write(name: string, text: string, mode = 0o644): Promise<string> {
    await writeFile(this.path(name), text);
    await chmod(this.path(name), mode);
    return this.path(name);
  }

  /** A program in C, built once. */
  compile(source: string, libraries: readonly string[] = []): Promise<string> {
    const file = this.path(source.replace(/\.c$/u, ""));
    return this.#once(file, async () => {
      await run("cc", ["-O2", "-o", file, join(sources, source), ...libraries]);
      chmodSync(file, 0o755);
    });
  }

  /** A program for Node as one executable file of JavaScript; npm packages stay where they are unless `isWhole`. */
  bundle(source: string, format: "esm" | "cjs" = "esm", isWhole = false): Promise<string> {
    const extension = format === "esm" ? "mjs" : "cjs";
    const file = this.path(source.replace(/\.ts$/u, `${isWhole ? ".whole" : ""}.${extension}`));
    return this.#once(file, async () => {
      await build({
        entryPoints: [join(sources, source)],
        outfile: file,
        bundle: true,
        platform: "node",
        format,
        target: "node20",
        logLevel: "error",
        ...(isWhole ? {} : { banner: { js: `#!${nodeFile}` }, packages: "external" }),
      });
      chmodSync(file, 0o755);
    });
  }

  #once(file: string, make: () => Promise<void>): Promise<string> {
    const made = this.#built.get(file) ?? make().then(() => file);
    this.#built.set(file, made);
    return made;
  }

  /** Starts a program as the account, in the folder of temporary files. */
  start(name: string, command: readonly string[], options: { asRoot?: boolean } = {}): Program {
    const program = new Program(name, command, {
      cwd: this.path("tmp"),
      env: environment,
      stdin: "pipe",
      ...(options.asRoot === true ? {} : { account: this.account }),
    });
    this.#programs.push(program);
    return program;
  }

  /** Starts a program that serves at the unix socket `socket`, and waits until it does. */
  async serve(name: string, command: readonly string[], socket: string, options = {}): Promise<Program> {
    const program = this.start(name, command, options);
    await until(`${name} to listen`, async () => {
      if (program.end !== undefined) throw new Error(`${name} ended\n${program.report()}`);
      return existsSync(socket) && (await accepts(socket));
    });
    return program;
  }

  /** What a command of the product prints. */
  async tsgi(...args: readonly string[]): Promise<string> {
    const program = [join(this.product.dir, "bin", "tsgi"), ...args];
    return (await run("node", program, { cwd: this.path("tmp"), env: environment })).stdout;
  }

  async stop(program: Program): Promise<void> {
    await program.stop().catch(() => program.kill());
  }

  /** Ends every process and removes every file. */
  async clear(): Promise<void> {
    await Promise.all(this.#programs.map((program) => this.stop(program)));
    this.killAll();
    await this.#remove();
  }

  /** The same in a hurry. */
  clearNow(): void {
    for (const program of this.#programs) program.kill();
    this.killAll();
    rmSync(dirname(this.product.dir), { recursive: true, force: true });
  }

  /** Whoever still has to do with our folder. */
  killAll(): void {
    for (const { pid } of processesOf(dirname(this.product.dir))) {
      try {
        process.kill(pid, "SIGKILL");
      } catch {
        // It has ended by itself.
      }
    }
  }
}

function accepts(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(path, () => {
      socket.destroy();
      resolve(true);
    });
    socket.once("error", () => resolve(false));
  });
}
