import { execFileSync } from "node:child_process";
import { closeSync, constants, mkdtempSync, openSync, readFileSync, readSync, rmSync } from "node:fs";
import { Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { ClientGoneError } from "../../../src/errors.ts";
import type { ResponseHead } from "../../../src/gateway/response.ts";
import { CgiOutput } from "../../../src/server/cgi-output.ts";
import { SpoolingFlow } from "../../../src/server/spool.ts";
import { until, within } from "../../harness/until.ts";

let folder: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "tsgi-cgi-output-"));
});

afterEach(() => {
  rmSync(folder, { recursive: true });
});

const head: ResponseHead = { status: { code: 200, reason: "OK \xe9" }, headers: [["X-A", "\xff"]] };
const headText = "Status: 200 OK \xe9\r\nX-A: \xff\r\n\r\n";

interface Pipe {
  readonly output: CgiOutput;
  /** The end that Apache reads. */
  readonly readFd: number;
  readonly writeFd: number;
  goneCount: number;
}

function flow(): SpoolingFlow {
  return new SpoolingFlow({ pause() {}, resume() {} });
}

/** A response that goes into a pipe. */
function pipe(): Pipe {
  const path = join(folder, "pipe");
  execFileSync("mkfifo", [path]);
  const readFd = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
  const writeFd = openSync(path, constants.O_WRONLY);
  const state = { goneCount: 0 };
  const output = new CgiOutput(writeFd, {
    gone: () => {
      state.goneCount += 1;
    },
    flow: flow(),
  });
  return Object.assign(state, { output, readFd, writeFd });
}

/** What is in the pipe now. */
function peek(fd: number): string {
  const buffer = Buffer.alloc(128 * 1024);
  try {
    return buffer.toString("latin1", 0, readSync(fd, buffer));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "EAGAIN") return "";
    throw error;
  }
}

/** Everything up to the end of the pipe. */
async function readAll(fd: number): Promise<Buffer> {
  const socket = new Socket({ fd, readable: true, writable: false });
  const chunks: Buffer[] = [];
  socket.on("data", (chunk) => chunks.push(chunk));
  await within("the end of the pipe", new Promise((resolve) => socket.once("close", resolve)));
  return Buffer.concat(chunks);
}

test("a small response is out when send returns, in one piece", async () => {
  const { output, readFd, writeFd } = pipe();
  expect(output.send(head, "日", true)).toBe(true);
  expect(peek(readFd)).toBe(`${headText}\xe6\x97\xa5`);
  await within("the end", output.finished);
  expect(output.isBroken).toBe(false);
  closeSync(writeFd);
  closeSync(readFd);
});

test("whoever reads sees the end as soon as the descriptor is given back, which may be done twice", async () => {
  const { output, readFd } = pipe();
  output.send(head, "text", true);
  await within("the end", output.finished);
  output.close();
  expect((await readAll(readFd)).toString("latin1")).toBe(`${headText}text`);
  expect(() => output.close()).not.toThrow();
});

test("pieces keep their order across the small, synchronous part and the streamed one", async () => {
  const { output, readFd } = pipe();
  const all = readAll(readFd);
  const pieces = [10, 20_000, 10, 30_000, 5, 500_000, 7].map((size, index) => Buffer.alloc(size, String(index)));
  for (const [index, piece] of pieces.entries()) {
    if (!output.send(index === 0 ? head : undefined, piece, false)) await within("the drain", output.drained());
  }
  output.send(undefined, undefined, true);
  await within("the end", output.finished);
  expect((await all).equals(Buffer.concat([Buffer.from(headText, "latin1"), ...pieces]))).toBe(true);
});

test("a reader that does not read makes the application wait, and then gets everything", async () => {
  const { output, readFd } = pipe();
  const block = Buffer.alloc(64 * 1024, "x");
  output.send(head, block, false);
  let sent = block.length;
  while (output.send(undefined, block, false) && sent < 2 ** 24) sent += block.length;
  sent += block.length;
  expect(sent).toBeLessThan(2 ** 20);
  let isDrained = false;
  const drained = output.drained().then(() => {
    isDrained = true;
  });
  await new Promise((resolve) => {
    setImmediate(resolve);
  });
  expect(isDrained).toBe(false);
  const all = readAll(readFd);
  await within("the drain", drained);
  output.send(undefined, "end", true);
  await within("the end", output.finished);
  expect(await all).toHaveLength(headText.length + sent + 3);
});

test("waiting a hundred times leaves no listener behind and warns of nothing", async () => {
  const warnings: Error[] = [];
  const note = (warning: Error): void => void warnings.push(warning);
  process.on("warning", note);
  const { output, readFd } = pipe();
  const all = readAll(readFd);
  const block = Buffer.alloc(128 * 1024);
  output.send(head, undefined, false);
  for (let count = 0; count < 100; count += 1) {
    if (!output.send(undefined, block, false)) await within("the drain", output.drained());
  }
  output.send(undefined, undefined, true);
  await within("the end", output.finished);
  await all;
  await new Promise((resolve) => {
    setImmediate(resolve);
  });
  process.off("warning", note);
  expect(warnings).toEqual([]);
});

describe("a reader that is gone", () => {
  test("before the first byte: told once, and nothing hangs", async () => {
    const state = pipe();
    closeSync(state.readFd);
    state.output.send(head, "x", false);
    await within("the end", state.output.finished);
    await expect(state.output.drained()).rejects.toThrow(ClientGoneError);
    expect(state.output.send(undefined, "y", true)).toBe(true);
    expect([state.goneCount, state.output.isBroken]).toEqual([1, true]);
    closeSync(state.writeFd);
  });

  test("while the application waits: the wait ends, told once", async () => {
    const state = pipe();
    const block = Buffer.alloc(256 * 1024);
    expect(state.output.send(head, block, false)).toBe(false);
    const drained = state.output.drained();
    closeSync(state.readFd);
    await expect(within("the wait", drained)).rejects.toThrow(ClientGoneError);
    await within("the end", state.output.finished);
    state.output.send(undefined, block, true);
    expect([state.goneCount, state.output.isBroken]).toEqual([1, true]);
  });
});

test("breaking off ends what can be ended, and says so to who asks for the exit code", async () => {
  const { output, readFd } = pipe();
  const all = readAll(readFd);
  output.send(head, Buffer.alloc(200_000), false);
  output.break();
  output.send(undefined, "late", true);
  await within("the end", output.finished);
  expect(await all).toHaveLength(headText.length + 200_000);
  expect(output.isBroken).toBe(true);
});

test("a file takes a response of any size", async () => {
  const path = join(folder, "file");
  const fd = openSync(path, "w");
  const output = new CgiOutput(fd, { gone: () => expect.unreachable(), flow: flow() });
  output.send(head, "small", false);
  output.send(undefined, Buffer.alloc(300_000, "x"), false);
  output.send(undefined, "end", true);
  await within("the end", output.finished);
  await until("the file to be written", () => readFileSync(path).length === headText.length + 300_008);
  expect(readFileSync(path, "latin1").startsWith(`${headText}smallxxx`)).toBe(true);
});
