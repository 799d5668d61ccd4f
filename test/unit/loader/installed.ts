// A copy of the loader as it is once installed: compiled to JavaScript, in a node_modules folder of its own. Vitest leaves
// such files to Node, so modules, stacks and caches behave as they do for a user; and esbuild can be taken away from it.
import { execFile } from "node:child_process";
import { cpSync, mkdirSync, mkdtempSync, realpathSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import * as esbuild from "esbuild";
import type * as CacheModule from "../../../src/loader/cache.ts";
import type * as InstanceModule from "../../../src/loader/instance.ts";
import type * as LiveModule from "../../../src/loader/live.ts";
import type * as LoadModule from "../../../src/loader/load.ts";
import type { Application } from "../../../src/spec.ts";

const sources = fileURLToPath(new URL("../../../src/loader/", import.meta.url));
const fixtureFolder = fileURLToPath(new URL("../../fixtures/loader/", import.meta.url));
const esbuildFolder = fileURLToPath(new URL("../../../node_modules/esbuild", import.meta.url));

export interface ChildResult {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** A temporary folder with the installed loader; `close` removes it all. */
export class Installed {
  readonly root: string;
  readonly packageFolder: string;
  readonly cacheDir: string;
  load!: typeof LoadModule;
  live!: typeof LiveModule;
  cache!: typeof CacheModule;
  instance!: typeof InstanceModule;

  private constructor(root: string) {
    this.root = root;
    this.packageFolder = join(root, "node_modules", "tsgi");
    this.cacheDir = join(root, "cache");
  }

  static async open(): Promise<Installed> {
    const installed = new Installed(realpathSync(mkdtempSync(join(tmpdir(), "tsgi-loader-"))));
    await esbuild.build({
      entryPoints: ["load", "live", "cache", "instance"].map((name) => join(sources, `${name}.ts`)),
      bundle: true,
      splitting: true,
      format: "esm",
      platform: "node",
      packages: "external",
      outdir: join(installed.packageFolder, "dist", "loader"),
      logLevel: "error",
    });
    installed.write(
      "node_modules/tsgi/package.json",
      JSON.stringify({
        name: "tsgi",
        version: "0.0.0-test",
        type: "module",
        exports: { ".": "./dist/index.js", "./extra": "./dist/extra.js" },
      }),
    );
    installed.write("node_modules/tsgi/dist/index.js", `export const decodeText = () => "the running one";\n`);
    installed.write("node_modules/tsgi/dist/extra.js", `export const extra = "an extra";\n`);
    installed.write("home/package.json", "{}");
    mkdirSync(join(installed.packageFolder, "node_modules"));
    installed.provideEsbuild();
    const importFrom = (name: string): Promise<unknown> => import(pathToFileURL(installed.moduleFile(name)).href);
    installed.load = (await importFrom("load")) as typeof LoadModule;
    installed.live = (await importFrom("live")) as typeof LiveModule;
    installed.cache = (await importFrom("cache")) as typeof CacheModule;
    installed.instance = (await importFrom("instance")) as typeof InstanceModule;
    return installed;
  }

  moduleFile(name: string): string {
    return join(this.packageFolder, "dist", "loader", `${name}.js`);
  }

  provideEsbuild(): void {
    symlinkSync(esbuildFolder, join(this.packageFolder, "node_modules", "esbuild"));
  }

  removeEsbuild(): void {
    rmSync(join(this.packageFolder, "node_modules", "esbuild"));
  }

  /** Writes a file below the root and gives its absolute name. */
  write(name: string, text: string | Uint8Array): string {
    const path = join(this.root, name);
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, text);
    return path;
  }

  /** Copies a fixture folder to `home/<name>` and gives the copy's absolute name. */
  copyFixture(name: string): string {
    const target = join(this.root, "home", name);
    cpSync(join(fixtureFolder, name), target, { recursive: true });
    return target;
  }

  async application(file: string, exportName?: string): Promise<Application> {
    const { application } = await this.load.loadApplication({ file, exportName }, { cacheDir: this.cacheDir });
    return application;
  }

  /** Loads an application of the tests, which takes nothing and gives a value, and calls it. */
  async call(file: string, exportName?: string): Promise<unknown> {
    const application = await this.application(file, exportName);
    return (application as unknown as () => unknown)();
  }

  /** The LoadError of a load that has to fail. */
  async failure(file: string, exportName?: string): Promise<LoadFailureView> {
    const outcome = await this.load.attemptLoad({ file, exportName }, { cacheDir: this.cacheDir });
    if (outcome.ok) throw new Error(`${file} was loaded`);
    return outcome.error;
  }

  /** A package with one module, in the node_modules of a folder below the root. */
  addPackage(folder: string, name: string, files: Record<string, string>): void {
    for (const [file, text] of Object.entries(files)) this.write(join(folder, "node_modules", name, file), text);
  }

  /** Runs a module in a process of its own, with `load`, `cacheDir` and `call(file)` at hand. */
  async run(code: string, env: Record<string, string> = {}): Promise<ChildResult> {
    const program = this.write(
      `programs/${Math.random().toString(36).slice(2)}.mjs`,
      `import * as load from ${JSON.stringify(pathToFileURL(this.moduleFile("load")).href)};
const cacheDir = ${JSON.stringify(this.cacheDir)};
const call = async (file, exportName) =>
  (await load.loadApplication({ file, exportName }, { cacheDir })).application();
${code}`,
    );
    return new Promise((resolve) => {
      const options = { timeout: 30_000, env: { PATH: process.env["PATH"] ?? "", HOME: this.root, ...env } };
      const child = execFile(process.execPath, [program], options, (_error, stdout, stderr) => {
        resolve({ code: child.exitCode, stdout, stderr });
      });
    });
  }

  close(): void {
    rmSync(this.root, { recursive: true, force: true });
  }
}

export interface LoadFailureView {
  readonly kind: string;
  readonly message: string;
  readonly cause?: unknown;
}
