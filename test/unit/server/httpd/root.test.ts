// The server root on disk: who may enter what, what Apache says to every configuration, what is left at the end.
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  realpathSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import type { SiteTarget } from "../../../../src/apache/site.ts";
import { serverModes } from "../../../../src/apache/server-root.ts";
import type { PrivateServer } from "../../../../src/server/httpd/root.ts";
import { runningPid, ServerRoot } from "../../../../src/server/httpd/root.ts";

let base = "";

beforeEach(() => {
  base = realpathSync(mkdtempSync(join(tmpdir(), "tsgi-root-")));
  for (const name of ["", "site", "app's dir", "public"]) mkdirSync(join(base, name), { recursive: true, mode: 0o755 });
  for (const name of ["app's dir/my app.ts", "site/a.ts"]) writeFileSync(join(base, name), "", { mode: 0o644 });
  // The umask of whoever runs the tests is not what is tested.
  for (const name of ["", "site", "app's dir", "public", "app's dir/my app.ts"]) openUp(join(base, name));
});

afterEach(() => rmSync(base, { recursive: true }));

function openUp(path: string): void {
  chmodSync(path, statSync(path).isDirectory() ? 0o755 : 0o644);
}

const application = (): SiteTarget => ({
  kind: "application",
  file: join(base, "app's dir/my app.ts"),
  exportName: undefined,
});
const scripts = (): SiteTarget => ({ kind: "scripts", root: join(base, "site") });

function server(changes: Partial<PrivateServer> = {}): PrivateServer {
  return {
    site: { target: application(), mountPoint: "", documentRoot: undefined },
    mode: "proxy_fcgi",
    host: "127.0.0.1",
    logLevel: "info",
    hasAccessLog: false,
    programFiles: [],
    folder: join(base, "root"),
    httpd: { httpd: undefined, modulesDir: undefined, path: "" },
    ...changes,
  };
}

const combinations = serverModes.flatMap((mode) =>
  (["application", "scripts"] as const).flatMap((kind) =>
    ["", "/m"].flatMap((mountPoint) => [false, true].map((isFull) => [mode, kind, mountPoint, isFull] as const)),
  ),
);

test.each(combinations)(
  "Apache accepts %s for %s at %j, document root and access log %s",
  async (mode, kind, mountPoint, isFull) => {
    const target = kind === "application" ? application() : scripts();
    const documentRoot = isFull ? join(base, "public") : undefined;
    const root = await ServerRoot.create(
      server({ mode, site: { target, mountPoint, documentRoot }, hasAccessLog: isFull }),
    );
    await root.configure(8000, { error: root.path("logs/error_log"), access: root.path("logs/access_log") });
    const text = readFileSync(root.path("httpd.conf"), "utf8");
    expect(text).toContain("Listen 127.0.0.1:8000");
    expect(text.includes("CustomLog")).toBe(isFull);
  },
);

test("a root whose name needs quotes works in every mode", async () => {
  for (const mode of serverModes) {
    const folder = join(base, `it's "${mode}" #1`);
    const root = await ServerRoot.create(server({ mode, folder }));
    await root.configure(8000, { error: root.path("logs/error_log"), access: root.path("logs/access_log") });
  }
});

test("Apache's own words are the error when it refuses", async () => {
  const root = await ServerRoot.create(server());
  await expect(root.configure(8000, { error: join(base, "none/log"), access: "" })).rejects.toThrow(
    /^Apache refuses its configuration: .*error log/i,
  );
});

function accessOf(path: string): string {
  const { uid, gid, mode } = statSync(path);
  return `${uid === 0 ? "root" : uid}:${gid === 0 ? "root" : gid} ${(mode & 0o777).toString(8)}`;
}

test("nobody else may enter, and Apache's user may write to its sockets and its cache alone", async () => {
  const root = await ServerRoot.create(server({ mode: "cgi" }));
  await root.configure(8000, { error: root.path("logs/error_log"), access: "" });
  const { uid, gid, isOther } = root.account;
  const [ours, his, own] = isOther
    ? [`root:${gid} 750`, `${uid}:${gid} 700`, "root:root 700"]
    : [`${uid}:${gid} 700`, `${uid}:${gid} 700`, `${uid}:${gid} 700`];
  for (const name of ["", "run", "bin", "htdocs"]) expect(accessOf(root.path(name)), name).toBe(ours);
  for (const name of ["sockets", "cache"]) expect(accessOf(root.path(name)), name).toBe(his);
  expect(accessOf(root.path("logs"))).toBe(own);
  expect(statSync(root.path("httpd.conf")).mode & 0o027).toBe(0);
  expect(statSync(root.path("bin/app.cgi")).mode & 0o777).toBe(0o755);
});

test("without a folder one is made up and removed; a given one keeps its configuration and loses its running state", async () => {
  const made = await ServerRoot.create(server({ folder: undefined }));
  expect(existsSync(made.path("run"))).toBe(true);
  made.remove();
  expect(existsSync(made.folder)).toBe(false);
  const kept = await ServerRoot.create(server());
  await kept.configure(8000, { error: kept.path("logs/error_log"), access: "" });
  kept.remove();
  expect(readdirSync(kept.folder).sort()).toEqual(["bin", "cache", "htdocs", "httpd.conf", "logs"]);
});

test("a folder that is not ours is not written to, and one that is may be used again", async () => {
  await expect(ServerRoot.create(server({ folder: join(base, "site") }))).rejects.toThrow(
    /is not empty and was not made by tsgi/,
  );
  expect(readdirSync(join(base, "site"))).toEqual(["a.ts"]);
  mkdirSync(join(base, "root"));
  const first = await ServerRoot.create(server());
  await first.configure(8000, { error: first.path("logs/error_log"), access: "" });
  await expect(ServerRoot.create(server())).resolves.toBeInstanceOf(ServerRoot);
});

test("a server that runs in the folder is not disturbed", async () => {
  const root = await ServerRoot.create(server());
  await root.configure(8000, { error: root.path("logs/error_log"), access: "" });
  writeFileSync(root.path("run/httpd.pid"), `${process.pid}\n`);
  await expect(ServerRoot.create(server())).rejects.toThrow(`already, process ${process.pid}`);
});

test("a folder too long for sockets is refused before anything is in it", async () => {
  const folder = join(base, "x".repeat(90));
  await expect(ServerRoot.create(server({ folder }))).rejects.toThrow(/too long for the sockets in it/);
  expect(readdirSync(folder)).toEqual([]);
});

test("an application that Apache's user cannot reach is found before a folder is made", async () => {
  // Root tests it for Apache's user; anybody else for himself.
  chmodSync(join(base, "app's dir"), process.getuid?.() === 0 ? 0o700 : 0o600);
  await expect(ServerRoot.create(server())).rejects.toThrow(`may not enter the folder ${base}/app's dir`);
  expect(existsSync(join(base, "root"))).toBe(false);
  chmodSync(join(base, "app's dir"), 0o755);
});

test("a pid file names a process only while that runs", () => {
  const file = join(base, "pid");
  expect(runningPid(file)).toBeUndefined();
  for (const [text, pid] of [
    [`${process.pid}\n`, process.pid],
    ["", undefined],
    ["x", undefined],
    ["1", undefined],
    ["99999999", undefined],
  ] as const) {
    writeFileSync(file, text);
    expect(runningPid(file), text).toBe(pid);
  }
});
