// One frozen Config from flags, environment and defaults.
import { availableParallelism } from "node:os";
import { expect, test } from "vitest";
import { loadConfig } from "../../../src/config/load.ts";
import type { Setting } from "../../../src/config/setting.ts";
import type { SettingName } from "../../../src/config/settings.ts";
import { settings } from "../../../src/config/settings.ts";
import { ConfigError } from "../../../src/errors.ts";

const all = Object.keys(settings) as SettingName[];

function load(
  flags: Partial<Record<SettingName, string | readonly string[]>>,
  env: Record<string, string> = {},
  names = all,
) {
  return loadConfig({ flags, env, names });
}

function issuesOf(run: () => unknown): readonly string[] {
  try {
    run();
  } catch (error) {
    if (error instanceof ConfigError) return error.issues;
    throw error;
  }
  return [];
}

test("without anything given every setting has its default, and the result cannot be changed", () => {
  const config = load({});
  for (const name of all) expect(config[name], name).toEqual(settings[name].default);
  expect(Object.isFrozen(config)).toBe(true);
});

test("a flag goes before the environment, and that before the default", () => {
  expect(load({}, { TSGI_IDLE_TIMEOUT: "7s" }).idleTimeoutMs).toBe(7000);
  expect(load({ idleTimeoutMs: "9s" }, { TSGI_IDLE_TIMEOUT: "7s" }).idleTimeoutMs).toBe(9000);
});

test("what a file says goes before the default, and after flag and environment; for settings that are used", () => {
  const file = { queueLimit: 5, processes: 6, umask: 0 };
  const sources = { flags: { processes: "8" }, env: { TSGI_UMASK: "0077" }, names: all, file };
  expect(loadConfig(sources)).toMatchObject({ queueLimit: 5, processes: 8, umask: 0o077 });
  expect(loadConfig({ ...sources, env: {}, names: ["umask"] })).toMatchObject({ queueLimit: 100, umask: 0 });
});

test("a flag that was repeated gives a list, and a list from the environment is taken apart", () => {
  expect(load({ ignoreActivity: ["/a", "/b,/c/*"] }).ignoreActivity).toEqual(["/a", "/b", "/c/*"]);
  expect(load({}, { TSGI_IGNORE_ACTIVITY: "/a, /b" }).ignoreActivity).toEqual(["/a", "/b"]);
  expect(load({ nodeOptions: ["--import=./a b.mjs"] }).nodeOptions).toEqual(["--import=./a b.mjs"]);
  expect(load({}, { TSGI_NODE_OPTION: '--import="./a b.mjs" --expose-gc' }).nodeOptions).toEqual([
    "--import=./a b.mjs",
    "--expose-gc",
  ]);
  expect(issuesOf(() => load({ nodeOptions: ["--expose-gc", "-e"] }))).toEqual([
    '--node-option "--expose-gc -e": expected options such as --expose-gc or --import=./file.mjs, but "-e" is none',
  ]);
  expect(issuesOf(() => load({ port: ["1", "2"] }))).toEqual(['--port "1 2": expected one value, not a list']);
});

test("auto is a process for each core, and two at least", () => {
  expect(load({}).processes).toBe(Math.max(2, availableParallelism()));
  expect(load({ processes: "auto" }).processes).toBe(load({}).processes);
});

test("an empty variable is one that is not set; an empty flag is a value", () => {
  expect(load({}, { TSGI_LOG_LEVEL: "" }).logLevel).toBe("info");
  expect(issuesOf(() => load({ logLevel: "" }))).toHaveLength(1);
});

test("all problems are found at once, each with its source, its value and what is expected", () => {
  const issues = issuesOf(() => load({ listen: "9000", maxParamsBytes: "x" }, { TSGI_SOCKET_MODE: "999" }));
  expect(issues).toEqual([
    '--listen "9000": it is unix:/path, tcp:host:port or fd:number',
    'TSGI_SOCKET_MODE "999": expected three octal digits such as 0660',
    '--max-params "x": expected a size such as 65536, 64k or 1m',
  ]);
});

test("variables of settings that a command does not use are not looked at", () => {
  expect(load({}, { TSGI_PORT: "nonsense" }, ["logLevel"]).port).toBe(8000);
});

test("every setting has a flag and a variable of its own, and its default's text reads as its default", () => {
  const entries = Object.values(settings) as Setting<unknown>[];
  expect(new Set(entries.map(({ flag }) => flag)).size).toBe(entries.length);
  for (const { flag, env, defaultText, parse, default: value } of entries) {
    expect(env).toBe(`TSGI_${flag.toUpperCase().replaceAll("-", "_")}`);
    if (defaultText !== undefined) expect(parse(defaultText), flag).toEqual(value);
  }
});

test.each<[SettingName, string, unknown]>([
  ["mountPoint", "/", ""],
  ["mountPoint", "", ""],
  ["mountPoint", "/a/b/", "/a/b"],
  ["socketMode", "0600", 0o600],
  ["socketMode", "666", 0o666],
  ["allow", "10.0.0.7, ::1,10.1.0.0/16", ["10.0.0.7", "::1", "10.1.0.0/16"]],
  ["host", "[::1]", "::1"],
  ["host", "localhost", "localhost"],
  ["port", "0", 0],
  ["hasAccessLog", "true", true],
  ["hasAccessLog", "off", false],
  ["mode", "fcgid", "fcgid"],
  ["listen", "fd:0", { kind: "fd", fd: 0 }],
  ["processes", "1", 1],
  ["requestTimeoutMs", "0", 0],
  ["deadlockTimeoutMs", "0", 0],
  ["deadlockTimeoutMs", "100ms", 100],
  ["maximumRequests", "1000", 1000],
  ["restartIntervalMs", "24h", 86_400_000],
  ["memoryLimitBytes", "0", 0],
  ["memoryLimitBytes", "1g", 2 ** 30],
  ["maxOldSpaceSize", "512", 512],
  ["maxOldSpaceSize", "1g", 1024],
  ["maxConcurrency", "0", 0],
  ["queueLimit", "0", 0],
  ["umask", "0022", 0o022],
  ["umask", "077", 0o077],
  ["user", "www-data", "www-data"],
  ["user", "1000", "1000"],
  ["control", "unix:/run/x.control", "/run/x.control"],
  ["reload", "on", true],
])("%s takes %j", (name, text, value) => {
  expect(load({ [name]: text })[name]).toEqual(value);
});

test.each<[SettingName, string]>([
  ["mountPoint", "app"],
  ["mountPoint", "/a//b"],
  ["mountPoint", "/a/../b"],
  ["mountPoint", "/a?b"],
  ["mountPoint", "/a b"],
  ["mountPoint", "/%41"],
  ["mountPoint", '/"'],
  ["socketMode", "0066"],
  ["socketMode", "0170"],
  ["socketMode", "rw"],
  ["allow", "host.example"],
  ["allow", "10.0.0.0/33"],
  ["allow", "10.0.0.1,,::1"],
  ["host", "a b"],
  ["host", "-x"],
  ["port", "65536"],
  ["port", "http"],
  ["maxConnections", "0"],
  ["maxParamsBytes", "1"],
  ["idleTimeoutMs", "0"],
  ["cacheDir", ""],
  ["logLevel", "loud"],
  ["mode", "wsgi"],
  ["hasAccessLog", "maybe"],
  ["processes", "0"],
  ["processes", "1001"],
  ["processes", "all"],
  ["requestTimeoutMs", "-1"],
  ["deadlockTimeoutMs", "1ms"],
  ["startupTimeoutMs", "0"],
  ["gracefulTimeoutMs", "0"],
  ["shutdownTimeoutMs", "0"],
  ["queueTimeoutMs", "0"],
  ["queueLimit", "-1"],
  ["maximumRequests", "many"],
  ["memoryLimitBytes", "512"],
  ["maxOldSpaceSize", "1"],
  ["maxOldSpaceSize", "9999999"],
  ["ignoreActivity", "health"],
  ["ignoreActivity", "/a*b"],
  ["ignoreActivity", "/a?b"],
  ["ignoreActivity", "/a,,/b"],
  ["umask", "22"],
  ["umask", "0088"],
  ["user", ""],
  ["user", "a b"],
  ["user", "-x"],
  ["home", ""],
  ["processTitle", ""],
  ["control", "/run/x.control"],
  ["control", "tcp:127.0.0.1:1"],
  ["reload", "sometimes"],
])("%s refuses %j", (name, text) => {
  expect(issuesOf(() => load({ [name]: text }))).toHaveLength(1);
});
