// What a site consists of, whatever carries its requests: an application or a folder of them, where it is mounted, and the
// files that Apache serves itself. Each transport builds on these directives.

import type { Directive } from "./directives.ts";
import { blank, block, line, regexLiteral, rewriteLiteral } from "./directives.ts";
import { hideFolders, hideNames, hideScripts, publishedConditions } from "./published.ts";

/** One application, or a folder whose TypeScript files are applications. Paths are absolute. */
export type SiteTarget =
  | { readonly kind: "application"; readonly file: string; readonly exportName: string | undefined }
  | { readonly kind: "scripts"; readonly root: string };

export interface Site {
  readonly target: SiteTarget;
  /** "" for the whole site, else "/x" without a slash at the end. */
  readonly mountPoint: string;
  /** A folder of files for visitors; they come before the application. */
  readonly documentRoot: string | undefined;
  /** What kind of application it is, where `--adapter` said it. */
  readonly adapter?: string | undefined;
}

/** How long Apache waits for an application that sends nothing, in seconds. */
export const silenceSeconds = 300;

/** The application as the command line names it. */
export function referenceText(target: SiteTarget & { readonly kind: "application" }): string {
  return target.exportName === undefined ? target.file : `${target.file}#${target.exportName}`;
}

/** The arguments of `tsgi-cgi` and `tsgi-fcgid` for a site. */
export function programArguments({ target, mountPoint, adapter }: Site, cacheDir: string | undefined): string[] {
  const options = cacheDir === undefined ? [] : [`--cache-dir=${cacheDir}`];
  if (adapter !== undefined) options.push(`--adapter=${adapter}`);
  if (target.kind === "scripts") return [...options, `--script-root=${target.root}`];
  if (mountPoint !== "") options.push(`--mount-point=${mountPoint}`);
  return [...options, referenceText(target)];
}

/** The URL without which Apache would decode or shorten the path before the application sees it. */
export function rawUrl(): Directive[] {
  return [
    line("AllowEncodedSlashes", ["NoDecode"], "A URL with %2F reaches the application as it was sent, not a 404."),
    line("MergeSlashes", ["Off"], "Two slashes stay two: the application sees the path that the client sent."),
  ];
}

/** Sends Content-Length on for applications behind mod_proxy_fcgi and CGI. */
export function trustContentLength(): Directive {
  return line(
    "SetEnvIf",
    ["Request_URI", ".", "ap_trust_cgilike_cl=1"],
    "Content-Length reaches the client. Safe here: tsgi never sends more or fewer bytes.",
  );
}

export const passAuthorization = line("CGIPassAuth", ["On"], "Applications check the Authorization header themselves.");

/** Alias or ScriptAlias from the mount point to a file or folder. */
export function mountedAt(site: Site, directive: "Alias" | "ScriptAlias", path: string, why: string): Directive {
  return site.mountPoint === ""
    ? line(directive, ["/", `${path.replace(/\/+$/, "")}/`], why)
    : line(directive, [site.mountPoint, path], why);
}

/** The files that come before the application. mod_rewrite, since it looks before mod_alias and mod_proxy do. */
function filesFirst(root: string): Directive[] {
  const path = rewriteLiteral(root);
  return [
    line("RewriteEngine", ["On"]),
    line(
      "RewriteCond",
      [`${path}$1`, "-f", "[OR]"],
      "A file of the document root, or a folder with an index page, is sent",
    ),
    line("RewriteCond", [`${path}$1/index.html`, "-f"]),
    ...publishedConditions("$1"),
    line("RewriteRule", ["^(/.*)$", `${path}$1`, "[L]"], "and everything else is the application's."),
  ];
}

/** The document root, when there is one. */
export function documentRoot(site: Pick<Site, "documentRoot">): Directive[] {
  const root = site.documentRoot?.replace(/(?<=.)\/+$/, "");
  if (root === undefined) return [];
  return [
    line("DocumentRoot", [root]),
    block("Directory", [root], [...servedFolder(["index.html"]), hideScripts(), ...hideNames()]),
    hideFolders(root),
    ...filesFirst(root),
    blank,
  ];
}

/** Sites in an order in which the first whose mount point fits is the right one. */
export function longestFirst<Mounted extends Pick<Site, "mountPoint">>(sites: readonly Mounted[]): Mounted[] {
  return sites.toSorted((one, other) => other.mountPoint.length - one.mountPoint.length);
}

function servedFolder(indexes: readonly string[]): Directive[] {
  return [
    line("Require", ["all", "granted"]),
    line("Options", ["SymLinksIfOwnerMatch"], "No listings, and no link to a file of somebody else."),
    line("AllowOverride", ["None"]),
    line("DirectoryIndex", indexes),
  ];
}

/** For the section of files that answer: the system's table of types knows .ts as a video or a translation. */
export function noTypeOf(extensions: readonly string[]): Directive {
  const why = "The type of an answer is the application's, not one that the system has for such files.";
  return line("RemoveType", extensions, why);
}

/** For the section of the files that `scriptPattern` matches. */
export const noTypeOfScripts = noTypeOf([".ts", ".mts", ".cts", ".tsx"]);

/** A folder of applications and files; `run` says how its TypeScript files are run. */
export function scriptFolder(site: Site, root: string, run: readonly Directive[]): Directive[] {
  const place =
    site.mountPoint === "" && site.documentRoot === undefined
      ? line("DocumentRoot", [root])
      : mountedAt(site, "Alias", root, "The folder's files and applications.");
  return [
    place,
    block("Directory", [root], [...servedFolder(["index.html", "index.ts"]), ...run, ...hideNames()]),
    hideFolders(root),
  ];
}

/** A section for exactly one file. */
export function forFile(file: string, body: readonly Directive[]): Directive {
  const slash = file.lastIndexOf("/");
  const folder = file.slice(0, slash) || "/";
  return block("Directory", [folder], [block("FilesMatch", [`^${regexLiteral(file.slice(slash + 1))}$`], body)]);
}
