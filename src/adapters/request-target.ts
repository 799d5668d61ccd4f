// The `url` that a Node application sees: the request target as the client sent it, without the mount point.
// Rules: escapes and repeated slashes stay as they came; what Apache rewrote to something else is made of PATH_INFO instead,
// since the application answers for that path.

import { fold, percentDecode, rawPathOf } from "../gateway/url-path.ts";
import type { Environ } from "../spec.ts";

export interface RequestTarget {
  /** The whole target, raw. */
  readonly originalUrl: string;
  /** The rest of the target below the mount point; it begins with "/", or with scheme and host if the client sent those. */
  readonly url: string;
}

const unsafe = /[^A-Za-z0-9\-._~!$&'()*+,;=:@/]/g;

function escapeByte(character: string): string {
  return `%${character.charCodeAt(0).toString(16).toUpperCase().padStart(2, "0")}`;
}

/** A raw target whose bytes beyond ASCII are escaped: URL would take them for characters. */
export function escapeBytes(target: string): string {
  return target.replace(/[\x80-\xff]/g, escapeByte);
}

/** A decoded path, bytes as latin-1, as it stands in a URL. */
function encodePath(path: string): string {
  return path.replace(unsafe, escapeByte);
}

function withQuery(path: string, query: string): string {
  return query === "" ? path : `${path}?${query}`;
}

/** How many characters of the raw path decode to `decoded`; undefined when it does not begin with that. */
function rawLengthOf(rawPath: string, decoded: string): number | undefined {
  const folded = fold(percentDecode(rawPath));
  if (!folded.startsWith(fold(decoded))) return undefined;
  const segments = decoded.split("/").length - 1;
  let index = 0;
  for (let seen = 0; index < rawPath.length; index += 1) {
    if (rawPath[index] !== "/" || rawPath[index + 1] === "/") continue;
    if (seen === segments) break;
    seen += 1;
  }
  return fold(percentDecode(rawPath.slice(0, index))) === fold(decoded) ? index : undefined;
}

/** The target of a request below its mount point. */
export function requestTargetOf(environ: Environ): RequestTarget {
  const { SCRIPT_NAME: mount, PATH_INFO: pathInfo, QUERY_STRING: query, REQUEST_URI: target } = environ;
  const rawPath = target === undefined ? undefined : rawPathOf(target);
  if (target === undefined || rawPath === undefined) {
    if (target === "*") return { originalUrl: target, url: target };
    return { originalUrl: withQuery(encodePath(mount + pathInfo), query), url: withQuery(encodePath(pathInfo), query) };
  }
  if (mount === "") return { originalUrl: target, url: target };
  const length = rawPath.startsWith(`${mount}/`) || rawPath === mount ? mount.length : rawLengthOf(rawPath, mount);
  if (length === undefined) return { originalUrl: target, url: withQuery(encodePath(pathInfo) || "/", query) };
  const start = target.startsWith("/") ? 0 : target.indexOf(rawPath, target.indexOf("://") + 3);
  const rest = target.slice(start + length);
  return { originalUrl: target, url: target.slice(0, start) + (rest.startsWith("/") ? rest : `/${rest}`) };
}
