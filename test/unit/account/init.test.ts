// `tsgi init` as a person meets it: what it shows, what it asks, what it refuses, and that it leaves no trace when it does.
import { spawn } from "node:child_process";
import {
  chmodSync,
  chownSync,
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  realpathSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { Command } from "commander";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { configure } from "../../../src/cli/init.ts";
import { ConfigError, messageWithCode } from "../../../src/errors.ts";

const program = fileURLToPath(new URL("../../../bin/tsgi", import.meta.url));
const existing = "ErrorDocument 404 /404.html\nRedirect 301 /old /new\n";

let home = "";
let folder = "";
let app = "";

beforeEach(() => {
  home = realpathSync(mkdtempSync(join(tmpdir(), "tsgi-test-")));
  folder = join(home, "public_html");
  app = join(home, "app/app.ts");
  mkdirSync(folder);
  mkdirSync(join(home, "app"));
  writeFileSync(app, "export const application = () => [];\n");
});

afterEach(() => rmSync(home, { recursive: true }));

interface Ran {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

function run(command: readonly string[], input = ""): Promise<Ran> {
  const [file = "", ...args] = command;
  const child = spawn(file, args, { cwd: home, env: { PATH: "/usr/bin:/bin", HOME: home, TERM: "dumb" } });
  const output = { stdout: "", stderr: "" };
  child.stdout.setEncoding("utf8").on("data", (text: string) => (output.stdout += text));
  child.stderr.setEncoding("utf8").on("data", (text: string) => (output.stderr += text));
  child.stdin.end(input);
  return new Promise((resolve) => child.once("close", (code) => resolve({ code, ...output })));
}

/** The command in this process: the same as the program, without its start. */
async function tsgi(...args: string[]): Promise<Ran> {
  let stdout = "";
  const written = vi.spyOn(process.stdout, "write").mockImplementation((text) => {
    stdout += String(text);
    return true;
  });
  const command = new Command("init").exitOverride();
  configure(command);
  try {
    await command.parseAsync(args, { from: "user" });
    return { code: Number(process.exitCode ?? 0), stdout, stderr: "" };
  } catch (error) {
    return { code: error instanceof ConfigError ? 2 : 1, stdout, stderr: `tsgi: ${messageWithCode(error)}\n` };
  } finally {
    process.exitCode = undefined;
    written.mockRestore();
  }
}

const init = (...args: string[]): Promise<Ran> => tsgi(folder, "--transport", "cgi", ...args);
const read = (name: string): string => readFileSync(join(folder, name), "utf8");
const files = (): string[] => readdirSync(folder).toSorted();
const modeOf = (name: string): string => (statSync(join(folder, name)).mode & 0o7777).toString(8);

describe("a folder without .htaccess", () => {
  test("gets what it needs, with modes that suEXEC accepts whatever the umask is, and nothing the second time", async () => {
    const args = ["init", folder, "--transport", "cgi", "--app", app];
    const first = await run(["sh", "-c", 'umask 002; exec "$@"', "sh", process.execPath, program, ...args]);
    expect(first).toMatchObject({ code: 0, stderr: "" });
    expect(first.stdout).toMatch(/transport: {2}cgi, since it was chosen\n/u);
    expect(first.stdout).toMatch(/try: {8}\/ \(/u);
    expect(first.stdout).toMatch(/next: {7}tsgi doctor /u);
    expect(files()).toEqual([".htaccess", "app.cgi"]);
    expect([modeOf("app.cgi"), modeOf(".htaccess")]).toEqual(["755", "644"]);
    expect(read("app.cgi")).toContain(`\nNODE=${process.execPath}\n`);
    expect(await init()).toMatchObject({ code: 0, stdout: expect.stringContaining("nothing to change\n") });
    expect(await init("--remove")).toMatchObject({ code: 0, stderr: "" });
    expect(files()).toEqual([]);
    expect(await init("--remove")).toMatchObject({ code: 0, stdout: expect.stringContaining("nothing of tsgi init") });
  });

  test("remembers what it was told", async () => {
    await tsgi(folder, "--app", app, "--transport", "fcgid", "--cache-dir", join(home, "cache"), "--node", "/opt/node");
    const wrapper = read("app.fcgi");
    expect(wrapper).toContain(`--cache-dir=${join(home, "cache")} `);
    expect(wrapper).toContain("\nNODE=/opt/node\n");
    expect(await tsgi(folder)).toMatchObject({ code: 0, stdout: expect.stringContaining("nothing to change\n") });
    await tsgi(folder, "--transport", "cgi", "--yes");
    expect(read("app.cgi").replaceAll("tsgi-cgi", "tsgi-fcgid").split("\n").slice(2)).toEqual(
      wrapper.split("\n").slice(2),
    );
  });

  test("has a daemon of the account answer from --warm to --no-warm", async () => {
    const call = (): string => read("app.cgi").trimEnd().split("\n").at(-1) ?? "";
    await init("--app", app, "--warm");
    expect(call()).toMatch(/\/tsgi-cgi --warm \S+$/u);
    expect(await tsgi(folder)).toMatchObject({ code: 0, stdout: expect.stringContaining("nothing to change\n") });
    const refused = await init("--transport", "proxy");
    expect([refused.code, refused.stderr]).toEqual([
      2,
      expect.stringContaining("--warm does not go with the transport"),
    ]);
    await init("--no-warm", "--yes");
    expect(call()).toMatch(/\/tsgi-cgi \S+$/u);
    expect(await tsgi(folder)).toMatchObject({ code: 0, stdout: expect.stringContaining("nothing to change\n") });
  });

  test("changes from one transport to another without leaving anything of the first", async () => {
    await init("--app", app);
    await init("--transport", "fcgid", "--yes");
    expect(files()).toEqual([".htaccess", "app.fcgi"]);
    const proxied = await init("--transport", "proxy", "--yes");
    expect(files()).toEqual([".htaccess"]);
    expect(proxied.stdout).toContain(`tsgi daemon ${app} --listen unix:${home}/tsgi-public_html.sock --mount-point /`);
  });

  test("with the sources in it is told what is sent, and where others decide that", async () => {
    writeFileSync(join(folder, "app.ts"), readFileSync(app));
    mkdirSync(join(folder, "wiki"));
    writeFileSync(join(folder, "wiki/.htaccess"), "RewriteEngine on\n");
    const { stdout } = await init("--app", join(folder, "app.ts"));
    expect(stdout).toContain("in the served folder. Browsers get what is in public/");
    expect(stdout).toContain("note:       wiki has rewrite rules of its own");
  });

  test.skipIf(process.geteuid?.() !== 0)("gets files of its owner's when root writes them", async () => {
    chownSync(folder, 65_534, 65_533);
    await init("--app", app);
    for (const name of files()) expect(statSync(join(folder, name))).toMatchObject({ uid: 65_534, gid: 65_533 });
  });

  test("that others may write to is told what suEXEC thinks of that", async () => {
    chmodSync(folder, 0o775);
    const { stdout } = await init("--app", app);
    expect(stdout).toContain(`(mode 0775), and suEXEC runs nothing there: chmod 755 ${folder}`);
  });
});

describe("a folder with .htaccess", () => {
  beforeEach(() => {
    writeFileSync(join(folder, ".htaccess"), existing);
    chmodSync(join(folder, ".htaccess"), 0o604);
  });

  test("without a terminal and without --yes: the diff, exit code 1, and nothing has changed", async () => {
    const { code, stdout } = await init("--app", app);
    expect(code).toBe(1);
    expect(stdout).toContain(" ErrorDocument 404 /404.html\n");
    expect(stdout).toContain("\n+RewriteEngine On\n");
    expect(stdout).not.toMatch(/^-[^-]/mu);
    expect(stdout).toMatch(/nothing was changed: run it again with --yes/u);
    expect([files(), read(".htaccess")]).toEqual([[".htaccess"], existing]);
  });

  test("--dry-run shows the same and is no failure", async () => {
    const { code, stdout } = await init("--app", app, "--yes", "--dry-run");
    expect(code).toBe(0);
    expect(stdout).toContain("\n+RewriteEngine On\n");
    expect(stdout).toContain("nothing was changed, since --dry-run was given\n");
    expect([files(), read(".htaccess")]).toEqual([[".htaccess"], existing]);
  });

  test.each([
    ["y", 0],
    ["n", 1],
  ])("on a terminal it asks: %s", async (answer, code) => {
    const command = [process.execPath, program, "init", folder, "--transport", "cgi", "--app", app];
    const line = command.map((word) => `'${word}'`).join(" ");
    const ran = await run(["script", "-qec", line, "/dev/null"], `${answer}\n`);
    expect(ran.stdout).toContain("Make these changes? [y/N]");
    expect(ran.code).toBe(code);
    expect(read(".htaccess") === existing).toBe(code === 1);
  });

  test("--yes changes it, and --remove gives back the same bytes with the same mode", async () => {
    expect(await init("--app", app, "--yes")).toMatchObject({ code: 0 });
    expect(read(".htaccess").startsWith(existing)).toBe(true);
    expect(modeOf(".htaccess")).toBe("604");
    expect(await init("--remove")).toMatchObject({ code: 0 });
    expect([files(), read(".htaccess"), modeOf(".htaccess")]).toEqual([[".htaccess"], existing, "604"]);
  });

  test("lines of ours that were edited by hand are told of, and stay unless somebody agrees", async () => {
    await init("--app", app, "--yes");
    const edited = read(".htaccess").replace("RewriteEngine On", "RewriteEngine Off");
    writeFileSync(join(folder, ".htaccess"), edited);
    for (const args of [[], ["--remove"]]) {
      const ran = await init(...args);
      expect(ran.code).toBe(1);
      expect(ran.stdout).toMatch(/the lines between the markers in .* were edited by hand/u);
      expect(read(".htaccess")).toBe(edited);
    }
    expect(await init("--remove", "--yes")).toMatchObject({ code: 0 });
    expect(read(".htaccess")).toBe(existing);
  });
});

describe("what is in the way", () => {
  const refuses = async (message: RegExp, ...args: string[]): Promise<void> => {
    const before = files();
    const ran = await init("--app", app, "--yes", ...args);
    expect(ran.stderr).toMatch(message);
    expect(ran.code).toBe(1);
    expect(files()).toEqual(before);
  };

  test("a wrapper of somebody else is left alone", async () => {
    writeFileSync(join(folder, "app.cgi"), "#!/usr/bin/perl\n");
    await refuses(/app\.cgi is there and is not from tsgi init: .*\[TSGI3102\]\n$/u);
    expect(read("app.cgi")).toBe("#!/usr/bin/perl\n");
    expect(await init("--remove")).toMatchObject({ code: 0 });
    expect(files()).toEqual(["app.cgi"]);
  });

  test("a wrapper of ours that somebody edited is told of", async () => {
    await init("--app", app);
    writeFileSync(join(folder, "app.cgi"), read("app.cgi").replace("exec ", "export DB=x\nexec "));
    const ran = await init();
    expect(ran.code).toBe(1);
    expect(ran.stdout).toMatch(/app\.cgi was edited by hand: that is lost\n/u);
    expect(ran.stdout).toContain("\n-export DB=x\n");
    expect(read("app.cgi")).toContain("export DB=x");
    expect(await init("--yes")).toMatchObject({ code: 0 });
    expect(read("app.cgi")).not.toContain("export DB=x");
  });

  test.each([".htaccess", "app.cgi"])("a link called %s is not written through", async (name) => {
    const target = join(home, "precious");
    writeFileSync(target, "precious\n");
    symlinkSync(target, join(folder, name));
    await refuses(/is a symbolic link: it is left alone/u);
    expect(readFileSync(target, "utf8")).toBe("precious\n");
    expect(lstatSync(join(folder, name)).isSymbolicLink()).toBe(true);
  });

  test("a link that leads nowhere is one too", async () => {
    symlinkSync(join(home, "not yet"), join(folder, ".htaccess"));
    await refuses(/is a symbolic link/u);
    expect(existsSync(join(home, "not yet"))).toBe(false);
  });

  test("a folder called .htaccess", async () => {
    mkdirSync(join(folder, ".htaccess"));
    await refuses(/is no plain file/u);
  });

  test("a folder that is not there, and a file in its place", async () => {
    for (const [path, message] of [
      [join(home, "gone"), /^tsgi: .*gone: ENOENT.*\n$/u],
      [app, /^tsgi: .*app\.ts is not a folder \[TSGI3102\]\n$/u],
    ] as const) {
      const ran = await tsgi(path, "--app", app);
      expect([ran.code, ran.stderr]).toEqual([1, expect.stringMatching(message)]);
    }
    expect(existsSync(join(home, "gone"))).toBe(false);
  });

  test("an application that does not compile, or is not there, or was not named", async () => {
    writeFileSync(app, "export const application = (;\n");
    await refuses(/app\.ts:1:/u);
    rmSync(app);
    await refuses(/there is no file/u);
    const ran = await tsgi(folder);
    expect([ran.code, ran.stderr]).toEqual([
      2,
      "tsgi: name the application with --app: file.ts or file.ts#export [TSGI3101]\n",
    ]);
  });

  test("rules that take every URL and are turned off further down: ours would turn them on", async () => {
    writeFileSync(join(folder, ".htaccess"), "RewriteRule ^ index.php [L]\nRewriteEngine Off\n");
    await refuses(/turns rewriting off, and has rules that would take every URL/u);
  });

  test("a Node.js that is named by half", async () => {
    const ran = await init("--node", "node22", "--app", app);
    expect([ran.code, ran.stderr]).toEqual([
      2,
      expect.stringMatching(/^tsgi: --node "node22": expected an absolute path/u),
    ]);
    expect(files()).toEqual([]);
  });

  test("a transport that there is not", async () => {
    const ran = await init("--transport", "scgi", "--app", app);
    expect([ran.code, ran.stderr]).toEqual([
      2,
      'tsgi: --transport "scgi": expected one of auto, cgi, fcgid, proxy [TSGI3101]\n',
    ]);
  });
});
