// `tsgi doctor` on folders of a real Apache: each row breaks a folder that works in one way, sees Apache fail because of it, and has the
// doctor name the cause. The folders that work are asked too: nothing may be found there.
import { execFileSync } from "node:child_process";
import { existsSync } from "node:fs";
import { chmod, chown, mkdir, readFile, rename, rm, symlink, writeFile } from "node:fs/promises";
import { createServer, type Socket } from "node:net";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { examine } from "../../src/doctor/doctor.ts";
import { isTrouble } from "../../src/doctor/finding.ts";
import { findApaches } from "../../src/doctor/find-apache.ts";
import { findSubject } from "../../src/doctor/subject.ts";
import type { Apache } from "../harness/apache.ts";
import { apacheAccount, findHttpd, freePort, loadModules } from "../harness/machine.ts";
import { until } from "../harness/until.ts";
import { Workspace } from "../harness/workspace.ts";

let workspace: Workspace;
let apache: Apache;
let daemonSocket = "";
const stops: (() => Promise<unknown>)[] = [];

type Kind = "cgi" | "fcgid" | "proxy";

interface Row {
  readonly name: string;
  readonly kind?: Kind;
  readonly break: (folder: string) => Promise<unknown>;
  readonly code: string;
  /** What the finding has to name. */
  readonly says: RegExp;
  /** What Apache answers then; undefined: nothing different, or not asked. */
  readonly status?: number | RegExp;
  /** What is asked for then; otherwise a page of the application. */
  readonly path?: string;
  /** More for the <Directory> of the folder. */
  readonly config?: string;
  /** The application is loaded too, which takes a process. */
  readonly isLoaded?: boolean;
}

/** A socket at a path, whose connections are answered with a text and closed. */
async function listenAt(path: string, text = ""): Promise<void> {
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on("error", () => {});
    socket.once("close", () => sockets.delete(socket));
    socket.end(text);
  });
  await new Promise<void>((resolve) => server.listen(path, resolve));
  await chmod(path, 0o777);
  stops.push(() => {
    for (const socket of sockets) socket.destroy();
    return new Promise((resolve) => server.close(resolve));
  });
}

const socketAt = (folder: string, path: string) =>
  edit(".htaccess", (text) => text.replace(/unix:[^|]*/, `unix:${path}`))(folder);

const edit = (name: string, change: (text: string) => string) => async (folder: string) => {
  const file = join(folder, name);
  await writeFile(file, change(await readFile(file, "utf8")));
};
const append = (name: string, text: string) => edit(name, (old) => `${old}${text}`);
const write =
  (name: string, text: string, mode = 0o644) =>
  async (folder: string) => {
    await writeFile(join(folder, name), text);
    await chmod(join(folder, name), mode);
  };
const mode = (name: string, bits: number) => (folder: string) => chmod(join(folder, name), bits);
const first = (line: string) => edit("app.cgi", (text) => text.replace(/^.*/, line));

const rows: Row[] = [
  // The program and its interpreter.
  { name: "no execute bit", break: mode("app.cgi", 0o644), code: "TSGI3511", says: /chmod 755/, status: 500 },
  {
    name: "no #! line",
    break: edit("app.cgi", (text) => text.replace(/^.*\n/, "")),
    code: "TSGI3504",
    says: /Exec format/,
    status: 500,
  },
  {
    name: "a byte order mark",
    break: edit("app.cgi", (text) => `\u{FEFF}${text}`),
    code: "TSGI3505",
    says: /byte order mark/,
    status: 500,
  },
  {
    name: "Windows line ends",
    break: edit("app.cgi", (text) => text.replaceAll("\n", "\r\n")),
    code: "TSGI3506",
    says: /CR LF/,
    status: 500,
  },
  {
    name: "Windows line ends but in the first line",
    break: edit("app.cgi", (text) => text.replace(/\n(exec.*)\n/, "\n$1\r\n")),
    code: "TSGI3506",
    says: /app\.cgi:\d+.*CR LF/,
  },
  {
    name: "an interpreter that is not there",
    break: first("#!/usr/bin/nodejs-20/node"),
    code: "TSGI3507",
    says: /\/usr\/bin\/nodejs-20\/node is not there/,
    status: 500,
  },
  { name: "an interpreter in quotes", break: first('#!"/bin/sh"'), code: "TSGI3510", says: /quotes/, status: 500 },
  {
    name: "env with a flag",
    break: write("app.cgi", "#!/usr/bin/env node --no-warnings\n", 0o755),
    code: "TSGI3510",
    says: /env -S/,
    status: 500,
  },
  {
    name: "a first line that is too long",
    break: first(`#!/bin/sh ${"x".repeat(300)}`),
    code: "TSGI3509",
    says: /310 bytes/,
  },
  {
    name: "an interpreter in a closed home",
    break: async (folder) => {
      await mkdir(join(folder, "home/.nvm"), { recursive: true });
      await symlink("/bin/sh", join(folder, "home/.nvm/link"));
      await write("home/.nvm/node", "#!/bin/sh\n", 0o755)(folder);
      await chmod(join(folder, "home"), 0o700);
      await first(`#!${folder}/home/.nvm/node`)(folder);
    },
    code: "TSGI3508",
    says: /may not enter .*home,/,
    status: 500,
  },
  {
    name: "an old node",
    break: async (folder) => {
      await write("node", "#!/bin/sh\necho v18.20.4\n", 0o755)(folder);
      await first(`#!${folder}/node`)(folder);
    },
    code: "TSGI3502",
    says: /v18\.20\.4/,
  },
  {
    name: "a wrapper without node on the PATH",
    break: edit("app.cgi", (text) => text.replace("exec ", "PATH=/nonexistent exec ")),
    code: "TSGI3501",
    says: /PATH that it gets \(\/nonexistent\)/,
    status: 500,
  },
  {
    name: "a wrapper that prints",
    break: edit("app.cgi", (text) => text.replace("exec ", "echo Starting the application\nexec ")),
    code: "TSGI3514",
    says: /app\.cgi:2/,
    status: 500,
  },
  {
    name: "a wrapper of a gateway that is not there",
    break: edit("app.cgi", (text) => text.replace("tsgi-cgi", "tsgi-gci")),
    code: "TSGI3507",
    says: /tsgi-gci is not there/,
    status: 500,
  },
  {
    name: "an application that is not there",
    break: edit("app.cgi", (text) => text.replace(/app\.ts/, "ap.ts")),
    code: "TSGI3001",
    says: /ap\.ts is not there/,
  },
  {
    name: "a wrapper that misses the node it names",
    break: edit("app.cgi", (text) =>
      text.replace("\n", '\nNODE=/opt/gone/bin/node\n[ -x "$NODE" ] || { echo "no $NODE" >&2; exit 127; }\n'),
    ),
    code: "TSGI3507",
    says: /app\.cgi:3: \/opt\/gone\/bin\/node is not there/,
    status: 500,
  },
  {
    name: "the program of mod_fcgid for CGI",
    break: edit("app.cgi", (text) => text.replace("tsgi-cgi", "tsgi-fcgid")),
    code: "TSGI3537",
    says: /app\.cgi:2: its handler is cgi-script, and it runs tsgi-fcgid/,
    status: 500,
  },
  {
    name: "the program of CGI for mod_fcgid",
    kind: "fcgid",
    break: edit("app.fcgi", (text) => text.replace("tsgi-fcgid", "tsgi-cgi")),
    code: "TSGI3537",
    says: /app\.fcgi:2: its handler is fcgid-script, and it runs tsgi-cgi/,
    path: "",
    status: 500,
  },
  {
    name: "an option that tsgi-cgi does not know",
    break: edit("app.cgi", (text) => text.replace(/(tsgi-cgi'?)/, "$1 --mountpoint=/x")),
    code: "TSGI3101",
    says: /app\.cgi:\d+: unknown option "--mountpoint=\/x"/,
    status: 500,
  },
  {
    name: "an adapter that there is not",
    break: append(".htaccess", "SetEnv TSGI_ADAPTER expres\n"),
    code: "TSGI3101",
    says: /\.htaccess:\d+: unknown adapter "expres"/,
    status: 500,
  },
  {
    name: "a program that is not there",
    break: (folder) => rename(join(folder, "app.cgi"), join(folder, "application.bin")),
    code: "TSGI3541",
    says: /leads to app\.cgi/,
    status: /404|500/,
  },
  {
    name: "an application that Apache's user cannot read",
    break: mode("code/app.ts", 0o600),
    code: "TSGI3521",
    says: /may not read .*app\.ts/,
  },
  // The folder.
  {
    name: "a closed folder",
    break: (folder) => chmod(folder, 0o700),
    code: "TSGI3520",
    says: /may not enter/,
    status: 403,
  },
  { name: "a folder of mode 0777", break: (folder) => chmod(folder, 0o777), code: "TSGI3522", says: /0777/ },
  { name: "a program of mode 0777", break: mode("app.cgi", 0o777), code: "TSGI3522", says: /app\.cgi.*0777/ },
  {
    name: "a link that may not be followed",
    break: async (folder) => {
      await rename(join(folder, "app.cgi"), join(folder, "real.cgi"));
      await symlink("real.cgi", join(folder, "app.cgi"));
      await edit(".htaccess", (text) => text.replace("Options +ExecCGI", "Options +ExecCGI -FollowSymLinks"))(folder);
    },
    code: "TSGI3528",
    says: /symbolic link/,
    status: 403,
  },
  // .htaccess.
  {
    name: "a directive that is misspelled",
    break: append(".htaccess", "RewritRule ^x$ y\n"),
    code: "TSGI3531",
    says: /did you mean RewriteRule/,
    status: 500,
  },
  {
    name: "a directive that only another module would know",
    break: append(".htaccess", "PassengerEnabled On\n"),
    code: "TSGI3531",
    says: /Invalid command|no directive/,
    status: 500,
  },
  {
    name: "a directive that is not for .htaccess",
    break: append(".htaccess", "FcgidMaxRequestLen 1000000\n"),
    code: "TSGI3532",
    says: /FcgidMaxRequestLen is not allowed/,
    status: 500,
  },
  {
    name: "a section that is not for .htaccess",
    break: append(".htaccess", "<Directory /x>\n</Directory>\n"),
    code: "TSGI3532",
    says: /<Directory> is not allowed/,
    status: 500,
  },
  {
    name: "a section that is not closed",
    break: append(".htaccess", "<IfModule mod_x.c>\n"),
    code: "TSGI3534",
    says: /never closed/,
    status: 500,
  },
  {
    name: "an argument that is wrong",
    break: append(".htaccess", "RewriteRule ^x$ y [NoSuchFlag]\n"),
    code: "TSGI3534",
    says: /unknown flag/,
    status: 500,
  },
  {
    name: "an expression that is broken",
    break: append(".htaccess", "RewriteRule ^(x$ y\n"),
    code: "TSGI3534",
    says: /cannot compile/,
    status: 500,
  },
  {
    name: "options with and without a sign",
    break: edit(".htaccess", (text) => text.replace("+ExecCGI", "+ExecCGI Indexes")),
    code: "TSGI3534",
    says: /either all/,
    status: 500,
  },
  {
    name: "AllowOverride None",
    break: async () => {},
    config: "AllowOverride None",
    code: "TSGI3533",
    says: /AllowOverride None in .*httpd\.conf:\d+/,
    status: /200|403|404/,
  },
  {
    name: "AllowOverride without Options",
    break: async () => {},
    config: "AllowOverride FileInfo AuthConfig",
    code: "TSGI3532",
    says: /Options is not allowed here/,
    status: 500,
  },
  {
    name: "AllowOverride with other options",
    break: async () => {},
    config: "AllowOverride FileInfo AuthConfig Options=Indexes",
    code: "TSGI3532",
    says: /Options is not allowed here/,
    status: 500,
  },
  {
    name: "an .htaccess that Apache cannot read",
    break: mode(".htaccess", 0o600),
    code: "TSGI3521",
    says: /chmod 644/,
    status: 403,
  },
  // Handlers and rules.
  {
    name: "no ExecCGI",
    break: edit(".htaccess", (text) => text.replace(/Options.*\n/, "")),
    code: "TSGI3535",
    says: /Options \+ExecCGI/,
    status: 403,
  },
  {
    name: "-ExecCGI",
    break: edit(".htaccess", (text) => text.replace("+ExecCGI", "-ExecCGI")),
    code: "TSGI3535",
    says: /\.htaccess:1/,
    status: 403,
  },
  {
    name: "no handler",
    break: edit(".htaccess", (text) => text.replace(/AddHandler.*\n/, "")),
    code: "TSGI3536",
    says: /AddHandler cgi-script \.cgi/,
    path: "app.cgi",
    status: 200,
  },
  {
    name: "a handler of another module",
    break: edit(".htaccess", (text) => text.replace("cgi-script", "fastcgi-script")),
    code: "TSGI3537",
    says: /mod_fastcgi/,
  },
  {
    name: "a rule without an end",
    break: edit(".htaccess", (text) => text.replace(/RewriteCond.*\n/g, "")),
    code: "TSGI3540",
    says: /\.htaccess:\d+.*AH00124/,
    status: 500,
  },
  {
    name: "rules that are turned off again",
    break: append(".htaccess", "RewriteEngine Off\n"),
    code: "TSGI3541",
    says: /\.htaccess:\d+: this turns off all rules/,
    status: 404,
  },
  {
    name: "a rule that forbids everything",
    break: edit(".htaccess", (text) => text.replace("RewriteCond", "RewriteRule ^ - [F]\nRewriteCond")),
    code: "TSGI3547",
    says: /\.htaccess:\d+: the rule forbids every page/,
    status: 403,
  },
  {
    name: "passwords that are not there",
    break: append(".htaccess", "AuthUserFile /nonexistent/.htpasswd\n"),
    code: "TSGI3547",
    says: /\.htaccess:\d+: AuthUserFile names \/nonexistent\/\.htpasswd, which is not there/,
  },
  {
    name: "no path after the program's name",
    break: append(".htaccess", "AcceptPathInfo Off\n"),
    code: "TSGI3541",
    says: /\.htaccess:\d+: AcceptPathInfo Off/,
    status: 404,
  },
  {
    name: "rules without an option for links",
    break: edit(".htaccess", (text) => text.replace("+ExecCGI", "ExecCGI")),
    code: "TSGI3542",
    says: /SymLinksIfOwnerMatch/,
    status: 403,
  },
  {
    name: "a rule to a program that is not there",
    break: edit(".htaccess", (text) => text.replace("app.cgi/$1", "apps.cgi/$1")),
    code: "TSGI3541",
    says: /apps\.cgi/,
    status: /404|500/,
  },
  {
    name: "visitors are denied",
    break: async () => {},
    config: "Require all denied",
    code: "TSGI3547",
    says: /Require all denied|all denied/,
    status: 403,
  },
  // What gets lost.
  {
    name: "no Authorization",
    break: edit(".htaccess", (text) => text.replace(/CGIPassAuth.*\n/, "")),
    code: "TSGI3543",
    says: /CGIPassAuth On/,
  },
  { name: "little memory", break: append(".htaccess", "RLimitMEM 400000000\n"), code: "TSGI3552", says: /381 MiB/ },
  { name: "few processes", break: append(".htaccess", "RLimitNPROC 5\n"), code: "TSGI3553", says: /5 processes/ },
  {
    name: "a small limit for uploads",
    break: append(".htaccess", "LimitRequestBody 1000\n"),
    code: "TSGI3544",
    says: /1000 bytes/,
  },
  {
    name: "a folder for compiled scripts of another user",
    break: async (folder) => {
      await mkdir(join(folder, "cache"), { mode: 0o700 });
      await edit("app.cgi", (text) => text.replace(/--cache-dir=[^']*/, `--cache-dir=${folder}/cache`))(folder);
    },
    code: "TSGI3555",
    says: /chown|mode is/,
  },
  {
    name: "a wrapper that changes to a folder that is not there",
    break: edit("app.cgi", (text) => text.replace("exec ", "cd /nonexistent || exit 1\nexec ")),
    code: "TSGI3515",
    says: /\/nonexistent/,
    status: 500,
  },
  {
    name: "an .htaccess with the name that Windows gives it",
    break: (folder) => rename(join(folder, ".htaccess"), join(folder, "htaccess.txt")),
    code: "TSGI3578",
    says: /mv .*htaccess\.txt/,
  },
  {
    name: "an application that node runs by itself",
    break: write("app.cgi", '#!/usr/bin/env node\nexport const application = () => "";\n', 0o755),
    code: "TSGI3516",
    says: /tsgi-cgi as its first line/,
    path: "app.cgi",
    status: 500,
  },
  {
    name: "a RewriteBase of another folder",
    break: append(".htaccess", "RewriteBase /other/\n"),
    code: "TSGI3541",
    says: /RewriteBase \/row-\d+\//,
    status: 404,
  },
  {
    name: "a condition that is not closed",
    break: edit(".htaccess", (text) => `<IfModule mod_rewrite.c>\n${text}`),
    code: "TSGI3534",
    says: /never closed with <\/IfModule>;/,
  },
  // What visitors could fetch.
  {
    name: "secrets in the folder",
    break: write(".env", "PASSWORD=x\n"),
    code: "TSGI3550",
    says: /\.env: visitors can fetch/,
  },
  {
    name: "packages in the folder",
    break: async (folder) => {
      await mkdir(join(folder, "node_modules"));
      await write("node_modules/.package-lock.json", "{}")(folder);
    },
    code: "TSGI3550",
    says: /node_modules/,
  },
  // mod_fcgid.
  {
    name: "mod_fcgid without ExecCGI",
    kind: "fcgid",
    break: edit(".htaccess", (text) => text.replace(/Options.*\n/, "")),
    code: "TSGI3535",
    says: /ExecCGI/,
    path: "app.fcgi",
    status: 403,
  },
  {
    name: "mod_fcgid and a program without x",
    kind: "fcgid",
    break: mode("app.fcgi", 0o644),
    code: "TSGI3511",
    says: /chmod 755/,
    path: "app.fcgi",
    status: /50\d/,
  },
  {
    name: "an FcgidWrapper that is not there",
    kind: "fcgid",
    break: append(".htaccess", "FcgidWrapper /nonexistent/run.fcgi .fcgi\n"),
    code: "TSGI3503",
    says: /nonexistent|Apache refuses/,
    status: 500,
  },
  // The daemon.
  {
    name: "no socket",
    kind: "proxy",
    break: edit(".htaccess", (text) => text.replace(/unix:[^|]*/, "unix:/nonexistent/app.sock")),
    code: "TSGI3557",
    says: /tsgi daemon APP/,
    status: 503,
  },
  {
    name: "no GENERIC",
    kind: "proxy",
    break: edit(".htaccess", (text) => text.replace(/ProxyFCGIBackendType.*\n/, "")),
    code: "TSGI3562",
    says: /GENERIC/,
  },
  {
    name: "a socket nobody answers at",
    kind: "proxy",
    break: async (folder) => {
      const path = join(folder, "old.sock");
      await listenAt(path);
      await rename(path, `${path}.kept`);
      await stops.pop()?.();
      await rename(`${path}.kept`, path);
      await socketAt(folder, path);
    },
    code: "TSGI3559",
    says: /nobody answers/,
    status: 503,
  },
  {
    name: "a socket that Apache's user may not open",
    kind: "proxy",
    break: async (folder) => {
      const path = join(folder, "closed.sock");
      await listenAt(path);
      await chmod(path, 0o600);
      await socketAt(folder, path);
    },
    code: "TSGI3558",
    says: /may not open the socket/,
    status: 503,
  },
  {
    name: "two daemons",
    kind: "proxy",
    break: async (folder) => {
      const path = join(folder, "twice.sock");
      await listenAt(path);
      await rename(path, `${path}.first`);
      await listenAt(path);
      await socketAt(folder, path);
    },
    code: "TSGI3560",
    says: /2 daemons/,
  },
  {
    name: "an HTTP server in its place",
    kind: "proxy",
    break: async (folder) => {
      const path = join(folder, "http.sock");
      await listenAt(path, "HTTP/1.1 400 Bad Request\r\n\r\n");
      await socketAt(folder, path);
    },
    code: "TSGI3561",
    says: /does not speak FastCGI/,
    status: 503,
  },
  // The application.
  {
    name: "a package that is not installed",
    break: edit("code/app.ts", (text) => `import "no-such-package";\n${text}`),
    code: "TSGI3570",
    says: /npm install/,
    isLoaded: true,
  },
  {
    name: "a broken tsconfig",
    break: write("code/tsconfig.json", '{ "extends": "./nowhere.json", '),
    code: "TSGI3572",
    says: /tsconfig/,
    isLoaded: true,
  },
  {
    name: "a syntax error",
    break: edit("code/app.ts", (text) => `${text}const = 1;\n`),
    code: "TSGI3004",
    says: /app\.ts:\d+/,
    isLoaded: true,
  },
  {
    name: "an application that throws as it is loaded",
    break: edit("code/app.ts", (text) => `${text}throw new Error("no database");\n`),
    code: "TSGI3003",
    says: /no database/,
    isLoaded: true,
  },
  {
    name: "another name for the export",
    break: edit("code/app.ts", (text) => text.replace("application", "aplication")),
    code: "TSGI3002",
    says: /application/,
    isLoaded: true,
  },
  {
    name: "CommonJS in an ES module",
    break: edit("code/app.ts", (text) => `module.exports = {};\n${text}`),
    code: "TSGI3571",
    says: /module is not defined|import and export/,
    isLoaded: true,
  },
];

const healthy = (kind: Kind): string => {
  switch (kind) {
    case "cgi":
      return `Options +ExecCGI
AddHandler cgi-script .cgi
CGIPassAuth On
RewriteEngine On
RewriteCond %{REQUEST_FILENAME} !-f
RewriteRule ^(.*)$ app.cgi/$1 [L]
`;
    case "fcgid":
      return "Options +ExecCGI\nAddHandler fcgid-script .fcgi\nCGIPassAuth On\nDirectoryIndex app.fcgi\n";
    case "proxy":
      return `ProxyFCGIBackendType GENERIC\nCGIPassAuth On\nSetHandler "proxy:unix:${daemonSocket}|fcgi://doctor/"\n`;
  }
};

const source = `export const application = (environ, startResponse) => {
  startResponse("200 OK", [["Content-Type", "text/plain"]]);
  return "hello";
};
`;

/** A folder that works. Code is kept beside what is served. */
async function makeFolder(name: string, kind: Kind): Promise<string> {
  const folder = workspace.path("www", name);
  await workspace.write(`www/${name}/.htaccess`, healthy(kind));
  await workspace.write(`www/${name}/code/app.ts`, source);
  if (kind === "cgi") await workspace.wrapper(`www/${name}/app.cgi`, "tsgi-cgi", join(folder, "code/app.ts"));
  if (kind === "fcgid") await workspace.wrapper(`www/${name}/app.fcgi`, "tsgi-fcgid", join(folder, "code/app.ts"));
  return folder;
}

const nameOf = (row: Row): string => `row-${rows.indexOf(row)}`;

async function troubles(folder: string, isLoading = false): Promise<string[]> {
  const options = { httpd: undefined, apacheUser: undefined, configFile: join(apache.root, "httpd.conf") };
  const findings = await examine(await findSubject(folder, options), { isLoading });
  return findings
    .filter(isTrouble)
    .map(({ code, place, message, remedy }) => `${code} ${place}: ${message}; remedy: ${remedy}`);
}

beforeAll(async () => {
  workspace = await Workspace.open();
  workspace.expectLog(/./u);
  ({ socket: daemonSocket } = await workspace.daemon([await workspace.write("daemon/app.ts", source)]));
  for (const kind of ["cgi", "fcgid", "proxy"] as const) await makeFolder(`fine-${kind}`, kind);
  for (const row of rows) {
    const folder = await makeFolder(nameOf(row), row.kind ?? "cgi");
    await row.break(folder);
  }
  const sections = rows.map(
    (row) => `<Directory "${workspace.path("www", nameOf(row))}">
  AllowOverride All
  ${row.config ?? ""}
</Directory>`,
  );
  apache = await workspace.apache({
    modules: ["cgid", "fcgid", "proxy", "proxy_fcgi", "rewrite"],
    documentRoot: workspace.path("www"),
    config: `AllowEncodedSlashes NoDecode
FcgidMaxRequestLen 1000000
FcgidOutputBufferSize 0
FcgidMaxProcessesPerClass 1
<Proxy "fcgi://doctor/">
  ProxySet flushpackets=on
</Proxy>
<Directory "${workspace.path("www")}">
  AllowOverride All
  Require all granted
</Directory>
<DirectoryMatch "/code(/|$)">
  Require all denied
</DirectoryMatch>
${sections.join("\n")}`,
  });
}, 60_000);

afterAll(async () => {
  for (const stop of stops) await stop();
  // Sockets that rows have put into their folders.
  await rm(workspace.path("www"), { recursive: true, force: true });
  await workspace.close();
}, 60_000);

test.each(["cgi", "fcgid", "proxy"] as const)("nothing is wrong with a folder of %s that works", async (kind) => {
  expect((await apache.request(`/fine-${kind}/`)).body.toString()).toBe("hello");
  expect(await troubles(workspace.path("www", `fine-${kind}`), true)).toEqual([]);
});

test("nothing is wrong with the empty folder cgi-bin that hosts put into a site", async () => {
  const inner = workspace.path("www/fine-cgi/cgi-bin");
  await mkdir(inner);
  expect(await troubles(inner)).toEqual([]);
});

describe("a folder that is broken", () => {
  test.each(rows.map((row) => [row.name, row] as const))("%s", async (_, row) => {
    const found = await troubles(workspace.path("www", nameOf(row)), row.isLoaded);
    const wanted = found.filter((line) => line.startsWith(row.code));
    expect(found.join("\n")).toContain(row.code);
    expect(wanted.join("\n")).toMatch(row.says);
    if (row.status === undefined) return;
    const { status } = await apache.request(`/${nameOf(row)}/${row.path ?? "some/page"}`);
    expect(String(status)).toMatch(new RegExp(row.status instanceof RegExp ? row.status : `^${row.status}$`));
  });
});

// A copy of the server's configuration that is different, which no server has to run with.
test.each([
  ["mod_cgid is not loaded", /^LoadModule cgid_module.*\n/m, "", "cgi", "TSGI3538 error"],
  ["mod_fcgid is not loaded", /^LoadModule fcgid_module.*\n|^Fcgid.*\n/gm, "", "fcgid", "TSGI3538 error"],
  ["mod_proxy_fcgi is not loaded", /^LoadModule proxy_fcgi_module.*\n/m, "", "proxy", "TSGI3538 error"],
  ["mod_rewrite is not loaded", /^LoadModule rewrite_module.*\n/m, "", "cgi", "TSGI3538 error"],
  [
    "a host for PHP only",
    /^LoadModule (?:cgid|fcgid|proxy_fcgi)_module.*\n|^(?:Fcgid|ScriptSock).*\n/gm,
    "",
    "cgi",
    "TSGI3539 error",
  ],
  ["a mistake in the server's configuration", /^ServerName/m, "ServerNam", "cgi", "TSGI3530 error"],
  ["mod_fcgid's limit for uploads", /^FcgidMaxRequestLen.*\n/m, "", "fcgid", "TSGI3544 note"],
  ["mod_fcgid's buffer", /^FcgidOutputBufferSize.*\n/m, "", "fcgid", "TSGI3545 note"],
  ["a proxy that does not flush", /^ *ProxySet.*\n/m, "", "proxy", "TSGI3545 note"],
  ["no encoded slashes", /^AllowEncodedSlashes.*\n/m, "", "cgi", "TSGI3546 note"],
])("the server: %s", async (_, from, to, kind, wanted) => {
  const configFile = workspace.path("other.conf");
  const text = await readFile(join(apache.root, "httpd.conf"), "utf8");
  await writeFile(configFile, text.replace(from, to));
  const subject = await findSubject(workspace.path("www", `fine-${kind}`), {
    httpd: undefined,
    apacheUser: undefined,
    configFile,
  });
  const findings = await examine(subject, { isLoading: false });
  expect(findings.map(({ code, severity }) => `${code} ${severity}`)).toContain(wanted);
  const lacking = findings.flatMap(({ message }) => /mod_\w+ is not loaded, to which/.exec(message)?.[0] ?? []);
  expect(lacking, "a module is named once").toEqual([...new Set(lacking)]);
});

test("a folder that no configuration serves is looked at as far as that goes", async () => {
  const folder = await makeFolder("../elsewhere", "cgi");
  await chmod(join(folder, "app.cgi"), 0o644);
  const findings = await examine(
    await findSubject(folder, { httpd: undefined, apacheUser: undefined, configFile: join(apache.root, "httpd.conf") }),
    { isLoading: false },
  );
  expect(findings.filter(isTrouble).map(({ code }) => code)).toEqual(["TSGI3511"]);
  expect(findings.map(({ code, severity }) => `${code} ${severity}`)).toContain("TSGI3548 note");
});

test("a server that was named is asked whether it accepts its configuration, though it serves another folder", async () => {
  const folder = await makeFolder("../beside", "cgi");
  const configFile = workspace.path("refused.conf");
  await writeFile(configFile, `${await readFile(join(apache.root, "httpd.conf"), "utf8")}\nBogus On\n`);
  const subject = await findSubject(folder, { httpd: undefined, apacheUser: undefined, configFile });
  const findings = await examine(subject, { isLoading: false });
  expect(findings.filter(isTrouble).map(({ code }) => code)).toEqual(["TSGI3530"]);
});

test("a disk that is full and runs no programs", async () => {
  const folder = workspace.path("www", "disk");
  await mkdir(folder);
  try {
    execFileSync("mount", ["-t", "tmpfs", "-o", "size=256k,mode=0755,noexec", "tsgi-test", folder]);
  } catch {
    return; // only root can, and not in every container
  }
  try {
    await makeFolder("disk", "cgi");
    expect((await apache.request("/disk/x")).status).toBe(500);
    const found = (await troubles(folder)).join("\n");
    expect(found).toMatch(/TSGI3512 .*app\.cgi: .*noexec/);
    expect(found).toMatch(/TSGI3554 .*the disk is full/);
  } finally {
    execFileSync("umount", [folder]);
  }
});

test("a closed folder is said once, not of every program in it", async () => {
  const found = await troubles(workspace.path("www", nameOf(rows.find(({ name }) => name === "a closed folder")!)));
  expect(found).toHaveLength(1);
});

test("a file that belongs to another user than its folder is named", async () => {
  const account = apacheAccount();
  if (account === undefined) return;
  const folder = await makeFolder("owner", "cgi");
  await chown(join(folder, "app.cgi"), account.uid, account.gid);
  expect((await troubles(folder)).join("\n")).toMatch(/TSGI3523 .*belongs to www-data/);
});

test("a server that another user runs is looked at as that user", async () => {
  const account = apacheAccount();
  if (account === undefined) return; // only root can be somebody else
  const root = await workspace.ownedDir("others");
  const file = await workspace.write(
    "others/httpd.conf",
    `ServerRoot "${root}"\nServerName localhost\nListen 127.0.0.1:${await freePort()}\nDefaultRuntimeDir "${root}"\nPidFile "${root}/httpd.pid"
ErrorLog "${root}/error.log"\nDocumentRoot "${workspace.path("www")}"\n${loadModules(["mpm_event", "authz_core"])}\n`,
  );
  const server = workspace.program("another Apache", [findHttpd().file, "-f", file, "-DFOREGROUND"]);
  await until("it to run", () => server.end !== undefined || existsSync(join(root, "httpd.pid")));
  const { found } = await findApaches({ httpd: undefined, configFile: file });
  expect(found).toMatchObject([{ pid: server.child.pid, owner: { uid: account.uid } }]);
  const subject = await findSubject(workspace.path("www/fine-cgi"), {
    httpd: undefined,
    apacheUser: undefined,
    configFile: file,
  });
  expect(subject.account?.uid).toBe(account.uid);
  await server.stop();
});
