// Lines as Apache and suEXEC write them: what the doctor makes of each, of many, and of a log that is too long.
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { findPages } from "../../../src/codes/find.ts";
import { errorLogFindings } from "../../../src/doctor/error-log.ts";
import { ConfigError } from "../../../src/errors.ts";

let dir = "";
beforeAll(() => {
  dir = mkdtempSync(join(tmpdir(), "tsgi-test-"));
});
afterAll(() => rmSync(dir, { recursive: true }));

const head = "[Sat Nov 21 18:34:24.416687 2026] [cgid:error] [pid 27168:tid 27171] [client 127.0.0.1:40000]";
let count = 0;

function findings(...lines: string[]): string[] {
  const file = join(dir, `${(count += 1)}.log`);
  writeFileSync(file, `${lines.join("\n")}\n`);
  return errorLogFindings(file).map(
    ({ severity, code, message, remedy }) => `${severity} ${code} ${message}; ${remedy}`,
  );
}

// facts of hosts: every line with its cause.
test.each([
  [
    "(2)No such file or directory: AH01241: exec of '/srv/app.cgi' failed",
    /^error AH01241 once: the interpreter .* CR LF/,
  ],
  ["End of script output before headers: app.cgi", /^error TSGI3594 .*run|without a response/],
  ["/usr/bin/env: 'node': No such file or directory", /^error TSGI3593 .*PATH/],
  [
    "(8)Exec format error: AH01241: exec of '/srv/app.cgi' failed",
    /^error AH01241 once: it has no #! line, or a byte order mark/,
  ],
  ["(13)Permission denied: AH01241: exec of '/srv/app.cgi' failed", /^error AH01241 .*chmod 755/],
  ["malformed header from script 'x.cgi': Bad header: Server started on port 3000", /^error TSGI3595/],
  ["AH02429: Response header name 'Bad Header' contains invalid characters, aborting request", /^error AH02429/],
  ["Premature end of script headers: x.cgi", /^error TSGI3594/],
  ["AH01262: Options ExecCGI is off in this directory: /srv/app.cgi", /^error AH01262 .*\+ExecCGI/],
  ["AH02809: Options ExecCGI is off in this directory: /srv/app.cgi", /^error AH02809 .*\+ExecCGI/],
  ["mod_fcgid: location of script /srv/app.fcgi does not have ExecCGI enabled", /^error AH01262 .*\+ExecCGI/],
  ["AH01264: script not found or unable to stat: /srv/x", /^error AH01264/],
  ["AH02811: script not found or unable to stat: /srv/x", /^error AH02811/],
  [
    "mod_fcgid: HTTP request length 138304 (so far) exceeds MaxRequestLen (131072)",
    /^error TSGI3596 .*FcgidMaxRequestLen/,
  ],
  ["(104)Connection reset by peer: mod_fcgid: error reading data from FastCGI server", /^error TSGI3597/],
  [
    "(2)No such file or directory: AH02454: FCGI: attempt to connect to Unix domain socket /run/x.sock (*) failed",
    /^error AH02454/,
  ],
  ["AH01079: failed to make connection to backend: httpd-UDS", /^error AH01079/],
  ["AH10414: To be forwarded path contains control characters or '?'", /^error AH10414 .*tsgi config/],
  ["AH01067: Failed to read FastCGI header", /^error AH01067/],
  ["AH01075: Error dispatching request to : (reading input brigade)", /^error AH01075/],
  ["AH01070: Error parsing script headers", /^error AH01070/],
  ["AH01068: Got bogus version 72", /^error AH01068/],
  ["mod_fcgid: can't apply process slot for /srv/app.fcgi", /^error TSGI3599/],
  ["mod_fcgid: /srv/app.fcgi spawn score 11 >= 10, skip the spawn request", /^error TSGI3599/],
  ["mod_fcgid: read data timeout in 40 seconds", /^error TSGI3598/],
  ["AH01220: Timeout waiting for output from CGI script /srv/app.cgi", /^error AH01220/],
  ["AH01071: Got error 'tsgi: x'", /^note AH01071/],
  ["AH01215: stderr from /srv/app.cgi: hello", /^note AH01215/],
  [
    "AH00124: Request exceeded the limit of 10 internal redirects due to probable configuration error.",
    /^error AH00124/,
  ],
  [
    "AH00670: Options FollowSymLinks and SymLinksIfOwnerMatch are both off, so the RewriteRule directive is also forbidden",
    /^error AH00670/,
  ],
  ["AH00037: Symbolic link not allowed or link target not accessible: /srv/www/x", /^error AH00037/],
  [
    "(13)Permission denied: AH00035: access to /x denied (filesystem path '/home/u') because search permissions are missing",
    /^error AH00035 .*chmod o\+x/,
  ],
  [
    "(13)Permission denied: AH00529: /srv/www/.htaccess pcfg_openfile: unable to check htaccess file, ensure it is readable",
    /^error AH00529/,
  ],
  ["AH01630: client denied by server configuration: /srv/www/", /^error AH01630/],
  ["AH00026: found %2f (encoded '/') in URI path (/a%2Fb), returning 404", /^error AH00026/],
  ["/srv/www/.htaccess: Invalid command 'RewritRule', perhaps misspelled or defined by a module", /^error TSGI3580/],
  ["/srv/www/.htaccess: FcgidMaxRequestLen not allowed here", /^error TSGI3581/],
  ["/srv/www/.htaccess: <IfModule> was not closed.", /^error TSGI3582/],
  ["AH01144: No protocol handler was valid for the URL /x (scheme 'fcgi').", /^error AH01144/],
  ["(11)Resource temporarily unavailable: AH01252: couldn't create child process: 11: app.cgi", /^error AH01252/],
  ["suexec policy violation: see suexec log for more details", /^error TSGI3583/],
  ["[2026-11-21 18:00:00]: directory is writable by others: (/var/www/x)", /^error TSGI3584/],
  [
    "[2026-11-21 18:00:00]: target uid/gid (1001/1001) mismatch with directory (0/0) or program (0/0)",
    /^error TSGI3586/,
  ],
])("%j", (line, wanted) => {
  expect(findings(`${head} ${line}`).join("\n")).toMatch(wanted);
});

test("the same is told once, with how often, and the newest first", () => {
  const lines = ["AH01215: one", "AH01262: Options ExecCGI is off", "AH01215: two", "a line that says nothing"];
  expect(findings(...lines)).toEqual([
    expect.stringMatching(/^note AH01215 2 times: .*; last: AH01215: two/),
    expect.stringMatching(/^error AH01262 once/),
  ]);
});

test("one code with two causes is two findings", () => {
  const line = (text: string): string => `${head} (${text}: AH01241: exec of '/srv/app.cgi' failed`;
  expect(findings(line("2)No such file"), line("13)Permission denied"))).toHaveLength(2);
});

test("control characters that visitors have sent are not shown", () => {
  expect(findings("AH01630: client denied: /\u001B[31mred\u0007")[0]).not.toMatch(/\p{Cc}/u);
});

test("of a long log the end is read, and that is said", () => {
  const file = join(dir, "long.log");
  const filler = "x".repeat(1023);
  writeFileSync(file, `AH01220: early\n${`${filler}\n`.repeat(9 * 1024)}AH01262: late\n`);
  const found = errorLogFindings(file);
  expect(found.map(({ code }) => code)).toEqual(["AH01262", "TSGI3549"]);
  expect(found[1]?.message).toBe("only its last 8 MiB were read");
});

test("a log that is not there, and a folder, are wrong usage", () => {
  expect(() => errorLogFindings(join(dir, "none"))).toThrow(ConfigError);
  expect(() => errorLogFindings(dir)).toThrow(ConfigError);
});

test("every code of a finding has one page", () => {
  for (const line of findings(`${head} End of script output before headers: app.cgi`)) {
    expect(findPages(line.split(" ")[1] ?? "")).toHaveLength(1);
  }
});
