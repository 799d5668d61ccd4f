// What `tsgi config` prints: the files in apache/ are its output, and Apache accepts all of it.
// After an intended change: npx vitest run --config test/vitest.config.ts --project unit test/unit/apache/presets.test.ts -u
import { spawnSync } from "node:child_process";
import { chmodSync, mkdirSync, mkdtempSync, realpathSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { findHttpd, loadModules } from "../../harness/machine.ts";
import { render } from "../../../src/apache/directives.ts";
import type { GroupSites, GroupsOptions, PresetName, PresetOptions } from "../../../src/apache/presets.ts";
import { groupsPreset, isPresetName, preset, presetNames } from "../../../src/apache/presets.ts";
import { backendOf } from "../../../src/apache/proxy-fcgi.ts";
import type { SiteTarget } from "../../../src/apache/site.ts";
import { statusModules } from "../../../src/apache/status-mount.ts";

const app: SiteTarget = { kind: "application", file: "/srv/app/app.ts", exportName: undefined };
const folder: SiteTarget = { kind: "scripts", root: "/srv/site" };

const neutral: PresetOptions = {
  site: { target: app, mountPoint: "", documentRoot: undefined },
  listen: { kind: "unix", path: "/run/tsgi/app.sock" },
  programs: "/opt/tsgi/bin",
  nodeFolder: "/usr/bin",
  cacheDir: undefined,
};

const golden: readonly (readonly [file: string, name: PresetName, target: SiteTarget])[] = [
  ["proxy_fcgi.conf", "proxy_fcgi", app],
  ["proxy_fcgi-folder.conf", "proxy_fcgi", folder],
  ["fcgid.conf", "fcgid", app],
  ["fcgid-folder.conf", "fcgid", folder],
  ["cgi.conf", "cgi", app],
  ["cgi-folder.conf", "cgi", folder],
  ["htaccess-cgi.htaccess", "htaccess-cgi", app],
  ["htaccess-fcgid.htaccess", "htaccess-fcgid", app],
  ["htaccess-proxy.htaccess", "htaccess-proxy", app],
];

test.each(golden)("apache/%s is what tsgi config prints", async (file, name, target) => {
  const text = render(preset(name, { ...neutral, site: { ...neutral.site, target } }));
  await expect(text).toMatchFileSnapshot(`../../../apache/${file}`);
});

const application = (file: string, exportName?: string): SiteTarget => ({ kind: "application", file, exportName });

const groups: readonly GroupSites[] = [
  {
    name: "shop",
    listen: { kind: "unix", path: "/run/tsgi/shop.sock" },
    mounts: [
      { mountPoint: "/shop", target: application("/srv/shop/shop.ts") },
      { mountPoint: "/shop/admin", target: application("/srv/shop/shop.ts", "admin") },
    ],
  },
  {
    name: "front",
    listen: { kind: "unix", path: "/run/tsgi/front.sock" },
    mounts: [{ mountPoint: "", target: application("/srv/front.ts") }],
  },
  {
    name: "files",
    listen: { kind: "tcp", host: "127.0.0.1", port: 9001 },
    mounts: [{ mountPoint: "/files", target: { kind: "scripts", root: "/srv/files" } }],
  },
];

const neutralGroups: GroupsOptions = {
  groups,
  documentRoot: undefined,
  programs: "/opt/tsgi/bin",
  daemonArguments: ["--config", "/srv/tsgi.config.ts"],
};

test("apache/proxy_fcgi-groups.conf is what tsgi config prints for a configuration file with groups", async () => {
  const text = render(groupsPreset("proxy_fcgi", neutralGroups));
  await expect(text).toMatchFileSnapshot("../../../apache/proxy_fcgi-groups.conf");
});

test("what is asked first stands first: mount points from long to short, their sections from short to long", () => {
  const text = render(groupsPreset("proxy_fcgi", neutralGroups));
  const values = (pattern: RegExp): (string | undefined)[] => [...text.matchAll(pattern)].map(([, value]) => value);
  expect(values(/^ProxyPass (\S+)/gm)).toEqual(["/shop/admin", "/files", "/shop", "/"]);
  expect(values(/^<Location (\S+)>/gm)).toEqual(["/", "/shop", "/files", "/shop/admin"]);
  expect(values(/^<Proxy "?([^">]+)/gm)).toEqual([
    "unix:/run/tsgi/shop.sock|fcgi://run.tsgi.shop",
    "unix:/run/tsgi/front.sock|fcgi://run.tsgi.front",
    "fcgi://127.0.0.1:9001",
  ]);
  expect(text.match(/AllowEncodedSlashes|MergeSlashes|ap_trust_cgilike_cl/g)).toHaveLength(3);
});

test("a folder that no application surrounds needs no exception from it", () => {
  const text = render(
    groupsPreset("proxy_fcgi", { ...neutralGroups, groups: groups.filter(({ name }) => name !== "front") }),
  );
  expect(text).not.toMatch(/ProxyPass \/files|UnsetEnv/);
});

test("groups that Apache could not tell apart are refused", () => {
  const again = groups.map((group) => ({ ...group, name: `${group.name}2` }));
  expect(() => groupsPreset("proxy_fcgi", { ...neutralGroups, groups: [...groups, ...again] })).toThrow(
    [
      "groups.shop and groups.shop2 are both mounted at /shop: give each a mountPoint of its own",
      "groups.shop and groups.shop2 are both mounted at /shop/admin: give each a mountPoint of its own",
      "groups.front and groups.front2 are both mounted at /: give each a mountPoint of its own",
      "groups.files and groups.files2 have the same scriptRoot",
      "groups.files and groups.files2 are both mounted at /files: give each a mountPoint of its own",
    ].join("\n"),
  );
});

test.each(presetNames.filter((name) => name !== "proxy_fcgi"))("%s, which has no groups, refuses them", (name) => {
  expect(() => groupsPreset(name, neutralGroups)).toThrow(
    `${name} is for one application, and the configuration file has 4`,
  );
});

test("every preset has its file", () => {
  expect(new Set(golden.map(([, name]) => name))).toEqual(new Set(presetNames));
});

test("names of presets are told from others", () => {
  expect(isPresetName("fcgid")).toBe(true);
  expect(isPresetName("nginx")).toBe(false);
});

describe("Apache accepts", () => {
  let base = "";

  beforeAll(() => {
    base = realpathSync(mkdtempSync(join(tmpdir(), "tsgi preset's #")));
    for (const name of ["bin", "app dir", "site", "public", "logs"]) mkdirSync(join(base, name));
    for (const name of ["tsgi-cgi", "tsgi-fcgid"]) {
      writeFileSync(join(base, "bin", name), "#!/bin/sh\n");
      chmodSync(join(base, "bin", name), 0o755);
    }
  });

  afterAll(() => rmSync(base, { recursive: true }));

  /** Real paths: Apache looks for programs and document roots when it reads its configuration. */
  function options(target: SiteTarget["kind"], mountPoint: string, hasDocuments: boolean): PresetOptions {
    const real: SiteTarget =
      target === "application"
        ? { kind: "application", file: join(base, "app dir/my app.ts"), exportName: "admin" }
        : { kind: "scripts", root: join(base, "site") };
    return {
      ...neutral,
      site: { target: real, mountPoint, documentRoot: hasDocuments ? join(base, "public") : undefined },
      programs: join(base, "bin"),
      cacheDir: join(base, "cache"),
    };
  }

  function check(text: string, isHtaccess: boolean): string {
    const modules = ["mpm_event", "authz_core", "alias", "actions", "dir", "mime", "env", "setenvif", "rewrite"];
    const transports = ["proxy", "proxy_fcgi", "fcgid", "cgid", ...statusModules];
    const head = [
      loadModules([...modules, ...transports]),
      "ServerName x\nListen 127.0.0.1:1",
      `DefaultRuntimeDir "${base}"\nErrorLog "${base}/logs/error"\nFcgidIPCDir "${base}"\nFcgidProcessTableFile "${base}/shm"`,
      `ScriptSock "${base}/cgid"\nTypesConfig /dev/null`,
    ];
    // In place of a .htaccess file, which Apache reads only for a request: the directives of a folder.
    const body = isHtaccess ? `<Directory "${base}/public">\n${text}</Directory>` : text;
    const file = join(base, "httpd.conf");
    writeFileSync(file, [...head, body].join("\n"));
    const { status, stderr } = spawnSync(findHttpd().file, ["-d", base, "-f", file, "-t"], { encoding: "utf8" });
    return `${status} ${stderr.trim()}`;
  }

  const servers = (["proxy_fcgi", "fcgid", "cgi"] as const).flatMap((name) =>
    (["application", "scripts"] as const).flatMap((target) =>
      ["", "/m/n"].flatMap((mount) => [false, true].map((documents) => [name, target, mount, documents] as const)),
    ),
  );

  test.each(servers)("%s for %s at %j, document root %s", (name, target, mount, documents) => {
    expect(check(render(preset(name, options(target, mount, documents))), false)).toBe("0 Syntax OK");
  });

  test.each([
    { kind: "unix", path: "/run/tsgi/app.status" } as const,
    { kind: "tcp", host: "127.0.0.1", port: 9002 } as const,
    { kind: "tcp", host: "::1", port: 9002 } as const,
  ])("proxy_fcgi with the status page of %j", (address) => {
    const statusMount = { mountPoint: "/tsgi-status", address };
    const text = render(preset("proxy_fcgi", { ...options("application", "", true), statusMount }));
    expect(check(text, false)).toBe("0 Syntax OK");
  });

  test.each([false, true])("proxy_fcgi for groups, document root %s", (hasDocuments) => {
    const [shop, front] = groups;
    const target: SiteTarget = { kind: "scripts", root: join(base, "site") };
    const listen = { kind: "tcp", host: "127.0.0.1", port: 9001 } as const;
    const files = { name: "files", listen, mounts: [{ mountPoint: "/files", target }] };
    const real = [shop, front, files].filter((group) => group !== undefined);
    const documentRoot = hasDocuments ? join(base, "public") : undefined;
    const text = render(groupsPreset("proxy_fcgi", { ...neutralGroups, groups: real, documentRoot }));
    expect(check(text, false)).toBe("0 Syntax OK");
  });

  test.each(["htaccess-cgi", "htaccess-fcgid", "htaccess-proxy"] as const)("%s", (name) => {
    expect(check(render(preset(name, options("application", "/m", false))), true)).toBe("0 Syntax OK");
  });
});

test("a .htaccess file for a folder of scripts is refused: it can be for one application only", () => {
  const site = { ...neutral.site, target: folder };
  for (const name of ["htaccess-cgi", "htaccess-fcgid", "htaccess-proxy"] as const) {
    expect(() => preset(name, { ...neutral, site })).toThrow(/one application/);
  }
});

test("every unix socket has a host of its own, since Apache tells workers apart by it", () => {
  const paths = [
    "/run/a/b.sock",
    "/run/a-b.sock",
    "/run/a.b.sock",
    "/run/A/b.sock",
    "/run/a/b c",
    "/run/a_b",
    "/run/ä",
    `/${"x".repeat(90)}`,
    `/${"x".repeat(91)}`,
  ];
  const origins = paths.map((path) => backendOf({ kind: "unix", path }).origin);
  expect(new Set(origins).size).toBe(paths.length);
  for (const origin of origins) expect(origin).toMatch(/^fcgi:\/\/[a-z0-9.-]{1,63}$/);
});

test("a backend is a socket or a port that Apache can reach", () => {
  expect(backendOf({ kind: "tcp", host: "::1", port: 9000 }).url).toBe("fcgi://[::1]:9000");
  expect(backendOf({ kind: "unix", path: "/run/x.sock" }).url).toBe("unix:/run/x.sock|fcgi://run.x");
  expect(() => backendOf({ kind: "fd", fd: 0 })).toThrow(/unix socket, or a host and a port/);
  expect(() => backendOf({ kind: "unix", path: "run/x.sock" })).toThrow(/absolute/);
  expect(() => backendOf({ kind: "unix", path: "/run/x|y" })).toThrow(/absolute/);
});

test("a command that mod_fcgid would cut is refused", () => {
  const programs = `/opt/${"x".repeat(250)}`;
  expect(() => preset("fcgid", { ...neutral, programs })).toThrow(/mod_fcgid takes no command as long/);
  const file = `/srv/${"x".repeat(500)}.ts`;
  const site = { ...neutral.site, target: { kind: "application", file, exportName: undefined } as const };
  expect(() => preset("fcgid", { ...neutral, site })).toThrow(/mod_fcgid takes no command as long/);
});
