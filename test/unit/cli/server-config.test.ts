// From a command line, the environment and a file to the server: what the commands get.
import { mkdirSync, mkdtempSync, realpathSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Command } from "commander";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { addSettings, readSettings } from "../../../src/cli/options.ts";
import { argumentsFor, readControlSettings, readServerConfig } from "../../../src/cli/server-config.ts";
import { daemonSettings } from "../../../src/config/settings.ts";

let base = "";

beforeEach(() => {
  base = realpathSync(mkdtempSync(join(tmpdir(), "tsgi-server-config-")));
  mkdirSync(join(base, "cache"), { mode: 0o700 });
  vi.spyOn(process, "cwd").mockReturnValue(base);
  vi.stubEnv("TSGI_CACHE_DIR", join(base, "cache"));
});

afterEach(() => {
  vi.restoreAllMocks();
  vi.unstubAllEnvs();
  rmSync(base, { recursive: true });
});

function command(...words: string[]): Command {
  const command = addSettings(new Command(), daemonSettings).argument("[app]").exitOverride();
  return command.parse(words, { from: "user" });
}

function write(name: string, value: unknown): void {
  writeFileSync(join(base, name), JSON.stringify(value), { mode: 0o644 });
}

test("an application and flags, some of them repeated", async () => {
  const words = ["--ignore-activity", "/a", "--ignore-activity=/b", "--node-option", "--expose-gc", "--reload"];
  const given = command("app.ts", "--listen", "unix:/run/a.sock", ...words);
  const config = await readServerConfig(given, daemonSettings, "app.ts");
  expect(config).toMatchObject({ reload: true, configFile: undefined });
  expect(config.groups).toMatchObject([
    {
      name: "default",
      ignoreActivity: ["/a", "/b"],
      nodeOptions: ["--expose-gc"],
      applications: [{ app: `${base}/app.ts` }],
    },
  ]);
});

test("the groups of a file that --config or the environment names, or that is there", async () => {
  const groups = { a: { listen: "unix:a.sock", app: "a.ts" }, b: { listen: "unix:b.sock", scriptRoot: "." } };
  write("web.json", { groups, queueLimit: 7 });
  const named = await readServerConfig(command("--config", "web.json"), daemonSettings, undefined);
  expect(named.groups.map(({ name, queueLimit }) => [name, queueLimit])).toEqual([
    ["a", 7],
    ["b", 7],
  ]);
  vi.stubEnv("TSGI_CONFIG", "web.json");
  await expect(readServerConfig(command(), daemonSettings, undefined)).resolves.toEqual(named);
  vi.stubEnv("TSGI_CONFIG", "gone.json");
  await expect(readServerConfig(command(), daemonSettings, undefined)).rejects.toThrow(
    /^TSGI_CONFIG "gone\.json": there is/,
  );
  vi.stubEnv("TSGI_CONFIG", "");
  write("tsgi.config.json", { groups });
  const found = await readServerConfig(command(), daemonSettings, undefined);
  expect(found).toMatchObject({ configFile: join(base, "tsgi.config.json"), groups: [{ queueLimit: 100 }, {}] });
});

test("every problem has its line and its source", async () => {
  write("tsgi.config.json", { processes: "x", groups: { shop: { app: "a.ts", listen: "9000" } } });
  vi.stubEnv("TSGI_PROCESSES", "many");
  const run = readServerConfig(command("--umask", "9"), daemonSettings, undefined);
  await expect(run).rejects.toHaveProperty("issues", [
    'tsgi.config.json: processes "x": expected auto, or a number from 1 to 1000',
    'tsgi.config.json: groups.shop.listen "9000": it is unix:/path, tcp:host:port or fd:number',
    'TSGI_PROCESSES "many": expected auto, or a number from 1 to 1000',
    '--umask "9": expected three octal digits such as 0022',
    'tsgi.config.json: groups.shop: listen is needed, for example listen: "unix:/run/tsgi/shop.sock"',
  ]);
});

test("other commands have the top level of the file below flags and environment", async () => {
  write("tsgi.config.json", {
    host: "::1",
    port: 9000,
    logLevel: "debug",
    groups: { a: { app: "a.ts", listen: "unix:a" } },
  });
  const names = ["configFile", "host", "port", "logLevel"] as const;
  const given = addSettings(new Command(), names).parse(["--port", "9001"], { from: "user" });
  await expect(readSettings(given, names)).resolves.toMatchObject({ host: "::1", port: 9001, logLevel: "debug" });
  await expect(readSettings(given, ["port"])).resolves.toMatchObject({ host: "127.0.0.1", port: 9001 });
  write("tsgi.config.json", { host: "a b", port: 9000 });
  await expect(readSettings(given, names)).rejects.toHaveProperty("issues", [
    'tsgi.config.json: host "a b": expected an IP address or a host name of this machine',
  ]);
});

test("a running server is found by its control socket, or by the address of its first group", async () => {
  const names = ["configFile", "control", "listen"] as const;
  const given = addSettings(new Command(), names).parse([], { from: "user" });
  await expect(readControlSettings(given, names)).resolves.toEqual({ control: undefined, listen: undefined });
  write("tsgi.config.json", { groups: { a: { app: "a.ts", listen: "unix:a" }, b: { app: "b.ts", listen: "unix:b" } } });
  const listen = { kind: "unix", path: join(base, "a") };
  await expect(readControlSettings(given, names)).resolves.toEqual({ control: undefined, listen });
  write("tsgi.config.json", { control: "unix:c", listen: "unix:a", app: "a.ts" });
  await expect(readControlSettings(given, names)).resolves.toEqual({ control: join(base, "c"), listen });
});

test("given flags can be given once more, from any folder", () => {
  const flags = {
    processes: "4",
    reload: "true",
    nodeOptions: ["--a", "--b"],
    home: "h",
    control: "unix:c",
    user: "x",
  };
  const words = argumentsFor({ flags }, ["processes", "reload", "nodeOptions", "home", "control", "umask"]);
  expect(words.join(" ")).toBe(
    `--processes 4 --reload --node-option --a --node-option --b --home ${base}/h --control unix:${base}/c`,
  );
});
