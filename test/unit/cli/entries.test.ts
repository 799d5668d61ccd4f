// bin/tsgi-cgi before node runs: where it looks for its code, what it takes out of the environment, which descriptor is whose.
import { spawnSync } from "node:child_process";
import {
  chmodSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  realpathSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterEach, beforeEach, expect, test } from "vitest";

const checkout = fileURLToPath(new URL("../../..", import.meta.url));
let base = "";

/** A copy of the entry whose code says what it was given, on all three descriptors. */
beforeEach(() => {
  base = realpathSync(mkdtempSync(join(tmpdir(), "tsgi-entry-")));
  mkdirSync(join(base, "package/bin"), { recursive: true });
  mkdirSync(join(base, "package/dist/server"), { recursive: true });
  cpSync(join(checkout, "bin/tsgi-cgi"), join(base, "package/bin/tsgi-cgi"));
  const code = [
    'const fs = require("node:fs");',
    "const { NODE_OPTIONS, HTTP_PROXY, OTHER } = process.env;",
    "fs.writeSync(3, JSON.stringify({ argv: process.argv.slice(2), NODE_OPTIONS, HTTP_PROXY, OTHER }));",
    'console.log("noise");',
  ];
  writeFileSync(join(base, "package/dist/server/cgi-main.js"), code.join("\n"));
});

afterEach(() => rmSync(base, { recursive: true }));

function run(program: string, args: readonly string[], env: Record<string, string> = {}) {
  return spawnSync(program, args, { encoding: "utf8", env: { PATH: process.env["PATH"] ?? "", ...env } });
}

test("the response has a descriptor of its own, and what is printed goes to stderr", () => {
  const entry = join(base, "package/bin/tsgi-cgi");
  const { stdout, stderr, status } = run(entry, ["--mount-point=/m", "/a b.ts", "quer'y"]);
  expect(status).toBe(0);
  expect(JSON.parse(stdout)).toEqual({ argv: ["3", entry, "--mount-point=/m", "/a b.ts", "quer'y"] });
  expect(stderr).toBe("noise\n");
});

test("what SetEnv could make node do is not done, and HTTP_PROXY is not there; the rest is", () => {
  const env = { NODE_OPTIONS: "--require=/nonexistent", HTTP_PROXY: "http://evil", OTHER: "kept" };
  const { stdout } = run(join(base, "package/bin/tsgi-cgi"), [], env);
  expect(JSON.parse(stdout)).toEqual({ argv: ["3", join(base, "package/bin/tsgi-cgi")], OTHER: "kept" });
});

test("links to it, relative and absolute and one after the other, lead to its code", () => {
  mkdirSync(join(base, "node_modules/.bin"), { recursive: true });
  symlinkSync("../../package/bin/tsgi-cgi", join(base, "node_modules/.bin/tsgi-cgi"));
  symlinkSync(join(base, "node_modules/.bin/tsgi-cgi"), join(base, "link"));
  expect(JSON.parse(run(join(base, "link"), []).stdout)).toMatchObject({ argv: ["3", expect.any(String)] });
});

test("it is the interpreter of an executable script", () => {
  const script = join(base, "app.ts");
  writeFileSync(script, `#!${join(base, "package/bin/tsgi-cgi")}\n`);
  chmodSync(script, 0o755);
  expect(JSON.parse(run(script, ["word"]).stdout)).toEqual({
    argv: ["3", join(base, "package/bin/tsgi-cgi"), script, "word"],
  });
});

test("without node on the PATH the log says what to do", () => {
  const { status, stdout, stderr } = run(join(base, "package/bin/tsgi-cgi"), [], { PATH: join(base, "package") });
  expect([status, stdout]).toEqual([127, ""]);
  expect(stderr).toContain("node is not on the PATH");
});

test.each(["tsgi", "tsgi-cgi", "tsgi-fcgid"])("%s of a folder that was not built says what to do", (name) => {
  const bin = join(base, "unbuilt/bin");
  mkdirSync(bin, { recursive: true });
  for (const file of [name, "package.json"])
    if (existsSync(join(checkout, "bin", file))) cpSync(join(checkout, "bin", file), join(bin, file));
  const { status, stderr } = run(join(bin, name), ["daemon", "app.ts"]);
  expect(status).toBeGreaterThan(0);
  expect(stderr).toMatch(/^tsgi(?:-f?cgid?)?: \S*unbuilt is not built: run "npm ci && npm run build" there\n$/u);
});

test("every program of the package is there and executable", () => {
  for (const name of ["tsgi", "tsgi-cgi", "tsgi-fcgid"])
    expect(existsSync(join(checkout, "bin", name)), name).toBe(true);
});
