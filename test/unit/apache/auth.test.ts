// What `tsgi config auth` prints: the files in apache/ are its output, and Apache accepts it.
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import type { AuthOptions } from "../../../src/apache/auth.ts";
import { authDirectives, authModules } from "../../../src/apache/auth.ts";
import { render } from "../../../src/apache/directives.ts";
import { findHttpd, loadModules } from "../../harness/machine.ts";

const neutral: AuthOptions = {
  script: "/srv/app/auth.ts",
  listen: { kind: "tcp", host: "127.0.0.1", port: 9001 },
  path: "/private",
  realm: "Restricted",
  groups: ["staff"],
  hasAccessCheck: false,
  programs: "/opt/tsgi/bin",
  nodeFolder: "/usr/bin",
};

test.each(authModules)("apache/auth-%s.conf is what tsgi config auth prints", async (module) => {
  await expect(render(authDirectives(module, neutral))).toMatchFileSnapshot(`../../../apache/auth-${module}.conf`);
});

test.each(authModules.flatMap((module) => [true, false].map((isInHost) => [module, isInHost] as const)))(
  "Apache takes that of %s, inside a virtual host: %s",
  (module, isInHost) => {
    const dir = mkdtempSync(join(tmpdir(), "tsgi auth's "));
    try {
      const script = join(dir, "auth.ts");
      writeFileSync(join(dir, "tsgi-fcgid"), "#!/bin/sh\n", { mode: 0o755 });
      const options = {
        ...neutral,
        script,
        programs: dir,
        path: "",
        realm: 'A "place"',
        groups: ["a", "é"],
        hasAccessCheck: true,
      };
      const [provider = "", text = ""] = render(authDirectives(module, options)).split(/(?<=^AuthnzFcgiDefine.*\n)/m);
      const [global, own] = text === "" ? ["", provider] : [provider, text];
      const modules = ["mpm_event", "authz_core", "authn_core", "authn_file", "authz_user", "auth_basic", "setenvif"];
      const config = [
        loadModules([...modules, "authnz_fcgi", "fcgid"]),
        `ServerName x\nListen 127.0.0.1:1\nDefaultRuntimeDir "${dir}"\nErrorLog "${dir}/error"`,
        `FcgidIPCDir "${dir}"\nFcgidProcessTableFile "${dir}/shm"`,
        global,
        isInHost ? `<VirtualHost *:1>\n${own}</VirtualHost>\n` : own,
      ].join("\n");
      writeFileSync(join(dir, "httpd.conf"), config);
      const { file } = findHttpd();
      const { status, stderr } = spawnSync(file, ["-d", dir, "-f", join(dir, "httpd.conf"), "-t"], {
        encoding: "utf8",
      });
      expect(`${status} ${stderr.trim()}`).toBe("0 Syntax OK");
    } finally {
      rmSync(dir, { recursive: true });
    }
  },
);

test("what Apache could not do as it is meant is refused", () => {
  const options = { ...neutral, listen: { kind: "unix", path: "/run/x.sock" } as const };
  expect(() => authDirectives("authnz_fcgi", options)).toThrow(/over TCP only/);
  expect(() => authDirectives("authnz_fcgi", { ...neutral, groups: ["two words"] })).toThrow(/without spaces/);
  const onV6 = { ...neutral, listen: { kind: "tcp", host: "::1", port: 9001 } as const };
  expect(render(authDirectives("authnz_fcgi", onV6))).toContain("fcgi://[::1]:9001/");
});
