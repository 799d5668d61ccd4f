// `tsgi doctor` as a person meets it: the built program, its lines, JSON and exit codes; and the probe's program by itself.
import { spawnSync } from "node:child_process";
import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, expect, test } from "vitest";
import { probeFiles, probeLifeMs } from "../../../src/doctor/probe-files.ts";

const program = fileURLToPath(new URL("../../../bin/tsgi", import.meta.url));
let dir = "";

function doctor(...args: string[]): { code: number | null; stdout: string; stderr: string } {
  const { status, stdout, stderr } = spawnSync(process.execPath, [program, "doctor", ...args], {
    encoding: "utf8",
    cwd: dir,
  });
  return { code: status, stdout, stderr };
}

beforeAll(() => {
  dir = mkdtempSync(join(tmpdir(), "tsgi-test-"));
  chmodSync(dir, 0o755);
  mkdirSync(join(dir, "empty"), { mode: 0o755 });
  writeFileSync(
    join(dir, "error.log"),
    "AH01262: Options ExecCGI is off in this directory: /srv/app.cgi\nAH01215: hello\n",
  );
});
afterAll(() => rmSync(dir, { recursive: true }));

test("a log with trouble: a line for each, and exit code 1", () => {
  expect(doctor("--error-log", "error.log")).toEqual({
    code: 1,
    stdout:
      "note    AH01215 error.log: once: text that the program wrote to stderr; last: AH01215: hello; remedy: nothing; set TSGI_LOG_FILE to have a log of your own\n" +
      "error   AH01262 error.log: once: Options ExecCGI is off in this directory; last: AH01262: Options ExecCGI is off in this directory: /srv/app.cgi; remedy: add `Options +ExecCGI`; in .htaccess that needs AllowOverride Options\n",
    stderr: "",
  });
});

test("the same as JSON", () => {
  const { code, stdout } = doctor("--error-log", "error.log", "--json");
  expect(code).toBe(1);
  expect(JSON.parse(stdout)).toMatchObject({
    errors: 1,
    warnings: 0,
    findings: [{ code: "AH01215" }, { code: "AH01262", severity: "error" }],
  });
});

test("an empty folder has nothing wrong; what was looked at is shown on request", () => {
  const { code, stdout } = doctor("empty");
  expect([code, stdout]).toEqual([0, expect.stringMatching(/nothing wrong was found\n$/)]);
  expect(stdout).not.toMatch(/^ok /m);
  expect(doctor("empty", "--verbose").stdout).toMatch(/^ok {6}TSGI3500 /m);
});

test("of an account the site is looked at", () => {
  mkdirSync(join(dir, "account/public_html"), { recursive: true, mode: 0o755 });
  writeFileSync(join(dir, "account/public_html/.htaccess"), "AddHandlr cgi-script .cgi\n", { mode: 0o644 });
  const { code, stdout } = doctor("account");
  expect([code, stdout]).toEqual([
    1,
    expect.stringMatching(/TSGI3531 .*public_html\/\.htaccess:1.*did you mean AddHandler/),
  ]);
});

test.each([
  [["nowhere"], /nowhere: there is no such folder/],
  [["--url", "ftp://x/"], /expected http/],
  [["--probe", "empty"], /--url/],
  [["--error-log", "nowhere"], /ENOENT/],
  [["--apache-user", "nobody-of-that-name"], /no such user/],
  [["--no-such-option"], /unknown option/],
])("%j is wrong usage", (args, says) => {
  const { code, stdout, stderr } = doctor(...args);
  expect([code, stdout]).toEqual([2, ""]);
  expect(stderr).toMatch(says);
});

test("the probe answers for ten minutes", () => {
  const folder = join(dir, "probe");
  mkdirSync(folder);
  const ask = (age: number, token = "right"): string => {
    for (const { name, text } of probeFiles(folder, "right", Date.now() - age)) writeFileSync(join(folder, name), text);
    const env = { PATH: process.env["PATH"] ?? "", HTTP_X_TSGI_PROBE: token, QUERY_STRING: "ask=facts" };
    return spawnSync(process.execPath, [join(folder, "probe.mjs"), "cgi"], { encoding: "utf8", env, input: "" }).stdout;
  };
  expect(ask(0)).toMatch(/^Status: 200\r\n[^]*"node":"v2/);
  expect(ask(0, "wrong")).toMatch(/^Status: 404\r\n/);
  expect(ask(probeLifeMs + 1)).toMatch(/^Status: 404\r\n/);
});
