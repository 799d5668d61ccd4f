// Every code has one page, every page is of a code that is in use, and every line that tells of trouble has a code.
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, test } from "vitest";
import { allPages, findPages } from "../../../src/codes/find.ts";

const src = fileURLToPath(new URL("../../../src", import.meta.url));
const files = readdirSync(src, { recursive: true, encoding: "utf8" })
  .filter((file) => file.endsWith(".ts") && !file.startsWith("codes/"))
  .map((file) => ({ file, text: readFileSync(join(src, file), "utf8").replace(/^\s*(?:\/\/|\/?\*).*$/gm, "") }));
const codesIn = (text: string): string[] => [...text.matchAll(/"(TSGI\d{4})"/g)].map(([, code = ""]) => code);
const used = new Set(files.flatMap(({ text }) => codesIn(text)));

test("every code of errors.ts has a page", () => {
  const codes = codesIn(readFileSync(join(src, "errors.ts"), "utf8"));
  expect(codes.length).toBeGreaterThan(15);
  expect(codes.filter((code) => findPages(code).length !== 1)).toEqual([]);
});

test("so has every code of a log line, and no page is of a code that nothing uses", () => {
  expect([...used].filter((code) => findPages(code).length !== 1)).toEqual([]);
  const ours = allPages.flatMap(({ codes }) => codes).filter((code) => code.startsWith("TSGI"));
  expect(ours.filter((code) => !used.has(code))).toEqual([]);
});

test("an error class has a code of its own, a log line's trouble has a code at all", () => {
  const codes = codesIn(readFileSync(join(src, "errors.ts"), "utf8"));
  expect(new Set(codes).size).toBe(codes.length);
  const silent = files.flatMap(({ file, text }) => {
    const calls = [...text.matchAll(/\b[lL]og\??\.(?:warn|error|fatal)\(/g)].map(({ index }) =>
      text.slice(index, index + 160),
    );
    // A code, fields that were made before, or text of the application's.
    const isCoded = /code\b|fields|[sS]ource|fromErrors/;
    return calls.filter((call) => !isCoded.test(call)).map((call) => `${file}: ${call.split("\n")[0]}`);
  });
  expect(silent).toEqual([]);
});

test("the first digit of a code is the family of whose fault it is", () => {
  const classes = [
    ...readFileSync(join(src, "errors.ts"), "utf8").matchAll(/code: "TSGI(\d)\d{3}",\s*fault: "(\w+)"/g),
  ];
  const families: Record<string, string> = { "1": "peer", "2": "application", "3": "operator", "4": "us" };
  expect(classes.length).toBeGreaterThan(10);
  // A module's own code may fail while the operator's command loads it.
  const odd = classes.filter(([, digit = "", fault]) => families[digit] !== fault && digit !== "3");
  expect(odd).toEqual([]);
});

describe.each(allPages.map((page) => [page.codes[0] ?? page.title, page] as const))("the page of %s", (_, page) => {
  test("says what it means, why it happens and what to do, in sentences of a line or two", () => {
    expect(page.codes.length > 0 || page.pattern !== undefined).toBe(true);
    expect(page.causes.length).toBeGreaterThan(0);
    expect(page.remedies.length).toBeGreaterThan(0);
    expect(page.meaning).toMatch(/\.$/);
    for (const text of [page.title, page.meaning, ...page.causes, ...page.remedies]) {
      expect(text.length).toBeGreaterThan(2);
      expect(text.length).toBeLessThan(220);
      expect(text).not.toMatch(/\n|—|–/);
    }
  });
});

// Lines as Apache writes them, each with what its page must speak of.
test.each([
  ["(2)No such file or directory: AH01241: exec of '/srv/app.cgi' failed", /CRLF/],
  ["End of script output before headers: app.cgi", /AH01241/],
  ["/usr/bin/env: 'node': No such file or directory", /PATH/],
  ["(8)Exec format error: AH01241: exec of '/srv/app.cgi' failed", /#! line/],
  ["(13)Permission denied: AH01241: exec of '/srv/app.cgi' failed", /chmod 755/],
  ["malformed header from script 'x.cgi': Bad header: Server started on port 3000", /console\.log/],
  ["AH02429: Response header name 'Bad Header' contains invalid characters, aborting request", /header/],
  ["Premature end of script headers: x.cgi", /above/],
  ["AH01262: Options ExecCGI is off in this directory: /srv/app.cgi", /Options \+ExecCGI/],
  ["AH02809: Options ExecCGI is off in this directory: /srv/app.cgi", /Options \+ExecCGI/],
  ["AH01264: script not found or unable to stat: /srv/x", /404/],
  ["AH02811: script not found or unable to stat: /srv/x", /404/],
  ["mod_fcgid: HTTP request length 138304 (so far) exceeds MaxRequestLen (131072)", /FcgidMaxRequestLen/],
  ["(104)Connection reset by peer: mod_fcgid: error reading data from FastCGI server", /wrapper/],
  ["AH02454: FCGI: attempt to connect to Unix domain socket /run/x.sock (*) failed", /--socket-group/],
  ["AH01079: failed to make connection to backend: httpd-UDS", /tsgi status/],
  ["AH10414: To be forwarded path contains control characters or '?'", /GENERIC/],
  ["AH01067: Failed to read FastCGI header", /request id/],
  ["AH01075: Error dispatching request to : (reading input brigade)", /timeout=/],
  ["AH01070: Error parsing script headers", /8 KB/],
  ["AH01068: Got bogus version 72", /http:\/\//],
  ["mod_fcgid: can't apply process slot for /srv/app.fcgi", /FcgidMaxProcessesPerClass/],
  ["mod_fcgid: /srv/app.fcgi total process count 10 >= 10, skip the spawn request, spawn score 10 >= 5", /503/],
  ["AH01071: Got error 'tsgi: x'", /wsgi\.errors/],
  ["mod_fcgid: read data timeout in 40 seconds", /FcgidIOTimeout/],
])("Apache's line %j is explained", (line, wanted) => {
  const pages = findPages(`[Fri Nov 21 15:40:21 2025] [proxy_fcgi:error] [pid 1:tid 2] ${line}`);
  expect(pages).not.toEqual([]);
  expect(JSON.stringify(pages)).toMatch(wanted);
});

test("a text without a code, and one that is nobody's, have no page", () => {
  expect(findPages("")).toEqual([]);
  expect(findPages("TSGI9999 AH99999 all is well")).toEqual([]);
  expect(findPages("tsgi2107")).toHaveLength(1);
});
