import { spawnSync } from "node:child_process";
import {
  chmodSync,
  linkSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { BootError } from "../../../src/errors.ts";
import { LogFile, prepareLogFile } from "../../../src/log/file.ts";
import { createLog } from "../../../src/log.ts";

const isRoot = process.getuid?.() === 0;
let folder = "";
let file = "";

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "tsgi-log-"));
  file = join(folder, "app.log");
});

afterEach(() => rmSync(folder, { recursive: true }));

const text = (name = file): string => readFileSync(name, "utf8");

test("lines are appended, to what is there too, and nobody else may read them", () => {
  new LogFile(file).write("one\n");
  new LogFile(file).write("two\n");
  expect(text()).toBe("one\ntwo\n");
  expect(statSync(file).mode & 0o007).toBe(0);
});

test("after the file was moved away lines go on to it, and from `reopen` on to a new one", () => {
  const log = new LogFile(file);
  log.write("one\n");
  renameSync(file, `${file}.1`);
  log.write("two\n");
  log.reopen();
  log.write("three\n");
  expect([text(`${file}.1`), text()]).toEqual(["one\ntwo\n", "three\n"]);
});

test("a file that cannot be opened again leaves the open one in use", () => {
  const log = new LogFile(file);
  log.write("one\n");
  renameSync(file, `${file}.1`);
  mkdirSync(file);
  expect(() => log.reopen()).toThrow(BootError);
  log.write("two\n");
  expect(text(`${file}.1`)).toBe("one\ntwo\n");
});

test("a line that cannot be written goes to stderr, and nothing is thrown", () => {
  const source = new URL("../../../dist/log/file.js", import.meta.url).href;
  const script = `const { LogFile } = await import(${JSON.stringify(source)}); new LogFile("/dev/full").write("one\\n");`;
  const run = spawnSync(process.execPath, ["--input-type=module", "-e", script], { encoding: "utf8" });
  expect([run.stderr, run.status]).toEqual(["one\n", 0]);
});

describe("what is no regular file", () => {
  test("a pipe without a reader or a folder is refused at once", () => {
    spawnSync("mkfifo", [file]);
    expect(() => prepareLogFile(file, undefined)).toThrow(/cannot be opened/);
    expect(() => prepareLogFile(folder, undefined)).toThrow(/cannot be opened/);
  });

  test.skipIf(!isRoot)("root follows no link and takes no file with a second name", () => {
    const target = join(folder, "target");
    new LogFile(target).write("precious\n");
    symlinkSync(target, file);
    expect(() => prepareLogFile(file, { uid: 65_534, gid: 65_534 })).toThrow(/cannot be opened/);
    rmSync(file);
    linkSync(target, file);
    expect(() => prepareLogFile(file, { uid: 65_534, gid: 65_534 })).toThrow(/several names/);
    expect(statSync(target).uid).toBe(0);
  });
});

test.skipIf(!isRoot)("a file for another user is made, and given to that one", () => {
  chmodSync(folder, 0o755);
  prepareLogFile(file, { uid: 65_534, gid: 65_534 });
  expect([statSync(file).uid, statSync(file).gid]).toEqual([65_534, 65_534]);
});

describe("a log in a file", () => {
  const lines = (): Record<string, unknown>[] =>
    text()
      .trimEnd()
      .split("\n")
      .map((line) => JSON.parse(line) as Record<string, unknown>);

  test("has a line of JSON for each event, from its level on, without secrets", () => {
    const log = createLog({ level: "info", file, base: { worker: 7 } });
    log.debug("not this");
    log.info({ headers: { cookie: "s3cr3t" } }, "one");
    log.child({ request: 1 }).info("Set-Cookie: sid=s3cr3t");
    log.error(
      { err: new Error("got Authorization: Basic s3cr3t"), sent: "Cookie: s3cr3t" },
      "answered Set-Cookie: s3cr3t",
    );
    const child = log.child({ request_id: "r", authorization: "s3cr3t" });
    child.warn({ err: Object.assign(new Error("two\nlines"), { config: { Authorization: "s3cr3t" } }) }, "failed");
    expect(text()).not.toContain("s3cr3t");
    expect(lines()).toMatchObject([
      { level: 30, worker: 7, msg: "one", headers: { cookie: "[redacted]" } },
      { level: 30, request: 1, msg: "Set-Cookie: [redacted]" },
      { level: 50, msg: "answered Set-Cookie: [redacted]", sent: "Cookie: [redacted]" },
      { level: 40, worker: 7, request_id: "r", err: { type: "Error", message: "two\nlines" } },
    ]);
    expect(text()).toContain(fileURLToPath(import.meta.url)); // the stack
  });

  test("has whatever was thrown", () => {
    const log = createLog({ level: "info", file });
    for (const err of ["text", undefined, 42, null, { code: 1 }]) log.error({ err }, "failed");
    expect(lines().map((line) => line["err"])).toEqual(["text", undefined, 42, null, { code: 1 }]);
  });

  test("keeps the lines of the access log whatever the level is", () => {
    const log = createLog({ level: "error", file });
    log.info("not this");
    log.access().info({ status: 200 }, "request");
    expect(lines()).toMatchObject([{ msg: "request", status: 200, pid: process.pid }]);
  });
});
