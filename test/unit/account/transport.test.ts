// What is chosen for a host, from what its Apache lists.
import { chmod, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { chooseTransport, knownModules } from "../../../src/account/transport.ts";
import { likelyMountPoint } from "../../../src/account/owner.ts";

const known = (...names: string[]) => ({ names: new Set(names), source: "apachectl -M" });

test("auto takes mod_fcgid where it is, else CGI, and never a daemon", () => {
  expect(chooseTransport("auto", known("fcgid", "cgid", "proxy_fcgi", "rewrite")).transport).toBe("fcgid");
  expect(chooseTransport("auto", known("cgi", "proxy_fcgi", "rewrite"))).toMatchObject({
    transport: "cgi",
    warnings: [],
  });
  expect(chooseTransport("auto", undefined)).toMatchObject({ transport: "cgi", warnings: [] });
});

test("a choice stands, and what is missing for it is told", () => {
  const advice = "it has to be enabled";
  expect(chooseTransport("proxy", known("fcgid")).warnings).toEqual([
    `apachectl -M does not list mod_proxy_fcgi: ${advice}`,
  ]);
  expect(chooseTransport("auto", known("proxy_fcgi")).warnings).toEqual([
    `apachectl -M does not list mod_cgi or mod_cgid: ${advice}`,
    `apachectl -M does not list mod_rewrite: ${advice}`,
  ]);
  expect(chooseTransport("proxy", undefined)).toMatchObject({ transport: "proxy", warnings: [] });
});

test("Apache's own list is read, from the first program that gives one", async () => {
  const folder = await mkdtemp(join(tmpdir(), "tsgi-test-"));
  onTestFinished(() => rm(folder, { recursive: true }));
  await writeFile(join(folder, "apache2ctl"), "#!/bin/sh\necho 'AH00526: broken' >&2\nexit 1\n");
  await writeFile(
    join(folder, "apachectl"),
    "#!/bin/sh\n[ \"$1\" = -M ] && printf 'Loaded Modules:\\n core_module (static)\\n cgid_module (shared)\\n'\n",
  );
  for (const name of ["apache2ctl", "apachectl"]) await chmod(join(folder, name), 0o755);
  expect(await knownModules(folder)).toEqual({ names: new Set(["core", "cgid"]), source: "apachectl -M" });
});

test.each([
  ["/home/u/public_html", ""],
  ["/home/u/public_html/shop/app", "/shop/app"],
  ["/var/www/html", ""],
  ["/var/www/html/blog", "/blog"],
  ["/srv/app", ""],
])("the URL of %s is likely %j", (folder, path) => {
  expect(likelyMountPoint(folder)).toBe(path);
});
