// The marked lines in an .htaccess file: where they go, and that taking them out gives back every byte.
import { describe, expect, test } from "vitest";
import { findBlock, withBlock, withoutBlock } from "../../../src/account/block.ts";
import { findFrontController, optionsToMend, turnsRewritingOff } from "../../../src/account/front-controller.ts";

const facts = { app: "/home/u/app/ä app.ts#admin", transport: "cgi", options: { cacheDir: "/home/u/ä" } } as const;
const body = "RewriteEngine On\n# für alle\nRewriteRule ^ app.cgi [L]\n";

const front = "RewriteCond %{REQUEST_FILENAME} !-f\nRewriteRule ^ index.php [L]\n";

const files: Readonly<Record<string, string | undefined>> = {
  "no file": undefined,
  "an empty file": "",
  "a file": "ErrorDocument 404 /404.html\n",
  "a file without a line feed at its end": "ErrorDocument 404 /404.html",
  "CRLF lines": "Options -Indexes\r\nErrorDocument 404 /404.html\r\n",
  "CRLF lines, and none at the end": "Options -Indexes\r\nErrorDocument 404 /404.html",
  "a byte order mark": "\u00EF\u00BB\u00BFOptions -Indexes\n",
  "a byte order mark and nothing else": "\u00EF\u00BB\u00BF",
  "bytes that are no text": "# \u00FF\u0000\u0080\nOptions -Indexes\n",
  "a backslash at its end": "Options -Indexes \\",
  "blank lines at its end": "Options -Indexes\n\n\n",
  "a front controller": `Options -Indexes\n\n${front}`,
  "a front controller with CRLF": `Options -Indexes\n\n${front}`.replaceAll("\n", "\r\n"),
};

test.each(Object.entries(files))("%s: in and out again, byte for byte", (_name, before) => {
  const text = withBlock(before, body, facts);
  const block = findBlock(text);
  expect(block).toMatchObject({ facts, isEdited: false });
  if (block === undefined) return;
  expect(withoutBlock(text, block)).toBe(before);
  // Written again it is the same.
  expect(withBlock(withoutBlock(text, block), body, facts)).toBe(text);
});

test("lines end as those of the file do, and a byte order mark is gone", () => {
  expect(withBlock("Options -Indexes\r\n", body, facts).replaceAll("\r\n", "")).not.toContain("\n");
  expect(withBlock("\u00EF\u00BB\u00BFOptions -Indexes\n", body, facts)).toMatch(/^Options/u);
});

test("an edit by hand is noticed, and so are lines that were changed to CRLF by an editor are not", () => {
  const text = withBlock("Options -Indexes\n", body, facts);
  expect(findBlock(text.replace("RewriteEngine On", "RewriteEngine Off"))?.isEdited).toBe(true);
  expect(findBlock(text.replace("# END", "# mine\n# END"))?.isEdited).toBe(true);
  expect(findBlock(text.replaceAll("\n", "\r\n"))?.isEdited).toBe(false);
});

test("what others added around the block stays", () => {
  const text = `# above\n${withBlock(undefined, body, facts)}# below\n`;
  const block = findBlock(text);
  expect(block === undefined ? "" : withoutBlock(text, block)).toBe("# above\n# below\n");
  const open = `${withBlock("# above", body, facts)}# below`;
  const second = findBlock(open);
  expect(second === undefined ? "" : withoutBlock(open, second)).toBe("# above\n# below");
});

const whole = withBlock(undefined, body, facts);

test.each([
  ["no end", whole.replace("# END tsgi\n", "")],
  ["no begin", whole.replace(/^.*\n/u, "")],
  ["twice", whole + whole],
  ["the wrong way round", whole.split("\n").toReversed().join("\n")],
  ["no facts", whole.replace(/^# tsgi .*$/mu, "# tsgi")],
])("markers with %s are refused", (_name, text) => {
  expect(() => findBlock(text)).toThrow(/^\.htaccess: .*Repair it by hand/u);
});

test("the same words in the middle of a line are no marker", () => {
  expect(findBlock("Header set X '# BEGIN tsgi'\n## BEGIN tsgi\n")).toBeUndefined();
});

describe("the block comes before the rule that takes every URL", () => {
  const place = (text: string): string => text.slice(0, findFrontController(text)?.start ?? text.length);

  test.each<[name: string, before: string, rest: string]>([
    [
      "WordPress",
      "Options -Indexes\n",
      `# BEGIN WordPress\n<IfModule mod_rewrite.c>\n${front}</IfModule>\n# END WordPress\n`,
    ],
    [
      "a section in a section",
      "RewriteRule ^old$ /new [R=301]\n",
      `<IfModule a.c>\n<IfModule b.c>\n</IfModule>\n${front}</IfModule>\n`,
    ],
    ["its conditions and comments", "RewriteEngine On\n\n", `# Front controller\n${front}`],
    ["a joined line", "RewriteEngine On\n", 'RewriteRule \\\n  "^(.*)$" \\\n  "index.php?q=$1" [QSA,L]\n'],
    ["names without a dot", "RewriteEngine On\n", "RewriteRule ^([^.]+)$ index.php?/$1 [L]\n"],
    ["any path, with a slash or none", "RewriteEngine On\n", "RewriteRule ^/?(.*)/?$ /index.php [END]\n"],
    ["names of letters in either case", "RewriteEngine On\n", "RewriteRule ^([A-Z0-9/-]+)$ index.php?page=$1 [NC,L]\n"],
    ["what is not one of the named files", "", "RewriteRule !\\.(js|css)$ index.php\n"],
  ])("%s", (_name, before, rest) => {
    expect(place(before + rest)).toBe(before);
  });

  test.each([
    "RewriteRule ^(.*)$ https://example.org/$1 [R=301,L]\n",
    "RewriteRule ^ https://%{HTTP_HOST}%{REQUEST_URI}\n",
    "RewriteRule .* - [E=HTTP_AUTHORIZATION:%{HTTP:Authorization}]\n",
    "RewriteRule ^ - [F]\n",
    "RewriteRule ^shop/(.*)$ shop.php?$1 [L]\n",
    "RewriteRule ^([a-z]+)\\.html$ page.php?$1 [L]\n",
    "RewriteRule ^(?<broken page.php [L]\n",
    "# RewriteRule ^ index.php [L]\n",
    "# BEGIN WordPress\n# END WordPress\n",
  ])("and after %j, which takes none", (text) => {
    expect(place(text)).toBe(text);
  });
});

test.each([
  ["Options -Indexes\n", []],
  ["Options Indexes\n", ["+SymLinksIfOwnerMatch"]],
  ["Options None\nOptions +FollowSymLinks\n", []],
  ["options -followsymlinks +MultiViews\n", ["+FollowSymLinks", "-MultiViews"]],
  ["Options All MultiViews\nOptions -MultiViews\n", []],
  ["# Options None\n", []],
])("%j needs the options %j", (text, options) => {
  expect(optionsToMend(text)).toEqual(options);
});

test("rewriting counts as off when the last word on it says so", () => {
  expect(turnsRewritingOff(`${front}RewriteEngine Off\n`)).toBe(true);
  expect(turnsRewritingOff("RewriteEngine Off\nRewriteEngine on\n")).toBe(false);
  expect(turnsRewritingOff("# RewriteEngine Off\n")).toBe(false);
});
