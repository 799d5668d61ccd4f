import { describe, expect, test } from "vitest";
import type { MountHints, MountVariables } from "../../../src/gateway/mount.ts";
import { findMount, stripProxyPrefix } from "../../../src/gateway/mount.ts";

// Variables as Apache 2.4 was seen to pass them; D is its DocumentRoot, P the address of a FastCGI backend.
const D = "/srv/htdocs";
const P = "proxy:fcgi://127.0.0.1:9000";

interface Row {
  readonly recipe: string;
  readonly url: string;
  /** SCRIPT_NAME, PATH_INFO and SCRIPT_FILENAME as Apache passes them. */
  readonly name: string;
  readonly info?: string;
  readonly file?: string;
  readonly more?: Partial<MountVariables>;
  /** The mount that is right; with PATH_INFO it is the decoded path of the URL. */
  readonly mount: string;
  readonly path: string;
}

function split(row: Omit<Row, "mount" | "path" | "recipe">, hints: MountHints): [string, string] {
  const { scriptName, pathInfo } = findMount(
    {
      SCRIPT_NAME: row.name,
      PATH_INFO: row.info,
      REQUEST_URI: row.url,
      SCRIPT_FILENAME: row.file,
      DOCUMENT_ROOT: D,
      CONTEXT_DOCUMENT_ROOT: D,
      ...row.more,
    },
    hints,
  );
  return [scriptName, pathInfo];
}

const sun = "\xe6\x97\xa5"; // the bytes of a character in UTF-8
const land = "\xe6\x97\xa5\xe6\x9c\xac";
/** The daemon's hints: ProxyPass may be in front. */
const inDaemon = { mayBeProxied: true };
const redirected = { REDIRECT_STATUS: "200" };

/** Recipes that do not map the URL to a proxied path: the same with and without mod_proxy_fcgi. */
const mapped: readonly Row[] = [
  {
    recipe: "SetHandler on a file",
    url: "/app/index.php/a%20b?x=1",
    name: "/app/index.php",
    info: "/a b",
    file: `${P}${D}/app/index.php`,
    mount: "/app/index.php",
    path: "/a b",
  },
  {
    recipe: "SetHandler on a file, alone",
    url: "/app/index.php",
    name: "/app/index.php",
    file: `${P}${D}/app/index.php`,
    mount: "/app/index.php",
    path: "",
  },
  {
    recipe: "SetHandler on a file with a space",
    url: "/app/sp%20ace.php/x",
    name: "/app/sp ace.php",
    info: "/x",
    file: `${P}${D}/app/sp ace.php`,
    mount: "/app/sp ace.php",
    path: "/x",
  },
  {
    recipe: "SetHandler on a UTF-8 name",
    url: "/app/%E6%97%A5%E6%9C%AC.php/%E6%97%A5",
    name: `/app/${land}.php`,
    info: `/${sun}`,
    file: `${P}${D}/app/${land}.php`,
    mount: `/app/${land}.php`,
    path: `/${sun}`,
  },
  {
    recipe: "SetHandler with a trailing slash, type FPM",
    url: "/app/index.php/x",
    name: "/app/index.php",
    info: "/x",
    file: `${P}/${D}/app/index.php`,
    mount: "/app/index.php",
    path: "/x",
  },
  {
    recipe: "SetHandler with a trailing slash, alone, type FPM",
    url: "/app/index.php",
    name: "/app/index.php",
    file: `${P}/${D}/app/index.php`,
    mount: "/app/index.php",
    path: "",
  },
  {
    recipe: "SetHandler with a trailing slash, alone, type GENERIC",
    url: "/app/index.php",
    name: "/app/index.php",
    file: `/${D}/app/index.php`,
    mount: "/app/index.php",
    path: "",
  },
  {
    recipe: "unix socket, type FPM",
    url: "/unixf/a/b",
    name: "/unixf",
    info: "/a/b",
    file: `proxy:fcgi://app1${D}/unixf`,
    mount: "/unixf",
    path: "/a/b",
  },
  {
    recipe: "unix socket, type GENERIC",
    url: "/unixg/a/b",
    name: "/unixg",
    info: "/a/b",
    file: `${D}/unixg`,
    mount: "/unixg",
    path: "/a/b",
  },
  { recipe: "Location SetHandler", url: "/loc", name: "/loc", file: `${P}${D}/loc`, mount: "/loc", path: "" },
  {
    recipe: "Location SetHandler with a slash",
    url: "/loc/",
    name: "/loc",
    info: "/",
    file: `${P}${D}/loc`,
    mount: "/loc",
    path: "/",
  },
  {
    recipe: "Location SetHandler below",
    url: "/loc/foo/bar",
    name: "/loc",
    info: "/foo/bar",
    file: `${P}${D}/loc`,
    mount: "/loc",
    path: "/foo/bar",
  },
  {
    recipe: "Alias",
    url: "/al/index.php/pi",
    name: "/al/index.php",
    info: "/pi",
    file: `${P}${D}/app/index.php`,
    more: { CONTEXT_DOCUMENT_ROOT: `${D}/app` },
    mount: "/al/index.php",
    path: "/pi",
  },
  {
    recipe: "Alias outside of the document root, alone",
    url: "/al/index.php",
    name: "/al/index.php",
    file: `${P}/opt/app/index.php`,
    more: { CONTEXT_DOCUMENT_ROOT: "/opt/app" },
    mount: "/al/index.php",
    path: "",
  },
  {
    recipe: "ProxyPass, pathinfo=full",
    more: { "proxy-fcgi-pathinfo": "full" },
    url: "/ppfull/index.php/pi%20x",
    name: "/ppfull/index.php",
    info: "/pi x",
    file: `${D}/app/index.php`,
    mount: "/ppfull/index.php",
    path: "/pi x",
  },
  {
    recipe: "ProxyPass, pathinfo=first-dot",
    more: { "proxy-fcgi-pathinfo": "first-dot" },
    url: "/ppfd/a.php/pi.x/y%20z",
    name: "/ppfd/a.php",
    info: "/pi.x/y z",
    file: `${P}/srv/app/a.php/pi.x/y%20z`,
    mount: "/ppfd/a.php",
    path: "/pi.x/y z",
  },
  {
    recipe: "ProxyPass, pathinfo=last-dot",
    more: { "proxy-fcgi-pathinfo": "last-dot" },
    url: "/ppld/a.php/pi.x/y",
    name: "/ppld/a.php/pi.x",
    info: "/y",
    file: `${P}/srv/app/a.php/pi.x/y`,
    mount: "/ppld/a.php/pi.x",
    path: "/y",
  },
  {
    recipe: "ProxyPass, pathinfo=unescape",
    more: { "proxy-fcgi-pathinfo": "unescape" },
    url: "/ppun/a.php/pi%20",
    name: "/ppun",
    info: "/srv/app/a.php/pi ",
    file: `${P}/srv/app/a.php/pi%20`,
    mount: "/ppun",
    path: "/a.php/pi ",
  },
  {
    recipe: "SetHandler proxy:balancer",
    url: "/balh/a/b.php/pi",
    name: "/balh",
    info: "/a/b.php/pi",
    file: `${P}/${D}/balh`,
    mount: "/balh",
    path: "/a/b.php/pi",
  },
  {
    recipe: "Action to a path below a location",
    url: "/act/t.xyz/pi?q=1",
    name: "/loc",
    info: "/handler/act/t.xyz/pi",
    file: `${P}${D}/loc`,
    more: redirected,
    mount: "",
    path: "/act/t.xyz/pi",
  },
  {
    recipe: "Action to a virtual location",
    url: "/d/index.php/path/info?q",
    name: "/fcgi-action-virtual",
    info: "/d/index.php/path/info",
    file: `${P}${D}/fcgi-action-virtual`,
    more: redirected,
    mount: "",
    path: "/d/index.php/path/info",
  },
  {
    recipe: "RewriteRule to index.php/$0",
    url: "/rw/a%20b",
    name: "/rw/index.php",
    info: "/a b",
    file: `${P}${D}/rw/index.php`,
    more: redirected,
    mount: "/rw",
    path: "/a b",
  },
  {
    recipe: "RewriteRule to index.php/$0, the folder itself",
    url: "/rw/",
    name: "/rw/index.php",
    info: "/",
    file: `${P}${D}/rw/index.php`,
    more: redirected,
    mount: "/rw",
    path: "/",
  },
  {
    recipe: "RewriteRule to index.php/$0 at the root",
    url: "/a",
    name: "/index.php",
    info: "/a",
    file: `${P}${D}/index.php`,
    more: redirected,
    mount: "",
    path: "/a",
  },
  {
    recipe: "RewriteRule to the script alone",
    url: "/rw/a%20b",
    name: "/rw/index.php",
    file: `${P}${D}/rw/index.php`,
    more: redirected,
    mount: "/rw",
    path: "/a b",
  },
  {
    recipe: "RewriteRule from a subfolder to the script above",
    url: "/rw/api/x",
    name: "/rw/index.php",
    info: "/api/x",
    file: `${P}${D}/rw/index.php`,
    more: redirected,
    mount: "/rw",
    path: "/api/x",
  },
  {
    recipe: "the front script of a RewriteRule, asked for by its name",
    url: "/rw/index.php/x",
    name: "/rw/index.php",
    info: "/x",
    file: `${P}${D}/rw/index.php`,
    mount: "/rw/index.php",
    path: "/x",
  },
  {
    recipe: "FallbackResource elsewhere",
    url: "/fb/some/path?q",
    name: "/app/index.php",
    file: `${P}${D}/app/index.php`,
    mount: "",
    path: "/fb/some/path",
  },
  {
    recipe: "FallbackResource in the folder (hosting G)",
    url: "/m/x/y%20z?q=1",
    name: "/m/app.cgi",
    file: `${D}/m/app.cgi`,
    mount: "/m",
    path: "/x/y z",
  },
  {
    recipe: "DirectoryIndex (hosting G)",
    url: "/m/",
    name: "/m/app.cgi",
    file: `${D}/m/app.cgi`,
    mount: "/m",
    path: "/",
  },
  { recipe: "DirectoryIndex at the root", url: "/?q", name: "/app.cgi", file: `${D}/app.cgi`, mount: "", path: "/" },
  {
    recipe: "mod_fcgid",
    url: "/fcgid/env.fcgi/pi%20x",
    name: "/fcgid/env.fcgi",
    info: "/pi x",
    file: `${D}/fcgid/env.fcgi`,
    mount: "/fcgid/env.fcgi",
    path: "/pi x",
  },
  {
    recipe: "mod_fcgid virtual, the location itself",
    url: "/virt/",
    name: "/virt/",
    file: `${D}/virt/`,
    mount: "/virt",
    path: "/",
  },
  {
    recipe: "ScriptAlias",
    url: "/cgi-bin/env.sh/pi%20x//y",
    name: "/cgi-bin/env.sh",
    info: "/pi x/y",
    file: "/usr/lib/cgi-bin/env.sh",
    more: { CONTEXT_DOCUMENT_ROOT: "/usr/lib/cgi-bin/" },
    mount: "/cgi-bin/env.sh",
    path: "/pi x//y",
  },
  {
    recipe: "RewriteRule to app.cgi/$1 (hosting A, C)",
    url: "/m/x/y%20z?q=1",
    name: "/m/app.cgi",
    info: "/x/y z",
    file: `${D}/m/app.cgi`,
    more: redirected,
    mount: "/m",
    path: "/x/y z",
  },
  {
    recipe: "Action to a CGI program (hosting B)",
    url: "/m/page.njs/extra",
    name: "/m/gw.cgi",
    info: "/m/page.njs/extra",
    file: `${D}/m/gw.cgi`,
    more: redirected,
    mount: "",
    path: "/m/page.njs/extra",
  },
  // The way of the URL, not its destination, must not matter.
  {
    recipe: "an absolute request target",
    url: "http://host:8080/loc/foo?x",
    name: "/loc",
    info: "/foo",
    file: `${P}${D}/loc`,
    mount: "/loc",
    path: "/foo",
  },
  {
    recipe: "raw bytes in the target",
    url: "/loc/\xe9",
    name: "/loc",
    info: "/\xe9",
    file: `${P}${D}/loc`,
    mount: "/loc",
    path: "/\xe9",
  },
  {
    recipe: "a question mark in the path",
    url: "/loc/a%3Fb?c",
    name: "/loc",
    info: "/a?b",
    file: `${P}${D}/loc`,
    mount: "/loc",
    path: "/a?b",
  },
  {
    recipe: "a percent sign in the path",
    url: "/loc/%2541",
    name: "/loc",
    info: "/%41",
    file: `${P}${D}/loc`,
    mount: "/loc",
    path: "/%41",
  },
  {
    recipe: "an encoded slash, NoDecode",
    url: "/loc/a%2Fb",
    name: "/loc",
    info: "/a%2Fb",
    file: `${P}${D}/loc`,
    mount: "/loc",
    path: "/a/b",
  },
  {
    recipe: "an encoded slash, decoded",
    url: "/loc/a%2Fb",
    name: "/loc",
    info: "/a/b",
    file: `${P}${D}/loc`,
    mount: "/loc",
    path: "/a/b",
  },
  {
    recipe: "an encoded slash that is encoded again",
    url: "/loc/a%252Fb",
    name: "/loc",
    info: "/a%2Fb",
    file: `${P}${D}/loc`,
    mount: "/loc",
    path: "/a%2Fb",
  },
  {
    recipe: "merged slashes",
    url: "//loc///a//b",
    name: "/loc",
    info: "/a/b",
    file: `${P}${D}/loc`,
    mount: "//loc",
    path: "///a//b",
  },
  {
    recipe: "kept slashes",
    url: "/loc//a//b",
    name: "/loc",
    info: "//a//b",
    file: `${P}${D}/loc`,
    mount: "/loc",
    path: "//a//b",
  },
  {
    recipe: "dot segments",
    url: "/x/../loc/./a/../b",
    name: "/loc",
    info: "/b",
    file: `${P}${D}/loc`,
    mount: "/loc",
    path: "/b",
  },
  {
    recipe: "dot segments between merged slashes",
    url: "/loc/x//../y",
    name: "/loc",
    info: "/x/y",
    file: `${P}${D}/loc`,
    mount: "/loc",
    path: "/x/y",
  },
];

/** Recipes with ProxyPass: only where the hint says that there may be one. */
const proxied: readonly Row[] = [
  {
    recipe: "ProxyPass",
    url: "/pp/a/b.php/pi?x",
    name: "/pp/a/b.php/pi",
    file: `${P}/srv/app/a/b.php/pi`,
    mount: "/pp",
    path: "/a/b.php/pi",
  },
  {
    recipe: "ProxyPass, encoded",
    url: "/pp/a%20b/%E6%97%A5",
    name: `/pp/a b/${sun}`,
    file: `${P}/srv/app/a%20b/%E6%97%A5`,
    mount: "/pp",
    path: `/a b/${sun}`,
  },
  {
    recipe: "ProxyPass, type GENERIC",
    url: "/ppg/a/b.php/pi",
    name: "/ppg/a/b.php/pi",
    file: "/srv/app/a/b.php/pi",
    mount: "/ppg",
    path: "/a/b.php/pi",
  },
  {
    recipe: "ProxyPass to a file",
    url: "/ppapp/foo/bar",
    name: "/ppapp/foo/bar",
    file: `${P}/srv/app.js/foo/bar`,
    mount: "/ppapp",
    path: "/foo/bar",
  },
  {
    recipe: "ProxyPassMatch",
    url: "/ppm/a.php/pi",
    name: "/ppm/a.php/pi",
    file: `${P}/srv/app/a.php/pi`,
    mount: "/ppm",
    path: "/a.php/pi",
  },
  {
    recipe: "ProxyPass to a unix socket",
    url: "/pu/a/b.php/pi",
    name: "/pu/a/b.php/pi",
    file: "proxy:fcgi://localhost/srv/app/a/b.php/pi",
    mount: "/pu",
    path: "/a/b.php/pi",
  },
  {
    recipe: "ProxyPass, pathinfo=1",
    more: { "proxy-fcgi-pathinfo": "1" },
    url: "/ppl/a.php/pi%20",
    name: "/ppl/a.php/pi ",
    info: "/srv/app/a.php/pi ",
    file: `${P}/srv/app/a.php/pi%20`,
    mount: "/ppl",
    path: "/a.php/pi ",
  },
  {
    recipe: "ProxyPass to a balancer",
    url: "/bal/a/b.php/pi",
    name: "/bal/a/b.php/pi",
    file: "proxy:fcgi://127.0.0.1:18194/srv/app/a/b.php/pi",
    mount: "/bal",
    path: "/a/b.php/pi",
  },
  {
    recipe: "RewriteRule [P] (hosting F)",
    url: "/m/x/y%20z?q=1",
    name: "/m/x/y z",
    file: "/f/x/y z",
    mount: "/m",
    path: "/x/y z",
  },
  // fcgi://app/ as the generated configuration has it: the backend's path is the application's.
  {
    recipe: "ProxyPass /m/ fcgi://app/",
    url: "/m/x/y",
    name: "/m/x/y",
    file: "proxy:fcgi://app/x/y",
    mount: "/m",
    path: "/x/y",
  },
  {
    recipe: "ProxyPass /m/ fcgi://app/, its root",
    url: "/m/",
    name: "/m/",
    file: "proxy:fcgi://app/",
    mount: "/m",
    path: "/",
  },
  {
    recipe: "ProxyPass /m fcgi://app, without a slash",
    url: "/m",
    name: "/m",
    file: "proxy:fcgi://app",
    mount: "/m",
    path: "",
  },
  {
    recipe: "ProxyPass /m/ fcgi://app/, GENERIC",
    url: "/m/x/y",
    name: "/m/x/y",
    file: "/x/y",
    mount: "/m",
    path: "/x/y",
  },
  { recipe: "ProxyPass / fcgi://app/", url: "/x/y", name: "/x/y", file: "/x/y", mount: "", path: "/x/y" },
  { recipe: "ProxyPass / fcgi://app/, its root", url: "/", name: "/", file: "/", mount: "", path: "/" },
  {
    recipe: "ProxyPass, a tail that repeats the mount",
    url: "/m/x/m/x",
    name: "/m/x/m/x",
    file: "/x/m/x",
    mount: "/m",
    path: "/x/m/x",
  },
  {
    recipe: "ProxyPass, slashes kept",
    url: "/m//x///y/",
    name: "/m//x///y/",
    file: "//x///y/",
    mount: "/m",
    path: "//x///y/",
  },
  {
    recipe: "ProxyPass nocanon, an encoded slash",
    url: "/m/a%2Fb/c",
    name: "/m/a%2Fb/c",
    file: "/a%2Fb/c",
    mount: "/m",
    path: "/a/b/c",
  },
  {
    recipe: "ProxyPass, an encoded slash encoded again",
    url: "/m/a%2Fb/c",
    name: "/m/a%2Fb/c",
    file: "/a%252Fb/c",
    mount: "/m",
    path: "/a/b/c",
  },
];

describe.each(mapped)("$recipe: $url", (row) => {
  test("without hints", () => {
    expect(split(row, {})).toEqual([row.mount, row.path]);
  });

  test("in a daemon, where ProxyPass may be in front", () => {
    expect(split(row, inDaemon)).toEqual([row.mount, row.path]);
  });
});

test.each(proxied)("$recipe: $url", (row) => {
  expect(split(row, inDaemon)).toEqual([row.mount, row.path]);
});

test.each([...mapped, ...proxied])("$recipe: a mount point that holds the URL wins, $url", (row) => {
  const whole = row.mount + row.path;
  expect(split(row, { mountPoint: "", mayBeProxied: true })).toEqual(["", whole]);
  const [, first = ""] = /^(\/[^/]+)/.exec(whole) ?? [];
  if (first === "" || whole.startsWith("//")) return;
  expect(split(row, { mountPoint: first })).toEqual([first, whole.slice(first.length)]);
});

test("a mount point that the URL is not under changes nothing", () => {
  const row = { url: "/loc/foo", name: "/loc", info: "/foo", file: `${D}/loc` };
  for (const mountPoint of ["/lo", "/loc/f", "/other"]) expect(split(row, { mountPoint })).toEqual(["/loc", "/foo"]);
});

describe("what only a mount point can tell", () => {
  test.each([
    { url: "/m/x/y%20z", name: "/m/x", info: "/y z", file: `${D}/m/x` }, // virtual, hosting D and E
    { url: "/virt/no/such", name: "/virt/no", info: "/such", file: `${D}/virt/no` },
    { url: "/app/x", name: "/app/x", file: "/srv/app/x" }, // ProxyPass /app/ fcgi://app/srv/app/ or / fcgi://app/srv/
  ])("$url with SCRIPT_NAME $name: the halves are the path, wherever it is cut", (row) => {
    expect(split(row, inDaemon).join("")).toBe(decodeURIComponent(row.url));
    const mount = row.url.slice(0, row.url.indexOf("/", 1));
    expect(split(row, { mountPoint: mount, mayBeProxied: true })).toEqual([
      mount,
      decodeURIComponent(row.url).slice(mount.length),
    ]);
  });
});

describe("the path behind a script's file, when it is known", () => {
  test.each([
    [
      "Action",
      { url: "/act/t.xyz/pi?q=1", name: "/loc", info: "/handler/act/t.xyz/pi", more: redirected },
      "/pi",
      "/act/t.xyz",
    ],
    [
      "Action (hosting B)",
      { url: "/m/page.njs/extra", name: "/m/gw.cgi", info: "/m/page.njs/extra", more: redirected },
      "/extra",
      "/m/page.njs",
    ],
    [
      "Action, the script alone",
      { url: "/m/page.njs", name: "/m/gw.cgi", info: "/m/page.njs", more: redirected },
      "",
      "/m/page.njs",
    ],
    [
      "ProxyPass to a folder of scripts",
      { url: "/pp/a/b.ts/pi%20x", name: "/pp/a/b.ts/pi x", file: `${P}/srv/app/a/b.ts/pi%20x` },
      "/pi x",
      "/pp/a/b.ts",
    ],
    ["ProxyPass to a script, GENERIC", { url: "/pp/x//y", name: "/pp/x//y", file: "/srv/app.ts/x//y" }, "/x//y", "/pp"],
  ])("%s", (_, row, rest, mount) => {
    for (const mayBeProxied of [true, false]) {
      const [scriptName, pathInfo] = split(row, { rest, mayBeProxied });
      expect(scriptName).toBe(mount);
      expect(scriptName + pathInfo).toBe(decodeURIComponent(row.url.replace(/\?.*/, "")));
    }
  });
});

describe("Apache's own word stays", () => {
  test("for an ErrorDocument", () => {
    const more = { REDIRECT_STATUS: "404" };
    expect(split({ url: "/nonexist/x?q=1", name: "/loc", info: "/err404", more }, inDaemon)).toEqual([
      "/loc",
      "/err404",
    ]);
  });

  test("for a rewrite to an unrelated path of the script", () => {
    const row = { url: "/user/7", name: "/app/index.php", info: "/show", more: redirected };
    expect(split(row, {})).toEqual(["/app/index.php", "/show"]);
  });

  test("without a request target, and for one that has no path", () => {
    expect(findMount({ SCRIPT_NAME: "/a", PATH_INFO: "/b" }, inDaemon)).toEqual({ scriptName: "/a", pathInfo: "/b" });
    expect(split({ url: "*", name: "", info: "" }, inDaemon)).toEqual(["", ""]);
  });
});

test("a RewriteRule with [P] in a folder: what Apache cut at a folder of its own is cut at the backend's path", () => {
  // /m holds a folder x, so Apache's own walk went as far as that.
  const row = { url: "/m/x/y%20z?q=1", name: "/m/x", info: "/y z", file: "/f/x/y z" };
  expect(split(row, inDaemon)).toEqual(["/m", "/x/y z"]);
});

describe("a client does not choose where the application is mounted", () => {
  const cases: ReadonlyArray<readonly [string, string, string]> = [
    // Apache resolves dot segments after it has merged slashes (MergeSlashes On, its default).
    ["/loc/x//../y", "/loc", "/y"],
    ["/loc//x/..//../loc/y", "/loc", "/y"],
    // AllowEncodedSlashes On: decoded first, resolved then.
    ["/loc/x%2F..%2Fy", "/loc", "/y"],
  ];
  test.each(cases)("by the way it writes %s", (url, name, info) => {
    const [scriptName] = split({ url, name, info, file: `${P}${D}/loc` }, inDaemon);
    expect(scriptName).toBe(name);
  });

  test("nor does it get past a guarded path by dots behind an encoded slash (NoDecode)", () => {
    const row = { url: "/loc/open%2F..%2Fsecret", name: "/loc", info: "/open%2F..%2Fsecret", file: `${P}${D}/loc` };
    const [scriptName, pathInfo] = split(row, inDaemon);
    expect(scriptName).toBe("/loc");
    expect(pathInfo).not.toBe("/secret");
  });

  test("nor by a URL that looks like the document root (ProxyPass, GENERIC)", () => {
    const url = `/m${D}/x`;
    expect(split({ url, name: url, file: `${D}/x` }, inDaemon).join("")).toBe(url);
  });
});

test.each([
  ["proxy:fcgi://127.0.0.1:9000/srv/a.ts", "/srv/a.ts"],
  ["proxy:fcgi://app1/srv/a.ts", "/srv/a.ts"],
  ["proxy:balancer://b1/srv/a.ts", "/srv/a.ts"],
  ["proxy:fcgi://127.0.0.1:9000//srv/a.ts", "/srv/a.ts"],
  ["proxy:fcgi://[::1]:9000/srv/a.ts", "/srv/a.ts"],
  ["proxy:fcgi://app1", ""],
  ["/srv/proxy:fcgi://x/a.ts", "/srv/proxy:fcgi://x/a.ts"],
  ["proxy:http://host/srv/a.ts", "proxy:http://host/srv/a.ts"],
  ["proxy:fcgi:/srv/a.ts", "proxy:fcgi:/srv/a.ts"],
  ["PROXY:fcgi://x/a.ts", "PROXY:fcgi://x/a.ts"],
  ["", ""],
])("strips the prefix of %j exactly: %j", (given, path) => {
  expect(stripProxyPrefix(given)).toBe(path);
});

/** The shortest of a few runs, ms. */
function timeOf(run: () => void): number {
  return Math.min(
    ...Array.from({ length: 3 }, () => {
      const start = performance.now();
      run();
      return performance.now() - start;
    }),
  );
}

test.each([
  ["slashes", (size: number) => "/".repeat(size)],
  ["slashes before a name", (size: number) => `${"/".repeat(size)}a/`],
  ["slashes in the middle", (size: number) => `/a${"/".repeat(size)}b`],
  ["encoded slashes", (size: number) => `/${"%2F".repeat(size / 3)}a/`],
])("eight times as many %s take about eight times as long", (_, make) => {
  const work = (size: number): void => {
    const url = make(size);
    split({ url, name: decodeURIComponent(url), file: `${P}/srv/app${url}` }, inDaemon);
    split({ url, name: decodeURIComponent(url), file: `${D}/app` }, {});
  };
  work(4000);
  // Quadratic work takes 64 times as long; half a millisecond is the least that is trusted.
  expect(timeOf(() => work(32_000))).toBeLessThan(
    24 *
      Math.max(
        timeOf(() => work(4000)),
        0.5,
      ),
  );
});

describe("a RewriteRule that hands on another spelling of the URL", () => {
  test.each([
    ["a space as + with [B]", "/rw2/a%20b", "/a+b", { scriptName: "/rw2", pathInfo: "/a b" }],
    ["a real + beside it", "/rw2/a+b%20c/d", "/a+b+c/d", { scriptName: "/rw2", pathInfo: "/a+b c/d" }],
    ["an escape decoded twice", "/rw2/a%2520b/c", "/a b/c", { scriptName: "/rw2", pathInfo: "/a%20b/c" }],
    ["another path altogether", "/rw2/a/b", "/v1/a", { scriptName: "/fp/dump.ts", pathInfo: "/v1/a" }],
  ])("%s", (_, target, info, wanted) => {
    const variables = { SCRIPT_NAME: "/fp/dump.ts", PATH_INFO: info, REQUEST_URI: target };
    expect(findMount(variables, {})).toEqual(wanted);
  });
});
