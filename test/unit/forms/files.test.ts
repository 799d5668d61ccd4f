// Files of forms: where they go, with which rights, and that they are gone when they should be.
import { spawn } from "node:child_process";
import { createHash } from "node:crypto";
import {
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { createWriteStream } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { PassThrough, Writable } from "node:stream";
import { expect, test } from "vitest";
import { ownerIn, thisProcess } from "../../../src/forms/owner.ts";
import { newUploadPath, sweepUploads } from "../../../src/forms/upload-folder.ts";
import { ClientGoneError, ContractError, parseForm, UploadStorageError } from "../../../src/index.ts";
import type { Application, Environ } from "../../../src/spec.ts";
import { until } from "../../harness/until.ts";
import { play } from "../gateway/play.ts";
import { body, boundary, field, file, posted, useOwnTemporaryFolder } from "./posted.ts";

const folder = useOwnTemporaryFolder();
const uploads = (): string => join(folder.path, `tsgi-uploads-${process.geteuid?.() ?? "user"}`);
const bytes = body(
  field("a", "1"),
  file("f", "../../x.txt", "content", "text/plain"),
  file("g", "y", "z".repeat(200_000)),
);

function asForm(environ: Environ): Environ {
  environ.CONTENT_TYPE = `multipart/form-data; boundary=${boundary}`;
  environ.CONTENT_LENGTH = String(bytes.length);
  return environ;
}

/** Runs an application on a request with the form; the first `sent` bytes of it come. */
function run(application: Application, sent: number = bytes.length) {
  const played = play((environ, start) => application(asForm(environ), start), {
    method: "POST",
    contentLength: bytes.length,
  });
  played.input.push(Buffer.from(bytes.subarray(0, sent)));
  const finished = async (): Promise<void> => {
    await played.ended;
    await Promise.all(played.closings);
  };
  return { ...played, finished };
}

test("temporary files: 0600 in a folder 0700, names of ours, gone at the end of the request", async () => {
  let paths: string[] = [];
  const played = run(async (environ, start) => {
    const form = await parseForm(environ);
    paths = form.files.map(({ path }) => path ?? "");
    expect(paths).toHaveLength(2);
    for (const path of paths) {
      expect(path.startsWith(`${uploads()}/`)).toBe(true);
      expect(path).not.toContain("x.txt");
      expect(statSync(path).mode & 0o777).toBe(0o600);
    }
    expect(statSync(uploads()).mode & 0o777).toBe(0o700);
    expect(form.files.map(({ size }) => size)).toEqual([7, 200_000]);
    const [small, large] = form.files;
    expect(await small?.text()).toBe("content");
    await expect(large?.bytes(1000)).rejects.toMatchObject({ status: 413 });
    const hash = createHash("sha256");
    for await (const chunk of large?.stream() ?? []) hash.update(chunk as Buffer);
    expect(hash.digest("hex")).toBe(createHash("sha256").update("z".repeat(200_000)).digest("hex"));
    start("200 OK", []);
    return "done";
  });
  await played.finished();
  expect(played.failures).toEqual([]);
  expect(paths.map((path) => existsSync(path))).toEqual([false, false]);
  expect(folder.files()).toEqual([]);
});

test("a file may be read by the response, and is gone after it", async () => {
  let seen = "";
  const played = run(async function (environ: Environ, start) {
    const form = await parseForm(environ);
    const path = form.file("g")?.path ?? "";
    start("200 OK", []);
    return (async function* () {
      yield "a";
      await new Promise((resolve) => setImmediate(resolve));
      seen = readFileSync(path, "latin1").slice(0, 3);
      yield "b";
    })();
  });
  await played.finished();
  expect(played.failures).toEqual([]);
  expect(seen).toBe("zzz");
  expect(folder.files()).toEqual([]);
});

test("kept and moved files stay, where the application says", async () => {
  const kept: string[] = [];
  const elsewhere = await mkdtemp(join(folder.path, "elsewhere-"));
  const played = run(async (environ, start) => {
    const form = await parseForm(environ);
    const [small, large] = form.files;
    kept.push(small?.keep() ?? "");
    expect(small?.path).toBe(kept[0]);
    expect(small?.keep()).toBe(kept[0]); // twice is the same
    writeFileSync(join(elsewhere, "avatar"), "older");
    await large?.moveTo(join(elsewhere, "avatar"));
    expect(large?.path).toBe(join(elsewhere, "avatar"));
    await expect(large?.moveTo("relative")).rejects.toBeInstanceOf(ContractError);
    expect(await small?.text()).toBe("content");
    start("200 OK", []);
    return "done";
  });
  await played.finished();
  expect(played.failures).toEqual([]);
  expect(readFileSync(kept[0] ?? "", "latin1")).toBe("content");
  expect(statSync(join(elsewhere, "avatar")).size).toBe(200_000);
  await sweepUploads();
  expect(existsSync(kept[0] ?? "")).toBe(true);
  expect(readdirSync(elsewhere)).toEqual(["avatar"]);
  await rm(kept[0] ?? "");
  await rm(elsewhere, { recursive: true });
});

test("a file moves to another disk, whole or not at all", async (context) => {
  const other = "/dev/shm";
  if (!existsSync(other) || statSync(other).dev === statSync(folder.path).dev) return context.skip();
  const target = await mkdtemp(join(other, "tsgi-test-"));
  const form = await parseForm(posted(bytes));
  await form.file("g")?.moveTo(join(target, "moved"));
  expect(readdirSync(target)).toEqual(["moved"]);
  expect(statSync(join(target, "moved")).size).toBe(200_000);
  expect(statSync(join(target, "moved")).mode & 0o777).toBe(0o600);
  await expect(form.file("f")?.moveTo(join(target, "no", "such"))).rejects.toMatchObject({ code: "ENOENT" });
  expect(readdirSync(target)).toEqual(["moved"]);
  await form.close();
  await rm(target, { recursive: true });
});

const endings: ReadonlyArray<readonly [what: string, application: Application]> = [
  [
    "an error of the application",
    async (environ) => {
      await parseForm(environ);
      throw new Error("on purpose");
    },
  ],
  [
    "an error between two parts",
    async (environ) => {
      for await (const part of parseForm(environ)) {
        if (part.type !== "file") continue;
        await part.save();
        throw new Error("on purpose");
      }
      return "";
    },
  ],
  [
    "a limit",
    async (environ) => {
      await parseForm(environ, { fileBytes: 100_000 });
      return "";
    },
  ],
  [
    "a response that does not wait for the form",
    (environ, start) => {
      parseForm(environ)
        .collect()
        .catch(() => undefined);
      start("200 OK", []);
      return "done";
    },
  ],
  [
    "a response that does not wait for the file",
    async (environ, start) => {
      for await (const part of parseForm(environ)) {
        if (part.type !== "file") continue;
        part.save().catch(() => undefined);
        break;
      }
      start("200 OK", []);
      return "done";
    },
  ],
];

test.each(endings)("%s leaves no file", async (_, application) => {
  const played = run(application);
  await played.finished();
  await until("the files to be gone", () => folder.files().length === 0);
});

test.each(["abort", "truncation", "timeout"] as const)("%s in the middle of a file leaves none", async (how) => {
  let wasThere = false;
  const played = run(async (environ) => {
    const form = parseForm(environ).collect();
    await until("the file to be there", () => folder.files().length === 2);
    wasThere = true;
    if (how === "abort") played.exchange.abort(new ClientGoneError());
    else if (how === "truncation") played.input.end();
    else played.exchange.expire(new UploadStorageError("in place of a timeout"));
    await form;
    return "";
  }, bytes.length - 1000);
  await played.finished();
  expect(wasThere).toBe(true);
  await until("the files to be gone", () => folder.files().length === 0);
  if (how === "truncation") expect(played.failures[0]?.error).toMatchObject({ status: 400 });
});

test("a file saved after the request's end goes at once", async () => {
  let late: Promise<unknown> = Promise.resolve();
  let end: () => void = () => undefined;
  const ended = new Promise<void>((resolve) => {
    end = resolve;
  });
  const played = run((environ, start) => {
    late = (async () => {
      await ended;
      for await (const part of parseForm(environ)) if (part.type === "file") await part.save();
    })();
    late.catch(() => undefined);
    start("200 OK", []);
    return "done";
  });
  await played.finished();
  end();
  await expect(late).rejects.toMatchObject({ code: "TSGI2002" });
  expect(folder.files()).toEqual([]);
});

test("limits that an application lets pass answer with their status", async () => {
  for (const [options, status] of [
    [{ fileBytes: 10 }, "413 Content Too Large"],
    [{ nameBytes: 0 }, "400 Bad Request"],
  ] as const) {
    const played = run(async (environ) => {
      await parseForm(environ, options);
      return "";
    });
    await played.finished();
    expect(played.sink.statusLine).toBe(status);
  }
});

test("files go where the application says: a path, a stream, or a temporary file", async () => {
  const target = await mkdtemp(join(folder.path, "target-"));
  const sunk: Buffer[] = [];
  const three = body(file("a", "x", "one"), file("b", "x", "two"), file("c", "x", "three"));
  const form = await parseForm(posted(three), {
    storeFile: ({ name, filename, mimeType }) => {
      expect([filename, mimeType]).toEqual(["x", "application/octet-stream"]);
      if (name === "a") return join(target, "a");
      if (name === "b") return new PassThrough().on("data", (chunk: Buffer) => sunk.push(chunk));
      return undefined;
    },
  });
  expect(form.files.map(({ size }) => size)).toEqual([3, 3, 5]);
  expect(form.file("a")?.path).toBe(join(target, "a"));
  expect(form.file("a")?.keep()).toBe(join(target, "a"));
  expect(statSync(join(target, "a")).mode & 0o777).toBe(0o600);
  expect(form.file("b")?.path).toBeUndefined();
  expect(() => form.file("b")?.keep()).toThrow(ContractError);
  expect(Buffer.concat(sunk).toString()).toBe("two");
  expect(form.file("c")?.path?.startsWith(uploads())).toBe(true);
  await form.close();
  expect(readdirSync(target)).toEqual(["a"]);
  expect(folder.files()).toHaveLength(1);
  await rm(target, { recursive: true });
});

test("a path that exists is not overwritten, and a form that fails removes what it stored", async () => {
  const target = await mkdtemp(join(folder.path, "target-"));
  writeFileSync(join(target, "g"), "precious");
  const failed = parseForm(posted(bytes), { storeFile: ({ name }) => join(target, name) });
  await expect(failed).rejects.toBeInstanceOf(UploadStorageError);
  expect(readdirSync(target)).toEqual(["g"]);
  expect(readFileSync(join(target, "g"), "latin1")).toBe("precious");
  await expect(parseForm(posted(bytes), { storeFile: () => "relative" })).rejects.toBeInstanceOf(ContractError);
  await rm(target, { recursive: true });
});

test("a stream that fails fails the form", async () => {
  const failing = new Writable({ write: (_chunk, _encoding, done) => done(new Error("the stream is full")) });
  await expect(parseForm(posted(bytes), { storeFile: () => failing })).rejects.toThrow("the stream is full");
  const nowhere = createWriteStream(join(folder.path, "no", "such"));
  await expect(parseForm(posted(bytes), { storeFile: () => nowhere })).rejects.toBeInstanceOf(UploadStorageError);
  expect(folder.files()).toEqual([]);
});

test("a full disk answers 507", () => {
  const cause = Object.assign(new Error("no space"), { code: "ENOSPC" });
  expect(new UploadStorageError("", cause)).toMatchObject({ status: 507, fault: "operator" });
  expect(new UploadStorageError("")).toMatchObject({ status: 500 });
});

test("a file is read once, and not after the next part was asked for", async () => {
  for await (const part of parseForm(posted(bytes))) {
    if (part.type !== "file") continue;
    expect((await part.bytes(300_000)).length).toBeGreaterThan(0);
    await expect(part.bytes()).rejects.toBeInstanceOf(ContractError);
  }
  let reader: AsyncIterator<Buffer> | undefined;
  for await (const part of parseForm(posted(bytes))) {
    if (part.type === "file" && reader === undefined) reader = part[Symbol.asyncIterator]();
  }
  await expect(reader?.next()).rejects.toBeInstanceOf(ContractError);
});

test("a store that is not waited for is whole before the next part comes", async () => {
  const saving: Array<Promise<{ size: number }>> = [];
  for await (const part of parseForm(posted(bytes))) if (part.type === "file") saving.push(part.save());
  const saved = await Promise.all(saving);
  expect(saved.map(({ size }) => size)).toEqual([7, 200_000]);
  for (const name of readdirSync(uploads())) await rm(join(uploads(), name));
});

test("a stream of a file that nobody reads to its end harms nothing", async () => {
  for await (const part of parseForm(posted(bytes))) {
    if (part.type !== "file") continue;
    const stream = part.stream();
    await new Promise((resolve) => stream.once("readable", resolve));
    stream.destroy();
  }
});

test("an application's own folder gets a private one inside", async () => {
  const own = await mkdtemp(join(folder.path, "own-"));
  const form = await parseForm(posted(bytes), { directory: own });
  expect(readdirSync(own)).toEqual([`tsgi-uploads-${process.geteuid?.() ?? "user"}`]);
  expect(folder.files()).toHaveLength(2);
  await form.close();
  await rm(own, { recursive: true });
});

const unsafe: ReadonlyArray<readonly [what: string, make: (path: string) => void]> = [
  ["a link", (path) => symlinkSync(tmpdir(), path)],
  ["a file", (path) => writeFileSync(path, "")],
  [
    "open to others",
    (path) => {
      mkdirSync(path);
      chmodSync(path, 0o755);
    },
  ],
];

test.each(unsafe)("a folder for uploads that is %s is refused", async (_, make) => {
  const own = await mkdtemp(join(folder.path, "own-"));
  make(join(own, `tsgi-uploads-${process.geteuid?.() ?? "user"}`));
  await expect(parseForm(posted(bytes), { directory: own })).rejects.toBeInstanceOf(UploadStorageError);
  await rm(own, { recursive: true });
});

test("the sweep takes what processes left that are gone, and nothing else", async () => {
  const own = await mkdtemp(join(folder.path, "sweep-"));
  const mine = await newUploadPath(own);
  const inside = join(mine, "..");
  const id = "0f8fad5b-d9cb-469f-a165-70867728950e";
  const { namespace, pid, startedAt } = thisProcess();
  const child = spawn(process.execPath, ["-e", ""], { stdio: "ignore" });
  const gonePid = child.pid ?? 0;
  await new Promise((resolve) => child.once("exit", resolve));
  const parent = process.ppid;
  const parentStart = readFileSync(`/proc/${parent}/stat`, "latin1").split(") ")[1]?.split(" ")[19];
  const stay = [
    `${namespace}.${pid}.${startedAt}.${id}`,
    `${namespace}.${parent}.${parentStart}.${id}`,
    `1${namespace}.${gonePid}.${startedAt}.${id}`, // another container's, just written
    `kept.${id}`,
    "notes.txt",
    `${namespace}.${gonePid}.1.not-an-id`,
  ];
  const go = [
    `${namespace}.${gonePid}.${startedAt}.${id}`,
    `${namespace}.${parent}.1.${id}`, // the process id was used again
    `2${namespace}.${pid}.${startedAt}.${id}`, // another container's, two days old
  ];
  for (const name of [...stay, ...go]) writeFileSync(join(inside, name), "");
  const old = new Date(Date.now() - 2 * 24 * 3_600_000);
  utimesSync(join(inside, go[2] ?? ""), old, old);
  await sweepUploads(own);
  expect(readdirSync(inside).sort()).toEqual(stay.sort());
  expect(ownerIn(mine.slice(inside.length + 1))).toEqual({ namespace, pid, startedAt });
  await rm(own, { recursive: true });
});

test("the sweep harms nothing where there is no folder", async () => {
  await sweepUploads(join(folder.path, "missing"));
  expect(existsSync(join(folder.path, "missing"))).toBe(false);
});
