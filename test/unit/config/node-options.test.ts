// Options of Node for workers: which may be given, and how a line of them is taken apart.
import { spawnSync } from "node:child_process";
import { expect, test } from "vitest";
import { parseNodeOptions, parseNodeOptionsText } from "../../../src/config/node-options.ts";

test.each([
  ["", []],
  ["--expose-gc", ["--expose-gc"]],
  ["  --expose-gc\t --stack-size=2000 ", ["--expose-gc", "--stack-size=2000"]],
  ['--import="./a b.mjs" --no-warnings', ["--import=./a b.mjs", "--no-warnings"]],
  [String.raw`"--import=./a\"b\\c.mjs"`, [String.raw`--import=./a"b\c.mjs`]],
  [String.raw`--import=C:\x`, [String.raw`--import=C:\x`]],
  ["--max_semi_space_size=64", ["--max_semi_space_size=64"]],
  ["--inspect=0", ["--inspect=0"]],
])("%j is %j", (text, options) => {
  expect(parseNodeOptionsText(text)).toEqual(options);
});

test.each([
  ["-e"],
  ["-p"],
  ["-c"],
  ["-i"],
  ["-r"],
  ["-"],
  ["--"],
  ["app.ts"],
  ["--eval=1"],
  ["--eval"],
  ["--print"],
  ["--check"],
  ["--test"],
  ["--test-only"],
  ["--test-reporter=spec"],
  ["--interactive"],
  ["--version"],
  ["--help"],
  ["--v8-options"],
  ["--v8_options"],
  ["--V8-Options"],
  ["--prof-process"],
  ["--run=start"],
  ["--input-type=module"],
  ["--watch"],
  ["--watch-path=x"],
  ["--inspect-brk"],
  ["--inspect_brk=9229"],
  ["--inspect-wait"],
  ["--title=x"],
  ["--max-old-space-size=100"],
  ["--max_old_space_size=100"],
  ["--import=a\0b"],
  ["--bad name"],
  [""],
])("%j is refused", (option) => {
  expect(() => parseNodeOptions(["--expose-gc", option])).toThrow(
    /expected options such as|cannot be given to workers: \S+ .*/,
  );
});

test("what has a setting of its own is refused with its name", () => {
  expect(() => parseNodeOptions(["--max-old-space-size=64"])).toThrow(/use the setting max-old-space-size/);
  expect(() => parseNodeOptions(["--title=x"])).toThrow(/use the setting process-title/);
});

test("a quote that is not closed is refused", () => {
  expect(() => parseNodeOptionsText('--import="./a')).toThrow(/closing double quote/);
});

test.each(["--require", "--import", "--conditions", "--stack-size", "--disable-warning"])(
  "%s without its value does not swallow what follows the end of the options",
  (option) => {
    expect(parseNodeOptions([option])).toEqual([option]);
    const script = "data:text/javascript,console.log('ran')";
    const { status, stdout } = spawnSync(process.execPath, [option, "--", script], { input: "", encoding: "utf8" });
    expect(status).not.toBe(0);
    expect(stdout).toBe("");
  },
);
