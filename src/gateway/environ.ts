// The environ of a request, made from the variables that came in (PEP 3333 "environ Variables", RFC 3875 section 4.1).
// Rules: the object of variables becomes the environ, nothing is copied; what is mended keeps its original under
// `tsgi.original.NAME`; HTTP_PROXY never gets in (CVE-2016-5385); costly `tsgi.*` values are made when first read.

import type { Environ, ErrorStream, InputStream, Log, Transport } from "../spec.ts";
import { fileWrapper } from "./file-wrapper.ts";
import type { MountHints } from "./mount.ts";
import { findMount, stripProxyPrefix } from "./mount.ts";
import type { Split } from "./url-path.ts";

/** Variables as they came in: latin-1 strings in an object without prototype. */
export type Variables = Record<string, string>;

/** What a request has beside its variables. */
export interface EnvironParts {
  readonly transport: Transport;
  readonly input: InputStream;
  readonly errors: ErrorStream;
  readonly isMultiprocess: boolean;
  readonly isRunOnce: boolean;
  /** Absolute name of the script's file, "" for an application that was not loaded from one. */
  readonly script: string;
  readonly mount: MountHints;
  /** Used where Apache gives none. */
  readonly requestId: string;
  readonly waitUntil: (work: Promise<unknown>) => void;
  readonly lazy: LazyParts;
}

/** What most requests never ask for. */
export interface LazyParts {
  /** Asked for once. */
  signal(): AbortSignal;
  /** Asked for once. */
  log(): Log;
  /** Has `work` done when the request has ended; at once when it has. */
  atEnd(work: EndWork): void;
  /** Calls back when the request is given up, by the client or by us; at once when it has been. */
  gone?(callback: () => void): void;
}

/** What has to be done when a request has ended, however it did. A rejection is logged. */
export type EndWork = () => Promise<void>;

const wsgiVersion = Object.freeze([1, 0] as const);

/** Gives a variable its right value and keeps the one that came in. */
export function mend(variables: Variables, name: string, value: string): void {
  const original = variables[name];
  if (original === value) return;
  if (original !== undefined) variables[`tsgi.original.${name}`] ??= original;
  variables[name] = value;
}

// Names stand in the code one by one below and are not looped over: V8 then finds each where it was in the last request.

/** Where Apache leaves the Authorization header: CGIPassAuth, SetEnvIf, RewriteRule [E=], FcgidPassHeader. */
function findAuthorization(variables: Variables): string | undefined {
  return (
    variables["REDIRECT_HTTP_AUTHORIZATION"] ||
    variables["REDIRECT_REDIRECT_HTTP_AUTHORIZATION"] ||
    variables["Authorization"] ||
    variables["AUTHORIZATION"] ||
    basicAuthorization(variables["REMOTE_USER"]) ||
    basicAuthorization(variables["REDIRECT_REMOTE_USER"])
  );
}

function basicAuthorization(value: string | undefined): string | undefined {
  return value !== undefined && /^Basic /i.test(value) ? value : undefined;
}

function mendAuthorization(variables: Variables): void {
  const given = variables["HTTP_AUTHORIZATION"];
  if (given !== undefined && given !== "") return;
  const found = findAuthorization(variables);
  if (found !== undefined) variables["HTTP_AUTHORIZATION"] = found;
  else if (given === "") delete variables["HTTP_AUTHORIZATION"]; // SetEnvIf without a match for the header
}

/** The scheme that the variables tell. */
export function urlScheme(variables: Variables): "http" | "https" {
  const https = variables["HTTPS"];
  if (https !== undefined && /^(?:on|1|true|yes)$/i.test(https)) return "https";
  return variables["REQUEST_SCHEME"]?.toLowerCase() === "https" ? "https" : "http";
}

function queryOf(target: string | undefined): string {
  const mark = target?.indexOf("?") ?? -1;
  return target === undefined || mark === -1 ? "" : target.slice(mark + 1);
}

function tidyVariables(variables: Variables): void {
  // To delete what is not there takes as long as to delete what is.
  if (variables["HTTP_PROXY"] !== undefined) delete variables["HTTP_PROXY"];
  if (variables["HTTP_CONTENT_TYPE"] !== undefined) delete variables["HTTP_CONTENT_TYPE"];
  if (variables["HTTP_CONTENT_LENGTH"] !== undefined) delete variables["HTTP_CONTENT_LENGTH"];
  if (variables["CONTENT_TYPE"] === "") delete variables["CONTENT_TYPE"];
  if (variables["CONTENT_LENGTH"] === "") delete variables["CONTENT_LENGTH"];
  variables["QUERY_STRING"] ??= queryOf(variables["REQUEST_URI"]);
}

/** As `mend` does it. */
function mendPaths(variables: Variables, { scriptName, pathInfo }: Split): void {
  const { SCRIPT_NAME: name, PATH_INFO: info, SCRIPT_FILENAME: filename } = variables;
  if (name !== scriptName) {
    if (name !== undefined) variables["tsgi.original.SCRIPT_NAME"] ??= name;
    variables["SCRIPT_NAME"] = scriptName;
  }
  if (info !== pathInfo) {
    if (info !== undefined) variables["tsgi.original.PATH_INFO"] ??= info;
    variables["PATH_INFO"] = pathInfo;
  }
  const path = filename?.startsWith("proxy:") === true ? stripProxyPrefix(filename) : filename;
  if (filename !== undefined && path !== undefined && path !== filename) {
    variables["tsgi.original.SCRIPT_FILENAME"] ??= filename;
    variables["SCRIPT_FILENAME"] = path;
  }
}

function mendVariables(variables: Variables, hints: MountHints): void {
  tidyVariables(variables);
  mendAuthorization(variables);
  mendPaths(variables, findMount(variables, hints));
  variables["REQUEST_METHOD"] ??= "GET";
  variables["SERVER_NAME"] ??= "localhost";
  variables["SERVER_PORT"] ??= "80";
  variables["SERVER_PROTOCOL"] ??= "HTTP/1.1";
}

/** Where an environ keeps what its lazy properties are made of. Enumerable, so that a copy of the environ has it too. */
const lazyParts = Symbol.for("tsgi.lazy");

interface LazyOwner {
  readonly [lazyParts]: LazyParts;
}

/**
 * A property that is computed when first read and is an ordinary one from then on. The functions are shared by all requests
 * and find their request through `this`: closures of each request's own cost 7 microseconds here, most of it in the
 * garbage collector.
 */
function lazyProperty(name: string, make: (parts: LazyParts) => unknown): PropertyDescriptor & ThisType<LazyOwner> {
  const define = (owner: object, value: unknown): void => {
    Object.defineProperty(owner, name, { value, writable: true, enumerable: true, configurable: true });
  };
  return {
    enumerable: true,
    configurable: true,
    get() {
      const value = make(this[lazyParts]);
      define(this, value);
      return value;
    },
    set(value: unknown) {
      define(this, value);
    },
  };
}

const lazySignal = lazyProperty("tsgi.signal", (parts) => parts.signal());
const lazyLog = lazyProperty("tsgi.log", (parts) => parts.log());

/**
 * Calls back when the request is given up: what `tsgi.signal` tells, without the 4 microseconds that an AbortController takes.
 * Where the environ is a copy that middleware made, it is that signal.
 */
export function onGone(environ: Environ, callback: () => void): void {
  const parts = (environ as Environ & Partial<LazyOwner>)[lazyParts];
  if (parts?.gone !== undefined) parts.gone(callback);
  else if (environ["tsgi.signal"].aborted) callback();
  else environ["tsgi.signal"].addEventListener("abort", callback, { once: true });
}

/** Apache's UNIQUE_ID where mod_unique_id gives one, else `own`. */
export function requestIdOf(variables: Variables, own: string): string {
  return variables["UNIQUE_ID"] || own;
}

/** Makes the environ out of `variables`, which it takes over and changes. */
export function createEnviron(variables: Variables, parts: EnvironParts): Environ {
  mendVariables(variables, parts.mount);
  const environ = variables as Record<string, unknown> as Environ; // every key that Environ requires is set here
  environ["wsgi.version"] = wsgiVersion;
  environ["wsgi.url_scheme"] = urlScheme(variables);
  environ["wsgi.input"] = parts.input;
  environ["wsgi.errors"] = parts.errors;
  environ["wsgi.file_wrapper"] = fileWrapper;
  environ["wsgi.multithread"] = false;
  environ["wsgi.multiprocess"] = parts.isMultiprocess;
  environ["wsgi.run_once"] = parts.isRunOnce;
  environ["tsgi.request_id"] = requestIdOf(variables, parts.requestId);
  environ["tsgi.transport"] = parts.transport;
  environ["tsgi.wait_until"] = parts.waitUntil;
  environ["tsgi.script"] = parts.script;
  (environ as Environ & { [lazyParts]: LazyParts })[lazyParts] = parts.lazy;
  Object.defineProperty(environ, "tsgi.signal", lazySignal);
  Object.defineProperty(environ, "tsgi.log", lazyLog);
  return environ;
}

/**
 * Has `work` done when the request of this environ, or of a copy of it, has ended: well, with an error, or because the
 * client went. False for an environ that is none of ours: then nobody will do it.
 */
export function atRequestEnd(environ: Environ, work: EndWork): boolean {
  const { [lazyParts]: parts } = environ as Partial<LazyOwner>;
  if (parts === undefined) return false;
  parts.atEnd(work);
  return true;
}
