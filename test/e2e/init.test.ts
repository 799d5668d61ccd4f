// `tsgi init` in folders as they are found at hosts, behind a real Apache that allows what hosts allow: the application
// answers, what others wrote keeps its effect, and no browser gets a source, by whatever spelling it asks.
import { createHash } from "node:crypto";
import { chmod, chown, mkdir, readdir, readFile, rm } from "node:fs/promises";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { Apache } from "../harness/apache.ts";
import type { HttpReply } from "../harness/http.ts";
import { apacheAccount } from "../harness/machine.ts";
import { until } from "../harness/until.ts";
import { Workspace } from "../harness/workspace.ts";

const secret = "SECRET-SOURCE";
const source = `// ${secret}
import { place } from "./lib/place.ts";
export const application = (environ, startResponse) => {
  startResponse("200 OK", [["Content-Type", "text/plain"]]);
  return [place, environ.SCRIPT_NAME, environ.PATH_INFO, environ.HTTP_AUTHORIZATION ?? ""].join("|");
};
`;

/** What lies about in folders, and is for nobody. */
const hiddenFiles = [
  ".env",
  ".env.local",
  "production.env",
  ".git/config",
  ".htpasswd",
  "node_modules/left/index.js",
  "package.json",
  "package-lock.json",
  "tsconfig.json",
  "vite.config.js",
  "app.ts~",
  "app.ts.bak",
  ".app.ts.swp",
  "#app.ts#",
  "src/other.ts",
  "src/page.tsx",
  "npm-debug.log",
  "logs/app.log",
  "Dockerfile",
  "app.cgi.1",
  "app.fcgi-2024",
  "css/.env",
  "public/.env",
  "public/shared.ts",
];

const wordPress = String.raw`# BEGIN WordPress
<IfModule mod_rewrite.c>
RewriteEngine On
RewriteBase /fcgid-wordpress/
RewriteRule ^index\.php$ - [L]
RewriteCond %{REQUEST_FILENAME} !-f
RewriteCond %{REQUEST_FILENAME} !-d
RewriteRule . /fcgid-wordpress/index.php [L]
</IfModule>
# END WordPress
`;

const laravel = String.raw`# our own
Options Indexes MultiViews
RewriteEngine On
RewriteRule ^old/(.*)$ /new/$1 [R=301,L]
ErrorDocument 404 "nothing of that name"
ErrorDocument 401 "who are you?"
AuthType Basic
AuthName "the account"
AuthUserFile "%HOME%/.users"
Require valid-user
<IfModule mod_rewrite.c>
    # Handle Front Controller...
    RewriteCond %{REQUEST_FILENAME} !-d
    RewriteCond %{REQUEST_FILENAME} !-f
    RewriteRule ^ index.php [L]
</IfModule>`;

interface Site {
  readonly name: string;
  readonly transport: "cgi" | "fcgid" | "proxy";
  readonly existing: string | undefined;
  /** The application's folder, from the account's: the served folder is `www/NAME`. */
  readonly sources: string;
  readonly headers?: readonly (readonly [string, string])[];
}

const sites: readonly Site[] = [
  {
    name: "cgi-laravel",
    transport: "cgi",
    existing: laravel.replaceAll("\n", "\r\n"),
    sources: "www/cgi-laravel",
    headers: [["Authorization", `Basic ${Buffer.from("me:word").toString("base64")}`]],
  },
  { name: "fcgid-wordpress", transport: "fcgid", existing: wordPress, sources: "apps/fcgid-wordpress" },
  { name: "fcgid-below", transport: "fcgid", existing: undefined, sources: "www/fcgid-below/shop app" },
  { name: "proxy-here", transport: "proxy", existing: `\uFEFFDirectoryIndex index.php\n`, sources: "www/proxy-here" },
  {
    name: "proxy-wordpress",
    transport: "proxy",
    existing: wordPress.replaceAll("fcgid-", "proxy-"),
    sources: "apps/proxy-wordpress",
  },
];

let workspace: Workspace;
let apache: Apache;

beforeAll(async () => {
  workspace = await Workspace.open();
  await workspace.ownedDir("www");
  await workspace.write(".users", `me:{SHA}${createHash("sha1").update("word").digest("base64")}\n`);
  await Promise.all(sites.map((site) => setUp(site)));
  apache = await workspace.apache({
    modules: ["cgid", "fcgid", "proxy", "proxy_fcgi", "rewrite", "negotiation", "autoindex"].concat([
      "auth_basic",
      "authn_core",
      "authn_file",
      "authz_user",
    ]),
    documentRoot: workspace.path("www"),
    config: sites
      .map(({ name, existing }) => {
        // What others wrote needs more than our own lines do.
        const classes = existing?.includes("AuthType") === true ? "All" : "FileInfo Options=ExecCGI Indexes";
        return `<Directory "${workspace.path("www", name)}">\n  AllowOverride ${classes}\n</Directory>`;
      })
      .concat(`<Directory "${workspace.path("www/outer")}">\n  AllowOverride FileInfo Options=ExecCGI\n</Directory>`)
      .join("\n"),
  });
}, 60_000);

afterAll(() => workspace.close(), 60_000);

async function tsgi(...args: string[]): Promise<{ code: number | null; stdout: string; stderr: string }> {
  const program = workspace.tsgi(args);
  const { code } = await program.ended;
  return { code, stdout: program.stdout, stderr: program.stderr };
}

async function setUp({ name, transport, existing, sources }: Site): Promise<void> {
  const folder = await workspace.ownedDir(`www/${name}`);
  if (existing !== undefined) {
    await workspace.write(`www/${name}/.htaccess`, existing.replaceAll("%HOME%", workspace.dir));
  }
  for (const file of hiddenFiles) await workspace.write(`www/${name}/${file}`, secret);
  await workspace.write(`www/${name}/package.json`, `{ "name": "${secret}" }`);
  await workspace.write(`www/${name}/tsconfig.json`, `{ "//": "${secret}" }`);
  await workspace.write(`www/${name}/css/style.css`, "a stylesheet");
  await workspace.write(`www/${name}/public/shown.txt`, "shown");
  const app = await workspace.write(`${sources}/app.ts`, source);
  await workspace.write(`${sources}/lib/place.ts`, `// ${secret}\nexport const place = ${JSON.stringify(name)};\n`);
  await workspace.write(`${sources}/data.json`, sources.startsWith("www/") ? secret : "outside");
  if (sources.endsWith("shop app")) await workspace.write(`${sources}/package.json`, `{ "name": "${secret}" }`);
  const args = ["init", folder, "--app", app, "--transport", transport, "--cache-dir", workspace.product.cacheDir];
  const socket = workspace.path("run", `${name}.sock`);
  if (transport === "proxy") args.push("--mount-point", `/${name}`, "--listen", `unix:${socket}`);
  const ran = await tsgi(...args, "--yes");
  expect(ran.stderr).toBe("");
  expect(ran.code).toBe(0);
  if (transport !== "proxy") return;
  const daemon = workspace.tsgi(["daemon", app, "--listen", `unix:${socket}`, "--processes", "1"]);
  await until("the daemon", () => daemon.stdout.includes("tsgi: listening on "));
}

function ask({ name, headers }: Site, path: string): Promise<HttpReply> {
  return apache.request({ target: `/${name}${path}`, headers: headers ?? [] });
}

const text = ({ status, body }: HttpReply): string => `${status} ${body.toString()}`;

/** The same file by other names. */
function spellings(file: string): string[] {
  const encoded = file.replace(/[.t]/g, (sign) => `%${sign.charCodeAt(0).toString(16)}`).replaceAll("#", "%23");
  const plain = encodeURI(file).replaceAll("#", "%23");
  return [
    plain,
    encoded,
    `/${plain}`,
    `./x/../${plain}`,
    `${plain}/`,
    `${plain}/more`,
    plain.toUpperCase(),
    `${plain}?x=1`,
  ];
}

for (const site of sites) {
  const { name, sources } = site;

  describe(name, () => {
    test("the application answers at its URLs", async () => {
      const [[, sent] = ["", ""]] = site.headers ?? [];
      expect(text(await ask(site, "/"))).toBe(`200 ${name}|/${name}|/|${sent}`);
      expect(text(await ask(site, "/deep/a%20b//c.html?x=1"))).toContain(`200 ${name}|/${name}|/deep/a b/`);
      expect(text(await ask(site, "/video/1.ts"))).toBe(`200 ${name}|/${name}|/video/1.ts|${sent}`);
    });

    test("the beginning of a file's name is a URL of the application", async () => {
      for (const path of ["/package", "/app", "/css/style"]) {
        expect(text(await ask(site, path))).toContain(`200 ${name}|/${name}|${path}|`);
      }
    });

    test("a browser gets the files that are for it", async () => {
      expect(text(await ask(site, "/css/style.css"))).toBe("200 a stylesheet");
      expect(text(await ask(site, "/public/shown.txt"))).toBe("200 shown");
      if (sources === `www/${name}`) expect(text(await ask(site, "/shown.txt"))).toBe("200 shown");
    });

    test("and no others, however it asks", async () => {
      const below = sources.startsWith(`www/${name}/`) ? `${sources.slice(`www/${name}/`.length)}/` : "";
      const own = sources.startsWith("www/") ? ["app.ts", "lib/place.ts", "data.json"] : [];
      const files = [...hiddenFiles, ...own.map((file) => `${below}${file}`), ".htaccess", "app.cgi", "app.fcgi"];
      // The rules for CGI and mod_fcgid are the same: one of them is asked by every spelling.
      const isShort = site.transport !== "proxy" && name !== "fcgid-below";
      const targets = files.flatMap((file) => spellings(file).slice(0, isShort ? 1 : undefined));
      for (const target of targets) {
        const reply = text(await ask(site, `/${target}`));
        for (const word of [secret, "tsgi init", "Index of"]) expect(reply, target).not.toContain(word);
      }
    });

    test("a second time changes nothing, and --remove leaves what was there before", async () => {
      const before = await readFile(workspace.path("www", name, ".htaccess"));
      const args = ["--transport", site.transport, "--cache-dir", workspace.product.cacheDir];
      if (site.transport === "proxy") {
        args.push("--mount-point", `/${name}`, "--listen", `unix:${workspace.path("run", `${name}.sock`)}`);
      }
      const again = await tsgi("init", workspace.path("www", name), ...args);
      expect(again).toMatchObject({ code: 0, stdout: expect.stringContaining("nothing to change") });
      expect(await readFile(workspace.path("www", name, ".htaccess"))).toEqual(before);
      expect(await tsgi("init", workspace.path("www", name), "--remove")).toMatchObject({ code: 0, stderr: "" });
      const left = await readFile(workspace.path("www", name, ".htaccess"), "utf8").catch(() => undefined);
      expect(left).toBe(site.existing?.replaceAll("%HOME%", workspace.dir));
      expect(await readdir(workspace.path("www", name))).not.toContain("app.cgi");
      expect(await readdir(workspace.path("www", name))).not.toContain("app.fcgi");
      await rm(workspace.path("www", name), { recursive: true });
    });
  });
}

test("a folder below that of a daemon has an application of its own", async () => {
  const outer = await workspace.ownedDir("www/outer");
  const app = await workspace.write("apps/outer/app.ts", source);
  await workspace.write("apps/outer/lib/place.ts", 'export const place = "inner";\n');
  const more = ["--app", app, "--cache-dir", workspace.product.cacheDir];
  const socket = `unix:${workspace.path("run/outer.sock")}`;
  await tsgi("init", outer, ...more, "--transport", "proxy", "--mount-point", "/outer", "--listen", socket);
  for (const transport of ["cgi", "fcgid"]) {
    const inner = await workspace.ownedDir(`www/outer/${transport}`);
    expect(await tsgi("init", inner, ...more, "--transport", transport)).toMatchObject({ code: 0, stderr: "" });
    const reply = await apache.request(`/outer/${transport}/page`);
    expect(text(reply)).toBe(`200 inner|/outer/${transport}|/page|`);
    const program = await apache.request(`/outer/${transport}/app.${transport === "cgi" ? "cgi" : "fcgi"}`);
    expect(text(program)).not.toContain("#!");
  }
  await rm(outer, { recursive: true });
}, 60_000);

test("a folder that may not be written to stays as it is", async () => {
  const folder = workspace.path("closed");
  await mkdir(folder);
  const account = apacheAccount();
  if (account === undefined) await chmod(folder, 0o555);
  else await chown(folder, 0, 0);
  const ran = await tsgi(
    "init",
    folder,
    "--transport",
    "cgi",
    "--app",
    await workspace.write("closed.ts", "export default () => {};\n"),
  );
  expect(ran).toMatchObject({ code: 1, stdout: "" });
  expect(ran.stderr).toMatch(/closed: EACCES: .*; nothing has been changed \[TSGI3102\]\n$/u);
  expect(await readdir(folder)).toEqual([]);
});
