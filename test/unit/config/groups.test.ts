// The server that flags, environment and configuration file make up: its groups, what goes before what, and every problem.
import { describe, expect, test } from "vitest";
import type { ConfigOptions } from "../../../src/config/define.ts";
import { readConfigValue } from "../../../src/config/file.ts";
import type { ServerConfig, ServerSources } from "../../../src/config/groups.ts";
import { resolveServer } from "../../../src/config/groups.ts";
import { daemonSettings } from "../../../src/config/settings.ts";
import { ConfigError } from "../../../src/errors.ts";

interface Given extends Partial<Omit<ServerSources, "file">> {
  readonly file?: ConfigOptions;
  readonly folders?: readonly string[];
}

function server({ file, folders = [], ...more }: Given): ServerConfig {
  const place = { path: "/srv/site/tsgi.config.ts", shown: "tsgi.config.ts", folder: "/srv/site" };
  return resolveServer({
    flags: {},
    env: {},
    names: daemonSettings,
    app: undefined,
    folder: "/srv",
    isFolder: (path) => folders.includes(path),
    file: file === undefined ? undefined : readConfigValue(file, place),
    ...more,
  });
}

function issuesOf(given: Given): readonly string[] {
  try {
    server(given);
  } catch (error) {
    if (error instanceof ConfigError) return error.issues;
    throw error;
  }
  return [];
}

const listen = "unix:/run/a.sock";
const twoGroups: ConfigOptions = {
  processes: 3,
  logLevel: "warn",
  env: { MODE: "live", SHARED: 1 },
  groups: {
    shop: { listen: "unix:run/shop.sock", applications: { "/": "shop.ts", "/admin": "shop.ts#admin" }, processes: 5 },
    files: { listen: "tcp:127.0.0.1:9001", scriptRoot: "files", env: { MODE: "test" }, logLevel: "debug" },
  },
};

describe("one group", () => {
  test("for an application on the command line, with absolute paths", () => {
    const config = server({ app: "app.ts#admin", flags: { listen, cacheDir: "cache", home: "h", control: "unix:c" } });
    expect(config).toMatchObject({ control: "/srv/c", pidFile: undefined, reload: false, configFile: undefined });
    expect(config.groups).toHaveLength(1);
    expect(config.groups[0]).toMatchObject({
      name: "default",
      listen: { kind: "unix", path: "/run/a.sock" },
      applications: [{ mountPoint: undefined, app: "/srv/app.ts#admin" }],
      scriptRoot: undefined,
      cacheDir: "/srv/cache",
      home: "/srv/h",
      env: {},
    });
    expect(Object.isFrozen(config)).toBe(true);
  });

  test("for a folder in the place of an application, and for --script-root", () => {
    for (const given of [
      { app: "site", folders: ["/srv/site"], flags: { listen } },
      { flags: { listen, scriptRoot: "site" } },
      { flags: { listen }, env: { TSGI_SCRIPT_ROOT: "site" } },
    ]) {
      expect(server(given).groups).toMatchObject([{ name: "default", applications: [], scriptRoot: "/srv/site" }]);
    }
  });

  test("of a file without groups, whose mount points are kept", () => {
    const one = server({ file: { listen, app: "app.ts", mountPoint: "/m", pidFile: "app.pid", reload: true } });
    expect(one).toMatchObject({ configFile: "/srv/site/tsgi.config.ts", pidFile: "/srv/site/app.pid", reload: true });
    expect(one.groups).toMatchObject([
      { name: "default", applications: [{ mountPoint: "/m", app: "/srv/site/app.ts" }], mountPoint: "/m" },
    ]);
    const many = server({ file: { listen, applications: { "/a": "a.ts", "/": "b.ts" } } });
    expect(many.groups[0]?.applications).toEqual([
      { mountPoint: "/a", app: "/srv/site/a.ts" },
      { mountPoint: "", app: "/srv/site/b.ts" },
    ]);
    const folder = server({ file: { listen, scriptRoot: "scripts" } });
    expect(folder.groups).toMatchObject([{ applications: [], scriptRoot: "/srv/site/scripts" }]);
    const found = server({ file: { listen, app: "scripts" }, folders: ["/srv/site/scripts"] });
    expect(found.groups).toMatchObject([{ applications: [], scriptRoot: "/srv/site/scripts" }]);
  });

  test("when the command line says what to serve, whatever the file serves; its settings still count", () => {
    for (const given of [{ app: "b.ts" }, { flags: { listen, scriptRoot: "s" } }]) {
      const { groups } = server({ file: twoGroups, flags: { listen }, ...given });
      expect(groups).toMatchObject([{ name: "default", processes: 3, logLevel: "warn", env: { MODE: "live" } }]);
    }
    const { groups } = server({ file: { listen, scriptRoot: "s", umask: "0077" }, app: "b.ts" });
    expect(groups).toMatchObject([{ applications: [{ app: "/srv/b.ts" }], scriptRoot: undefined, umask: 0o077 }]);
  });

  test("needs an address and something to serve, and not two things", () => {
    expect(issuesOf({})).toEqual([
      "--listen is needed, for example --listen unix:/run/tsgi/app.sock",
      "name an application (file.ts or file.ts#export) or a folder of them",
    ]);
    expect(issuesOf({ app: "a.ts", flags: { listen, scriptRoot: "s" } })).toEqual([
      "an application and --script-root do not go together: give one of them",
    ]);
    expect(server({ app: "a.ts", defaultListen: { kind: "fd", fd: 0 } }).groups[0]?.listen).toEqual({
      kind: "fd",
      fd: 0,
    });
  });
});

describe("several groups", () => {
  test("have the settings of the top level where they have none of their own", () => {
    const { groups, logLevel } = server({ file: twoGroups });
    expect(logLevel).toBe("warn");
    expect(groups).toMatchObject([
      {
        name: "shop",
        processes: 5,
        logLevel: "warn",
        listen: { path: "/srv/site/run/shop.sock" },
        applications: [{ mountPoint: "" }, { mountPoint: "/admin", app: "/srv/site/shop.ts#admin" }],
        scriptRoot: undefined,
        env: { MODE: "live", SHARED: "1" },
      },
      {
        name: "files",
        processes: 3,
        logLevel: "debug",
        applications: [],
        scriptRoot: "/srv/site/files",
        env: { MODE: "test", SHARED: "1" },
      },
    ]);
  });

  test("flags and environment go before all of them, a flag first", () => {
    const env = { TSGI_PROCESSES: "7", TSGI_LOG_LEVEL: "error" };
    const { groups } = server({ file: twoGroups, flags: { processes: "9" }, env });
    expect(groups.map(({ processes, logLevel }) => [processes, logLevel])).toEqual([
      [9, "error"],
      [9, "error"],
    ]);
  });

  test("need an address each, of their own", () => {
    expect(issuesOf({ file: { groups: { a: { app: "a.ts" }, b: { app: "b.ts", listen } } } })).toEqual([
      'tsgi.config.ts: groups.a: listen is needed, for example listen: "unix:/run/tsgi/a.sock"',
    ]);
    const shared = { groups: { a: { app: "a.ts", listen: "unix:x" }, b: { app: "b.ts", listen: "unix:/srv/site/x" } } };
    expect(issuesOf({ file: shared })).toEqual([
      "tsgi.config.ts: groups.a and groups.b both listen on unix:/srv/site/x: give each an address of its own",
    ]);
    expect(issuesOf({ file: twoGroups, flags: { listen } })).toEqual([
      "tsgi.config.ts: groups.shop and groups.files both listen on unix:/run/a.sock: give each an address of its own",
    ]);
  });

  test("may have any number of free TCP ports", () => {
    const free = { listen: "tcp:127.0.0.1:0" };
    expect(issuesOf({ file: { groups: { a: { app: "a.ts", ...free }, b: { app: "b.ts", ...free } } } })).toEqual([]);
  });

  test("a control socket in the place of a group's is refused", () => {
    expect(issuesOf({ file: { control: "unix:/run/a.sock", listen, app: "a.ts" } })).toEqual([
      "unix:/run/a.sock cannot be both the control socket and the one that Apache connects to",
    ]);
  });

  test("a folder among applications is refused with its place", () => {
    const file = { groups: { g: { listen, applications: { "/x": "x" } } } };
    expect(issuesOf({ file, folders: ["/srv/site/x"] })).toEqual([
      'tsgi.config.ts: groups.g.applications["/x"] "/srv/site/x": a folder: give it a group of its own, with scriptRoot',
    ]);
  });
});

test("a mount point on the command line is refused where applications have their own", () => {
  const why = "--mount-point does not go with applications, which have mount points of their own";
  expect(issuesOf({ file: twoGroups, flags: { mountPoint: "/x" } })).toEqual([why]);
  expect(issuesOf({ app: "app.ts", flags: { listen, mountPoint: "/x" } })).toEqual([]);
});

test("all problems of all sources are told at once, each once", () => {
  const file = { processes: "x", groups: { a: { app: "a.ts", queueLimit: -1 }, b: { app: "b.ts", listen } } };
  expect(issuesOf({ file, flags: { umask: "9" }, env: { TSGI_QUEUE_TIMEOUT: "0" } })).toEqual([
    'tsgi.config.ts: processes "x": expected auto, or a number from 1 to 1000',
    "tsgi.config.ts: groups.a.queueLimit -1: expected a number from 0 to 9999999",
    'TSGI_QUEUE_TIMEOUT "0": expected at least 1ms',
    '--umask "9": expected three octal digits such as 0022',
    'tsgi.config.ts: groups.a: listen is needed, for example listen: "unix:/run/tsgi/a.sock"',
  ]);
});
