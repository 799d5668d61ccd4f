// The three .htaccess files for hosts where nothing else can be configured.
// Rules: only directives of the classes Options and FileInfo, which hosts allow, since one forbidden line makes Apache
// answer 500 for the whole folder. What is optional stands in IfModule. What keeps sources from being sent does not: where
// it is not understood, the folder must fail instead.

import type { Backend } from "./proxy-fcgi.ts";
import type { Directive } from "./directives.ts";
import { blank, block, line, note, regexLiteral } from "./directives.ts";
import { publishedConditions, publishedExpression } from "./published.ts";

/** The executable beside the .htaccess file, and the handler that runs it. */
export interface Front {
  readonly file: string;
  readonly handler: string;
}

export const fronts = {
  cgi: { file: "app.cgi", handler: "cgi-script" },
  fcgid: { file: "app.fcgi", handler: "fcgid-script" },
} as const satisfies Readonly<Record<string, Front>>;

export const authorization: Directive = block(
  "IfModule",
  ["mod_setenvif.c"],
  [line("SetEnvIf", ["Authorization", "(.+)", "HTTP_AUTHORIZATION=$1"])],
  "Applications check the Authorization header themselves; CGIPassAuth is forbidden on many hosts.",
);

const filesFirst: readonly Directive[] = [
  line("RewriteEngine", ["On"]),
  line(
    "RewriteCond",
    ["%{REQUEST_FILENAME}", "-f", "[OR]"],
    "A file of this folder, or a folder in it with an index page, is sent by Apache, unless it is one of these:",
  ),
  line("RewriteCond", ["%{REQUEST_FILENAME}/index.html", "-f"]),
  ...publishedConditions("/$1"),
  line("RewriteRule", ["^(.*)$", "-", "[L]"]),
];

/** The executable may run, whatever `Options` the rest of the file has. */
export function runFront({ file, handler }: Front): Directive {
  return block(
    "Files",
    [file],
    [line("Options", ["+ExecCGI"], "The executable may run."), line("SetHandler", [handler])],
  );
}

/** What was not decided before goes to the executable. */
export function toFront({ file }: Front): Directive[] {
  return [
    line("RewriteRule", [`^${regexLiteral(file)}(/|$)`, "-", "[L]"], "Everything else goes to the application, once;"),
    line(
      "RewriteRule",
      ["^(.*)$", `${file}/$1`, "[B=%?#,L]"],
      "B: a %25, %3F or %23 in the path reaches it as it was sent. %2F never can: only the server's own configuration allows it.",
    ),
  ];
}

function frontScript(front: Front): Directive[] {
  return [runFront(front), authorization, blank, ...filesFirst, blank, ...toFront(front)];
}

function wrapperNote(file: string, command: readonly string[]): Directive {
  return note(
    [
      `Put this into the folder as .htaccess, and beside it the executable ${file} (chmod 755):`,
      "    #!/bin/sh",
      `    exec ${command.map(shellWord).join(" ")}`,
      "Keep the application itself outside every folder that Apache serves.",
    ].join("\n"),
  );
}

/** A word for a POSIX shell. */
export function shellWord(word: string): string {
  return /^[A-Za-z0-9_@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", String.raw`'\''`)}'`;
}

/** CGI: `command` is what the executable runs. */
export function htaccessCgi(command: readonly string[]): Directive[] {
  return [wrapperNote(fronts.cgi.file, command), blank, ...frontScript(fronts.cgi)];
}

/** mod_fcgid: `command` is what the executable runs. */
export function htaccessFcgid(command: readonly string[]): Directive[] {
  return [wrapperNote(fronts.fcgid.file, command), blank, ...frontScript(fronts.fcgid)];
}

/** mod_proxy_fcgi to a daemon that runs under the same account. */
export function htaccessProxy(backend: Backend, mountPoint: string, command: readonly string[]): Directive[] {
  return [
    note(
      [
        "Put this into the folder as .htaccess, and keep this running, with a socket that Apache's user may open:",
        `    ${command.map(shellWord).join(" ")}`,
        "Keep the application itself outside every folder that Apache serves.",
      ].join("\n"),
    ),
    blank,
    line("ProxyFCGIBackendType", ["GENERIC"], "Variables as they are, without the changes that PHP-FPM expects."),
    line("SetEnv", ["TSGI_MOUNT_POINT", mountPoint === "" ? "/" : mountPoint], "The URL of this folder."),
    authorization,
    blank,
    line("SetHandler", [`proxy:${backend.url}`], "The daemon gets everything,"),
    block(
      "If",
      [`-f %{REQUEST_FILENAME} && ${publishedExpression()}`],
      [line("SetHandler", ["None"])],
      "but files that are for visitors: no folders, names and sources that are to stay hidden.",
    ),
  ];
}
