// Applications of other frameworks for the tests: test/fixtures/frameworks with the packages that they need, in a folder
// that Apache's user can read; and the same applications on node:http, which is what theirs is compared with.
import { chmod, cp, lstat, mkdir, readFile, readdir } from "node:fs/promises";
import { existsSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import type { Program } from "./program.ts";
import { until } from "./until.ts";
import type { Workspace } from "./workspace.ts";

const checkout = resolve(dirname(fileURLToPath(import.meta.url)), "../..");

/** What the applications import. */
const packages = [
  "@hono/node-server",
  "busboy",
  "connect",
  "cookie-parser",
  "express",
  "express4",
  "fastify",
  "hono",
  "itty-router",
  "koa",
  "koa2",
  "multer",
];

interface LockedPackage {
  readonly dependencies?: Readonly<Record<string, string>>;
}

/** The folders below node_modules that the packages need, as npm laid them out. */
async function neededFolders(): Promise<Set<string>> {
  const lock = JSON.parse(await readFile(join(checkout, "package-lock.json"), "utf8")) as {
    packages: Record<string, LockedPackage>;
  };
  const needed = new Set<string>();
  const add = (name: string, from: string): void => {
    // As Node looks for it: in the dependent's own node_modules, then further out.
    for (let place = from; ; place = place.replace(/(?:^|\/)node_modules\/(?:@[^/]+\/)?[^/]+$/u, "")) {
      const folder = `${place === "" ? "" : `${place}/`}node_modules/${name}`;
      const found = lock.packages[folder];
      if (found === undefined && place === "") return; // optional, and not installed
      if (found === undefined) continue;
      if (needed.has(folder)) return;
      needed.add(folder);
      for (const dependency of Object.keys(found.dependencies ?? {})) add(dependency, folder);
      return;
    }
  };
  for (const name of packages) add(name, "");
  return needed;
}

async function openUp(path: string): Promise<void> {
  const stat = await lstat(path);
  if (stat.isSymbolicLink()) return;
  if (!stat.isDirectory()) return chmod(path, 0o644);
  await chmod(path, 0o755);
  for (const entry of await readdir(path)) await openUp(join(path, entry));
}

/** Copies applications and packages into the workspace; gives the folder. */
export async function copyFrameworks(workspace: Workspace): Promise<string> {
  const folder = workspace.path("frameworks");
  await cp(join(checkout, "test/fixtures/frameworks"), folder, { recursive: true });
  const folders = await neededFolders();
  for (const path of folders) {
    const source = join(checkout, path);
    if (!existsSync(source)) continue;
    await mkdir(dirname(join(folder, path)), { recursive: true });
    // What is nested below is needed, too, only where the lock file says so.
    const isNested = (file: string): boolean => file.slice(source.length).includes("/node_modules");
    await cp(source, join(folder, path), { recursive: true, filter: (file) => !isNested(file) });
  }
  await openUp(folder);
  return folder;
}

/** The applications on node:http: a port for each file. */
export async function startOracle(
  workspace: Workspace,
  folder: string,
  files: readonly string[],
): Promise<Readonly<Record<string, number>>> {
  const command = [process.execPath, join(folder, "oracle.mjs"), ...files];
  const program: Program = workspace.program("oracle", command, { env: { NODE_ENV: "production" } });
  return await until("the applications on node:http", () => {
    if (program.end !== undefined) throw new Error(program.report());
    return program.stdout.includes("\n") ? (JSON.parse(program.stdout) as Readonly<Record<string, number>>) : undefined;
  });
}
