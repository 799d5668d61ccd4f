// Finding and reading the configuration file: `tsgi.config.ts` and the like in the working folder, or the one that is named.
// Rules: it is compiled and run as an application's file is, but JSON is only read; what is in it is checked by
// config/file.ts. Its code runs as whoever starts us, so root reads no file that somebody else could have written.

import { lstatSync, readFileSync, realpathSync, statSync } from "node:fs";
import { basename, dirname, extname, isAbsolute, join, resolve } from "node:path";
import type { ConfigFile, FilePlace } from "../config/file.ts";
import { readConfigValue } from "../config/file.ts";
import { BootError, ConfigError, messageOf, systemCodeOf, TsgiError } from "../errors.ts";
import type { LoadedModule } from "../loader/load.ts";
import { loadModule } from "../loader/load.ts";

const endings = [".ts", ".mts", ".js", ".mjs", ".cjs", ".json"];

/** The names that are looked for in the working folder. */
const configFileNames: readonly string[] = endings.map((ending) => `tsgi.config${ending}`);

export interface ConfigFileRequest {
  /** What was named, by a flag or the environment, and where; undefined to look in the folder. */
  readonly named: { readonly source: string; readonly file: string } | undefined;
  /** The working folder. */
  readonly folder: string;
  /** The folder for compiled scripts that was chosen. */
  readonly cacheDir: string | undefined;
}

/** False as well in a folder that this user may not enter: nobody has named it. */
function isThere(path: string): boolean {
  try {
    return lstatSync(path, { throwIfNoEntry: false }) !== undefined;
  } catch (error) {
    if (systemCodeOf(error) === "EACCES") return false;
    throw error;
  }
}

/** The file to read, undefined when there is none. Throws ConfigError when it is not clear which. */
function locate({ named, folder }: ConfigFileRequest): FilePlace | undefined {
  if (named === undefined) {
    const found = configFileNames.filter((name) => isThere(join(folder, name)));
    const [name] = found;
    if (found.length > 1) {
      throw new ConfigError([`the folder ${folder} has ${found.join(" and ")}: remove one, or name one with --config`]);
    }
    return name === undefined ? undefined : { path: join(folder, name), shown: name, folder };
  }
  const path = resolve(folder, named.file);
  const given = `${named.source} ${JSON.stringify(named.file)}`;
  const found = statSync(path, { throwIfNoEntry: false });
  if (found === undefined) throw new ConfigError([`${given}: there is no file ${path}`]);
  if (!found.isFile()) throw new ConfigError([`${given}: ${path} is not a file`]);
  if (![...endings, ".cts"].includes(extname(path))) {
    throw new ConfigError([`${given}: expected a file that ends in ${endings.join(", ")}`]);
  }
  return { path, shown: isAbsolute(named.file) ? basename(path) : named.file, folder: dirname(path) };
}

/** Throws ConfigError for a file that others than root could have written, where the running user is root. */
function checkOwner(path: string): void {
  if (process.geteuid?.() !== 0) return;
  const { uid, gid, mode } = statSync(path);
  const isOpen = (mode & 0o002) !== 0 || ((mode & 0o020) !== 0 && gid !== 0);
  if (uid === 0 && !isOpen) return;
  const why = uid === 0 ? `others may write to it (mode 0${(mode & 0o777).toString(8)})` : `it belongs to user ${uid}`;
  throw new ConfigError([`${path}: root does not run what others could have written, and ${why}`]);
}

/** Own files, and the manifest of each package that is imported; other manifests only say how things are written. */
function isSource(path: string): boolean {
  return path.includes("/node_modules/") || !/^(?:package|[jt]sconfig)\.json$/.test(basename(path));
}

/** A folder for compiled scripts is chosen for the workers, who may be somebody else: used only where it is ours. */
function ownCacheDir(cacheDir: string | undefined): string | undefined {
  const owner = cacheDir === undefined ? undefined : statSync(cacheDir, { throwIfNoEntry: false })?.uid;
  return owner === process.geteuid?.() ? cacheDir : undefined;
}

function ownProperty(holder: unknown, name: string): unknown {
  if (typeof holder !== "object" || holder === null) return undefined;
  return Object.getOwnPropertyDescriptor(holder, name)?.value;
}

/** What a module exports as its configuration. */
function exported({ namespace, moduleFormat }: LoadedModule): unknown {
  if (moduleFormat === "esm") return namespace["default"] ?? namespace["config"];
  const module = namespace["default"];
  return ownProperty(module, "default") ?? ownProperty(module, "config") ?? module;
}

function readJson({ path, shown }: FilePlace): unknown {
  const text = readFileSync(path, "utf8").replace(/^\uFEFF/, "");
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new ConfigError([`${shown}: it is not JSON: ${messageOf(error)}`]);
  }
}

async function readModule({ path, shown }: FilePlace, cacheDir: string | undefined): Promise<unknown> {
  const approve = (files: readonly string[]): void => {
    for (const file of files) if (isSource(file)) checkOwner(file);
  };
  const module = await loadModule(path, { cacheDir: ownCacheDir(cacheDir) }, approve);
  const value = exported(module);
  if (value === undefined) {
    throw new ConfigError([`${shown}: it exports no configuration: expected export default defineConfig({ ... })`]);
  }
  return value;
}

/**
 * Reads the configuration file, when there is one; what is wrong with its settings is in the result. Throws ConfigError for a
 * file that cannot be used as a whole, and LoadError when it cannot be compiled or run.
 */
export async function readConfigFile(request: ConfigFileRequest): Promise<ConfigFile | undefined> {
  const place = locate(request);
  if (place === undefined) return undefined;
  try {
    checkOwner(realpathSync(place.path));
    const isJson = extname(place.path) === ".json";
    return readConfigValue(isJson ? readJson(place) : await readModule(place, request.cacheDir), place);
  } catch (error) {
    if (error instanceof TsgiError || systemCodeOf(error) === undefined) throw error;
    throw new BootError(`${place.path} cannot be read: ${messageOf(error)}`, error);
  }
}
