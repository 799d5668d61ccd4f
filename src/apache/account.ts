// The .htaccess lines for a folder of an account at a host: the presets' lines, for a folder that may hold other files.
// Rules: those of htaccess.ts. What of the folder is sent to browsers depends on where the application's sources lie: the
// less is known of a file, the less it is sent.

import type { Directive } from "./directives.ts";
import { block, line, regexLiteral, rewriteLiteral } from "./directives.ts";
import { authorization, fronts, runFront, toFront } from "./htaccess.ts";
import type { Backend } from "./proxy-fcgi.ts";
import { noHiddenFolders, publishedConditions, publishedExpression } from "./published.ts";

export const transports = ["cgi", "fcgid", "proxy"] as const;

export type Transport = (typeof transports)[number];

/** Where the application's sources lie, seen from the folder that is served. */
export type SourcePlace =
  | { readonly kind: "outside" }
  /** Paths below the served folder that hold nothing else. */
  | { readonly kind: "below"; readonly paths: readonly string[] }
  /** All over the served folder. */
  | { readonly kind: "here" };

export interface AccountOptions {
  /** The served folder, an absolute path. */
  readonly folder: string;
  readonly sources: SourcePlace;
  /** The URL path of the folder, as far as it is known: "" for the root. */
  readonly mountPoint: string;
  /** Options that other lines of the file set otherwise than ours need them, with their sign. */
  readonly options: readonly string[];
  /** Whether a folder above says which URL its own application has, which is not that of this one. */
  readonly inheritsMountPoint: boolean;
}

/** Of a folder full of sources these are sent: folders, and files of its top level. */
const sentFolders = String.raw`(public|static|css|images|img|fonts|\.well-known)/`;
const sentFiles = String.raw`[^/]+\.(html?|css|png|jpe?g|gif|svg|webp|avif|ico|woff2?|webmanifest)|robots\.txt`;

const copiesOfFronts = String.raw`/app\.f?cgi[^/]`;
/** Executables of a folder below too: a section of the outer folder would take their handler away. */
const executables = String.raw`/(app|probe)\.f?cgi`;

function hiddenPath(paths: readonly string[]): string {
  return `/(${paths.map(regexLiteral).join("|")})(/|$)`;
}

/** Rules that end with the files that Apache sends; what they leave is the application's. */
function sentByApache({ folder, sources }: AccountOptions): Directive[] {
  const start = line("RewriteEngine", ["On"]);
  const isFile = (why: string): Directive => line("RewriteCond", ["%{REQUEST_FILENAME}", "-f"], why);
  if (sources.kind !== "here") {
    const hidden = sources.kind === "below" ? [`!(?i)^${hiddenPath(sources.paths)}`] : [];
    return [
      start,
      line(
        "RewriteCond",
        ["%{REQUEST_FILENAME}", "-f", "[OR]"],
        "A file of this folder, or a folder in it with an index page, is sent by Apache, unless it is one of these:",
      ),
      line("RewriteCond", ["%{REQUEST_FILENAME}/index.html", "-f"]),
      ...hidden.map((pattern) => line("RewriteCond", ["/$1", pattern], "The application's own files.")),
      line("RewriteCond", ["/$1", `!(?i)${copiesOfFronts}`], "Copies of the executable."),
      ...publishedConditions("/$1"),
      line("RewriteRule", ["^(.*)$", "-", "[L]"]),
    ];
  }
  const inPublic = `${rewriteLiteral(folder)}/public/$1`;
  return [
    start,
    isFile("The sources are in this folder: Apache sends pages, images and the like, and what is in public/, but"),
    ...publishedConditions("/$1"),
    line("RewriteRule", [`^(${sentFolders}.*|${sentFiles})$`, "-", "[L]"]),
    line("RewriteCond", [inPublic, "-f"], "The files of public/ need not be asked for by that name."),
    ...publishedConditions("/$1"),
    line("RewriteRule", ["^(.+)$", "public/$1", "[B=%?#,L]"]),
    line("RewriteCond", [`${inPublic}index.html`, "-f"]),
    ...publishedConditions("/$1"),
    line("RewriteRule", ["^(|.+/)$", "public/$1index.html", "[B=%?#,L]"]),
  ];
}

function mendedOptions({ options }: AccountOptions): Directive[] {
  return options.length === 0 ? [] : [line("Options", options, "Other lines of this file have them otherwise.")];
}

function ownMountPoint({ inheritsMountPoint }: AccountOptions): Directive[] {
  if (!inheritsMountPoint) return [];
  const why = "A folder above is another application's, with a URL of its own.";
  return [block("IfModule", ["mod_env.c"], [line("UnsetEnv", ["TSGI_MOUNT_POINT"], why)])];
}

/** A folder whose own URL looks like a hidden one has to do without. */
function noHiddenFoldersBelow(mountPoint: string): Directive[] {
  return /\/(\.|node_modules(\/|$))/i.test(mountPoint) ? [] : [noHiddenFolders()];
}

/** The lines for a wrapper that Apache starts. */
export function accountFront(transport: Exclude<Transport, "proxy">, options: AccountOptions): Directive[] {
  const front = fronts[transport];
  const hidden = noHiddenFoldersBelow(options.mountPoint);
  return [
    runFront(front),
    ...mendedOptions(options),
    ...ownMountPoint(options),
    authorization,
    ...hidden,
    ...sentByApache(options),
    ...toFront(front),
  ];
}

/** A delimiter for a regular expression inside `<If>`, one of those that Apache knows and the expression does not have. */
function delimiterFor(text: string): string {
  return ["#", "!", ";", ":", "%", "_"].find((sign) => !text.includes(sign)) ?? ",";
}

/** What the path of a URL must be for its file to be sent, as an expression for `<If>`. */
function sentExpression({ sources, mountPoint }: AccountOptions): string {
  const published = `${publishedExpression()} && %{REQUEST_URI} !~ m,${executables},i`;
  if (sources.kind === "outside") return published;
  const mount = regexLiteral(mountPoint);
  const [operator, pattern] =
    sources.kind === "below"
      ? ["!~", `^${mount}${hiddenPath(sources.paths)}`]
      : ["=~", `^${mount}/(${sentFolders}.*|${sentFiles})$`];
  const sign = delimiterFor(pattern);
  const flags = sources.kind === "below" ? "i" : "";
  return `%{REQUEST_URI} ${operator} m${sign}${pattern}${sign}${flags} && ${published}`;
}

/** The lines for a daemon of the same account. */
export function accountProxy(backend: Backend, options: AccountOptions): Directive[] {
  const { sources, mountPoint } = options;
  const own = sources.kind === "here" ? sentByApache(options) : [line("RewriteEngine", ["On"])];
  const end = line("RewriteRule", ["^", "-", "[L]"], "No other rule changes what the daemon is asked for.");
  return [
    ...mendedOptions(options),
    line("ProxyFCGIBackendType", ["GENERIC"], "Variables as they are, without the changes that PHP-FPM expects."),
    line("SetEnv", ["TSGI_MOUNT_POINT", mountPoint === "" ? "/" : mountPoint], "The URL of this folder."),
    authorization,
    ...noHiddenFoldersBelow(mountPoint),
    block("IfModule", ["mod_rewrite.c"], [...own, end]),
    line("SetHandler", [`proxy:${backend.url}`], "The daemon gets everything,"),
    block(
      "If",
      [`-f %{REQUEST_FILENAME} && ${sentExpression(options)}`],
      [line("SetHandler", ["None"])],
      "but files that are for visitors: no folders, names and sources that are to stay hidden.",
    ),
  ];
}
