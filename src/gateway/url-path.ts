// The path of a request target (REQUEST_URI), the only variable that Apache never rewrites, and how to cut it in two.
// Rules: percent escapes are decoded to latin-1 characters (bytes); dot segments are resolved as Apache does; repeated
// slashes stay. Apache may merge slashes or leave %2F in its own variables, so comparisons ignore both. What Apache does
// not take for a dot segment, since an encoded slash is beside it, never becomes one here.

/** A decoded path, and the form of it in which two paths are compared. */
export interface UrlPath {
  readonly text: string;
  /** With repeated slashes, and what Apache left as %2F, made into one slash. */
  readonly folded: string;
}

const schemeAndAuthority = /^[a-z][a-z0-9+.-]*:\/\/[^/?#]*/i;

/** The path part of a request target, still encoded; undefined for `*` and the like. */
export function rawPathOf(target: string): string | undefined {
  const local = target.startsWith("/") ? target : target.replace(schemeAndAuthority, "");
  const query = local.indexOf("?");
  const path = query === -1 ? local : local.slice(0, query);
  if (path === "") return local === target ? undefined : "/";
  return path.startsWith("/") ? path : undefined;
}

/** Percent escapes to latin-1 characters; anything that is no escape stays. */
export function percentDecode(text: string): string {
  if (!text.includes("%")) return text;
  return text.replace(/%([0-9a-f]{2})/gi, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)));
}

function resolveDots(path: string): string {
  if (!path.includes("/.")) return path;
  const kept: string[] = [];
  const segments = path.split("/");
  for (const [index, segment] of segments.entries()) {
    const isLast = index === segments.length - 1;
    if (segment === "." || segment === "..") {
      if (segment === ".." && kept.length > 1) kept.pop();
      if (isLast) kept.push("");
    } else {
      kept.push(segment);
    }
  }
  return kept.join("/");
}

/** The form in which two paths are compared. */
export function fold(path: string): string {
  const slashes = path.includes("%") ? path.replace(/%2f/gi, "/") : path;
  return slashes.includes("//") ? slashes.replace(/\/{2,}/g, "/") : slashes;
}

/** Stands for an encoded slash while the rest is decoded: no character of a target, whose characters are bytes. */
const mark = "\u0100";
const dotSegment = /\/\.{1,2}(?:\/|$)/;

/** Decodes all but encoded slashes, resolves dot segments, and decodes the slashes unless that made a dot segment. */
function resolved(raw: string, prepare: (path: string) => string): UrlPath {
  const path = resolveDots(prepare(percentDecode(raw.replace(/%2f/gi, mark))));
  const whole = path.replaceAll(mark, "/");
  const text = dotSegment.test(whole) ? path.replaceAll(mark, "%2F") : whole;
  return { text, folded: fold(text) };
}

/** The decoded path of a request target; undefined when it has none. */
export function urlPathOf(target: string): UrlPath | undefined {
  const raw = rawPathOf(target);
  if (raw === undefined) return undefined;
  return /%|\/[./]/.test(raw) ? resolved(raw, (path) => path) : { text: raw, folded: raw };
}

/**
 * The same as another configuration of Apache reads it: where there are dot segments it matters whether slashes were merged
 * (MergeSlashes) or decoded (AllowEncodedSlashes On) before these were resolved. Only what gives `folded` is right.
 */
export function urlPathAs(target: string, folded: string): UrlPath | undefined {
  const raw = rawPathOf(target);
  if (raw === undefined || !percentDecode(raw).includes("/.")) return undefined;
  const decode = (path: string): string => path.replaceAll(mark, "/");
  const merge = (path: string): string => path.replace(/\/{2,}/g, "/");
  const variants = [merge, decode, (path: string): string => merge(decode(path))];
  return variants.map((prepare) => resolved(raw, prepare)).find((path) => path.folded === folded);
}

/** A path without the slashes at its end. */
export function withoutTrailingSlashes(path: string): string {
  let end = path.length;
  while (end > 0 && path[end - 1] === "/") end -= 1;
  return path.slice(0, end);
}

/** SCRIPT_NAME and PATH_INFO. */
export interface Split {
  readonly scriptName: string;
  readonly pathInfo: string;
}

/** Cuts the path where its folded form has `length` characters, at the first slash of a run. */
export function cutAt(path: UrlPath, length: number): Split {
  if (path.text === path.folded) return { scriptName: path.text.slice(0, length), pathInfo: path.text.slice(length) };
  let folded = 0;
  let index = 0;
  while (index < path.text.length && folded < length) {
    const width = slashWidth(path.text, index);
    if (width === 0) index += 1;
    else for (let next = width; next > 0; next = slashWidth(path.text, index)) index += next;
    folded += 1;
  }
  return { scriptName: path.text.slice(0, index), pathInfo: path.text.slice(index) };
}

/** How many characters a slash takes at `index`: 1, 3 for %2F, 0 when there is none. */
function slashWidth(text: string, index: number): number {
  if (text[index] === "/") return 1;
  return text[index] === "%" && /^%2f$/i.test(text.slice(index, index + 3)) ? 3 : 0;
}

/** Whether `prefix`, folded and without a trailing slash, is the path or a whole number of its first segments. */
export function isUnder(folded: string, prefix: string): boolean {
  return folded.startsWith(prefix) && (folded.length === prefix.length || folded[prefix.length] === "/");
}
