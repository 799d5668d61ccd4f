// What is written to the pipe comes out, all of it, and closing it ends.
import { spawn } from "node:child_process";
import { appendFileSync, closeSync, mkdtempSync, openSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Writable } from "node:stream";
import { afterEach, beforeEach, expect, test } from "vitest";
import { LogPipe } from "../../../../src/server/httpd/log-pipe.ts";

let base = "";

beforeEach(() => {
  base = mkdtempSync(join(tmpdir(), "tsgi-pipe-"));
});

afterEach(() => rmSync(base, { recursive: true }));

/** Takes a chunk at a time, after a turn of the event loop: a terminal that is slow. */
class SlowTarget extends Writable {
  text = "";

  constructor() {
    super({ highWaterMark: 1 });
  }

  override _write(chunk: Buffer, _encoding: string, done: () => void): void {
    this.text += chunk.toString("latin1");
    setImmediate(done);
  }
}

test("lines of several writers are forwarded, whole and to the last one, before it closes", async () => {
  const target = new SlowTarget();
  const path = join(base, "log");
  const pipe = new LogPipe(path, target);
  const script = 'i=0; while [ $i -lt 500 ]; do echo "$1 line $i"; i=$((i+1)); done';
  const writers = ["a", "b"].map((name) => {
    const child = spawn("/bin/sh", ["-c", script, "sh", name], { stdio: ["ignore", pipe.writeFd, "inherit"] });
    return new Promise((resolve) => child.once("exit", resolve));
  });
  await Promise.all(writers);
  appendFileSync(path, "by name\n"); // as Apache opens it
  await pipe.close();
  const lines = target.text.split("\n");
  expect(lines.filter((line) => /^[ab] line \d+$/.test(line))).toHaveLength(1000);
  expect(lines.at(-2)).toBe("by name");
});

test("only its owner may open it", async () => {
  const pipe = new LogPipe(join(base, "log"), new SlowTarget());
  expect(statSync(join(base, "log")).mode & 0o777).toBe(0o600);
  await pipe.close();
});

test("closing ends even while somebody holds the pipe, and may be called twice", async () => {
  const pipe = new LogPipe(join(base, "log"), new SlowTarget());
  const held = openSync(join(base, "log"), "w");
  await pipe.close();
  await pipe.close();
  closeSync(held);
});

test("a place where there can be no pipe is one clear error", () => {
  expect(() => new LogPipe(join(base, "none/log"), new SlowTarget())).toThrow(/^cannot make the named pipe/);
});
