// "file.ts#export" -> a running application.
// Rules: a warm start does file status calls and one import, nothing else: the compiler's side is imported on a miss only, so
// this file and what it imports stay light. Concurrent loads of a script in one process are one load; processes do not
// wait for each other, since each writes whole files only. Each way to fail is a LoadError of its own kind.
import { existsSync, realpathSync, statSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { LoadError, messageOf, systemCodeOf } from "../errors.ts";
import { installLightClasses } from "../adapters/fetch-globals.ts";
import type { ListenCapture } from "../adapters/listen-capture.ts";
import type { AdapterName } from "../adapters/names.ts";
import type { Application, Log } from "../spec.ts";
import { currentOwner, findCacheFolder } from "./cache.ts";
import type { CompileOutcome } from "./compile.ts";
import { readEntry, writeEntry } from "./entry.ts";
import type { CacheEntry, EntryKey, ModuleFormat } from "./entry.ts";
import { adaptServer, findAuthorizer, findExport, hasExports, isAuthorizerOnly, noApplication } from "./exports.ts";
import type { FoundApplication, RunScript } from "./exports.ts";
import type { FastStart } from "./fast-start.ts";
import { importBundle } from "./instance.ts";
import type { Namespace, RunBundle } from "./instance.ts";
import { awaitListen, resourcesInUse } from "./listening.ts";
import { libraryMain, nodeMajor } from "./package.ts";
import type { Watch } from "./watch.ts";

/** An application as a person names it: an absolute file, and the export after `#` if there was one. */
export interface AppReference {
  readonly file: string;
  readonly exportName: string | undefined;
  /** Asks for what the script answers to Apache's questions who may come in, in the place of its application. */
  readonly isAuthorizer?: boolean;
}

export interface LoadOptions {
  /** Folder for compiled scripts; it must be safe. Undefined: the default place. */
  readonly cacheDir: string | undefined;
  /** What kind of application it is, where its shape shall not decide. */
  readonly adapter?: AdapterName | undefined;
  /** Told of servers whose `listen` was ignored. */
  readonly log?: Log | undefined;
  /** Called before a bundle runs, with its file. */
  readonly beforeRun?: ((bundle: string) => void) | undefined;
  /** Of a process that serves one request. */
  readonly fastStart?: FastStart | undefined;
}

export interface LoadedApplication {
  readonly application: Application;
  /** Real path of the script. */
  readonly file: string;
  /** Where it was found; undefined for a server that the script let listen. */
  readonly exportName: string | undefined;
  readonly adapter: AdapterName;
  /** Every file whose change matters. */
  readonly inputs: readonly string[];
}

/** A load that came to an end, with what has to change before another one could end differently. */
export type LoadOutcome =
  | { readonly ok: true; readonly loaded: LoadedApplication; readonly watch: Watch }
  | { readonly ok: false; readonly error: LoadError; readonly watch: Watch };

interface RunningScript {
  readonly namespace: Namespace;
  readonly capture: ListenCapture;
  /** What kept the process busy before the script ran. */
  readonly resourcesBefore: ReadonlyMap<string, number>;
  /** When it shall have become an application, by performance.now(). */
  readonly deadline: number;
  readonly moduleFormat: ModuleFormat;
  readonly watch: Watch;
}

type Failure = Extract<LoadOutcome, { readonly ok: false }>;
type ScriptOutcome = { readonly ok: true; readonly running: RunningScript } | Failure;

/** How long a script may take to run to its end. Long enough for a slow database at start, short enough to be told of. */
const startDeadlineMs = 60_000;

const maxAttempts = 5;

const nothing: Watch = { files: [], absent: [] };

/** Loads under way, by script and cache folder: the module system below is one per process, and so is this. */
const underWay = new Map<string, Promise<ScriptOutcome>>();

/**
 * Splits "rest.ts#admin": the last `#` that is followed by an identifier parts file and export, unless a file has the whole
 * as its name. A relative file counts from `cwd`. Never fails: whether the file is there is for the load to say.
 */
export function parseAppReference(text: string, cwd: string): AppReference {
  if (!text.includes("#")) return { file: resolve(cwd, text), exportName: undefined }; // the expression takes long to compile
  const [, file = "", exportName = ""] = /^(.+)#([\p{ID_Start}$_][\p{ID_Continue}$\u200C\u200D]*)$/su.exec(text) ?? [];
  if (file === "" || existsSync(resolve(cwd, text))) return { file: resolve(cwd, text), exportName: undefined };
  return { file: resolve(cwd, file), exportName };
}

/** Loads an application, from the cache when it is fresh. Rejects with a LoadError. Files keep what they run once started. */
export async function loadApplication(reference: AppReference, options: LoadOptions): Promise<LoadedApplication> {
  const outcome = await attemptLoad(reference, options);
  if (!outcome.ok) throw outcome.error;
  return outcome.loaded;
}

/** As loadApplication, but tells a failure as a value, with the files to watch. */
export async function attemptLoad(reference: AppReference, options: LoadOptions): Promise<LoadOutcome> {
  let watch = nothing;
  try {
    const file = findScriptFile(reference.file);
    const outcome = await runScriptOnce(file, options);
    if (!outcome.ok) return outcome;
    ({ watch } = outcome.running);
    const { exportName, isAuthorizer = false } = reference;
    const script = { ...outcome.running, file, exportName, adapter: options.adapter };
    const found = await findApplication(script, isAuthorizer);
    return { ok: true, loaded: { ...found, file, inputs: watch.files.map(({ path }) => path) }, watch };
  } catch (error) {
    if (!(error instanceof LoadError)) throw error;
    return { ok: false, error, watch };
  }
}

/** The application among the exports, or the server that listens, if need be a little later. Rejects with a LoadError. */
export async function findApplication(
  script: RunScript & Omit<RunningScript, "watch">,
  isAuthorizer: boolean,
): Promise<FoundApplication> {
  const { capture, exportName, deadline, resourcesBefore } = script;
  try {
    if (isAuthorizer) return await findAuthorizer(script);
    const found = await findExport(script);
    if (found !== undefined) return found;
    if (exportName !== undefined || isAuthorizerOnly(script)) throw noApplication(script);
    const server = await awaitListen(capture, { deadline, resourcesBefore, hasExports: hasExports(script) });
    if (server === undefined) throw noApplication(script);
    return await adaptServer(server);
  } finally {
    capture.end();
  }
}

/** What a module exports, and how it was written. */
export interface LoadedModule {
  readonly namespace: Namespace;
  readonly moduleFormat: ModuleFormat;
}

/**
 * Loads any module as an application's file is loaded. `approve` gets every file that it is made of before any of its code
 * runs, and may throw. Rejects with a LoadError.
 */
export async function loadModule(
  file: string,
  options: LoadOptions,
  approve: (files: readonly string[]) => void,
): Promise<LoadedModule> {
  const outcome = await runScript(findScriptFile(file), options, approve);
  if (!outcome.ok) throw outcome.error;
  outcome.running.capture.end();
  return outcome.running;
}

/** The real path of a script. Throws LoadError "not-found" or "refused". */
export function findScriptFile(file: string): string {
  try {
    const path = realpathSync.native(file);
    const status = statSync(path);
    if (status.isDirectory()) throw new LoadError("not-found", `${file} is a folder, not an application's file`);
    if (!status.isFile()) throw new LoadError("refused", `${file} is not a regular file`);
    return path;
  } catch (error) {
    if (error instanceof LoadError) throw error;
    const isAbsent = ["ENOENT", "ENOTDIR", "ENAMETOOLONG", "ERR_INVALID_ARG_VALUE"].includes(systemCodeOf(error) ?? "");
    if (isAbsent) throw new LoadError("not-found", `there is no file ${file}`, error);
    throw new LoadError("refused", `${file} cannot be read: ${messageOf(error)}`, error);
  }
}

function runScriptOnce(script: string, options: LoadOptions): Promise<ScriptOutcome> {
  const name = `${options.cacheDir ?? ""}\0${script}`;
  const known = underWay.get(name);
  if (known !== undefined) return known;
  const load = runScript(script, options).finally(() => underWay.delete(name));
  underWay.set(name, load);
  return load;
}

/**
 * Finds or makes the script's bundle and runs it. Another process may remove a bundle that it replaced before we import it,
 * and what a cached bundle imports may have gone: both are tried again.
 */
async function runScript(
  script: string,
  options: LoadOptions,
  approve?: (files: readonly string[]) => void,
): Promise<ScriptOutcome> {
  let mayUseCache = true;
  for (let attempt = 1; ; attempt += 1) {
    const found = await findBundle(script, options, mayUseCache);
    if (!found.ok) return found;
    approve?.(found.entry.watch.files.map(({ path }) => path));
    const outcome = await runBundle(script, found, options);
    if (outcome.ok || attempt === maxAttempts) return outcome;
    const isBundleGone = wasMissing(found.bundle, outcome.error.cause) || !existsSync(found.bundle);
    const mayHelp = isBundleGone || (found.isCached && systemCodeOf(outcome.error.cause) === "ERR_MODULE_NOT_FOUND");
    if (!mayHelp) return outcome;
    mayUseCache = isBundleGone;
  }
}

/** Whether an import failed since its file was not there, though a third process may have made it again by now. */
function wasMissing(bundle: string, error: unknown): boolean {
  if (!(error instanceof Error)) return false;
  const code = systemCodeOf(error);
  if (code === "ERR_MODULE_NOT_FOUND") return error.message.startsWith(`Cannot find module '${bundle}'`);
  return code === "ENOENT" && "path" in error && error.path === bundle;
}

interface FoundBundle {
  readonly ok: true;
  readonly bundle: string;
  readonly entry: CacheEntry;
  readonly isCached: boolean;
}

/** Looks in the cache, else compiles. A cache folder that turns out to be full or read-only is passed over. */
async function findBundle(
  script: string,
  { cacheDir, fastStart }: LoadOptions,
  mayUseCache: boolean,
): Promise<FoundBundle | Failure> {
  const key: EntryKey = { script, packageRoot: dirname(libraryMain), nodeMajor };
  const owner = currentOwner();
  const unusable = new Map<string, string>();
  let outcome: CompileOutcome | undefined;
  for (;;) {
    const known = unusable.size === 0 ? fastStart?.cacheFolder : undefined;
    const folder = known ?? findCacheFolder(cacheDir, owner, unusable);
    const cached = mayUseCache ? readEntry(folder, key, Date.now()) : undefined;
    if (cached !== undefined) return { ok: true, bundle: join(folder, cached.bundle), entry: cached, isCached: true };
    outcome ??= await (await import("./compile.ts")).compile(script);
    if (!outcome.ok) return outcome;
    try {
      const entry = writeEntry(folder, { key, ...outcome.compiled }, Date.now());
      return { ok: true, bundle: join(folder, entry.bundle), entry, isCached: false };
    } catch (error) {
      if (systemCodeOf(error) === undefined) throw error;
      unusable.set(folder, `${folder} cannot be written (${messageOf(error)})`);
    }
  }
}

async function runBundle(
  script: string,
  { bundle, entry }: FoundBundle,
  { log, beforeRun, fastStart }: LoadOptions,
): Promise<ScriptOutcome> {
  const { moduleFormat, watch } = entry;
  beforeRun?.(bundle);
  installLightClasses();
  const resourcesBefore = resourcesInUse();
  const deadline = performance.now() + startDeadlineMs;
  try {
    const slot = `${dirname(bundle)}\0${script}`;
    const importIt = (): Promise<RunBundle> => importBundle({ slot, bundle, log }, startDeadlineMs);
    const folder = dirname(bundle);
    const ran = await (fastStart === undefined ? importIt() : fastStart.run({ folder, script, entry }, importIt));
    return { ok: true, running: { ...ran, moduleFormat, watch, resourcesBefore, deadline } };
  } catch (error) {
    const text = `${script} failed while it was loaded: ${describeThrown(error)}`;
    return { ok: false, error: new LoadError("failed-inside", text, error), watch };
  }
}

/** What was thrown and the first place outside Node itself that its stack names. */
function describeThrown(error: unknown): string {
  if (!(error instanceof Error)) return messageOf(error);
  const [, place = ""] = /^ {4}at (?:.* \()?((?:file:\/\/)?\/.*:\d+:\d+)\)?$/m.exec(error.stack ?? "") ?? [];
  const path = place.startsWith("file:") ? fileURLToPath(place) : place;
  return `${error.name}: ${error.message}${path === "" ? "" : ` (at ${path})`}`;
}
