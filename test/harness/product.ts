// A copy of what a user gets: bin, dist, package.json, production dependencies and the sample site with what it imports,
// in a folder that Apache's user can read wherever the checkout lies. Tests run the programs of this copy, never those of the checkout.
import { chmod, chown, cp, lstat, mkdir, mkdtemp, readFile, readdir, rm } from "node:fs/promises";
import { existsSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { apacheAccount } from "./machine.ts";

/** The folder of the checkout. */
const checkout = resolve(dirname(fileURLToPath(import.meta.url)), "../..");

export interface ProductCopy {
  /** The copy: `bin/tsgi` and so on lie in it. */
  readonly dir: string;
  /** The applications of test/fixtures/apps. */
  readonly apps: string;
  /** A compile cache that all test files share, owned by the user the programs run as. */
  readonly cacheDir: string;
}

declare module "vitest" {
  interface ProvidedContext {
    product: ProductCopy;
  }
}

interface LockedPackage {
  readonly dev?: boolean;
  readonly dependencies?: Readonly<Record<string, string>>;
}

/** What the sample site imports beside the product. */
export const sitePackages = ["express", "fastify", "hono", "koa"];

/** Where Node finds `name` from the package at `from`; undefined for an optional one that is not there. */
function lockedPath(packages: Readonly<Record<string, LockedPackage>>, from: string, name: string): string | undefined {
  for (let folder = from; ; folder = folder.slice(0, Math.max(folder.lastIndexOf("node_modules/") - 1, 0))) {
    const path = folder === "" ? `node_modules/${name}` : `${folder}/node_modules/${name}`;
    if (packages[path] !== undefined) return path;
    if (folder === "") return undefined;
  }
}

/** Folders under node_modules that a production installation has, and those of the sample site. */
async function installedPackages(): Promise<string[]> {
  const { packages } = JSON.parse(await readFile(join(checkout, "package-lock.json"), "utf8")) as {
    packages: Record<string, LockedPackage>;
  };
  const wanted = new Set(
    Object.entries(packages)
      .filter(([path, entry]) => path !== "" && entry.dev !== true)
      .map(([path]) => path),
  );
  const add = (from: string, name: string): void => {
    const path = lockedPath(packages, from, name);
    if (path === undefined || wanted.has(path)) return;
    wanted.add(path);
    for (const dependency of Object.keys(packages[path]?.dependencies ?? {})) add(path, dependency);
  };
  for (const name of sitePackages) add("", name);
  return [...wanted].filter((path) => existsSync(join(checkout, path)));
}

/** Lets everybody read, whatever the umask of the checkout was; nobody but the owner may write. */
async function openUp(path: string): Promise<void> {
  const stat = await lstat(path);
  if (stat.isSymbolicLink()) return;
  if (!stat.isDirectory()) return chmod(path, (stat.mode & 0o111) === 0 ? 0o644 : 0o755);
  await chmod(path, 0o755);
  for (const entry of await readdir(path)) await openUp(join(path, entry));
}

/** Makes the copy; `remove` takes it away again. */
export async function copyProduct(): Promise<{ product: ProductCopy; remove: () => Promise<void> }> {
  for (const needed of ["dist/server/cgi-main.js", "bin/tsgi"]) {
    if (!existsSync(join(checkout, needed)))
      throw new Error(`${needed} is missing: run "npm run build" before these tests`);
  }
  const base = await mkdtemp(join(tmpdir(), "tsgi-product-"));
  const dir = join(base, "tsgi");
  await mkdir(dir);
  for (const path of ["bin", "dist", "apache", "package.json", ...(await installedPackages())]) {
    if (!existsSync(join(checkout, path))) continue;
    await mkdir(dirname(join(dir, path)), { recursive: true });
    await cp(join(checkout, path), join(dir, path), { recursive: true, preserveTimestamps: true });
  }
  const apps = join(base, "apps");
  await cp(join(checkout, "test/fixtures/apps"), apps, { recursive: true });
  await openUp(base);
  const cacheDir = join(base, "cache");
  await mkdir(cacheDir, { mode: 0o700 });
  const account = apacheAccount();
  if (account !== undefined) await chown(cacheDir, account.uid, account.gid);
  return { product: { dir, apps, cacheDir }, remove: () => rm(base, { recursive: true, force: true }) };
}
