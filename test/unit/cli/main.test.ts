// The command line as a person meets it: the built program, its output and its exit codes.
import { spawn } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, realpathSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from "vitest";
import { until, within } from "../../harness/until.ts";

const checkout = fileURLToPath(new URL("../../..", import.meta.url));
const commands = [
  "start-server",
  "setup-server",
  "daemon",
  "reload",
  "stop",
  "status",
  "dev",
  "config",
  "init",
  "check",
  "request",
  "doctor",
  "explain",
];

let base = "";

beforeAll(() => {
  if (!existsSync(join(checkout, "dist/cli/main.js"))) throw new Error('dist is missing: run "npm run build" first');
  base = realpathSync(mkdtempSync(join(tmpdir(), "tsgi-cli-")));
  write("echo.ts", [
    "export const application = async (environ, startResponse) => {",
    '  console.log("printed");',
    '  const body = await environ["wsgi.input"].bytes();',
    '  startResponse("201 Made", [["Content-Type", "text/plain"], ["X-Name", environ.HTTP_X_NAME ?? "none"]]);',
    "  return `${environ.REQUEST_METHOD} ${environ.SCRIPT_NAME}|${environ.PATH_INFO}|${environ.QUERY_STRING}|${body}`;",
    "};",
  ]);
  write("throws.ts", ['export const application = () => { throw new Error("boom"); };']);
  write("half.ts", [
    "export const application = async function* (environ, startResponse) {",
    '  startResponse("200 OK", []); yield "half"; throw new Error("boom");',
    "};",
  ]);
  write("wrong.ts", [
    "export const application = (environ, startResponse) => {",
    '  startResponse("204 No Content", [["Content-Type", "text/plain"]]); return "abc";',
    "};",
  ]);
  write("untyped.ts", [
    'export const application = (environ, startResponse) => { startResponse("200", []); return "x"; };',
  ]);
  write("none.ts", ["export const other = 1;"]);
  write("broken.ts", ["export const application = () => {"]);
});

afterAll(() => rmSync(base, { recursive: true }));

function write(name: string, lines: readonly string[]): void {
  writeFileSync(join(base, name), `${lines.join("\n")}\n`);
}

interface Run {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

function start(args: readonly string[], env: Record<string, string> = {}) {
  const child = spawn(process.execPath, [join(checkout, "bin/tsgi"), ...args], {
    cwd: base,
    env: { PATH: process.env["PATH"] ?? "", TSGI_CACHE_DIR: join(base, "cache"), ...env },
  });
  const output = { stdout: "", stderr: "" };
  child.stdout.setEncoding("utf8").on("data", (text: string) => (output.stdout += text));
  child.stderr.setEncoding("utf8").on("data", (text: string) => (output.stderr += text));
  const ended = new Promise<Run>((resolve) => child.once("close", (code) => resolve({ code, ...output })));
  onTestFinished(() => void child.kill("SIGKILL"));
  return { child, output, ended };
}

async function tsgi(args: readonly string[], input = "", env: Record<string, string> = {}): Promise<Run> {
  const { child, ended } = start(args, env);
  child.stdin.end(input);
  return await ended;
}

test("--version prints the package's version", async () => {
  const { version } = JSON.parse(readFileSync(join(checkout, "package.json"), "utf8")) as { version: string };
  await expect(tsgi(["--version"])).resolves.toEqual({ code: 0, stdout: `${version}\n`, stderr: "" });
});

test("--help lists every command", async () => {
  const { code, stdout } = await tsgi(["--help"]);
  expect(code).toBe(0);
  for (const command of commands) expect(stdout).toMatch(new RegExp(`^  ${command} +\\S`, "m"));
});

test.each(commands)("%s --help has an example", async (command) => {
  for (const args of [
    [command, "--help"],
    ["help", command],
  ]) {
    const { code, stdout, stderr } = await tsgi(args);
    expect(code).toBe(0);
    expect(stderr).toBe("");
    expect(stdout).toContain(`Usage: tsgi ${command} `);
    expect(stdout).toMatch(new RegExp(`Examples?:\n  \\$ tsgi ${command} `));
  }
});

test("no command at all is wrong usage, with the help on stderr", async () => {
  const { code, stdout, stderr } = await tsgi([]);
  expect([code, stdout]).toEqual([2, ""]);
  expect(stderr).toContain("Usage: tsgi");
});

test.each<[string[], RegExp]>([
  [["frobnicate"], /^tsgi: unknown command 'frobnicate'$/],
  [["check"], /^tsgi: missing required argument 'app'$/],
  [["check", "a", "b"], /^tsgi: too many arguments .*$/],
  [["check", "--nonsense", "a"], /^tsgi: unknown option '--nonsense'$/],
  [["chekc", "a"], /^tsgi: unknown command 'chekc' \(Did you mean check\?\)$/],
  [["daemon", "echo.ts"], /^tsgi: --listen is needed, for example .*$/],
  [["daemon", "--listen", "fd:0"], /^tsgi: name an application .*$/],
  [["daemon", "echo.ts", "--script-root", ".", "--listen", "fd:0"], /^tsgi: .* do not go together: .*$/],
  [["daemon", "echo.ts", "--listen", "9000"], /^tsgi: --listen "9000": it is unix:\/path, .*$/],
  [["config", "nginx"], /^tsgi: "nginx": expected one of proxy_fcgi, .*$/],
  [["config", "auth", "auth.ts", "--listen", "unix:/run/x.sock"], /^tsgi: .*over TCP only.*$/],
  [["config", "balancer", "app.ts"], /^tsgi: --member is needed.*$/],
  [["config", "htaccess-cgi", "./"], /^tsgi: htaccess-cgi is for one application: .*$/],
  [["start-server", "echo.ts", "--mode", "wsgi"], /^tsgi: --mode "wsgi": expected one of proxy_fcgi, fcgid, cgi$/],
  [["request", "echo.ts", "no slash"], /^tsgi: "no slash" is not a URL: .*$/],
  [["request", "echo.ts", "G T", "/"], /^tsgi: "G T" is not a method such as GET$/],
  [["request", "echo.ts", "/", "-H", "no colon"], /^tsgi: -H "no colon": expected "Name: value"$/],
])("%j is wrong usage: one line and exit code 2", async (args, line) => {
  const { code, stdout, stderr } = await tsgi(args);
  expect([code, stdout]).toEqual([2, ""]);
  expect(stderr.trimEnd()).toMatch(line);
});

test.each<[string[], RegExp]>([
  [["check", "gone.ts"], /^tsgi: there is no file .*gone\.ts$/],
  [["check", "none.ts"], /^tsgi: .* has no export `application` \(it exports other\); none of .*$/],
  [["check", "echo.ts#missing"], /^tsgi: .* has no export `missing` \(it exports application\)$/],
  [["daemon", "none.ts", "--listen", "unix:none.sock"], /^tsgi: .* has no export `application` .*$/],
  [["start-server", "gone.ts"], /^tsgi: there is no file .*gone\.ts$/],
  [["start-server", "echo.ts", "--document-root", "gone"], /^tsgi: .*gone: .*$/],
  [["start-server", "echo.ts", "--httpd", "/nonexistent"], /^tsgi: (--httpd: |Apache runs as ).*$/],
  [["request", "echo.ts", "/", "--data", "@gone"], /^tsgi: --data @gone: ENOENT.*$/],
])("%j fails: one line and exit code 1", async (args, line) => {
  const { code, stdout, stderr } = await tsgi(args);
  expect([code, stdout]).toEqual([1, ""]);
  const [, message = "", errorCode] = /^(.*) \[(TSGI\d{4})\]\n$/.exec(stderr) ?? [];
  expect(message).toMatch(line);
  expect((await tsgi(["explain", errorCode ?? ""])).stdout).toContain(`${errorCode}: `);
});

test("every wrong setting has its line, with where it came from", async () => {
  const { code, stderr } = await tsgi(["daemon", "echo.ts", "--max-params", "much"], "", { TSGI_IDLE_TIMEOUT: "5x" });
  expect(code).toBe(2);
  expect(stderr.trimEnd().split("\n")).toEqual([
    'tsgi: --max-params "much": expected a size such as 65536, 64k or 1m',
    'tsgi: TSGI_IDLE_TIMEOUT "5x": expected a time such as 10, 10s, 500ms or 5m',
    "tsgi: --listen is needed, for example --listen unix:/run/tsgi/app.sock",
  ]);
});

test("check says what was found, and where a broken file is broken", async () => {
  const good = await tsgi(["check", "echo.ts"]);
  expect(good.code).toBe(0);
  expect(good.stdout).toBe(
    `${base}/echo.ts: export application is an application (adapter wsgi), made of 1 file\n` +
      "GET / answered 201 Made with 8 bytes: no rule of the contract is broken\n",
  );
  const broken = await tsgi(["check", "broken.ts"]);
  expect(broken.code).toBe(1);
  expect(broken.stderr).toMatch(/^tsgi: .*broken\.ts:\d+:\d+: /);
});

describe("check runs a request with the contract checked", () => {
  const found = /^.*: export application is an application \(adapter wsgi\), made of 1 file\n/;

  test("it names each rule that is broken and why it is one", async () => {
    const { code, stdout } = await tsgi(["check", "wrong.ts", "--url", "/x?y=1"]);
    expect(code).toBe(1);
    expect(stdout.replace(found, "").split("\n")).toEqual([
      "GET /x?y=1 answered 204 No Content with 0 bytes",
      expect.stringMatching(/^advice: there is a content-type header with 204: .+ \[rule bodyless-header, .+\]$/),
      expect.stringMatching(/^broken rule: there is a body with status 204: .+ \[rule bodyless-body, .+\]$/),
      "",
    ]);
  });

  test("a failure is told with its place, and a response that breaks off", async () => {
    const thrown = await tsgi(["check", "throws.ts"]);
    expect(thrown.code).toBe(1);
    expect(thrown.stdout).toMatch(/GET \/ answered 500 .*\nfailed: Error: boom\n +at .*throws\.ts:1:/);
    const half = await tsgi(["check", "half.ts"]);
    expect(half.code).toBe(1);
    expect(half.stdout).toMatch(/GET \/ answered 200 OK with 4 bytes, and broke off\nadvice: .*Content-Type/);
  });

  test("advice alone is no failure", async () => {
    const { code, stdout } = await tsgi(["check", "untyped.ts"]);
    expect(code).toBe(0);
    expect(stdout.replace(found, "")).toMatch(
      /^GET \/ answered 200 OK with 1 bytes: no rule of the contract is broken\nadvice: .* \[rule content-type, .*\]\n$/,
    );
  });

  test("--no-request only loads it, and --url has to be one", async () => {
    const { code, stdout } = await tsgi(["check", "throws.ts", "--no-request"]);
    expect([code, stdout.replace(found, "")]).toEqual([0, ""]);
    const wrong = await tsgi(["check", "throws.ts", "--url", "x"]);
    expect([wrong.code, wrong.stderr]).toEqual([2, 'tsgi: --url "x": expected /path or http://host/path\n']);
  });
});

describe("request", () => {
  test("prints status line, headers, a blank line and the body; what the application prints goes to stderr", async () => {
    const run = await tsgi(["request", "echo.ts", "/a%20b?c=d", "-H", "X-Name: v w", "--mount-point", "/"]);
    expect(run).toEqual({
      code: 0,
      stdout:
        "HTTP/1.1 201 Made\r\nContent-Type: text/plain\r\nX-Name: v w\r\nContent-Length: 14\r\n\r\nGET |/a b|c=d|",
      stderr: "printed\n",
    });
  });

  test("sends a body from the line, a file or standard input, with POST unless a method is named", async () => {
    writeFileSync(join(base, "body.txt"), "from a file");
    const bodyOf = async (...args: string[]): Promise<string> =>
      (await tsgi(["request", "echo.ts", ...args], "from stdin")).stdout.split("\r\n\r\n")[1] ?? "";
    await expect(bodyOf("/m/x", "--data", "text", "--mount-point", "/m")).resolves.toBe("POST /m|/x||text");
    await expect(bodyOf("PUT", "/x", "--data", "@body.txt")).resolves.toBe("PUT |/x||from a file");
    await expect(bodyOf("/x", "--data", "-")).resolves.toBe("POST |/x||from stdin");
    await expect(bodyOf("http://example.org:8080/x?y")).resolves.toBe("GET |/x|y|");
  });

  test("an application that fails is exit code 1, with the error page and the stack", async () => {
    const run = await tsgi(["request", "throws.ts", "/"]);
    expect(run.code).toBe(1);
    expect(run.stdout).toMatch(/^HTTP\/1\.1 500 Internal Server Error\r\n/);
    expect(run.stderr).toMatch(/^tsgi: .*Error: boom\n\s+at application \(.*throws\.ts:1:/);
  });

  test("a response that is broken off is exit code 1, with what came of it", async () => {
    const run = await tsgi(["request", "half.ts", "/"]);
    expect(run.code).toBe(1);
    expect(run.stdout).toMatch(/\r\n\r\nhalf$/);
    expect(run.stderr).toMatch(/the response was broken off\n$/);
  });
});

describe("config", () => {
  test("prints configuration for what it is given", async () => {
    const run = await tsgi([
      "config",
      "proxy_fcgi",
      "echo.ts#admin",
      "--mount-point",
      "/m/",
      "--listen",
      "tcp:127.0.0.1:9000",
    ]);
    expect(run.code).toBe(0);
    expect(run.stdout).toMatch(/^ProxyPass \/m fcgi:\/\/127\.0\.0\.1:9000 nocanon /m);
    expect(run.stdout).toContain(`daemon '${base}/echo.ts#admin' --listen tcp:127.0.0.1:9000`);
  });

  test("a folder, there or with a slash at its end, is served as a folder", async () => {
    await expect(tsgi(["config", "fcgid", "."])).resolves.toMatchObject({
      stdout: expect.stringContaining(`DocumentRoot ${base}\n`),
    });
    const elsewhere = await tsgi(["config", "cgi", "/srv/elsewhere/"]);
    expect(elsewhere.stdout).toContain("DocumentRoot /srv/elsewhere\n");
  });

  test("a reader that goes away is no error", async () => {
    const { child, ended } = start(["config", "proxy_fcgi"]);
    child.stdout.destroy();
    await expect(ended).resolves.toMatchObject({ code: 0, stderr: "" });
  });
});

describe("daemon", () => {
  test.each(["SIGTERM", "SIGINT"] as const)(
    "says where it listens, and ends with exit code 0 on %s, without its socket",
    async (signal) => {
      const socket = join(base, `${signal}.sock`);
      const { child, output, ended } = start([
        "daemon",
        "echo.ts",
        "--listen",
        `unix:${socket}`,
        "--socket-mode",
        "0600",
      ]);
      await until("the line of the daemon", () => output.stdout.includes("\n"));
      expect(output.stdout).toBe(`tsgi: listening on unix:${socket}\n`);
      expect(statSync(socket).mode & 0o777).toBe(0o600);
      child.kill(signal);
      await expect(ended).resolves.toMatchObject({ code: 0, stderr: "" });
      expect(existsSync(socket)).toBe(false);
    },
  );

  test("SIGHUP does not end it when it has no terminal", async () => {
    const { child, output, ended } = start(["daemon", "--script-root", ".", "--listen", "tcp:127.0.0.1:0"]);
    await until("the line of the daemon", () => output.stdout.includes("\n"));
    expect(output.stdout).toMatch(/^tsgi: listening on tcp:127\.0\.0\.1:[1-9]\d*\n$/);
    child.kill("SIGHUP");
    child.kill("SIGTERM");
    await expect(ended).resolves.toMatchObject({ code: 0 });
  });

  test("with --with-parent it ends when its standard input closes, and not otherwise", async () => {
    const { child, output, ended } = start(["daemon", "echo.ts", "--listen", "tcp:127.0.0.1:0", "--with-parent"]);
    await until("the line of the daemon", () => output.stdout.includes("\n"));
    expect(child.exitCode).toBeNull();
    child.stdin.end();
    await expect(ended).resolves.toMatchObject({ code: 0 });
  });

  test("a file that the system refuses is told of in one line", async () => {
    const listen = `unix:${join(base, "echo.ts", "x.sock")}`;
    const { code, stderr } = await tsgi(["daemon", "echo.ts", "--listen", listen]);
    expect([code, stderr.trimEnd().split("\n").length]).toEqual([1, 1]);
    expect(stderr).toMatch(/^tsgi: ENOTDIR: .*echo\.ts\/x\.sock.*\[TSGI3102\]$/mu);
  });

  test("only root can become another user, and the user must exist", async () => {
    const listen = ["--listen", "tcp:127.0.0.1:0"];
    const unknown = await tsgi(["daemon", "echo.ts", ...listen, "--user", "no-such-user-here"]);
    expect(unknown).toMatchObject({
      code: 1,
      stderr: 'tsgi: --user: there is no user "no-such-user-here" [TSGI3102]\n',
    });
    if (process.getuid?.() === 0) return;
    const other = await tsgi(["daemon", "echo.ts", ...listen, "--user", "root"]);
    expect(other).toMatchObject({ code: 1, stderr: "tsgi: --user: only root can become another user [TSGI3102]\n" });
  });
});

test("an application that ends the process is told of, and is a failure", async () => {
  write("exits.ts", ["process.exit(0);", "export const application = 1;"]);
  const { code, stderr } = await tsgi(["check", "exits.ts"]);
  expect([code, stderr]).toEqual([
    1,
    expect.stringMatching(/^tsgi: the application ended this process: process\.exit\(0\)/),
  ]);
});

test("dev says where it serves, answers, and ends with exit code 0", async () => {
  const { child, output, ended } = start(["dev", "echo.ts", "--port", "0", "--mount-point", "/m"]);
  await until("the line of dev", () => output.stdout.includes("\n"));
  const url = /^tsgi: serving .*echo\.ts at (http:\/\/127\.0\.0\.1:\d+\/m\/) \(dev\)\n$/.exec(output.stdout)?.[1] ?? "";
  const reply = await fetch(`${url}x?y`);
  await expect(reply.text()).resolves.toBe("GET /m|/x|y|");
  child.kill("SIGTERM");
  await expect(ended).resolves.toMatchObject({ code: 0 });
});

test("dev ends at a signal while the application is loading", async () => {
  write("never.ts", ['process.stderr.write("loading");', "for (;;);"]);
  const { child, output, ended } = start(["dev", "never.ts", "--port", "0"]);
  await until("the application to load", () => output.stderr.includes("loading"));
  child.kill("SIGINT");
  await within("the end", ended);
  expect(child.signalCode).toBe("SIGINT");
});
