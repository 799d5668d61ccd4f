// One frozen Config from flags, environment and defaults.
import { expect, test } from "vitest";
import { loadConfig } from "../../../src/config/load.ts";
import type { Setting } from "../../../src/config/setting.ts";
import type { SettingName } from "../../../src/config/settings.ts";
import { settings } from "../../../src/config/settings.ts";
import { ConfigError } from "../../../src/errors.ts";

const all = Object.keys(settings) as SettingName[];

function load(flags: Partial<Record<SettingName, string>>, env: Record<string, string> = {}, names = all) {
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
])("%s refuses %j", (name, text) => {
  expect(issuesOf(() => load({ [name]: text }))).toHaveLength(1);
});
