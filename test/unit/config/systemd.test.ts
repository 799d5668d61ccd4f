import { execFileSync } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, onTestFinished, test } from "vitest";
import type { SystemdOptions } from "../../../src/config/systemd.ts";
import { systemdUnit } from "../../../src/config/systemd.ts";
import { ConfigError } from "../../../src/errors.ts";

const site = {
  group: "default",
  listen: { kind: "unix", path: "/run/hello/app.sock" },
  socketMode: 0o660,
  socketGroup: undefined,
} as const;

function unit(more: Partial<SystemdOptions> = {}): string {
  return systemdUnit({
    name: "hello",
    description: "tsgi: /srv/hello/app.ts",
    node: "/usr/bin/node",
    tsgi: "/opt/tsgi/bin/tsgi",
    daemonArguments: ["/srv/hello/app.ts", "--listen", "unix:/run/hello/app.sock"],
    control: undefined,
    user: "www-data",
    group: undefined,
    reads: ["/srv/hello/app.ts"],
    startupTimeoutMs: 60_000,
    shutdownTimeoutMs: 10_000,
    sockets: [site],
    ...more,
  });
}

/** The lines that systemd reads, comments left out. */
const directives = (text: string): string[] => text.split("\n").filter((line) => line !== "" && !line.startsWith("#"));
const valuesOf = (text: string, name: string): string[] =>
  directives(text).flatMap((line) => (line.startsWith(`${name}=`) ? line.slice(name.length + 1) : []));

/** The socket units in the comments, by the command that each of them names. */
function extracted(text: string): Map<string, string> {
  const folder = mkdtempSync(join(tmpdir(), "tsgi-unit-"));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  writeFileSync(join(folder, "hello.service"), text);
  const commands = [...text.matchAll(/^# +(sed -n .* > (\S+))$/gm)];
  return new Map(
    commands.map(([, command = "", file = ""]) => {
      execFileSync("sh", ["-c", command], { cwd: folder });
      return [file, readFileSync(join(folder, file), "utf8")];
    }),
  );
}

describe("the service unit", () => {
  test("has one section of each kind, in order", () => {
    expect(unit().match(/^\[\w+\]$/gm)).toEqual(["[Unit]", "[Service]", "[Install]"]);
  });

  test("starts the daemon and reloads it over its control socket", () => {
    const text = unit();
    expect(valuesOf(text, "ExecStart")).toEqual([
      "/usr/bin/node /opt/tsgi/bin/tsgi daemon /srv/hello/app.ts --listen unix:/run/hello/app.sock --control unix:/run/hello/app.sock.control",
    ]);
    expect(valuesOf(text, "ExecReload")).toEqual([
      "/usr/bin/node /opt/tsgi/bin/tsgi reload --control unix:/run/hello/app.sock.control",
    ]);
    const expected = ["Type=notify", "NotifyAccess=all", "KillMode=mixed", "Restart=on-failure", "OOMPolicy=continue"];
    expect(directives(text)).toEqual(expect.arrayContaining(expected));
  });

  test("waits longer than the daemon's own limits", () => {
    const text = unit({ startupTimeoutMs: 90_500, shutdownTimeoutMs: 300_000 });
    expect(valuesOf(text, "TimeoutStartSec")).toEqual(["121s"]);
    expect(valuesOf(text, "TimeoutStopSec")).toEqual(["315s"]);
  });

  test("quotes what systemd would read otherwise", () => {
    const words = ["/srv/my app/a.ts", 'say "hi"', "back\\slash", "100%", "$HOME", "", "a;b", "it's", "~x", "ä"];
    const [start = ""] = valuesOf(unit({ daemonArguments: words }), "ExecStart");
    expect(start).toContain(
      ' "/srv/my app/a.ts" "say \\"hi\\"" "back\\\\slash" 100%% $$HOME "" "a;b" "it\'s" ~x "ä" --control ',
    );
    expect(valuesOf(unit({ description: "50% of it" }), "Description")).toEqual(["50%% of it"]);
  });

  test("refuses what it cannot say", () => {
    expect(() => unit({ daemonArguments: ["a\nUser=root"] })).toThrow(ConfigError);
    expect(() => unit({ description: "a\nb" })).toThrow("cannot be in a systemd unit");
    for (const name of ["", "a/b", "a b", "-x", "x%"]) expect(() => unit({ name })).toThrow("is no name for a unit");
  });

  test("makes the folders of its sockets below /run, and no others", () => {
    expect(valuesOf(unit(), "RuntimeDirectory")).toEqual(["hello"]);
    const sockets = [
      { ...site, listen: { kind: "unix", path: "/var/run/a/b/x.sock" } },
      { ...site, group: "b", listen: { kind: "unix", path: "/srv/x.sock" } },
    ] as const;
    expect(valuesOf(unit({ sockets, control: "/run/c/control" }), "RuntimeDirectory")).toEqual(["a/b c"]);
    const elsewhere = { ...site, listen: { kind: "unix", path: "/run/x.sock" } } as const;
    expect(valuesOf(unit({ sockets: [elsewhere] }), "RuntimeDirectory")).toEqual([]);
  });

  test("has a control socket of its own where there is no place beside the address", () => {
    for (const listen of [
      { kind: "tcp", host: "127.0.0.1", port: 9000 },
      { kind: "fd", fd: 3 },
      { kind: "unix", path: `/srv/${"x".repeat(100)}` },
    ] as const) {
      const text = unit({ sockets: [{ ...site, listen }] });
      expect(valuesOf(text, "ExecReload")[0]).toMatch(/ --control unix:\/run\/hello\/control$/);
      expect(valuesOf(text, "RuntimeDirectory")).toEqual(["hello"]);
    }
  });

  test("runs as the user, who may give the socket to Apache's group", () => {
    const text = unit({ group: "web", sockets: [{ ...site, socketGroup: "www-data" }] });
    expect(valuesOf(text, "User")).toEqual(["www-data"]);
    expect(valuesOf(text, "Group")).toEqual(["web"]);
    expect(valuesOf(text, "SupplementaryGroups")).toEqual(["www-data"]);
    expect(valuesOf(unit({ group: "web", sockets: [{ ...site, socketGroup: "web" }] }), "SupplementaryGroups")).toEqual(
      [],
    );
  });

  test("runs as root, with what that needs, where its groups have users of their own", () => {
    const text = unit({ user: undefined });
    expect(valuesOf(text, "User")).toEqual([]);
    expect(valuesOf(text, "CapabilityBoundingSet")).toEqual([]);
    expect(valuesOf(text, "CacheDirectory")).toEqual([]);
    expect(valuesOf(unit(), "CapabilityBoundingSet")).toEqual([""]);
  });

  test("keeps out of the home folders unless something it reads is there", () => {
    expect(valuesOf(unit(), "ProtectHome")).toEqual(["yes"]);
    for (const more of [
      { node: "/root/.nvm/node" },
      { tsgi: "/home/you/tsgi" },
      { reads: ["/srv/x", "/home/you/app.ts"] },
    ]) {
      expect(valuesOf(unit(more), "ProtectHome")).toEqual(["read-only"]);
    }
  });

  test("switches nothing on that Node cannot live with", () => {
    expect(
      directives(unit()).filter((line) => /MemoryDenyWriteExecute|SystemCallFilter|ProtectSystem=strict/.test(line)),
    ).toEqual([]);
  });
});

describe("the socket units", () => {
  test("are comments, which a command makes a file of", () => {
    const units = extracted(unit({ sockets: [{ ...site, socketGroup: "www-data" }] }));
    expect([...units.keys()]).toEqual(["hello.socket"]);
    expect(units.get("hello.socket")).toBe(`[Unit]
Description=Socket of hello

[Socket]
ListenStream=/run/hello/app.sock
SocketMode=0660
SocketUser=www-data
SocketGroup=www-data
Backlog=4096
FileDescriptorName=default
Service=hello.service

[Install]
WantedBy=sockets.target
`);
  });

  test("are one for each group, which the service is then given together", () => {
    const shop = { ...site, group: "shop", listen: { kind: "tcp", host: "::1", port: 9000 } } as const;
    const text = unit({
      sockets: [{ ...site, group: "site" }, shop, { ...site, group: "fd", listen: { kind: "fd", fd: 0 } }],
    });
    const units = extracted(text);
    expect([...units.keys()]).toEqual(["hello-site.socket", "hello-shop.socket"]);
    expect(units.get("hello-site.socket")).toContain("FileDescriptorName=site\n");
    expect(units.get("hello-shop.socket")).toContain(
      "ListenStream=[::1]:9000\nBacklog=4096\nFileDescriptorName=shop\n",
    );
    expect(text).toContain("# Sockets=hello-site.socket hello-shop.socket\n");
  });
});

test.runIf(existsSync("/usr/bin/systemd-analyze"))("systemd reads it all without a complaint", () => {
  const folder = mkdtempSync(join(tmpdir(), "tsgi-unit-"));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  const [node, script] = [process.execPath, process.execPath]; // programs that are there
  for (const text of [
    unit({ node, tsgi: script, daemonArguments: ["/srv/my app/a.ts", "$HOME", 'a"b', "50%"] }),
    unit({ node, tsgi: script, user: undefined, sockets: [site, { ...site, group: "b", socketGroup: "www-data" }] }),
  ]) {
    writeFileSync(join(folder, "hello.service"), text);
    const units = extracted(text);
    for (const [file, content] of units) writeFileSync(join(folder, file), content);
    const files = ["hello.service", ...units.keys()].map((file) => join(folder, file));
    const output = execFileSync("sh", ["-c", 'systemd-analyze verify "$@" 2>&1', "sh", ...files], {
      encoding: "utf8",
      timeout: 15_000,
    });
    expect(output).toBe("");
  }
});
