// What `tsgi doctor` sees of a site over HTTP, as a visitor and with its probe, through a real Apache; and that nothing of the probe is left.
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { symlink } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { Finding } from "../../src/doctor/finding.ts";
import { askProbe, probeFindings } from "../../src/doctor/probe-check.ts";
import { installProbe, probePaths, removeProbe } from "../../src/doctor/probe.ts";
import { urlFindings } from "../../src/doctor/url-check.ts";
import type { Apache } from "../harness/apache.ts";
import { freePort } from "../harness/machine.ts";
import { until } from "../harness/until.ts";
import { Workspace } from "../harness/workspace.ts";

let workspace: Workspace;
let apache: Apache;
/** The port of a virtual host where everything has Apache's defaults. */
let plainPort = 0;

const program = "#!/bin/sh\nprintf 'Content-Type: text/html\\r\\n\\r\\n<p>hello'\n";

const shown = (findings: readonly Finding[]): string[] =>
  findings.map(({ severity, code, place, message }) => `${severity} ${code} ${place}: ${message}`);

beforeAll(async () => {
  workspace = await Workspace.open();
  workspace.expectLog(/./u);
  plainPort = await freePort();
  await workspace.write("www/fine/app.cgi", program, 0o755);
  await workspace.write(
    "www/fine/.htaccess",
    "Options +ExecCGI\nSetHandler cgi-script\nRewriteEngine On\nRewriteRule !^app\\.cgi app.cgi [L]\n",
  );
  await workspace.write("www/leaky/index.html", "<p>hello");
  await workspace.write("www/leaky/.env", "PASSWORD=secret\n");
  await workspace.write("www/leaky/.git/config", "[core]\n\tbare = false\n");
  await workspace.write("www/leaky/package.json", '{ "name": "leaky" }');
  await workspace.write("www/leaky/node_modules/.package-lock.json", '{ "lockfileVersion": 3 }');
  await workspace.write("www/leaky/error.log", "[12:00:00] Error\n");
  await workspace.write("www/source/index.cgi", program, 0o755);
  await workspace.write("www/source/.htaccess", "DirectoryIndex index.cgi\n");
  await workspace.write("www/list/picture.txt", "x");
  await workspace.write("www/broken/app.cgi", "#!/nonexistent\n", 0o755);
  await workspace.write(
    "www/broken/.htaccess",
    "Options +ExecCGI\nAddHandler cgi-script .cgi\nDirectoryIndex app.cgi\n",
  );
  for (const name of ["probed", "asked", "plain", "static", "init"])
    await workspace.write(`www/${name}/index.html`, "<p>hello");
  await workspace.write("www/probed/.htaccess", "CGIPassAuth On\n");
  apache = await workspace.apache({
    modules: ["cgid", "fcgid", "rewrite", "autoindex"],
    documentRoot: workspace.path("www"),
    config: ({ port }) => `Listen 127.0.0.1:${plainPort}
<Directory "${workspace.path("www")}">
  AllowOverride All
</Directory>
<Directory "${workspace.path("www/list")}">
  Options +Indexes
</Directory>
<Directory "${workspace.path("www/static")}">
  AllowOverride None
</Directory>
<Location "/denied">
  Require all denied
</Location>
Redirect "/circle" "/circle"
<VirtualHost 127.0.0.1:${port}>
  AllowEncodedSlashes NoDecode
  FcgidMaxRequestLen 100000000
  FcgidOutputBufferSize 0
</VirtualHost>
<VirtualHost 127.0.0.1:${plainPort}>
</VirtualHost>`,
  });
}, 60_000);

afterAll(() => workspace.close(), 60_000);

describe("as a visitor", () => {
  const look = async (path: string, names?: readonly string[]): Promise<string[]> =>
    shown(await urlFindings(new URL(`${apache.url}${path}`), names));

  test("nothing is wrong with a site that answers", async () => {
    expect(await look("/fine/")).toEqual([]);
  });

  test("files that nobody should get", async () => {
    const found = (await look("/leaky/", ["notes.bak"])).map((line) =>
      line.replace(/\(.*$/, "").replace(apache.url, ""),
    );
    expect(found).toEqual([
      "error TSGI3551 /leaky/.env: visitors can fetch .env ",
      "error TSGI3551 /leaky/.git/config: visitors can fetch config ",
      "warning TSGI3551 /leaky/package.json: visitors can fetch package.json ",
      "warning TSGI3551 /leaky/node_modules/.package-lock.json: visitors can fetch .package-lock.json ",
      "warning TSGI3551 /leaky/error.log: visitors can fetch error.log ",
    ]);
  });

  test.each([
    ["/source/", "TSGI3565"],
    ["/list/", "TSGI3567"],
    ["/broken/", "TSGI3564"],
    ["/denied/", "TSGI3564"],
    ["/nowhere/", "TSGI3564"],
    ["/circle", "TSGI3566"],
  ])("%s: %s", async (path, code) => {
    expect((await look(path)).join("\n")).toContain(code);
  });

  test("nobody answers", async () => {
    const found = shown(await urlFindings(new URL(`http://127.0.0.1:${await freePort()}/`)));
    expect(found).toHaveLength(1);
    expect(found[0]).toMatch(/^error TSGI3563 .*ECONNREFUSED/);
  });
});

describe("with the probe", () => {
  const folder = (name: string): string => workspace.path("www", name);
  const left = (name: string): string[] => readdirSync(folder(name)).filter((one) => one.startsWith("tsgi-probe"));

  test.concurrent("a server that passes everything", async () => {
    const found = shown(await probeFindings(folder("probed"), new URL(`${apache.url}/probed/`)));
    expect(found.filter((line) => /^(?:error|warning)/.test(line))).toEqual([]);
    expect(found.join("\n")).toMatch(/TSGI3577 .*\(cgi\): programs run as .* with Node v2/);
    expect(found.join("\n")).toMatch(/TSGI3577 .*\(fcgid\)/);
    expect(left("probed")).toEqual([]);
  });

  test.concurrent("Apache's defaults, and a host that ends what outlives its request", async () => {
    const isBackground = (pid: string): boolean => {
      try {
        return (
          readFileSync(`/proc/${pid}/cmdline`, "latin1").includes("tsgi-probe-background") &&
          readFileSync(`/proc/${pid}/environ`, "latin1").includes(`SERVER_PORT=${plainPort}`)
        );
      } catch {
        return false;
      }
    };
    const finding = probeFindings(folder("plain"), new URL(`http://127.0.0.1:${plainPort}/plain/`));
    await until("the process in the background", () => {
      const pids = readdirSync("/proc").filter((name) => /^\d+$/.test(name) && isBackground(name));
      for (const pid of pids) process.kill(Number(pid), "SIGKILL");
      return pids.length > 0;
    });
    const found = shown(await finding).join("\n");
    expect(found).toMatch(/TSGI3543 .*\(cgi\).*Authorization/);
    expect(found).toMatch(/TSGI3544 .*\(fcgid\).*204800 bytes is answered with 500/);
    expect(found).toMatch(/TSGI3546 .*%2F is answered with 404/);
    expect(found).toMatch(/TSGI3556 .*\(cgi\)/);
    expect(found).toMatch(/TSGI3569 .*\(fcgid\)/);
    expect(found).not.toMatch(/TSGI3569 .*\(cgi\)/);
    expect(left("plain")).toEqual([]);
  }, 60_000);

  test.concurrent("a folder where no program runs", async () => {
    const found = shown(await probeFindings(folder("static"), new URL(`${apache.url}/static/`)));
    expect(found).toHaveLength(1);
    expect(found[0]).toMatch(/error TSGI3568 .*its source as text/);
    expect(left("static")).toEqual([]);
  });

  test.concurrent("answers only to its token", async () => {
    const probe = installProbe(folder("asked"));
    try {
      const ask = (token?: string) =>
        apache.request({
          target: `/asked/${probe.paths.cgi}?ask=facts`,
          headers: token === undefined ? [] : [["X-Tsgi-Probe", token]],
        });
      expect((await ask()).status).toBe(404);
      expect((await ask("x".repeat(43))).status).toBe(404);
      expect((await ask(probe.token)).status).toBe(200);
      const text = (await apache.request(`/asked/${probe.name}/probe.mjs`)).body.toString();
      const found = shown(
        await askProbe(new URL(`${apache.url}/asked/${probe.name}/`), { token: probe.token, paths: probePaths("") }),
      );
      expect(found.join("\n")).toMatch(/TSGI3577 .*\(cgi\)[^]*TSGI3577 .*\(fcgid\)/);
      expect(text).toContain("tokenHash");
      expect(text).not.toContain(probe.token);
    } finally {
      probe.remove();
    }
    probe.remove();
    expect(left("asked")).toEqual([]);
  });

  test("what a killed doctor has left is removed, and nothing else", async () => {
    const probe = installProbe(folder("probed"));
    await workspace.write("kept/file.txt", "kept");
    await symlink(workspace.path("kept"), join(folder("probed"), "tsgi-probe-0123456789abcdef"));
    expect(removeProbe(folder("probed"), 60_000)).toEqual([]);
    expect(removeProbe(folder("probed"))).toEqual([probe.name]);
    expect(existsSync(workspace.path("kept/file.txt"))).toBe(true);
  });

  test("one that init installs is asked with the line that it prints, and removed", async () => {
    const tsgi = async (...args: string[]): Promise<{ code: number | null; stdout: string; stderr: string }> => {
      const program = workspace.program("tsgi", [process.execPath, workspace.bin("tsgi"), ...args], { asRoot: true });
      const { code } = await program.ended;
      return { code, stdout: program.stdout, stderr: program.stderr };
    };
    const before = readdirSync(folder("init"));
    expect(await tsgi("init", folder("init"), "--probe", "--dry-run")).toMatchObject({ code: 0, stderr: "" });
    expect(readdirSync(folder("init"))).toEqual(before);
    const installed = await tsgi("init", folder("init"), "--probe");
    expect(installed).toMatchObject({ code: 0, stderr: "" });
    // The folder lies below "www", which hosts serve as the root of a site.
    const [, path = "", token = ""] =
      /^ +tsgi doctor https:\/\/your\.site(\/init\/tsgi-probe-\S+\/) --probe-token (\S+)$/m.exec(installed.stdout) ??
      [];
    const asked = await tsgi("doctor", `${apache.url}${path}`, "--probe-token", token, "--verbose");
    expect(asked.stdout).toMatch(/TSGI3577 .*\(cgi\): programs run as .* with Node v2/);
    expect(left("init")).toHaveLength(1);
    expect((await tsgi("init", folder("init"), "--remove", "--dry-run")).code).toBe(0);
    expect(left("init")).toHaveLength(1);
    expect(await tsgi("init", folder("init"), "--remove")).toMatchObject({
      code: 0,
      stderr: "",
      stdout: expect.stringContaining(path.slice("/init/".length, -1)),
    });
    expect(readdirSync(folder("init"))).toEqual(before);
    expect(await tsgi("init", folder("init"), "--probe", "--upload-kit", workspace.path("kit.zip"))).toMatchObject({
      code: 2,
    });
  }, 60_000);

  test("SIGINT removes it too", async () => {
    const doctor = workspace.program(
      "tsgi doctor",
      [process.execPath, workspace.bin("tsgi"), "doctor", "--probe", folder("list"), "--url", `${apache.url}/list/`],
      { asRoot: true },
    );
    await until("the probe", () => left("list").length > 0 || doctor.end !== undefined);
    expect(left("list")).toHaveLength(1);
    doctor.signal("SIGINT");
    expect(await doctor.ended).toMatchObject({ signal: "SIGINT" });
    expect(left("list")).toEqual([]);
  });
});
