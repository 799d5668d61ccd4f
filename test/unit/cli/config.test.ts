// `tsgi config` with a configuration file: what it prints for all that the file names, and the unit for systemd.
import { spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, realpathSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterEach, beforeEach, describe, expect, test } from "vitest";

const checkout = fileURLToPath(new URL("../../..", import.meta.url));
let base = "";

beforeEach(() => {
  base = realpathSync(mkdtempSync(join(tmpdir(), "tsgi-cli-config-")));
  mkdirSync(join(base, "files"));
});

afterEach(() => rmSync(base, { recursive: true }));

function write(name: string, lines: readonly string[]): void {
  writeFileSync(join(base, name), `${lines.join("\n")}\n`, { mode: 0o644 });
}

function tsgi(args: readonly string[], env: Record<string, string> = {}) {
  const { status, stdout, stderr } = spawnSync(process.execPath, [join(checkout, "bin/tsgi"), ...args], {
    cwd: base,
    encoding: "utf8",
    env: { PATH: process.env["PATH"] ?? "", TSGI_CACHE_DIR: join(base, "cache"), ...env },
  });
  return { status, stdout, stderr };
}

const groups = [
  'import { defineConfig } from "tsgi";',
  'console.log("printed by the file");',
  "export default defineConfig({",
  "  groups: {",
  '    shop: { listen: "unix:run/shop.sock", applications: { "/shop": "shop.ts", "/shop/admin": "shop.ts#admin" } },',
  '    files: { listen: "tcp:127.0.0.1:9001", scriptRoot: "files", mountPoint: "/files" },',
  "  },",
  "});",
];

describe("for a file with groups", () => {
  test("in the working folder, all of them are in the configuration, and nothing else is", () => {
    write("tsgi.config.ts", groups);
    const { status, stdout, stderr } = tsgi(["config", "proxy_fcgi"]);
    expect([status, stderr]).toEqual([0, "printed by the file\n"]);
    expect(stdout).toContain(`bin/tsgi daemon --config ${base}/tsgi.config.ts\n`);
    expect(stdout.match(/^ProxyPass \S+/gm)).toEqual(["ProxyPass /shop/admin", "ProxyPass /shop"]);
    expect(stdout.match(/^<Proxy .*/gm)).toEqual([
      expect.stringMatching(/^<Proxy "unix:\/.*\/run\/shop\.sock\|fcgi:\/\/[^/]+\.run\.shop">$/),
      "<Proxy fcgi://127.0.0.1:9001>",
    ]);
    expect(stdout).toContain(`Alias /files ${base}/files\n`);
    expect(stdout).not.toContain("/srv/app");
  });

  test("that is named, from anywhere", () => {
    mkdirSync(join(base, "conf"));
    write("conf/web.json", [
      '{ "groups": { "a": { "listen": "unix:a", "applications": { "/": "a.ts", "/b": "b.ts" } } } }',
    ]);
    const { status, stdout } = tsgi(["config", "proxy_fcgi", "--config", "conf/web.json"]);
    expect(status).toBe(0);
    expect(stdout).toMatch(new RegExp(`^ProxyPass / "unix:${base}/conf/a\\|fcgi://\\S+/" nocanon$`, "m"));
    expect(tsgi(["config", "proxy_fcgi"], { TSGI_CONFIG: "conf/web.json" })).toMatchObject({ status: 0, stdout });
  });

  test("and an application on the command line: that one, with the settings of the file's top level", () => {
    write("tsgi.config.ts", [...groups.slice(0, -1), '  listen: "unix:/run/x.sock",', '  mountPoint: "/x",', "});"]);
    const { status, stdout } = tsgi(["config", "proxy_fcgi", "other.ts"]);
    expect(status).toBe(0);
    expect(stdout).toContain(`daemon ${base}/other.ts --config ${base}/tsgi.config.ts --listen unix:/run/x.sock\n`);
    expect(stdout.match(/^ProxyPass .*/gm)).toEqual([
      'ProxyPass /x "unix:/run/x.sock|fcgi://run.x" nocanon enablereuse=on flushpackets=on iobuffersize=32768 timeout=300 ttl=60',
    ]);
  });

  test("modes without a daemon have no groups", () => {
    write("tsgi.config.ts", groups);
    const { status, stdout, stderr } = tsgi(["config", "fcgid"]);
    expect([status, stdout]).toEqual([2, ""]);
    expect(stderr).toContain("tsgi: fcgid is for one application, and the configuration file has 3: name one\n");
  });

  test("problems of the file are problems of the command, each on a line", () => {
    write("tsgi.config.json", ['{ "prot": 80, "groups": { "a": { "app": "a.ts", "processes": 0 } } }']);
    const { status, stdout, stderr } = tsgi(["config", "proxy_fcgi"]);
    expect([status, stdout]).toEqual([2, ""]);
    expect(stderr.split("\n")).toEqual([
      "tsgi: tsgi.config.json: prot: unknown setting (did you mean port?)",
      "tsgi: tsgi.config.json: groups.a.processes 0: expected auto, or a number from 1 to 1000",
      'tsgi: tsgi.config.json: groups.a: listen is needed, for example listen: "unix:/run/tsgi/a.sock"',
      "",
    ]);
  });
});

test("a file with one application makes the configuration that the application alone makes, but for the daemon's command", () => {
  write("tsgi.config.json", ['{ "app": "app.ts#admin", "mountPoint": "/m", "documentRoot": "files" }']);
  const fromFile = tsgi(["config", "proxy_fcgi"]);
  expect(fromFile).toMatchObject({ status: 0, stderr: "" });
  expect(fromFile.stdout).toContain(`daemon --config ${base}/tsgi.config.json\n`);
  rmSync(join(base, "tsgi.config.json"));
  const alone = tsgi(["config", "proxy_fcgi", "app.ts#admin", "--mount-point", "/m", "--document-root", "files"]);
  const withoutCommand = (text: string): string => text.replace(/^# {5}.*$/m, "");
  expect(withoutCommand(fromFile.stdout)).toBe(withoutCommand(alone.stdout));
});

test("flags given to config are in the daemon's command too", () => {
  write("tsgi.config.json", ['{ "app": "app.ts" }']);
  const { stdout } = tsgi(["config", "proxy_fcgi", "--listen", "tcp:127.0.0.1:9000"]);
  expect(stdout).toContain(`daemon --config ${base}/tsgi.config.json --listen tcp:127.0.0.1:9000\n`);
  expect(stdout).toMatch(/^ProxyPass \/ fcgi:\/\/127\.0\.0\.1:9000\/ nocanon /m);
});

test("without a file, or with one that names nothing to serve, there is the example", () => {
  const { status, stdout } = tsgi(["config", "proxy_fcgi"]);
  expect(status).toBe(0);
  expect(stdout).toContain("daemon /srv/app/app.ts --listen unix:/run/tsgi/app.sock");
  write("tsgi.config.json", ['{ "processes": 3 }']);
  expect(tsgi(["config", "proxy_fcgi"]).stdout).toContain("daemon /srv/app/app.ts --config ");
});

describe("systemd", () => {
  const lineOf = (text: string, name: string): string | undefined => new RegExp(`^${name}=(.*)$`, "m").exec(text)?.[1];

  test("a unit that starts the daemon with the flags that were given, as one user", () => {
    const flags = [
      "--listen",
      "unix:run/a.sock",
      "--user",
      "www-data",
      "--processes",
      "4",
      "--node-option",
      "--expose-gc",
    ];
    const { status, stdout, stderr } = tsgi(["config", "systemd", "app.ts#admin", ...flags, "--name", "shop"]);
    expect([status, stderr]).toEqual([0, ""]);
    const command = lineOf(stdout, "ExecStart");
    expect(command).toContain(
      ` daemon "${base}/app.ts#admin" --listen unix:${base}/run/a.sock --processes 4 --node-option --expose-gc --control `.replaceAll(
        '"',
        "",
      ),
    );
    expect(command).not.toContain("--user");
    expect(lineOf(stdout, "User")).toBe("www-data");
    expect(stdout).toContain("/etc/systemd/system/shop.service");
  });

  test("a unit for a configuration file, as root when its groups have several users", () => {
    const lines = (other: string): string[] => [
      '{ "groups": { "a": { "listen": "unix:/run/web/a.sock", "app": "a.ts", "user": "a" },',
      `  "b": { "listen": "unix:/run/web/b.sock", "app": "b.ts", "user": "${other}", "startupTimeout": "2m" } } }`,
    ];
    write("tsgi.config.json", lines("b"));
    const { status, stdout } = tsgi(["config", "systemd"]);
    expect(status).toBe(0);
    expect(lineOf(stdout, "ExecStart")).toContain(` daemon --config ${base}/tsgi.config.json --control `);
    expect(lineOf(stdout, "User")).toBeUndefined();
    expect(lineOf(stdout, "TimeoutStartSec")).toBe("150s");
    write("tsgi.config.json", lines("a"));
    expect(lineOf(tsgi(["config", "systemd"]).stdout, "User")).toBe("a");
  });

  test("a service without a user is refused: it would run as root", () => {
    const { status, stderr } = tsgi(["config", "systemd", "app.ts"]);
    expect([status, stderr]).toEqual([2, "tsgi: a service needs a user to run as: add one, as in --user www-data\n"]);
  });
});

describe("the status page", () => {
  test("is beside the socket of the application, and the daemon is told so", () => {
    const { status, stdout } = tsgi(["config", "proxy_fcgi", "app.ts", "--status-mount", "/tsgi-status/"]);
    expect(status).toBe(0);
    expect(stdout).toMatch(/^# .*tsgi daemon .* --status unix:\/run\/tsgi\/app\.status$/m);
    expect(stdout.replaceAll("\n# ", " ")).toMatch(/Modules: proxy [a-z_ ]* proxy_http authz_host\. /);
    expect(stdout).toMatch(/^<Location \/tsgi-status>$/m);
    expect(stdout).toMatch(/^ {2}ProxyPass "unix:\/run\/tsgi\/app\.status\|http:\/\/run\.tsgi\.app-2estatus" /m);
  });

  test("is where --status says, for all groups of a file", () => {
    write("tsgi.config.ts", groups);
    const { stdout } = tsgi(["config", "proxy_fcgi", "--status-mount", "/s", "--status", "tcp:127.0.0.1:9002"]);
    expect(stdout).toMatch(/^# .* --status tcp:127\.0\.0\.1:9002$/m);
    expect(stdout).toMatch(/^ {2}ProxyPass http:\/\/127\.0\.0\.1:9002 /m);
  });

  test.each([
    [["fcgid", "app.ts", "--status-mount", "/s"], /goes with proxy_fcgi/],
    [["proxy_fcgi", "app.ts", "--status-mount", "/"], /a URL path of its own/],
    [["proxy_fcgi", "app.ts", "--status-mount", "/s", "--status", "tcp:0.0.0.0:9002"], /an address of this machine/],
    [["proxy_fcgi", "app.ts", "--status-mount", "/s", "--listen", "tcp:127.0.0.1:9001"], /needs --status/],
  ])("%s is refused", (args, expected) => {
    const { status, stderr } = tsgi(["config", ...args]);
    expect([status, stderr]).toEqual([2, expect.stringMatching(expected)]);
  });
});

test("config balancer keeps its page for draining at a path of its own", () => {
  const { status, stdout, stderr } = tsgi([
    "config",
    "balancer",
    "app.ts",
    "--member",
    "10.0.0.7:9000",
    "--manager",
    "/",
  ]);
  expect([status, stdout]).toEqual([2, ""]);
  expect(stderr).toMatch(/^tsgi: --manager "\/": expected a URL path of its own/);
});
