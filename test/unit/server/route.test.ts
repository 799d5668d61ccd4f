import { chmodSync, mkdirSync, mkdtempSync, realpathSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { LoadError } from "../../../src/errors.ts";
import { findMount } from "../../../src/gateway/mount.ts";
import type { Route, RouterOptions, Target } from "../../../src/server/route.ts";
import { createRouter } from "../../../src/server/route.ts";
import { variablesOf } from "../gateway/play.ts";
import { collectLog } from "./collected-log.ts";

let folder: string;
let root: string;

const source = `export function application(environ, startResponse) { startResponse("200 OK", []); return __filename; }`;

beforeAll(() => {
  folder = realpathSync(mkdtempSync(join(tmpdir(), "tsgi-route-")));
  root = join(folder, "www");
  for (const name of ["sub", "app.ts", "two.ts", "a b.ts", "100%.ts", "%41.ts", "日本.ts", "page.txt", "open.ts"]) {
    if (name === "sub") mkdirSync(join(root, name), { recursive: true });
    else writeFileSync(join(root, name), source);
  }
  writeFileSync(join(root, "sub", "in.ts"), source);
  writeFileSync(join(folder, "outside.ts"), source);
  symlinkSync(join(folder, "outside.ts"), join(root, "link.ts"));
  chmodSync(join(root, "open.ts"), 0o666);
});

afterAll(() => {
  rmSync(folder, { recursive: true });
});

function routeOf(
  target: Target,
  variables: Readonly<Record<string, string>>,
  options: Partial<RouterOptions> = {},
): Route & { readonly variables: Record<string, string> } {
  const router = createRouter({
    target,
    mountPoint: undefined,
    cacheDir: join(folder, "cache"),
    checkIntervalMs: 1000,
    mayBeProxied: true,
    log: collectLog(),
    ...options,
  });
  const given = variablesOf(variables);
  const route = router.route(given);
  // Only what is chosen matters here; whether it loads is the loader's.
  if (typeof route.application !== "function") route.application.catch(() => {});
  return { ...route, variables: given };
}

const scripts = (): Target => ({ kind: "scripts", root });
const latin1 = (text: string): string => Buffer.from(text).toString("latin1");

describe("one application", () => {
  const application = (): Target => ({
    kind: "application",
    reference: { file: join(root, "app.ts"), exportName: undefined },
  });

  test.each([
    ["/m", "/m"],
    ["/m/", "/m"],
    ["m", "/m"],
    ["/", ""],
    ["", ""],
  ])("takes the mount point %j as %j, from the options or the request", (given, mountPoint) => {
    expect(routeOf(application(), {}, { mountPoint: given }).mount.mountPoint).toBe(mountPoint);
    expect(routeOf(application(), { TSGI_MOUNT_POINT: given }).mount.mountPoint).toBe(mountPoint);
    expect(routeOf(application(), { TSGI_MOUNT_POINT: "/other" }, { mountPoint: given }).mount.mountPoint).toBe(
      mountPoint,
    );
  });

  test("has no mount point unless one is given", () => {
    expect(routeOf(application(), {}).mount.mountPoint).toBeUndefined();
  });

  test("finds what follows its own file in SCRIPT_FILENAME, and nothing behind another", () => {
    const restOf = (filename: string): string | undefined =>
      routeOf(application(), { SCRIPT_FILENAME: filename }).mount.rest;
    expect(restOf(`proxy:fcgi://app/${root}/app.ts/x/y`)).toBe("/x/y");
    expect(restOf(`${root}/app.ts/x`)).toBe("/x");
    expect(restOf(`${root}/app.ts`)).toBeUndefined();
    expect(restOf(`${root}/app.tsx/x`)).toBeUndefined();
    expect(restOf("")).toBeUndefined();
  });

  test("is called whatever the request names", async () => {
    const route = routeOf(application(), { SCRIPT_FILENAME: "/etc/passwd" });
    expect(route.script).toBe(join(root, "app.ts"));
  });

  test("that is broken is seen by preload", async () => {
    const target: Target = {
      kind: "application",
      reference: { file: join(folder, "absent.ts"), exportName: undefined },
    };
    const router = createRouter({
      target,
      mountPoint: undefined,
      cacheDir: join(folder, "cache"),
      checkIntervalMs: 1000,
      mayBeProxied: true,
      log: collectLog(),
    });
    await expect(router.preload()).rejects.toThrow(LoadError);
  });
});

describe("a script chosen by the request", () => {
  test.each([
    ["{root}/app.ts", "app.ts", undefined],
    ["{root}/app.ts/x/y", "app.ts", "/x/y"],
    ["{root}/sub/in.ts/", "sub/in.ts", "/"],
    ["proxy:fcgi://127.0.0.1:9000{root}/app.ts", "app.ts", undefined],
    ["proxy:fcgi://app/{root}/app.ts/x", "app.ts", "/x"],
    ["proxy:balancer://b1{root}/app.ts", "app.ts", undefined],
    ["/{root}/app.ts", "app.ts", undefined], // SetHandler proxy:fcgi://app/ with type GENERIC
  ])("SCRIPT_FILENAME %s is %s", (filename, file, rest) => {
    const route = routeOf(scripts(), { SCRIPT_FILENAME: filename.replace("{root}", root) });
    expect(route.script).toBe(join(root, file));
    expect(route.mount.rest).toBe(rest);
  });

  test("SCRIPT_FILENAME becomes the file, the original is kept", () => {
    const given = `proxy:fcgi://app${root}/app.ts/x`;
    expect(routeOf(scripts(), { SCRIPT_FILENAME: given }).variables).toMatchObject({
      SCRIPT_FILENAME: join(root, "app.ts"),
      "tsgi.original.SCRIPT_FILENAME": given,
    });
    const plain = routeOf(scripts(), { SCRIPT_FILENAME: `${root}/app.ts` }).variables;
    expect("tsgi.original.SCRIPT_FILENAME" in plain).toBe(false);
    const utf8 = routeOf(scripts(), { SCRIPT_FILENAME: latin1(`${root}/日本.ts`) });
    expect([utf8.script, utf8.variables["SCRIPT_FILENAME"]]).toEqual([
      join(root, "日本.ts"),
      latin1(`${root}/日本.ts`),
    ]);
  });

  test("a name that ProxyPass encoded is decoded, one that a handler passes raw is not", () => {
    const chosen = (filename: string, url: string): string =>
      routeOf(scripts(), { SCRIPT_FILENAME: root + filename, REQUEST_URI: url }).script.slice(root.length);
    expect(chosen("/a%20b.ts", "/m/a%20b.ts?x")).toBe("/a b.ts");
    expect(chosen("/a b.ts", "/m/a%20b.ts?x")).toBe("/a b.ts");
    expect(chosen("/100%25.ts", "/m/100%25.ts")).toBe("/100%.ts");
    expect(chosen("/100%.ts", "/m/100%25.ts")).toBe("/100%.ts");
    expect(chosen("/%2541.ts", "/m/%2541.ts")).toBe("/%41.ts");
    expect(chosen("/%41.ts", "/m/%2541.ts")).toBe("/%41.ts");
    expect(chosen("/%E6%97%A5%E6%9C%AC.ts", "/m/%E6%97%A5%E6%9C%AC.ts")).toBe("/日本.ts");
  });

  test("behind mod_actions it is the URL's file, not the handler's", () => {
    const variables = {
      SCRIPT_FILENAME: `${root}/two.ts`,
      PATH_TRANSLATED: `${root}/app.ts/extra`,
      PATH_INFO: "/m/app.ts/extra",
      SCRIPT_NAME: "/m/two.ts",
      REQUEST_URI: "/m/app.ts/extra",
    };
    const route = routeOf(scripts(), { ...variables, REDIRECT_HANDLER: "my-act", REDIRECT_STATUS: "200" });
    expect([route.script, route.mount.rest]).toEqual([join(root, "app.ts"), "/extra"]);
    expect(findMount(route.variables, route.mount)).toEqual({ scriptName: "/m/app.ts", pathInfo: "/extra" });
    // Everywhere else PATH_TRANSLATED is no file of ours.
    expect(routeOf(scripts(), variables).script).toBe(join(root, "two.ts"));
  });

  test("the mount is where the script is, in every recipe", () => {
    const rows: ReadonlyArray<readonly [string, string, string, string, string]> = [
      // SCRIPT_NAME, PATH_INFO, SCRIPT_FILENAME, target, mount
      ["/m/app.ts", "/x y", `${root}/app.ts`, "/m/app.ts/x%20y", "/m/app.ts"],
      ["/m/app.ts/x y", "", `proxy:fcgi://app${root}/app.ts/x%20y`, "/m/app.ts/x%20y", "/m/app.ts"],
      ["/m/app.ts", "", `proxy:fcgi://app${root}/app.ts`, "/m/app.ts", "/m/app.ts"],
      ["/m/app.ts/", "", `proxy:fcgi://app${root}/app.ts/`, "/m/app.ts/", "/m/app.ts"],
      ["/m/app.ts", "/x", `${root}/app.ts`, "/m/x", "/m"],
    ];
    for (const [name, info, filename, target, mount] of rows) {
      const route = routeOf(scripts(), {
        SCRIPT_NAME: name,
        PATH_INFO: info,
        SCRIPT_FILENAME: filename,
        REQUEST_URI: target,
        DOCUMENT_ROOT: "/srv/other",
      });
      const { scriptName, pathInfo } = findMount(route.variables, route.mount);
      expect([target, scriptName, scriptName + pathInfo]).toEqual([target, mount, decodeURIComponent(target)]);
    }
  });

  test.each<[string, "not-found" | "refused"]>([
    ["{root}/absent.ts", "not-found"],
    ["{root}/../outside.ts", "not-found"],
    ["{root}/sub/../app.ts", "not-found"],
    ["{root}/sub", "not-found"],
    ["{root}/", "not-found"],
    ["{root}/app.ts\0.txt", "not-found"],
    ["{root}/app.ts%3Fx", "not-found"],
    ["{root}/app.ts?x", "not-found"],
    ["{root}/app", "not-found"],
    ["{root}/page.txt", "refused"],
    ["{root}/link.ts", "refused"],
    ["{root}/open.ts", "refused"],
    ["{root}/../outside.ts/x", "not-found"],
    ["{root}x/app.ts", "not-found"],
    ["proxy:http://host{root}/app.ts", "not-found"],
    ["proxy:fcgi://", "not-found"],
    ["app.ts", "not-found"],
    ["", "not-found"],
  ])("SCRIPT_FILENAME %j is refused: %s", (filename, kind) => {
    let thrown: unknown;
    try {
      routeOf(scripts(), { SCRIPT_FILENAME: filename.replace("{root}", root) });
    } catch (error) {
      thrown = error;
    }
    expect(thrown).toBeInstanceOf(LoadError);
    expect(thrown).toMatchObject({ kind });
  });

  test("the root is the configured one before all that a request says", () => {
    const SCRIPT_FILENAME = join(folder, "outside.ts");
    const others = { TSGI_SCRIPT_ROOT: folder, CONTEXT_DOCUMENT_ROOT: folder, DOCUMENT_ROOT: folder, SCRIPT_FILENAME };
    expect(() => routeOf(scripts(), others)).toThrow(LoadError);
    const open: Target = { kind: "scripts", root: undefined };
    expect(routeOf(open, others).script).toBe(SCRIPT_FILENAME);
    expect(() => routeOf(open, { ...others, TSGI_SCRIPT_ROOT: root })).toThrow(LoadError);
    expect(() => routeOf(open, { SCRIPT_FILENAME })).toThrow(/--script-root/);
    expect(() => routeOf(open, { SCRIPT_FILENAME, DOCUMENT_ROOT: "relative" })).toThrow(LoadError);
  });
});

describe("the role of an authorizer", () => {
  const asked = { FCGI_ROLE: "AUTHORIZER", FCGI_APACHE_ROLE: "AUTHENTICATOR", REQUEST_URI: "/private/x?a=1" };
  const application = (name: string): Target => ({
    kind: "application",
    reference: { file: join(folder, name), exportName: undefined },
  });
  const hooks = "export const checkPassword = (environ, user, password) => password === 'right';\n";

  beforeAll(() => {
    writeFileSync(join(folder, "guard.ts"), hooks);
    writeFileSync(join(folder, "both.ts"), `${hooks}${source}`);
    writeFileSync(join(folder, "wrong.ts"), `export const checkPassword = "right";\n${source}`);
  });

  async function verdict(target: Target, authScript?: string): Promise<string> {
    const route = routeOf(target, asked, authScript === undefined ? {} : { authScript: join(folder, authScript) });
    const authorizer = await route.application;
    const statuses: string[] = [];
    for (const REMOTE_PASSWD of ["right", "wrong"]) {
      const environ = { REMOTE_USER: "ada", REMOTE_PASSWD } as unknown as Parameters<typeof authorizer>[0];
      await authorizer(environ, (status) => {
        statuses.push(status);
        return async () => {};
      });
    }
    return statuses.join(", ");
  }

  test("is played by the script that was named, else by the application's own", async () => {
    const known = "200 OK, 401 Unauthorized";
    expect(await verdict(application("guard.ts"))).toBe(known);
    expect(await verdict(application("both.ts"))).toBe(known);
    expect(await verdict(application("outside.ts"), "guard.ts")).toBe(known);
    expect(await verdict(scripts(), "guard.ts")).toBe(known);
    const mounts: Target = {
      kind: "mounts",
      applications: [
        { mountPoint: "", reference: { file: join(folder, "outside.ts"), exportName: undefined } },
        { mountPoint: "/private", reference: { file: join(folder, "both.ts"), exportName: undefined } },
      ],
    };
    expect(await verdict(mounts)).toBe(known);
  });

  test("is never an application's that says nothing of it", async () => {
    await expect(verdict(application("outside.ts"))).rejects.toThrow(/answers for no access/);
    await expect(verdict(application("wrong.ts"))).rejects.toThrow(/`checkPassword` of .* is a string/);
    await expect(verdict(scripts())).rejects.toThrow(/--auth-script/);
  });

  test("is played by an application without hooks where it is not Apache who asks", async () => {
    const peer = { FCGI_ROLE: "AUTHORIZER", REQUEST_URI: "/private" };
    const itself = await routeOf(application("outside.ts"), { REQUEST_URI: "/private" }).application;
    expect(await routeOf(application("outside.ts"), peer).application).toEqual(itself);
    await expect(Promise.resolve(routeOf(application("wrong.ts"), peer).application)).rejects.toThrow(/is a string/);
  });

  test("may be all that a script has: then it is loaded, and its missing application is an error of requests alone", async () => {
    const options = {
      mountPoint: undefined,
      cacheDir: join(folder, "cache"),
      checkIntervalMs: 1000,
      mayBeProxied: true,
    };
    const router = createRouter({ ...options, target: application("guard.ts"), log: collectLog() });
    await router.preload();
    await expect(Promise.resolve(router.route(variablesOf({ REQUEST_URI: "/" })).application)).rejects.toThrow(
      /no export/,
    );
    const broken = createRouter({ ...options, target: application("wrong.ts"), log: collectLog() });
    await broken.preload();
    const neither = createRouter({ ...options, target: application("nothing.ts"), log: collectLog() });
    writeFileSync(join(folder, "nothing.ts"), "export const x = 1;\n");
    await expect(neither.preload()).rejects.toThrow(/no export `application`/);
  });
});
