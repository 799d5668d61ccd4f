// What `tsgi config balancer` prints: the file in apache/ is its output, and Apache accepts it.
import { spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import type { BalancerOptions } from "../../../src/apache/balancer.ts";
import { balancerDirectives } from "../../../src/apache/balancer.ts";
import { render } from "../../../src/apache/directives.ts";
import { findHttpd, loadModules } from "../../harness/machine.ts";

const neutral: BalancerOptions = {
  site: {
    target: { kind: "application", file: "/srv/app/app.ts", exportName: undefined },
    mountPoint: "",
    documentRoot: undefined,
  },
  members: [
    { kind: "tcp", host: "10.0.0.7", port: 9000 },
    { kind: "tcp", host: "10.0.0.8", port: 9000 },
  ],
  isSticky: true,
  secretFile: "/etc/tsgi/secret.conf",
  managerPath: "/balancer-manager",
  programs: "/opt/tsgi/bin",
};

test("apache/balancer.conf is what tsgi config balancer prints", async () => {
  await expect(render(balancerDirectives(neutral))).toMatchFileSnapshot("../../../apache/balancer.conf");
});

test.each([true, false])("Apache takes it, for a folder of scripts: %s", (isFolder) => {
  const dir = mkdtempSync(join(tmpdir(), "tsgi balancer's "));
  try {
    const secretFile = join(dir, "secret.conf");
    mkdirSync(join(dir, "www"));
    writeFileSync(secretFile, 'ProxyFCGISetEnvIf "true" TSGI_SECRET "0123456789abcdef"\n');
    const target = isFolder ? ({ kind: "scripts", root: join(dir, "www") } as const) : neutral.site.target;
    const site = { target, mountPoint: "/m", documentRoot: join(dir, "www") };
    const members = [...neutral.members, { kind: "tcp", host: "::1", port: 9000 } as const];
    const text = render(balancerDirectives({ ...neutral, site, members, secretFile }));
    const own = [
      "proxy",
      "proxy_fcgi",
      "proxy_balancer",
      "proxy_hcheck",
      "lbmethod_bybusyness",
      "slotmem_shm",
      "headers",
    ];
    const others = ["mpm_event", "authz_core", "authz_host", "alias", "dir", "mime", "env", "setenvif", "rewrite"];
    const head = `ServerName x\nListen 127.0.0.1:1\nDefaultRuntimeDir "${dir}"\nErrorLog "${dir}/error"\nTypesConfig /dev/null`;
    writeFileSync(join(dir, "httpd.conf"), [loadModules([...others, ...own]), head, text].join("\n"));
    const args = ["-d", dir, "-f", join(dir, "httpd.conf"), "-t"];
    const { status, stderr } = spawnSync(findHttpd().file, args, { encoding: "utf8" });
    expect(`${status} ${stderr.trim()}`).toBe("0 Syntax OK");
  } finally {
    rmSync(dir, { recursive: true });
  }
});

test("members that cannot be are refused", () => {
  const [first] = neutral.members;
  if (first === undefined) throw new Error("there is no member");
  expect(() => balancerDirectives({ ...neutral, members: [] })).toThrow(/--member is needed/);
  expect(() => balancerDirectives({ ...neutral, members: [first, first] })).toThrow(/is there twice/);
  expect(() => balancerDirectives({ ...neutral, members: [{ kind: "unix", path: "/x" }] })).toThrow(
    /a host and a port/,
  );
});
