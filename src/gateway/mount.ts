// Where the application is mounted: SCRIPT_NAME and PATH_INFO as PEP 3333 wants them, from what Apache passes.
// Rules: SCRIPT_NAME + PATH_INFO is the decoded path of the URL. Apache's two variables already are that for a handler on
// a file or a location; the other recipes (ProxyPass, Action, RewriteRule, FallbackResource, DirectoryIndex) each need the
// one step named below. A rewrite to an unrelated path, and an ErrorDocument, are the administrator's word and stay.

import type { Split, UrlPath } from "./url-path.ts";
import { cutAt, fold, isUnder, percentDecode, urlPathAs, urlPathOf, withoutTrailingSlashes } from "./url-path.ts";

export interface MountHints {
  /** From the configuration, as `normalMountPoint` gives it. */
  readonly mountPoint?: string | undefined;
  /** The decoded path after the script's file, when the file was found inside a longer path. */
  readonly rest?: string | undefined;
  /** Whether ProxyPass may be in front, which maps no file: true in the daemon, false under mod_fcgid and CGI. */
  readonly mayBeProxied?: boolean;
}

export interface MountVariables {
  readonly SCRIPT_NAME?: string | undefined;
  readonly PATH_INFO?: string | undefined;
  readonly REQUEST_URI?: string | undefined;
  readonly SCRIPT_FILENAME?: string | undefined;
  readonly DOCUMENT_ROOT?: string | undefined;
  readonly CONTEXT_DOCUMENT_ROOT?: string | undefined;
  readonly REDIRECT_STATUS?: string | undefined;
  /** Set by the administrator to have mod_proxy_fcgi cut PATH_INFO itself. */
  readonly "proxy-fcgi-pathinfo"?: string | undefined;
}

function withoutProxy(scriptFilename: string): string {
  const isProxied = scriptFilename.startsWith("proxy:fcgi://") || scriptFilename.startsWith("proxy:balancer://");
  if (!isProxied) return scriptFilename;
  const slash = scriptFilename.indexOf("/", scriptFilename.indexOf("//") + "//".length);
  return slash === -1 ? "" : scriptFilename.slice(slash);
}

/**
 * SCRIPT_FILENAME without the `proxy:fcgi://host` that mod_proxy_fcgi puts before it for a backend of type FPM, and with
 * one slash in front where a handler's URL ended with another.
 */
export function stripProxyPrefix(scriptFilename: string): string {
  const path = withoutProxy(scriptFilename);
  return path.startsWith("//") ? path.replace(/^\/+/, "/") : path;
}

/** The decoded path that ProxyPass sent to the backend; undefined when SCRIPT_FILENAME is a file that Apache mapped. */
function backendPathOf(variables: MountVariables): string | undefined {
  const filename = stripProxyPrefix(variables.SCRIPT_FILENAME ?? "");
  if (!filename.startsWith("/")) return undefined;
  for (const root of [variables.DOCUMENT_ROOT, variables.CONTEXT_DOCUMENT_ROOT]) {
    if (root !== undefined && root !== "" && isUnder(filename, withoutTrailingSlashes(root))) return undefined;
  }
  return fold(percentDecode(filename));
}

/** How long the part of `path` is that comes before its longest common tail, of whole segments, with `backend`. */
function lengthBeforeCommonTail(path: string, backend: string): number {
  const ahead = backend.length - path.length;
  const least = Math.max(0, -ahead);
  let start = path.length;
  while (start > least && path.charCodeAt(start - 1) === backend.charCodeAt(start - 1 + ahead)) start -= 1;
  const slash = path.indexOf("/", start);
  return slash === -1 ? path.length : slash;
}

/** ProxyPass maps no file: the mount is what the URL and the backend's path do not share. */
function cutProxied(path: UrlPath, backend: string | undefined): Split {
  return cutAt(path, backend === undefined ? path.folded.length : lengthBeforeCommonTail(path.folded, backend));
}

function isErrorDocument(variables: MountVariables): boolean {
  return Number(variables.REDIRECT_STATUS ?? "200") >= 400;
}

/** Cuts before `tail`, which the folded path must end with. */
function cutBefore(path: UrlPath, tail: string): Split {
  return cutAt(path, path.folded.length - tail.length);
}

/**
 * Where the URL ends in what a RewriteRule made PATH_INFO of: with [B] a space comes as "+", and without it an escape that
 * was encoded twice comes decoded once more. -1 when it does not.
 */
function rewrittenTail(folded: string, info: string): number {
  let start = folded.length;
  for (let left = info.split("/").length - 1; left > 0 && start > 0; left -= 1)
    start = folded.lastIndexOf("/", start - 1);
  const tail = folded.slice(Math.max(start, 0));
  const isTail =
    tail === info || tail.replaceAll(" ", "+") === info.replaceAll(" ", "+") || percentDecode(tail) === info;
  return isTail ? Math.max(start, 0) : -1;
}

/** The steps for a URL that is not SCRIPT_NAME + PATH_INFO: an internal redirect, or a proxied path. */
function cutRedirected(path: UrlPath, given: Split, backend: string | undefined): Split {
  const name = fold(given.scriptName);
  const info = fold(given.pathInfo);
  if (info === "") {
    // FallbackResource, DirectoryIndex, RewriteRule to a script alone: it stands for the folder that it is in.
    const folder = name.slice(0, name.lastIndexOf("/"));
    return cutAt(path, isUnder(path.folded, folder) ? folder.length : 0);
  }
  // RewriteRule to script/$1, and Action with the URL as PATH_INFO: what comes before PATH_INFO is the mount.
  const start = rewrittenTail(path.folded, info);
  if (start !== -1) return cutAt(path, start);
  // Action to a path below the location that handles it: the whole URL comes after that path.
  if (info.endsWith(path.folded)) return cutAt(path, 0);
  // proxy-fcgi-pathinfo: SCRIPT_NAME is the whole path or the mount, PATH_INFO the backend's path.
  if (name === path.folded) return cutProxied(path, backend);
  return name !== "" && isUnder(path.folded, name) ? cutAt(path, name.length) : given;
}

/** The steps for a URL that is SCRIPT_NAME + PATH_INFO. */
function cutGiven(path: UrlPath, given: Split, backend: string | undefined, isPathInfoSet: boolean): Split {
  const info = fold(given.pathInfo);
  if (info === "") return cutProxied(path, backend);
  // RewriteRule with [P]: Apache has cut the URL at a folder of its own that has nothing to do with the backend.
  if (!isPathInfoSet && backend?.endsWith(info) === true) return cutProxied(path, backend);
  return path.text === given.scriptName + given.pathInfo ? given : cutAt(path, fold(given.scriptName).length);
}

function cut(path: UrlPath, given: Split, variables: MountVariables, hints: MountHints): Split {
  const { mountPoint } = hints;
  if (mountPoint !== undefined && isUnder(path.folded, mountPoint)) return cutAt(path, mountPoint.length);
  // The script's file is known inside a longer path: what follows it there follows it in the URL.
  const rest = hints.rest === undefined ? undefined : fold(hints.rest);
  if (rest !== undefined && path.folded.endsWith(rest)) return cutBefore(path, rest);
  const backend = hints.mayBeProxied === true ? backendPathOf(variables) : undefined;
  if (fold(given.scriptName + given.pathInfo) !== path.folded) return cutRedirected(path, given, backend);
  return cutGiven(path, given, backend, variables["proxy-fcgi-pathinfo"] !== undefined);
}

/** The decoded path, read as Apache has read it where its variables tell that. */
function pathLike(target: string, given: Split): UrlPath | undefined {
  const path = urlPathOf(target);
  const folded = fold(given.scriptName + given.pathInfo);
  return path === undefined || path.folded === folded ? path : (urlPathAs(target, folded) ?? path);
}

/** A mount point as it is configured, "/x/" or "x", as a SCRIPT_NAME: "/x", and "" for the root. */
export function normalMountPoint(given: string | undefined): string | undefined {
  if (given === undefined) return undefined;
  const path = withoutTrailingSlashes(given);
  return path === "" || path.startsWith("/") ? path : `/${path}`;
}

/** Derives SCRIPT_NAME and PATH_INFO; gives back what Apache passed where there is nothing better. */
export function findMount(variables: MountVariables, hints: MountHints): Split {
  const given = { scriptName: variables.SCRIPT_NAME ?? "", pathInfo: variables.PATH_INFO ?? "" };
  const path = variables.REQUEST_URI === undefined ? undefined : pathLike(variables.REQUEST_URI, given);
  if (path === undefined || isErrorDocument(variables)) return given;
  const found = cut(path, given, variables, hints);
  if (!found.scriptName.endsWith("/")) return found;
  // A location that is asked for with its slash: the slash is the application's path.
  const scriptName = withoutTrailingSlashes(found.scriptName);
  return { scriptName, pathInfo: found.scriptName.slice(scriptName.length) + found.pathInfo };
}
