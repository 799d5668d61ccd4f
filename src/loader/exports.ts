// Finds the application among the exports of a script, or the server that the script let listen.
// Rules, in this order: the name after `#` is an export of the script, and nothing else is looked at; else the export
// `application`; else the default export; else one of `app`, `handler`, `server` and `fetch`; else a captured listen. A
// CommonJS script has one export only, its `module.exports`: names are looked for on it, then on `module.exports.default`,
// and where an ES module's default export has its turn, `module.exports` itself has, then its `default`.
// A plain function called `application`, or named after `#`, is one of the gateway's own unless its parameters say
// otherwise: for these nothing of the adapters is imported.
import type { Server } from "node:http";
import type { FunctionKind } from "../adapters/function-kind.ts";
import { isPlainFunction, kindOfFunction } from "../adapters/function-kind.ts";
import type { ListenCapture } from "../adapters/listen-capture.ts";
import type { AdapterName } from "../adapters/names.ts";
import { findHooks, hookNames } from "../authorizer/hooks.ts";
import { LoadError, messageOf } from "../errors.ts";
import type { Application } from "../spec.ts";
import type { ModuleFormat } from "./entry.ts";
import type { Namespace } from "./instance.ts";

/** A script that has been run, and what is asked of it. */
export interface RunScript {
  readonly file: string;
  readonly namespace: Namespace;
  readonly moduleFormat: ModuleFormat;
  readonly capture: ListenCapture;
  readonly exportName: string | undefined;
  /** From `--adapter`: what kind of application it is, whatever it looks like. */
  readonly adapter: AdapterName | undefined;
}

/** Where an application was found, and what it is. */
export interface FoundApplication {
  readonly application: Application;
  readonly adapter: AdapterName;
  /** Undefined for a server that was let listen. */
  readonly exportName: string | undefined;
}

interface Candidate {
  readonly name: string;
  readonly value: unknown;
  /** What a plain function is whose parameters do not tell. */
  readonly otherwise: FunctionKind | undefined;
}

const otherNames = ["app", "handler", "server", "fetch"];

/**
 * The application; undefined when no export is one. Rejects with LoadError "no-export" when the export that was named, or
 * `application`, is none, and with "failed-inside" when an application does not become ready.
 */
export async function findExport(script: RunScript): Promise<FoundApplication | undefined> {
  const candidates = candidatesOf(script).filter(({ value }) => value !== undefined);
  for (const candidate of candidates) {
    const found = await adaptCandidate(candidate, script);
    if (found !== undefined) return found;
  }
  const meant = candidates.find(({ name }) => name === (script.exportName ?? "application"));
  if (meant === undefined) return undefined;
  const text = `the export \`${meant.name}\` of ${script.file} is ${kindOf(meant.value)}, not an application`;
  throw new LoadError("no-export", text);
}

function exportOf({ namespace, moduleFormat }: Pick<RunScript, "namespace" | "moduleFormat">, name: string): unknown {
  return moduleFormat === "esm" ? namespace[name] : commonJsExport(namespace["default"], name);
}

/** Whether a script without an application says who may come in: then it will not become a server either. */
export function isAuthorizerOnly(script: Pick<RunScript, "namespace" | "moduleFormat">): boolean {
  return hookNames.some((name) => exportOf(script, name) !== undefined);
}

/** The application that answers Apache's questions who may come in. Throws LoadError "no-hooks" for a script with none. */
export async function findAuthorizer(script: RunScript): Promise<FoundApplication> {
  const { authorizerOf } = await import("../authorizer/authorizer.ts");
  const hooks = findHooks(script.file, (name) => exportOf(script, name));
  return { application: authorizerOf(hooks), adapter: "wsgi", exportName: undefined };
}

/** The application that a captured server is. */
export async function adaptServer(server: Server): Promise<FoundApplication> {
  const { fromCapturedServer } = await import("../adapters/captured-server.ts");
  return { application: fromCapturedServer(server), adapter: "server", exportName: undefined };
}

/** Whether the script exports anything at all. */
export function hasExports({ namespace, moduleFormat }: Pick<RunScript, "namespace" | "moduleFormat">): boolean {
  return moduleFormat === "esm" ? Object.keys(namespace).length > 0 : isNoEmptyObject(namespace["default"]);
}

/** Why there is no application. */
export function noApplication({ file, namespace, moduleFormat, exportName }: RunScript): LoadError {
  const name = exportName ?? "application";
  const names = moduleFormat === "esm" ? Object.keys(namespace) : namesOf(namespace["default"]);
  if (names.includes(name)) {
    return new LoadError("no-export", `the export \`${name}\` of ${file} is undefined, not an application`);
  }
  const others = exportName === undefined ? "; none of these is an application, and no server listens" : "";
  const list = names.join(", ") || "nothing";
  return new LoadError("no-export", `${file} has no export \`${name}\` (it exports ${list})${others}`);
}

async function adaptCandidate(
  { name, value, otherwise }: Candidate,
  { file, adapter }: RunScript,
): Promise<FoundApplication | undefined> {
  const isOwn = adapter === undefined || adapter === "wsgi";
  if (isOwn && isPlainFunction(value) && kindOfFunction(value, adapter ?? otherwise) === "wsgi") {
    return { application: value as Application, adapter: "wsgi", exportName: name };
  }
  const { adapterOf, recognize } = await import("../adapters/recognize.ts");
  const kind = adapter ?? adapterOf(value, otherwise);
  if (kind === undefined) return undefined;
  try {
    const recognized = recognize(value, kind);
    if (recognized === undefined) return undefined;
    return { application: await recognized.application, adapter: kind, exportName: name };
  } catch (error) {
    const text = `the export \`${name}\` of ${file} could not be made an application: ${messageOf(error)}`;
    throw new LoadError("failed-inside", text, error);
  }
}

function candidatesOf({ namespace, moduleFormat, exportName }: RunScript): readonly Candidate[] {
  if (moduleFormat === "esm") {
    const named = (name: string, otherwise?: FunctionKind): Candidate => ({ name, value: namespace[name], otherwise });
    if (exportName !== undefined) return [named(exportName, "wsgi")];
    return [named("application", "wsgi"), named("default"), ...otherNames.map((name) => named(name, kindByName(name)))];
  }
  return commonJsCandidates(namespace["default"], exportName);
}

function commonJsCandidates(exported: unknown, exportName: string | undefined): readonly Candidate[] {
  const holders = [exported, propertyOf(exported, "default")];
  const named = (name: string, otherwise?: FunctionKind): Candidate => {
    return { name, value: commonJsExport(exported, name), otherwise };
  };
  const itself = (otherwise?: FunctionKind): readonly Candidate[] =>
    holders.filter(isNoEmptyObject).map((value) => ({ name: "default", value, otherwise }));
  if (exportName === "default") return itself("wsgi");
  if (exportName !== undefined) return [named(exportName, "wsgi")];
  return [named("application", "wsgi"), ...itself(), ...otherNames.map((name) => named(name, kindByName(name)))];
}

function commonJsExport(exported: unknown, name: string): unknown {
  return propertyOf(exported, name) ?? propertyOf(propertyOf(exported, "default"), name);
}

function kindByName(name: string): FunctionKind | undefined {
  return name === "fetch" ? "fetch" : undefined;
}

/** `module.exports` is an empty object unless a script says otherwise. */
function isNoEmptyObject(value: unknown): boolean {
  if (typeof value !== "object" || value === null) return value !== undefined && value !== null;
  return Object.keys(value).length > 0 || Object.getPrototypeOf(value) !== Object.prototype;
}

function propertyOf(holder: unknown, name: string): unknown {
  const isHolder = (typeof holder === "object" && holder !== null) || typeof holder === "function";
  return isHolder && Object.hasOwn(holder, name) ? (holder as Record<string, unknown>)[name] : undefined;
}

function namesOf(exported: unknown): string[] {
  const isHolder = (typeof exported === "object" && exported !== null) || typeof exported === "function";
  return isHolder ? Object.keys(exported) : [];
}

function kindOf(value: unknown): string {
  if (value === null || value === undefined) return String(value);
  if (Array.isArray(value)) return "an array";
  return typeof value === "object" ? "an object" : `a ${typeof value}`;
}
