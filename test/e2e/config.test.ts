// What `tsgi config` prints works as it stands: in a real Apache, in every mode, with the two-line wrapper that the printed
// comments ask for. And the server that `tsgi setup-server` writes starts and stops with its own apachectl.
import { readFileSync } from "node:fs";
import { copyFile } from "node:fs/promises";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { Apache } from "../harness/apache.ts";
import { httpRequest } from "../harness/http.ts";
import { filesBelow, isSocket, processesOf } from "../harness/leftovers.ts";
import { freePort } from "../harness/machine.ts";
import { until } from "../harness/until.ts";
import { Workspace } from "../harness/workspace.ts";

let workspace: Workspace;

beforeAll(async () => {
  workspace = await Workspace.open();
}, 60_000);

afterAll(() => workspace.close(), 60_000);

/** Standard output of `tsgi config`. */
async function printed(...args: string[]): Promise<string> {
  const program = workspace.tsgi(["config", ...args]);
  expect((await program.ended).code, program.stderr).toBe(0);
  return program.stdout;
}

/** Writes the wrapper that the comments of a configuration spell out. */
async function writeWrapper(configuration: string, name: string): Promise<void> {
  const lines = [...configuration.matchAll(/^# {5}(#!\/bin\/sh|exec .*)$/gmu)].map((match) => match[1]);
  expect(lines).toHaveLength(2);
  await workspace.write(name, `${lines.join("\n")}\n`, 0o755);
}

/** An application in a folder of its own. */
async function application(folder: string): Promise<string> {
  const app = await workspace.write(`${folder}/app.ts`, "");
  await copyFile(workspace.app("variables.ts"), app);
  return app;
}

async function variables(
  apache: Apache,
  target: string,
  headers: [string, string][] = [],
): Promise<Record<string, string>> {
  const reply = await apache.request({ target, headers });
  expect(reply.status, `${target} ${reply.body.toString()}`).toBe(200);
  return JSON.parse(reply.body.toString()) as Record<string, string>;
}

/** How many connections to a unix socket there are now (Linux, which shows the name that it was made with). */
function connectionsOf(socket: string): number {
  const lines = readFileSync("/proc/net/unix", "latin1").split("\n");
  return lines.filter((line) => line.includes(` ${socket}`) && line.split(/\s+/u)[5] === "03").length;
}

const authorization: [string, string][] = [["Authorization", "Basic eDp5"]];
const modules = ["dir", "rewrite", "proxy", "proxy_fcgi", "fcgid", "cgid"];

describe("for a server", () => {
  for (const mode of ["proxy_fcgi", "fcgid", "cgi"] as const) {
    for (const mount of ["", "/m/n"]) {
      test(`${mode}, mounted at ${mount === "" ? "the root" : mount}`, async () => {
        const folder = `${mode}${mount.replaceAll("/", "-")}`;
        const app = await application(folder);
        const socket = workspace.path("run", `${folder}.sock`);
        const args = [
          mode,
          app,
          "--mount-point",
          mount === "" ? "/" : mount,
          "--cache-dir",
          workspace.product.cacheDir,
        ];
        const config = await printed(...args, ...(mode === "proxy_fcgi" ? ["--listen", `unix:${socket}`] : []));
        if (mode === "cgi") await writeWrapper(config, `${folder}/app.cgi`);
        if (mode === "proxy_fcgi") workspace.tsgi(["daemon", app, "--listen", `unix:${socket}`]);
        if (mode === "proxy_fcgi") await until("the daemon", () => isSocket(socket));
        const apache = await workspace.apache({ modules, config });
        const deep = await variables(apache, `${mount}/a%20b//c%2Fd%25e?x=1`, authorization);
        expect(deep).toMatchObject({
          SCRIPT_NAME: mount,
          PATH_INFO: "/a b//c/d%e",
          QUERY_STRING: "x=1",
          REQUEST_URI: `${mount}/a%20b//c%2Fd%25e?x=1`,
          HTTP_AUTHORIZATION: "Basic eDp5",
        });
        expect(await variables(apache, `${mount}/`)).toMatchObject({ SCRIPT_NAME: mount, PATH_INFO: "/" });
        if (mount !== "") {
          expect(await variables(apache, mount)).toMatchObject({ SCRIPT_NAME: mount, PATH_INFO: "" });
          expect((await apache.request("/other")).status).toBe(404);
        }
      }, 60_000);
    }
  }
});

describe("for .htaccess", () => {
  for (const mode of ["htaccess-cgi", "htaccess-fcgid", "htaccess-proxy"] as const) {
    test(
      mode,
      async () => {
        const app = await application(`outside-${mode}`);
        const socket = workspace.path("run", `Upper-Case-${mode}.sock`);
        const args = [mode, app, "--mount-point", "/site", "--cache-dir", workspace.product.cacheDir];
        const config = await printed(...args, ...(mode === "htaccess-proxy" ? ["--listen", `unix:${socket}`] : []));
        const root = `www-${mode}`;
        await workspace.write(`${root}/site/.htaccess`, config);
        await workspace.write(`${root}/site/style.css`, "a static file");
        await workspace.write(`${root}/site/.env`, "a secret");
        await workspace.write(`${root}/site/source.ts`, "a secret");
        await workspace.write(`${root}/site/node_modules/x/index.js`, "a secret");
        if (mode === "htaccess-cgi") await writeWrapper(config, `${root}/site/app.cgi`);
        if (mode === "htaccess-fcgid") await writeWrapper(config, `${root}/site/app.fcgi`);
        if (mode === "htaccess-proxy") {
          workspace.tsgi(["daemon", app, "--listen", `unix:${socket}`]);
          await until("the daemon", () => isSocket(socket));
        }
        const apache = await workspace.apache({
          modules,
          documentRoot: workspace.path(root),
          config: `<Directory "${workspace.path(root)}">\n  AllowOverride FileInfo Options=ExecCGI,MultiViews Indexes\n</Directory>`,
        });
        expect(await variables(apache, "/site/a%20b/c?x=1", authorization)).toMatchObject({
          SCRIPT_NAME: "/site",
          PATH_INFO: "/a b/c",
          QUERY_STRING: "x=1",
          HTTP_AUTHORIZATION: "Basic eDp5",
        });
        expect(await variables(apache, "/site/")).toMatchObject({ SCRIPT_NAME: "/site", PATH_INFO: "/" });
        expect(await variables(apache, "/site/50%25%3F")).toMatchObject({ SCRIPT_NAME: "/site", PATH_INFO: "/50%?" });
        expect((await apache.request("/site/style.css")).body.toString()).toBe("a static file");
        for (const hidden of ["/site/.env", "/site/source.ts", "/site/node_modules/x/index.js", "/site/.htaccess"]) {
          expect((await apache.request(hidden)).body.toString(), hidden).not.toContain("a secret");
        }
      },
      60_000,
    );
  }
});

describe("for the groups of a configuration file", () => {
  test("each mount point has its application, however they are nested, and connections are kept and reused", async () => {
    const port = await freePort();
    await application("grouped");
    await application("grouped/files");
    await workspace.write("grouped/files/style.css", "a static file");
    await workspace.write("grouped/files/.env", "a secret");
    const file = await workspace.write(
      "grouped/tsgi.config.ts",
      `import { defineConfig } from "tsgi";
export default defineConfig({
  processes: 1,
  cacheDir: ${JSON.stringify(workspace.product.cacheDir)},
  env: { LEVEL: "top" },
  groups: {
    shop: {
      listen: ${JSON.stringify(`unix:${workspace.path("run", "grouped-shop.sock")}`)},
      applications: { "/shop": "app.ts", "/front/of/shop": "app.ts" },
    },
    front: { listen: "tcp:127.0.0.1:${port}", app: "app.ts" },
    files: {
      listen: ${JSON.stringify(`unix:${workspace.path("run", "grouped-shop-files.sock")}`)},
      scriptRoot: "files",
      mountPoint: "/front/files",
    },
  },
});
`,
    );
    const daemon = workspace.tsgi(["daemon", "--config", file]);
    await until("the daemon to serve its groups", () => {
      if (daemon.end !== undefined) throw new Error(daemon.report());
      return daemon.stdout.split("\n").length > 3;
    });
    workspace.expectLog(/AH01630: client denied .*\/grouped\/files\/\.env/u, /no script for .*\/gone\.ts/u);
    const apache = await workspace.apache({ modules, config: await printed("proxy_fcgi", "--config", file) });
    const expected: readonly (readonly [target: string, scriptName: string, pathInfo: string])[] = [
      ["/", "", "/"],
      ["/x//y%2Fz", "", "/x//y/z"],
      ["/shopping", "", "/shopping"],
      ["/front", "", "/front"],
      ["/shop", "/shop", ""],
      ["/shop/", "/shop", "/"],
      ["/shop/a%20b", "/shop", "/a b"],
      ["/front/of/shop/x", "/front/of/shop", "/x"],
      ["/front/of/shops", "", "/front/of/shops"],
      ["/front/files/app.ts/more", "/front/files/app.ts", "/more"],
      ["/front/files/app.ts", "/front/files/app.ts", ""],
    ];
    for (const [target, SCRIPT_NAME, PATH_INFO] of expected) {
      // With a query Apache warns of a path that is the mount point itself.
      const query = PATH_INFO === "" ? "" : "q";
      const url = query === "" ? target : `${target}?${query}`;
      expect(await variables(apache, url, authorization), target).toMatchObject({
        SCRIPT_NAME,
        PATH_INFO,
        QUERY_STRING: query,
        HTTP_AUTHORIZATION: "Basic eDp5",
      });
    }
    expect((await apache.request("/front/files/style.css")).body.toString()).toBe("a static file");
    for (const [mount, name] of [
      ["/shop", "grouped-shop.sock"],
      ["/front/files/app.ts", "grouped-shop-files.sock"],
    ] as const) {
      for (let count = 0; count < 40; count += 1) await variables(apache, `${mount}/x`);
      expect(connectionsOf(workspace.path("run", name)), name).toBeGreaterThan(0);
    }
    for (const hidden of ["/front/files/.env", "/front/files/gone.ts"]) {
      const { status, body } = await apache.request(hidden);
      expect([403, 404], hidden).toContain(status);
      expect(body.toString()).not.toContain("a secret");
    }
  }, 60_000);
});

describe("setup-server", () => {
  for (const mode of ["proxy_fcgi", "fcgid", "cgi"] as const) {
    test(`${mode}: its apachectl starts, restarts and stops it, leaving nothing`, async () => {
      const app = await application(`setup-${mode}`);
      const port = await freePort();
      const root = workspace.path("run", `server-${mode}`);
      const program = workspace.tsgi([
        "setup-server",
        app,
        "--mode",
        mode,
        "--port",
        String(port),
        "--server-root",
        root,
      ]);
      expect((await program.ended).code, program.stderr).toBe(0);
      const script = /^ {2}start:\s+(\S+) start$/mu.exec(program.stdout)?.[1] ?? "";
      const control = async (action: string): Promise<void> => {
        const running = workspace.program(`apachectl ${action}`, [script, action]);
        expect((await running.ended).code, running.report()).toBe(0);
      };
      await control("configtest");
      await control("start");
      const answers = (): Promise<boolean> =>
        httpRequest(port, "/x")
          .then((reply) => reply.status === 200)
          .catch(() => false);
      await until("an answer", answers);
      await control("restart");
      await until("an answer after the restart", answers);
      await control("graceful");
      await until("an answer after the graceful restart", answers);
      await control("stop");
      await until("no process to be left", () => processesOf(root).length === 0);
      expect(filesBelow(root, isSocket)).toEqual([]);
    }, 60_000);
  }
});
