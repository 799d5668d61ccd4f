// The configuration text: what Apache's reader gives back is what was put in. `readWord` below is that reader, written
// from the behaviour of ap_getword_conf; the last test asks Apache itself.
import { execFileSync, spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, realpathSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import * as fc from "fast-check";
import { expect, test } from "vitest";
import { findHttpd, loadModules } from "../../harness/machine.ts";
import {
  blank,
  block,
  commandLine,
  line,
  note,
  quote,
  regexLiteral,
  render,
  rewriteLiteral,
} from "../../../src/apache/directives.ts";

/** One word as Apache reads it: bare up to a space, or in quotes, where \" and \\ stand for one character. */
function readWord(text: string): string {
  const mark = text[0];
  if (mark !== '"' && mark !== "'") return text.split(/\s/)[0] ?? "";
  let word = "";
  for (let index = 1; index < text.length && text[index] !== mark; index += 1) {
    const next = text[index + 1];
    if (text[index] === "\\" && (next === "\\" || next === mark)) index += 1;
    word += text[index];
  }
  return word;
}

test("a word reads back as it was, whatever printable characters it has", () => {
  fc.assert(
    fc.property(fc.string({ unit: "grapheme" }), (word) => {
      fc.pre(!/\p{Cc}|\$\{/u.test(word));
      expect(readWord(quote(word))).toBe(word);
    }),
  );
  for (const word of ["", '"', "\\", '\\"', "\\\\", "a\\", "#x", "a b", "'", "100%", "$1", "a\\nb"]) {
    expect(readWord(quote(word)), word).toBe(word);
  }
});

test("a plain word stands without quotes and a regular expression keeps its single backslashes", () => {
  expect(quote("/srv/app.ts")).toBe("/srv/app.ts");
  expect(quote("[L]")).toBe("[L]");
  expect(quote(String.raw`\.ts$`)).toBe(String.raw`"\.ts$"`);
});

test.each(["a\nb", "a\rb", "a\0b", "a\tb", "\u007f", "${HOME}"])(
  "refuses %j, which Apache would read as something else",
  (word) => {
    expect(() => render([line("DocumentRoot", [word])])).toThrow(/cannot stand in an Apache configuration/);
  },
);

test("a block holds its lines, and a reason stands above what it explains", () => {
  const text = render([
    note("Head."),
    blank,
    block("Directory", ["/a b"], [line("Require", ["all", "granted"], "Everybody.")], "A folder."),
  ]);
  expect(text).toBe(
    '# Head.\n\n# A folder.\n<Directory "/a b">\n  # Everybody.\n  Require all granted\n</Directory>\n',
  );
});

test("a comment cannot become configuration: lines stay comments, and no backslash joins the next one", () => {
  const text = render([note("one\nRequire all granted\n    indented\\"), line("Options", ["None"])]);
  expect(text).toBe("# one\n# Require all granted\n#     indented\nOptions None\n");
});

test("long comments are wrapped", () => {
  const text = render([note("word ".repeat(100).trim())]);
  expect(text.split("\n").every((row) => row.length <= 102)).toBe(true);
  expect(text.match(/word/g)).toHaveLength(100);
});

test("a literal in a regular expression matches itself only", () => {
  fc.assert(
    fc.property(fc.string(), fc.string(), (text, other) => {
      const pattern = new RegExp(`^${regexLiteral(text)}$`);
      expect(pattern.test(text)).toBe(true);
      expect(pattern.test(other)).toBe(other === text);
    }),
  );
});

test("a literal for mod_rewrite has its dollar, percent and backslash escaped, and no question mark", () => {
  expect(rewriteLiteral(String.raw`/a$1%{X}\b c`)).toBe(String.raw`/a\$1\%{X}\\b c`);
  expect(() => rewriteLiteral("/a?b")).toThrow(/mod_rewrite/);
});

test("a command line is taken apart into the same words by a shell", () => {
  const words = ["/a b/c", 'q"uote', String.raw`back\slash`, "plain=1", "it's"];
  const said = execFileSync("/bin/sh", ["-c", `printf '%s\\n' ${commandLine(words)}`], { encoding: "utf8" });
  expect(said.trimEnd().split("\n")).toEqual(words);
});

test("Apache itself finds a folder whose name is as odd as can be", () => {
  const base = realpathSync(mkdtempSync(join(tmpdir(), "tsgi-quote-")));
  try {
    const folder = join(base, String.raw`it's a "dir" #1 \ 100% $x {y} <z> \\`);
    mkdirSync(folder);
    const file = join(base, "httpd.conf");
    const rest = `${loadModules(["mpm_event", "authz_core"])}\nServerName x\nListen 127.0.0.1:1\nDefaultRuntimeDir "${base}"\nErrorLog "${base}/log"\n`;
    const check = (root: string): string => {
      writeFileSync(file, `${rest}${render([line("DocumentRoot", [root])])}`);
      return spawnSync(findHttpd().file, ["-d", base, "-f", file, "-t"], { encoding: "utf8" }).stderr;
    };
    expect(check(`${folder}x`)).toContain("is not a directory");
    expect(check(folder)).toContain("Syntax OK");
  } finally {
    rmSync(base, { recursive: true });
  }
});
