// The variables table: every recipe by which Apache can hand a URL to us, against the real Apache. In each of them
// SCRIPT_NAME + PATH_INFO is the decoded path of the URL and SCRIPT_NAME the place where the application is mounted.
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { readFile } from "node:fs/promises";
import type { Apache } from "../harness/apache.ts";
import { Workspace, type Daemon } from "../harness/workspace.ts";

interface Case {
  readonly name: string;
  readonly target: string;
  readonly scriptName: string;
  readonly pathInfo: string;
  /** What Apache had sent, where it was mended: a name and its value, or a pattern for it. */
  readonly originals?: Readonly<Record<string, string | RegExp>>;
  /** Further variables; null for absent. */
  readonly variables?: Readonly<Record<string, string | RegExp | null>>;
  readonly headers?: ReadonlyArray<readonly [string, string]>;
  readonly method?: string;
  readonly body?: string;
}

const authorization = [["Authorization", "Basic eDp5"]] as const;

const proxied: readonly Case[] = [
  {
    name: "FilesMatch SetHandler, script with extra path",
    target: "/app/index.ts/a%20b?x=1",
    scriptName: "/app/index.ts",
    pathInfo: "/a b",
    variables: { QUERY_STRING: "x=1" },
  },
  { name: "FilesMatch SetHandler, script alone", target: "/app/index.ts", scriptName: "/app/index.ts", pathInfo: "" },
  {
    name: "FilesMatch SetHandler, script with a slash",
    target: "/app/index.ts/",
    scriptName: "/app/index.ts",
    pathInfo: "/",
  },
  {
    name: "FilesMatch SetHandler, a space in the file's name",
    target: "/app/sp%20ace.ts/x",
    scriptName: "/app/sp ace.ts",
    pathInfo: "/x",
  },
  {
    name: "FilesMatch SetHandler, UTF-8 in the file's name",
    target: "/app/%E6%97%A5%E6%9C%AC.ts/%E6%97%A5",
    scriptName: Buffer.from("/app/日本.ts").toString("latin1"),
    pathInfo: Buffer.from("/日").toString("latin1"),
  },
  {
    name: "SetHandler with a trailing slash after the host",
    target: "/slash/index.ts/a/b",
    scriptName: "/slash/index.ts",
    pathInfo: "/a/b",
  },
  {
    name: "SetHandler with a trailing slash, backend type GENERIC",
    target: "/slashg/index.ts/a/b",
    scriptName: "/slashg/index.ts",
    pathInfo: "/a/b",
  },
  {
    name: "Location SetHandler on a unix socket, backend type FPM",
    target: "/unixf/a/b",
    scriptName: "/unixf",
    pathInfo: "/a/b",
    originals: { SCRIPT_FILENAME: /^proxy:fcgi:\/\/unixf\// },
  },
  {
    name: "Location SetHandler on a unix socket, backend type GENERIC",
    target: "/unixg/a/b",
    scriptName: "/unixg",
    pathInfo: "/a/b",
  },
  { name: "Location SetHandler, the location itself", target: "/loc", scriptName: "/loc", pathInfo: "" },
  { name: "Location SetHandler, the location with a slash", target: "/loc/", scriptName: "/loc", pathInfo: "/" },
  { name: "Location SetHandler, below the location", target: "/loc/foo/bar", scriptName: "/loc", pathInfo: "/foo/bar" },
  {
    name: "Location SetHandler, encoded and repeated slashes",
    target: "/loc//a%2Fb//c",
    scriptName: "/loc",
    pathInfo: "//a/b//c",
  },
  {
    name: "Location SetHandler two levels deep, with --mount-point",
    target: "/deep/er/x%20y",
    scriptName: "/deep/er",
    pathInfo: "/x y",
    originals: { SCRIPT_NAME: "/deep" },
  },
  {
    name: "Location SetHandler two levels deep, with --mount-point, the location itself",
    target: "/deep/er",
    scriptName: "/deep/er",
    pathInfo: "",
  },
  {
    name: "Location / SetHandler, with a mount point of /",
    target: "/rooted/x/y",
    scriptName: "",
    pathInfo: "/rooted/x/y",
  },
  { name: "Alias", target: "/al/index.ts/pi", scriptName: "/al/index.ts", pathInfo: "/pi" },
  {
    name: "ProxyPass with a path",
    target: "/pp/a/b.php/pi?x",
    scriptName: "/pp",
    pathInfo: "/a/b.php/pi",
    originals: { SCRIPT_NAME: "/pp/a/b.php/pi", SCRIPT_FILENAME: /^proxy:fcgi:\/\/.*\/srv\/app\/a\/b\.php\/pi$/ },
  },
  { name: "ProxyPass with a path, the mount with its slash", target: "/pp/", scriptName: "/pp", pathInfo: "/" },
  {
    name: "ProxyPass with a path, encoded characters",
    target: "/pp/a%20b/%E6%97%A5",
    scriptName: "/pp",
    pathInfo: Buffer.from("/a b/日").toString("latin1"),
  },
  { name: "ProxyPass with a path, repeated slashes", target: "/pp//a//b", scriptName: "/pp", pathInfo: "//a//b" },
  { name: "ProxyPass without a path", target: "/ppr/foo/bar", scriptName: "/ppr", pathInfo: "/foo/bar" },
  {
    name: "ProxyPass with backend type GENERIC",
    target: "/ppg/a/b.php/pi",
    scriptName: "/ppg",
    pathInfo: "/a/b.php/pi",
  },
  { name: "ProxyPass to the application's file", target: "/ppapp/foo/bar", scriptName: "/ppapp", pathInfo: "/foo/bar" },
  { name: "ProxyPass to the application's file, nothing more", target: "/ppapp", scriptName: "/ppapp", pathInfo: "" },
  { name: "ProxyPass to a unix socket", target: "/pu/a/b.php/pi", scriptName: "/pu", pathInfo: "/a/b.php/pi" },
  {
    name: "ProxyPass onto its own path, with --mount-point",
    target: "/same/a/b",
    scriptName: "/same",
    pathInfo: "/a/b",
  },
  { name: "ProxyPassMatch to scripts", target: "/ppm/index.ts/pi%20x", scriptName: "/ppm/index.ts", pathInfo: "/pi x" },
  {
    name: "ProxyPass to a folder of scripts",
    target: "/pps/index.ts/pi",
    scriptName: "/pps/index.ts",
    pathInfo: "/pi",
  },
  {
    name: "ProxyPass nocanon with GENERIC and a query",
    target: "/ppn/a%2Fb%20c?q=1",
    scriptName: "/ppn",
    pathInfo: "/a/b c",
    variables: { QUERY_STRING: "q=1" },
  },
  { name: "ProxyPass to a balancer", target: "/bal/a/b.php/pi", scriptName: "/bal", pathInfo: "/a/b.php/pi" },
  {
    name: "Location SetHandler to a balancer",
    target: "/balh/a/b.php/pi",
    scriptName: "/balh",
    pathInfo: "/a/b.php/pi",
  },
  {
    name: "proxy-fcgi-pathinfo=full",
    target: "/pifull/index.ts/pi%20x",
    scriptName: "/pifull/index.ts",
    pathInfo: "/pi x",
  },
  {
    name: "proxy-fcgi-pathinfo=first-dot",
    target: "/pifd/index.ts/pi.x/y%20z",
    scriptName: "/pifd/index.ts",
    pathInfo: "/pi.x/y z",
  },
  {
    name: "proxy-fcgi-pathinfo=last-dot",
    target: "/pild/index.ts/pi.x/y",
    scriptName: "/pild/index.ts",
    pathInfo: "/pi.x/y",
  },
  { name: "proxy-fcgi-pathinfo=1", target: "/pi1/index.ts/pi%20", scriptName: "/pi1/index.ts", pathInfo: "/pi " },
  {
    name: "proxy-fcgi-pathinfo=unescape",
    target: "/piun/index.ts/pi%20",
    scriptName: "/piun/index.ts",
    pathInfo: "/pi ",
  },
  {
    name: "Action virtual to a location, one application",
    target: "/act/t.xyz/pi?q=1",
    scriptName: "",
    pathInfo: "/act/t.xyz/pi",
    originals: { SCRIPT_NAME: "/acthandler" },
  },
  {
    name: "Action virtual below a location, one application",
    target: "/act2/t.xyz2/pi?q=1",
    scriptName: "",
    pathInfo: "/act2/t.xyz2/pi",
    originals: { SCRIPT_NAME: "/acthandler", PATH_INFO: "/below/act2/t.xyz2/pi" },
  },
  {
    name: "Action virtual to a location, scripts",
    target: "/acts/page.ts/pi%20x?q=1",
    scriptName: "/acts/page.ts",
    pathInfo: "/pi x",
  },
  {
    name: "RewriteRule to a front script",
    target: "/rw/a%20b?q=1",
    scriptName: "/rw",
    pathInfo: "/a b",
    originals: { SCRIPT_NAME: "/rw/index.ts" },
    variables: { QUERY_STRING: "q=1" },
  },
  { name: "RewriteRule to a front script, the folder", target: "/rw/", scriptName: "/rw", pathInfo: "/" },
  { name: "RewriteRule to a front script, repeated slashes", target: "/rw/a//b", scriptName: "/rw", pathInfo: "/a//b" },
  {
    name: "RewriteRule to a front script, which is asked for by its name",
    target: "/rw/index.ts/a",
    scriptName: "/rw/index.ts",
    pathInfo: "/a",
  },
  {
    name: "RewriteRule to a front script without the path",
    target: "/rwn/a%20b/c",
    scriptName: "/rwn",
    pathInfo: "/a b/c",
  },
  {
    name: "RewriteRule [P] to a unix socket with GENERIC",
    target: "/rwp/a/b?q=1",
    scriptName: "/rwp",
    pathInfo: "/a/b",
    variables: { QUERY_STRING: "q=1" },
  },
  {
    name: "FallbackResource in its folder",
    target: "/fb/some/path?q",
    scriptName: "/fb",
    pathInfo: "/some/path",
    originals: { SCRIPT_NAME: "/fb/index.ts" },
  },
  {
    name: "FallbackResource of another folder",
    target: "/fbo/some/path?q",
    scriptName: "",
    pathInfo: "/fbo/some/path",
  },
  { name: "DirectoryIndex", target: "/di/", scriptName: "/di", pathInfo: "/" },
  { name: "DirectoryIndex of the root", target: "/", scriptName: "", pathInfo: "/" },
  {
    name: "a target in absolute form",
    target: "http://127.0.0.1/loc/a%20b?x",
    scriptName: "/loc",
    pathInfo: "/a b",
    variables: { QUERY_STRING: "x", REQUEST_URI: "http://127.0.0.1/loc/a%20b?x" },
  },
  { name: "dot segments", target: "/loc/a/../b/./c", scriptName: "/loc", pathInfo: "/b/c" },
  {
    name: "SetEnv HTTPS on gives https",
    target: "/secure/x",
    scriptName: "/secure",
    pathInfo: "/x",
    variables: { "wsgi.url_scheme": "https" },
  },
  {
    name: "variables of SetEnv arrive",
    target: "/secure/x",
    scriptName: "/secure",
    pathInfo: "/x",
    variables: { MY_SETTING: "a b" },
  },
  {
    name: "Authorization by CGIPassAuth",
    target: "/auth-pass",
    scriptName: "/auth-pass",
    pathInfo: "",
    headers: authorization,
    variables: { HTTP_AUTHORIZATION: "Basic eDp5" },
  },
  {
    name: "Authorization by SetEnvIf",
    target: "/auth-setenvif",
    scriptName: "/auth-setenvif",
    pathInfo: "",
    headers: authorization,
    variables: { HTTP_AUTHORIZATION: "Basic eDp5" },
  },
  {
    name: "no Authorization sent, SetEnvIf",
    target: "/auth-setenvif",
    scriptName: "/auth-setenvif",
    pathInfo: "",
    variables: { HTTP_AUTHORIZATION: null },
  },
  {
    name: "Authorization by RewriteRule E=",
    target: "/auth-rewrite",
    scriptName: "/auth-rewrite",
    pathInfo: "",
    headers: authorization,
    variables: { HTTP_AUTHORIZATION: "Basic eDp5" },
  },
  {
    name: "Authorization before an internal redirect",
    target: "/auth-redirect/x",
    scriptName: "/auth-redirect",
    pathInfo: "/x",
    headers: authorization,
    variables: { HTTP_AUTHORIZATION: "Basic eDp5" },
  },
  {
    name: "Authorization that Apache does not pass",
    target: "/auth-none",
    scriptName: "/auth-none",
    pathInfo: "",
    headers: authorization,
    variables: { HTTP_AUTHORIZATION: null },
  },
];

const started: readonly Case[] = [
  {
    name: "mod_fcgid wrapper file",
    target: "/fcgid/env.fcgi/pi%20x",
    scriptName: "/fcgid/env.fcgi",
    pathInfo: "/pi x",
  },
  {
    name: "mod_fcgid wrapper file, repeated slashes",
    target: "/fcgid/env.fcgi/a//b",
    scriptName: "/fcgid/env.fcgi",
    pathInfo: "/a//b",
  },
  { name: "mod_fcgid interpreter line", target: "/fcgid/inter.ts/pi", scriptName: "/fcgid/inter.ts", pathInfo: "/pi" },
  {
    name: "mod_fcgid FcgidWrapper for an extension",
    target: "/fcgidw/page.ts/pi",
    scriptName: "/fcgidw/page.ts",
    pathInfo: "/pi",
  },
  {
    name: "mod_fcgid FcgidWrapper virtual, with TSGI_MOUNT_POINT",
    target: "/virt/no/such%20thing",
    scriptName: "/virt",
    pathInfo: "/no/such thing",
    originals: { SCRIPT_NAME: "/virt/no" },
  },
  { name: "mod_fcgid FcgidWrapper virtual, the folder", target: "/virt/", scriptName: "/virt", pathInfo: "/" },
  {
    name: "mod_fcgid FcgidPassHeader Authorization",
    target: "/fcgid/env.fcgi",
    scriptName: "/fcgid/env.fcgi",
    pathInfo: "",
    headers: authorization,
    variables: { HTTP_AUTHORIZATION: "Basic eDp5" },
  },
  { name: "ScriptAlias", target: "/cgi-bin/env.cgi/pi%20x//y", scriptName: "/cgi-bin/env.cgi", pathInfo: "/pi x//y" },
  {
    name: "ScriptAlias to one file",
    target: "/sa/x%20y?q=1",
    scriptName: "/sa",
    pathInfo: "/x y",
    variables: { QUERY_STRING: "q=1" },
  },
  {
    name: "CGI by interpreter line",
    target: "/cgi/inter.ts/pi%20x?q=1",
    scriptName: "/cgi/inter.ts",
    pathInfo: "/pi x",
  },
  {
    name: "CGI as the target of Action",
    target: "/cgia/page.ts/extra%20path?q=1",
    scriptName: "/cgia/page.ts",
    pathInfo: "/extra path",
    variables: { QUERY_STRING: "q=1" },
  },
  {
    name: "CGI as the target of Action, script alone",
    target: "/cgia/page.ts",
    scriptName: "/cgia/page.ts",
    pathInfo: "",
  },
  { name: "CGI wrapper named by AddHandler", target: "/cgiw/app.cgi/x", scriptName: "/cgiw/app.cgi", pathInfo: "/x" },
  { name: "CGI wrapper with --mount-point", target: "/cgimp/app.cgi/x", scriptName: "/cgimp", pathInfo: "/app.cgi/x" },
];

const htaccess: readonly Case[] = [
  {
    name: "A: CGI for a whole folder",
    target: "/hta/x/y%20z?q=1",
    scriptName: "/hta",
    pathInfo: "/x/y z",
    originals: { SCRIPT_NAME: "/hta/app.cgi" },
  },
  { name: "A: the folder itself", target: "/hta/", scriptName: "/hta", pathInfo: "/" },
  {
    name: "A: Authorization by SetEnvIf over the rewrite",
    target: "/hta/x",
    scriptName: "/hta",
    pathInfo: "/x",
    headers: authorization,
    variables: { HTTP_AUTHORIZATION: "Basic eDp5" },
  },
  {
    name: "B: Action for a file type",
    target: "/htb/page.ts/extra?q=1",
    scriptName: "/htb/page.ts",
    pathInfo: "/extra",
  },
  { name: "C: mod_fcgid for a whole folder", target: "/htc/x/y%20z?q=1", scriptName: "/htc", pathInfo: "/x/y z" },
  {
    name: "C: Authorization by CGIPassAuth",
    target: "/htc/x",
    scriptName: "/htc",
    pathInfo: "/x",
    headers: authorization,
    variables: { HTTP_AUTHORIZATION: "Basic eDp5" },
  },
  { name: "D: FcgidWrapper virtual", target: "/htd/x/y%20z?q=1", scriptName: "/htd", pathInfo: "/x/y z" },
  {
    name: "E: SetHandler to a daemon",
    target: "/hte/x/y%20z?q=1",
    scriptName: "/hte",
    pathInfo: "/x/y z",
    originals: { SCRIPT_NAME: "/hte/x" },
  },
  {
    name: "E: Authorization by CGIPassAuth",
    target: "/hte/x",
    scriptName: "/hte",
    pathInfo: "/x",
    headers: authorization,
    variables: { HTTP_AUTHORIZATION: "Basic eDp5" },
  },
  {
    name: "F: RewriteRule [P] to a daemon",
    target: "/htf/x/y%20z?q=1",
    scriptName: "/htf",
    pathInfo: "/x/y z",
    variables: { QUERY_STRING: "q=1" },
  },
  {
    name: "G: FallbackResource to a CGI wrapper",
    target: "/htg/x/y%20z?q=1",
    scriptName: "/htg",
    pathInfo: "/x/y z",
    originals: { SCRIPT_NAME: "/htg/app.cgi" },
  },
  { name: "G: DirectoryIndex", target: "/htg/", scriptName: "/htg", pathInfo: "/" },
];

let workspace: Workspace;
let apache: Apache;

/** Daemons: one application; one application with mount points; a folder of scripts. */
interface Daemons {
  readonly one: Daemon;
  readonly tcp: Daemon;
  readonly scripts: Daemon;
  readonly tcpScripts: Daemon;
  readonly mounted: Daemon;
  readonly same: Daemon;
  readonly rooted: Daemon;
}

function proxyConfig(
  root: string,
  { one, tcp, scripts, tcpScripts, mounted, same, rooted }: Daemons,
  app: string,
): string {
  const handler = (path: string, socket: Daemon, host: string, more = ""): string =>
    `<Location "${path}">\n  ${more}\n  SetHandler "proxy:unix:${socket.socket}|fcgi://${host}"\n</Location>\n`;
  const scriptFolder = (name: string, more: string): string =>
    `<Directory "${root}/${name}">\n  ${more}\n</Directory>\n`;
  const onScripts = `<FilesMatch "\\.ts$">\n    SetHandler "proxy:unix:${scripts.socket}|fcgi://scripts"\n  </FilesMatch>`;
  const pathInfo = (name: string, value: string): string =>
    `SetEnvIf Request_URI "^/${name}/" proxy-fcgi-pathinfo=${value}\nProxyPass "/${name}/" "fcgi://127.0.0.1:${tcpScripts.port}${root}/app/"\n`;
  return `
${scriptFolder("app", onScripts)}
${scriptFolder("slash", `<FilesMatch "\\.ts$">\n SetHandler "proxy:fcgi://127.0.0.1:${tcpScripts.port}/"\n </FilesMatch>`)}
${scriptFolder("slashg", `ProxyFCGIBackendType GENERIC\n<FilesMatch "\\.ts$">\n SetHandler "proxy:fcgi://127.0.0.1:${tcpScripts.port}/"\n </FilesMatch>`)}
${handler("/unixf", one, "unixf")}
${handler("/unixg", one, "unixg", "ProxyFCGIBackendType GENERIC")}
<Location "/loc">
  SetHandler "proxy:fcgi://127.0.0.1:${tcp.port}"
</Location>
${handler("/deep/er", mounted, "mounted")}
${handler("/rooted", rooted, "rooted")}
Alias "/al" "${root}/app"
ProxyPass "/pp/" "fcgi://127.0.0.1:${tcp.port}/srv/app/"
ProxyPass "/ppr/" "fcgi://127.0.0.1:${tcp.port}/"
<Location "/ppg/">
  ProxyFCGIBackendType GENERIC
  ProxyPass "fcgi://127.0.0.1:${tcp.port}/srv/app/"
</Location>
ProxyPass "/ppapp" "fcgi://127.0.0.1:${tcp.port}${app}"
ProxyPass "/pu/" "unix:${one.socket}|fcgi://pu/srv/app/"
ProxyPass "/same/" "unix:${same.socket}|fcgi://same/same/"
ProxyPassMatch "^/ppm/(.*\\.ts(/.*)?)$" "fcgi://127.0.0.1:${tcpScripts.port}${root}/app/$1"
ProxyPass "/pps/" "fcgi://127.0.0.1:${tcpScripts.port}${root}/app/"
<Location "/ppn/">
  ProxyFCGIBackendType GENERIC
  ProxyPass "unix:${one.socket}|fcgi://ppn/srv/app/" nocanon
</Location>
<Proxy "balancer://b1">
  BalancerMember "fcgi://127.0.0.1:${tcp.port}"
</Proxy>
ProxyPass "/bal/" "balancer://b1/srv/app/"
<Location "/balh">
  SetHandler "proxy:balancer://b1/"
</Location>
${pathInfo("pifull", "full")}${pathInfo("pifd", "first-dot")}${pathInfo("pild", "last-dot")}${pathInfo("pi1", "1")}${pathInfo("piun", "unescape")}
AddHandler my-act .xyz
AddHandler my-act2 .xyz2
Action my-act /acthandler virtual
Action my-act2 /acthandler/below virtual
${handler("/acthandler", one, "act")}
${scriptFolder("acts", '<FilesMatch "\\.ts$">\n SetHandler script-act\n </FilesMatch>\n Action script-act /scripthandler virtual')}
${handler("/scripthandler", scripts, "actscripts")}
${scriptFolder("rw", `${onScripts}\n RewriteEngine On\n RewriteCond %{REQUEST_FILENAME} !-f\n RewriteRule ^(.*)$ index.ts/$0 [L]`)}
${scriptFolder("rwn", `${onScripts}\n RewriteEngine On\n RewriteCond %{REQUEST_FILENAME} !-f\n RewriteRule ^ index.ts [L]`)}
<Location "/rwp/">
  ProxyFCGIBackendType GENERIC
</Location>
RewriteEngine On
RewriteRule "^/rwp/(.*)$" "unix:${one.socket}|fcgi://rwp/f/$1" [P,NE,L]
${scriptFolder("fb", `${onScripts}\n FallbackResource /fb/index.ts`)}
${scriptFolder("fbo", "FallbackResource /app/index.ts")}
${scriptFolder("di", `${onScripts}\n DirectoryIndex index.ts`)}
<DirectoryMatch "^${root}/$">
  DirectoryIndex index.ts
</DirectoryMatch>
<Files "index.ts">
  SetHandler "proxy:unix:${scripts.socket}|fcgi://scripts"
</Files>
${handler("/secure", one, "secure", 'SetEnv HTTPS on\n  SetEnv MY_SETTING "a b"')}
${handler("/auth-pass", one, "auth1", "CGIPassAuth On")}
${handler("/auth-setenvif", one, "auth2", 'SetEnvIf Authorization "(.*)" HTTP_AUTHORIZATION=$1')}
${handler("/auth-rewrite", one, "auth3")}
${handler("/auth-none", one, "auth4")}
RewriteRule "^/auth-rewrite" "-" [E=HTTP_AUTHORIZATION:%{HTTP:Authorization}]
${scriptFolder("auth-redirect", `SetEnvIf Authorization "(.+)" HTTP_AUTHORIZATION=$1\n ${onScripts}\n RewriteEngine On\n RewriteCond %{REQUEST_FILENAME} !-f\n RewriteRule ^(.*)$ index.ts/$0 [L]`)}
`;
}

function startedConfig(root: string): string {
  return `
FcgidMaxProcessesPerClass 1
FcgidPassHeader Authorization
<Directory "${root}/fcgid">
  Options +ExecCGI
  AddHandler fcgid-script .fcgi .ts
</Directory>
<Directory "${root}/fcgidw">
  Options +ExecCGI
  AddHandler fcgid-script .ts
  FcgidWrapper "${root}/gateway/any.fcgi" .ts
</Directory>
<Directory "${root}/virt">
  Options +ExecCGI
  SetHandler fcgid-script
  FcgidWrapper "${root}/gateway/one.fcgi" virtual
  SetEnv TSGI_MOUNT_POINT /virt
</Directory>
ScriptAlias "/cgi-bin/" "${root}/gateway/"
ScriptAlias "/sa" "${root}/gateway/env.cgi"
<Directory "${root}/cgi">
  Options +ExecCGI
  AddHandler cgi-script .ts
</Directory>
<Directory "${root}/cgia">
  AddHandler ts-app .ts
  Action ts-app /cgi-bin/action.cgi
</Directory>
<Directory "${root}/cgiw">
  Options +ExecCGI
  AddHandler cgi-script .cgi
</Directory>
<Directory "${root}/cgimp">
  Options +ExecCGI
  AddHandler cgi-script .cgi
</Directory>
`;
}

/** Every folder and file of the document root. */
async function fill(hte: Daemon, htf: Daemon): Promise<string> {
  const source = await readFile(workspace.app("variables.ts"), "utf8");
  const root = workspace.path("www");
  const script = (name: string, line = ""): Promise<string> =>
    workspace.write(`www/${name}`, line + source, line === "" ? 0o644 : 0o755);
  for (const name of ["app", "slash", "slashg", "rw", "rwn", "fb", "di", "auth-redirect"])
    await script(`${name}/index.ts`);
  await script("app/sp ace.ts");
  await script("app/日本.ts");
  await script("index.ts");
  await script("acts/page.ts");
  await workspace.write("www/act/t.xyz", "");
  await workspace.write("www/act2/t.xyz2", "");
  await workspace.write("www/fbo/static.txt", "");
  const app = await script("one/app.ts");
  await script("fcgid/inter.ts", `#!${workspace.bin("tsgi-fcgid")}\n`);
  await script("cgi/inter.ts", `#!${workspace.bin("tsgi-cgi")}\n`);
  for (const name of ["fcgidw/page.ts", "cgia/page.ts", "htb/page.ts"]) await script(name);
  await workspace.write("www/virt/static.txt", "");
  for (const name of ["fcgid/env.fcgi", "gateway/one.fcgi", "htc/app.fcgi", "gateway/htd.fcgi"])
    await workspace.wrapper(`www/${name}`, "tsgi-fcgid", app);
  await workspace.wrapper("www/gateway/any.fcgi", "tsgi-fcgid");
  for (const name of ["gateway/env.cgi", "cgiw/app.cgi", "hta/app.cgi", "htg/app.cgi"])
    await workspace.wrapper(`www/${name}`, "tsgi-cgi", app);
  await workspace.wrapper("www/gateway/action.cgi", "tsgi-cgi");
  await workspace.wrapper("www/cgimp/app.cgi", "tsgi-cgi", "--mount-point=/cgimp", app);
  const rules = "Options +ExecCGI -MultiViews\nRewriteEngine On\nRewriteCond %{REQUEST_FILENAME} !-f\n";
  await workspace.write(
    "www/hta/.htaccess",
    `AddHandler cgi-script .cgi\nSetEnvIf Authorization "(.+)" HTTP_AUTHORIZATION=$1\n${rules}RewriteRule ^(.*)$ app.cgi/$1 [L]\n`,
  );
  await workspace.write("www/htb/.htaccess", "AddHandler ts-app .ts\nAction ts-app /cgi-bin/action.cgi\n");
  await workspace.write(
    "www/htc/.htaccess",
    `AddHandler fcgid-script .fcgi\nCGIPassAuth On\n${rules}RewriteRule ^(.*)$ app.fcgi/$1 [L]\n`,
  );
  await workspace.write(
    "www/htd/.htaccess",
    `Options +ExecCGI\nSetHandler fcgid-script\nFcgidWrapper "${root}/gateway/htd.fcgi" virtual\nSetEnv TSGI_MOUNT_POINT /htd\n`,
  );
  await workspace.write(
    "www/hte/.htaccess",
    `ProxyFCGIBackendType GENERIC\nCGIPassAuth On\nSetHandler "proxy:unix:${hte.socket}|fcgi://hte"\nSetEnv TSGI_MOUNT_POINT /hte\n`,
  );
  await workspace.write(
    "www/htf/.htaccess",
    `ProxyFCGIBackendType GENERIC\nRewriteEngine On\nRewriteRule ^(.*)$ unix:${htf.socket}|fcgi://htf/f/$1 [P,NE,L]\n`,
  );
  await workspace.write(
    "www/htg/.htaccess",
    "Options +ExecCGI\nAddHandler cgi-script .cgi\nFallbackResource /htg/app.cgi\nDirectoryIndex app.cgi\n",
  );
  return root;
}

beforeAll(async () => {
  workspace = await Workspace.open();
  const app = workspace.app("variables.ts");
  const scriptRoot = `--script-root=${workspace.path("www")}`;
  await workspace.write("www/one/.keep", "");
  const [one, tcp, scripts, tcpScripts, mounted, same, rooted] = await Promise.all([
    workspace.daemon([app]),
    workspace.daemon([app], { tcp: true }),
    workspace.daemon([scriptRoot]),
    workspace.daemon([scriptRoot], { tcp: true }),
    workspace.daemon([app, "--mount-point", "/deep/er"]),
    workspace.daemon([app, "--mount-point", "/same"]),
    workspace.daemon([app, "--mount-point", "/"]),
  ]);
  const root = await fill(one, one);
  apache = await workspace.apache({
    modules: [
      "proxy",
      "proxy_fcgi",
      "proxy_balancer",
      "slotmem_shm",
      "lbmethod_byrequests",
      "rewrite",
      "actions",
      "fcgid",
      "cgid",
    ],
    documentRoot: root,
    config: `
AllowEncodedSlashes On
MergeSlashes Off
DirectoryIndex disabled
<Directory "${root}">
  AllowOverride All
</Directory>
<Proxy "*">
  Require all granted
</Proxy>
${proxyConfig(root, { one, tcp, scripts, tcpScripts, mounted, same, rooted }, app)}
${startedConfig(root)}`,
  });
}, 60_000);

afterAll(() => workspace.close(), 60_000);

async function check(row: Case): Promise<void> {
  const reply = await apache.request({
    target: row.target,
    ...(row.headers === undefined ? {} : { headers: row.headers }),
    ...(row.method === undefined ? {} : { method: row.method }),
    ...(row.body === undefined ? {} : { body: row.body }),
  });
  const text = reply.body.toString();
  expect(reply.status, text).toBe(200);
  const variables = JSON.parse(text) as Record<string, string>;
  expect({ SCRIPT_NAME: variables["SCRIPT_NAME"], PATH_INFO: variables["PATH_INFO"] }, text).toEqual({
    SCRIPT_NAME: row.scriptName,
    PATH_INFO: row.pathInfo,
  });
  const wanted = Object.entries(row.variables ?? {});
  for (const [name, value] of Object.entries(row.originals ?? {})) wanted.push([`tsgi.original.${name}`, value]);
  for (const [name, value] of wanted) {
    if (value === null) expect(variables, text).not.toHaveProperty([name]);
    else if (value instanceof RegExp) expect(variables[name], `${name} in ${text}`).toMatch(value);
    else expect(variables[name], `${name} in ${text}`).toBe(value);
  }
  if (!row.target.startsWith("http:")) expect(variables["REQUEST_URI"]).toBe(row.target);
}

describe("mod_proxy_fcgi to a daemon", () => {
  for (const row of proxied) test.concurrent(row.name, () => check(row), 30_000);
});

describe("programs that Apache starts", () => {
  for (const row of started) test.concurrent(row.name, () => check(row), 30_000);
});

describe(".htaccess recipes", () => {
  for (const row of htaccess) test.concurrent(row.name, () => check(row), 30_000);
});
