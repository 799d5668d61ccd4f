import { spawn } from "node:child_process";
import { once } from "node:events";
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  rmSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, onTestFinished, test } from "vitest";
import { BootError } from "../../../src/errors.ts";
import { PidFile } from "../../../src/supervisor/pid-file.ts";

let folder: string;
let path: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "tsgi-pid-"));
  path = join(folder, "daemon.pid");
});

afterEach(() => rmSync(folder, { recursive: true }));

const content = (): string => readFileSync(path, "latin1");

/** A process that runs until the test ends. */
function runningProcess(): number {
  const child = spawn(process.execPath, ["-e", "setInterval(() => {}, 1e6)"], { stdio: "ignore" });
  onTestFinished(() => void child.kill("SIGKILL"));
  return child.pid!;
}

async function endedProcess(): Promise<number> {
  const child = spawn("true");
  await once(child, "exit");
  return child.pid!;
}

describe("writing", () => {
  test("leaves one file with the number and a line feed, for everyone to read", () => {
    const umask = process.umask(0o022);
    onTestFinished(() => void process.umask(umask));
    PidFile.write(path);
    expect(content()).toBe(`${process.pid}\n`);
    expect(statSync(path).mode & 0o777).toBe(0o644);
    expect(readdirSync(folder)).toEqual(["daemon.pid"]);
  });

  test("takes the place of one whose process has ended, of our own number, and of an empty one", async () => {
    for (const text of [`${await endedProcess()}\n`, `${process.pid}\n`, "", "\n"]) {
      writeFileSync(path, text);
      PidFile.write(path);
      expect(content()).toBe(`${process.pid}\n`);
    }
  });

  test("leaves a leftover of an interrupted start behind nowhere", () => {
    writeFileSync(`${path}.${process.pid}`, "half");
    PidFile.write(path);
    expect(readdirSync(folder)).toEqual(["daemon.pid"]);
  });

  test("is refused while the named process lives", () => {
    const pid = runningProcess();
    writeFileSync(path, `${pid}\n`);
    expect(() => PidFile.write(path)).toThrow(new BootError(`another daemon runs: ${path} names pid ${pid}`));
    expect(content()).toBe(`${pid}\n`);
  });

  test.runIf(existsSync("/proc/self/stat"))(
    "is not refused for a process that started long after the file was written",
    () => {
      writeFileSync(path, `${runningProcess()}\n`);
      const hourAgo = Date.now() / 1000 - 3600;
      utimesSync(path, hourAgo, hourAgo);
      PidFile.write(path);
      expect(content()).toBe(`${process.pid}\n`);
    },
  );

  test.each(["root:x:0:0:root:/root\n", "12 13", "-1", "0", "1e3", "x".repeat(100)])(
    "does not touch a file that says %j",
    (text) => {
      writeFileSync(path, text);
      expect(() => PidFile.write(path)).toThrow(new BootError(`${path} exists and is not a pid file`));
      expect(content()).toBe(text);
    },
  );

  test("does not touch a folder or a symbolic link", () => {
    mkdirSync(path);
    expect(() => PidFile.write(path)).toThrow("is not a pid file");
    const link = join(folder, "link");
    symlinkSync(path, link);
    expect(() => PidFile.write(link)).toThrow("is not a pid file");
  });

  test("says so when there is no folder for it", () => {
    expect(() => PidFile.write(join(folder, "none", "x.pid"))).toThrow(/^--pid-file: cannot write .*ENOENT/);
  });
});

describe("removing", () => {
  test("removes our own, once and for all", () => {
    const file = PidFile.write(path);
    file.remove();
    expect(readdirSync(folder)).toEqual([]);
    file.remove();
  });

  test("leaves what another process has put there", () => {
    const file = PidFile.write(path);
    rmSync(path);
    writeFileSync(path, `${process.pid}\n`); // the same text in another file, of which we know nothing
    file.remove();
    writeFileSync(path, "4711\n");
    file.remove();
    expect(content()).toBe("4711\n");
  });

  test("leaves a file that another process has written into", () => {
    const file = PidFile.write(path);
    writeFileSync(path, "4711\n");
    file.remove();
    expect(content()).toBe("4711\n");
  });
});
