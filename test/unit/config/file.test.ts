// What a configuration file says: values, places, and every problem with its place.
import { describe, expect, test } from "vitest";
import { defineConfig } from "../../../src/config/define.ts";
import type { ConfigFile } from "../../../src/config/file.ts";
import { readConfigValue } from "../../../src/config/file.ts";

function read(value: unknown): ConfigFile {
  return readConfigValue(value, { path: "/srv/site/tsgi.config.ts", shown: "tsgi.config.ts", folder: "/srv/site" });
}

const issuesOf = (value: unknown): readonly string[] => read(value).issues;

describe("values", () => {
  test("are what the flag of that name takes, as text, number, boolean or list", () => {
    const { top, groups, issues } = read(
      defineConfig({
        listen: "tcp:127.0.0.1:9000",
        processes: 4,
        requestTimeout: "30s",
        gracefulTimeout: 1.5,
        memoryLimit: "512m",
        reload: true,
        accessLog: false,
        otel: false,
        ignoreActivity: ["/health", "/status/*"],
        allow: "10.0.0.7, ::1",
        nodeOption: ["--import=./a b.mjs", "--expose-gc"],
        umask: "0027",
        socketMode: "666",
        group: "33",
        logLevel: "warn",
        maxOldSpaceSize: "2g",
      }),
    );
    expect(issues).toEqual([]);
    expect(groups).toBeUndefined();
    expect(top.values).toEqual({
      listen: { kind: "tcp", host: "127.0.0.1", port: 9000 },
      processes: 4,
      requestTimeoutMs: 30_000,
      gracefulTimeoutMs: 1500,
      memoryLimitBytes: 512 * 2 ** 20,
      reload: true,
      hasAccessLog: false,
      hasTracing: false,
      ignoreActivity: ["/health", "/status/*"],
      allow: ["10.0.0.7", "::1"],
      nodeOptions: ["--import=./a b.mjs", "--expose-gc"],
      umask: 0o027,
      socketMode: 0o666,
      group: "33",
      logLevel: "warn",
      maxOldSpaceSize: 2048,
    });
  });

  test("that are undefined are not there", () => {
    expect(read({ listen: undefined, env: undefined, app: undefined, groups: undefined })).toMatchObject({
      issues: [],
      groups: undefined,
      top: { values: {}, env: {}, app: undefined, applications: undefined },
    });
  });

  test("text for a list is what the environment would have", () => {
    expect(read({ nodeOption: '--import="./a b.mjs" --expose-gc' }).top.values.nodeOptions).toEqual([
      "--import=./a b.mjs",
      "--expose-gc",
    ]);
  });

  test("relative paths and sockets count from the file's folder", () => {
    const { top, issues } = read({
      app: "apps/shop.ts#admin",
      listen: "unix:run/app.sock",
      control: "unix:run/app.control",
      cacheDir: "../cache",
      pidFile: "/run/app.pid",
      home: ".",
    });
    expect(issues).toEqual([]);
    expect(top.app).toBe("/srv/site/apps/shop.ts#admin");
    expect(top.values).toEqual({
      listen: { kind: "unix", path: "/srv/site/run/app.sock" },
      control: "/srv/site/run/app.control",
      cacheDir: "/srv/cache",
      pidFile: "/run/app.pid",
      home: "/srv/site",
    });
  });

  test("a socket that is too long with the folder before it is refused", () => {
    expect(issuesOf({ listen: `unix:${"x".repeat(100)}` })).toEqual([
      expect.stringMatching(/^tsgi\.config\.ts: listen "unix:x+": the path of a unix socket has at most 107 bytes/),
    ]);
  });

  test.each<[string, unknown, string]>([
    ["processes", "x", '"x": expected auto, or a number from 1 to 1000'],
    ["processes", null, "null: expected text or a number"],
    ["processes", true, "true: expected text or a number"],
    ["processes", [2], "[2]: expected one value, not a list"],
    ["processes", 0, "0: expected auto, or a number from 1 to 1000"],
    ["processes", Number.NaN, "null: expected auto, or a number from 1 to 1000"],
    ["processes", 1n, "1: expected text or a number"],
    ["processes", () => 4, "(a function): expected text or a number"],
    ["processes", { a: 1 }, '{"a":1}: expected text or a number'],
    ["processes", new Date(0), "(an object of a class): expected text or a number"],
    ["reload", "maybe", '"maybe": expected on or off'],
    ["reload", {}, "{}: expected true or false"],
    ["otel", 2, "2: expected on or off"],
    ["umask", 22, '22: expected text such as "0022": a number could be meant as octal or as decimal'],
    ["socketMode", 0o660, '432: expected text such as "0022": a number could be meant as octal or as decimal'],
    ["user", "", '"": expected a name or a number'],
    ["allow", ["10.0.0.1", "x"], '["10.0.0.1","x"]: expected IP addresses or subnets, but "x" is none'],
    ["allow", [["10.0.0.1"]], '[["10.0.0.1"]]: expected text or a number'],
    ["nodeOption", ["-e"], '["-e"]: expected options such as --expose-gc or --import=./file.mjs, but "-e" is none'],
    ["app", 5, '5: expected a file\'s name as text, such as "app.ts" or "app.ts#admin"'],
    ["app", "", '"": expected a value that is not empty'],
    ["env", "x", '"x": expected variables by name'],
    ["applications", ["x.ts"], '["x.ts"]: expected files by mount point, as in { "/shop": "shop.ts" }'],
    ["groups", [], "[]: expected groups by name, as in groups: { shop: { ... } }"],
  ])("%s refuses %o", (key, value, rest) => {
    expect(issuesOf({ [key]: value })).toEqual([`tsgi.config.ts: ${key} ${rest}`]);
  });

  test("long values are cut in messages", () => {
    expect(issuesOf({ processes: "x".repeat(1000) })[0]?.length).toBeLessThan(300);
  });

  test.each([undefined, null, "x", 5, [], () => ({})])("%o is no configuration", (value) => {
    expect(issuesOf(value)).toEqual([expect.stringMatching(/^tsgi\.config\.ts .*: expected the settings, as in /)]);
  });
});

describe("keys", () => {
  test("that nobody knows are problems, with what may be meant", () => {
    expect(issuesOf({ proceses: 4, requestTimeoutMs: 5, "log-level": "info", wsgi: 1, config: "x" })).toEqual([
      "tsgi.config.ts: proceses: unknown setting (did you mean processes?)",
      "tsgi.config.ts: requestTimeoutMs: unknown setting (did you mean requestTimeout?)",
      "tsgi.config.ts: log-level: unknown setting (did you mean logLevel?)",
      "tsgi.config.ts: wsgi: unknown setting",
      "tsgi.config.ts: config: unknown setting",
    ]);
  });

  test("all problems are found at once", () => {
    expect(issuesOf({ a: 1, port: "x", groups: { g: { app: "g.ts", queueLimit: -1 } } })).toHaveLength(3);
  });
});

describe("groups", () => {
  test("have settings, applications and an environment of their own", () => {
    const { groups, issues } = read({
      groups: {
        shop: {
          listen: "unix:run/shop.sock",
          applications: { "/shop/": "shop.ts", "/": "front.ts#front" },
          processes: 2,
          env: { DEBUG: true, WORKERS: 3, MODE: "live", NONE: undefined },
        },
        files: { listen: "tcp:127.0.0.1:9001", scriptRoot: "files" },
      },
    });
    expect(issues).toEqual([]);
    expect(groups).toMatchObject([
      {
        name: "shop",
        values: { listen: { path: "/srv/site/run/shop.sock" }, processes: 2 },
        applications: [
          { mountPoint: "/shop", app: "/srv/site/shop.ts" },
          { mountPoint: "", app: "/srv/site/front.ts#front" },
        ],
        env: { DEBUG: "true", WORKERS: "3", MODE: "live" },
      },
      { name: "files", values: { scriptRoot: "/srv/site/files" }, app: undefined, applications: undefined, env: {} },
    ]);
  });

  test.each<[string, unknown, string]>([
    ["no target", {}, "groups.g: one of app, applications and scriptRoot is needed"],
    [
      "two targets",
      { app: "a.ts", scriptRoot: "b" },
      "groups.g: app and scriptRoot do not go together: give one of them",
    ],
    [
      "a wrong value",
      { app: "a.ts", processes: "x" },
      'groups.g.processes "x": expected auto, or a number from 1 to 1000',
    ],
    ["an unknown key", { app: "a.ts", limit: 1 }, "groups.g.limit: unknown setting"],
    ["a near key", { app: "a.ts", quelimit: 1 }, "groups.g.quelimit: unknown setting (did you mean queueLimit?)"],
    [
      "a key of the file",
      { app: "a.ts", pidFile: "x" },
      "groups.g.pidFile: a setting of the whole file: move it out of the group",
    ],
    [
      "groups in it",
      { app: "a.ts", groups: {} },
      "groups.g.groups: a setting of the whole file: move it out of the group",
    ],
    [
      "mountPoint and applications",
      { applications: { "/a": "a.ts" }, mountPoint: "/b" },
      "groups.g.mountPoint: it does not go with applications, which have mount points of their own",
    ],
    [
      "a mount point",
      { applications: { a: "a.ts" } },
      'groups.g.applications["a"] "a": expected a URL path that starts with /',
    ],
    [
      "two of one mount point",
      { applications: { "/a": "a.ts", "/a/": "b.ts" } },
      'groups.g.applications["/a"]: it is there twice',
    ],
    ["no application", { applications: {} }, "groups.g.applications: expected at least one application"],
    ["a variable", { app: "a.ts", env: { "a-b": 1 } }, "groups.g.env.a-b 1: expected a name of letters, digits and _"],
    [
      "a variable of Node's",
      { app: "a.ts", env: { NODE_CHANNEL_FD: 3 } },
      "groups.g.env.NODE_CHANNEL_FD 3: Node needs this variable for itself",
    ],
    [
      "options of Node",
      { app: "a.ts", env: { NODE_OPTIONS: "-e" } },
      'groups.g.env.NODE_OPTIONS "-e": use the setting nodeOption',
    ],
    [
      "a variable that is a list",
      { app: "a.ts", env: { A: [] } },
      "groups.g.env.A []: expected text, a number or a boolean",
    ],
    ["no object", "a.ts", 'groups.g "a.ts": expected the settings of a group'],
  ])("refuse %s", (_, group, issue) => {
    expect(issuesOf({ groups: { g: group } })).toEqual([`tsgi.config.ts: ${issue}`]);
  });

  test.each(["a b", "1", "", "ä", "a.b", "x".repeat(33), "constructor!"])("%j is no name of a group", (name) => {
    expect(issuesOf({ groups: { [name]: { app: "a.ts" } } })).toEqual([
      expect.stringContaining("expected a plain word"),
    ]);
  });

  test("names that objects have anyway are names like others", () => {
    expect(issuesOf(JSON.parse('{"groups": {"constructor": {"app": "a.ts"}, "toString": {"app": "b.ts"}}}'))).toEqual(
      [],
    );
    expect(issuesOf(JSON.parse('{"__proto__": {"app": "a.ts"}}'))).toEqual([
      "tsgi.config.ts: __proto__: unknown setting",
    ]);
  });

  test("none, or an application beside them, is refused", () => {
    expect(issuesOf({ groups: {} })).toEqual(["tsgi.config.ts: groups: expected at least one group"]);
    expect(issuesOf({ groups: { g: { app: "a.ts" } }, app: "b.ts" })).toEqual([
      "tsgi.config.ts: app: it cannot stand beside groups: move it into one",
    ]);
  });
});
