// Finding Apache: what the program says about itself, and what is said when something is not there.
import { chmodSync, mkdirSync, mkdtempSync, realpathSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import type { Httpd } from "../../../../src/server/httpd/find.ts";
import { findHttpd, findMediaTypes } from "../../../../src/server/httpd/find.ts";
import { chooseMpm, findLoadable } from "../../../../src/server/httpd/modules.ts";

let base = "";

beforeEach(() => {
  base = realpathSync(mkdtempSync(join(tmpdir(), "tsgi-find-")));
});

afterEach(() => rmSync(base, { recursive: true }));

/** A program that answers -v and -l as Apache does. */
function fakeHttpd(version: string, builtIn: readonly string[], name = "httpd"): string {
  const folder = join(base, "bin");
  mkdirSync(folder, { recursive: true });
  const file = join(folder, name);
  const listing = ["Compiled in modules:", ...builtIn.map((module) => `  ${module}.c`)].join("\n");
  writeFileSync(file, `#!/bin/sh\n[ "$1" = -v ] && echo '${version}' || echo '${listing}'\n`);
  chmodSync(file, 0o755);
  return file;
}

function fakeModules(...names: string[]): string {
  const folder = join(base, "modules");
  mkdirSync(folder, { recursive: true });
  for (const name of names) writeFileSync(join(folder, `mod_${name}.so`), "");
  return folder;
}

const path = "";

test("an Apache on the PATH is found with its version, its modules and what is compiled in", async () => {
  fakeHttpd("Server version: Apache/2.4.62 (Unix)", ["core", "mod_so", "http_core", "event", "mod_unixd"]);
  fakeModules("dir");
  const httpd = await findHttpd({ httpd: undefined, modulesDir: undefined, path: `/nonexistent:${base}/bin` });
  expect(httpd.program).toBe(join(base, "bin/httpd"));
  expect(httpd.version).toBe("2.4.62");
  expect(httpd.modulesDir).toBe(join(base, "modules"));
  expect([...httpd.builtIn]).toEqual(["core", "so", "http_core", "mpm_event", "unixd"]);
});

test("the installed Apache is found without a PATH", async () => {
  const httpd = await findHttpd({ httpd: undefined, modulesDir: undefined, path });
  expect(httpd.version).toMatch(/^2\.4\./);
  expect(findLoadable(httpd, ["authz_core", "proxy_fcgi"]).length).toBeGreaterThan(0);
});

test("--httpd and --modules-dir are taken at their word", async () => {
  const program = fakeHttpd("Server version: Apache/2.4.1 (Unix)", []);
  const modulesDir = fakeModules("alias");
  const httpd = await findHttpd({ httpd: program, modulesDir, path });
  expect([httpd.program, httpd.modulesDir]).toEqual([program, modulesDir]);
});

test("what cannot be used is one line that says why", async () => {
  const find = (httpd: string, modulesDir?: string): Promise<Httpd> => findHttpd({ httpd, modulesDir, path });
  await expect(find(join(base, "none"))).rejects.toThrow(/^--httpd: .* is not a program that can be run$/);
  await expect(find(fakeHttpd("nginx version: nginx/1.26", []))).rejects.toThrow(/is not Apache httpd/);
  await expect(find(fakeHttpd("Server version: Apache/2.2.34", []))).rejects.toThrow(/2\.4 is needed/);
  const good = fakeHttpd("Server version: Apache/2.4.62", []);
  await expect(find(good, join(base, "none"))).rejects.toThrow(/^--modules-dir: there is no folder/);
});

function httpd(modules: readonly string[], builtIn: readonly string[] = []): Httpd {
  return {
    program: "/x",
    version: "2.4.62",
    root: base,
    modulesDir: fakeModules(...modules),
    builtIn: new Set(builtIn),
  };
}

test("the MPM is event where there is a choice, and what is compiled in where there is none", () => {
  expect(chooseMpm(httpd(["mpm_event", "mpm_prefork"]))).toBe("event");
  expect(chooseMpm(httpd([], ["mpm_prefork"]))).toBe("prefork");
  rmSync(join(base, "modules"), { recursive: true });
  expect(chooseMpm(httpd(["mpm_worker"]))).toBe("worker");
  rmSync(join(base, "modules"), { recursive: true });
  expect(() => chooseMpm(httpd([]))).toThrow(/no MPM/);
});

test("what is compiled in is not loaded, and everything that is missing is named at once", () => {
  const found = httpd(["alias"], ["unixd"]);
  expect(findLoadable(found, ["unixd", "alias"])).toEqual([
    { name: "alias", file: join(base, "modules/mod_alias.so") },
  ]);
  expect(() => findLoadable(found, ["alias", "fcgid", "proxy"])).toThrow(
    /^Apache has no mod_fcgid, mod_proxy in .*: \S+/,
  );
});

test("the table of media types is the system's, or the one beside Apache", () => {
  mkdirSync(join(base, "conf"));
  writeFileSync(join(base, "conf/mime.types"), "text/html html\n");
  expect(findMediaTypes({ root: base })).toMatch(/^(\/etc\/mime\.types|.*\/conf\/mime\.types)$/);
});
