import {
  createReadStream,
  mkdirSync,
  mkdtempSync,
  realpathSync,
  rmSync,
  symlinkSync,
  unlinkSync,
  writeFileSync,
} from "node:fs";
import type { FileHandle } from "node:fs/promises";
import { open } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { FileHandleLike, FileLike } from "../../../src/spec.ts";
import { xSendfile, xSendfileOf } from "../../../src/server/x-sendfile.ts";

let dir: string;
let files: string;
const open_: FileHandle[] = [];

beforeAll(() => {
  dir = realpathSync(mkdtempSync(join(tmpdir(), "tsgi-xsend-")));
  files = join(dir, "files");
  mkdirSync(files);
  mkdirSync(join(dir, "files-not"));
  for (const name of ["files/é.txt", "files/%41", "files/gone", "files/a\nb", "files-not/x"])
    writeFileSync(join(dir, name), "12345");
  symlinkSync(join(dir, "files-not/x"), join(files, "out"));
  symlinkSync(files, join(dir, "alias"));
});

afterAll(async () => {
  for (const handle of open_) await handle.close();
  rmSync(dir, { recursive: true });
});

async function handleOf(name: string): Promise<FileHandle> {
  const handle = await open(join(dir, name));
  open_.push(handle);
  return handle;
}

const named = { header: "X-Sendfile", path: "", sizeBytes: 5 };

async function nameOf(file: FileLike | FileHandleLike, folder = files): Promise<unknown> {
  return await xSendfile({ xSendfile: [folder], xSendfileHeader: "X-Sendfile" })?.(file);
}

test("a file inside the folder has its real path for a name, bytes as latin-1", async () => {
  const path = Buffer.from(join(files, "é.txt")).toString("latin1");
  expect(await nameOf(await handleOf("files/é.txt"))).toEqual({ ...named, path });
  expect(await nameOf(await handleOf("alias/é.txt"), join(dir, "alias"))).toEqual({ ...named, path });
  const stream = createReadStream(join(dir, "alias/é.txt"));
  expect(await nameOf(stream)).toEqual({ ...named, path });
  stream.destroy();
  const ofHandle = (await handleOf("files/é.txt")).createReadStream({ autoClose: false });
  expect(await nameOf(ofHandle)).toEqual({ ...named, path });
});

test.each(["files/out", "files-not/x", "files/%41", "files/a\nb", "files"])("%j is read", async (name) => {
  expect(await nameOf(await handleOf(name))).toBeUndefined();
});

test("a file that was removed, that has been read from, or of which a part is wanted, is read", async () => {
  const gone = await handleOf("files/gone");
  unlinkSync(join(files, "gone"));
  expect(await nameOf(gone)).toBeUndefined();
  const begun = await handleOf("files/é.txt");
  await begun.read(Buffer.alloc(1), 0, 1, null);
  expect(await nameOf(begun)).toBeUndefined();
  const part = createReadStream(join(files, "é.txt"), { end: 2 });
  expect(await nameOf(part)).toBeUndefined();
  part.destroy();
  const ofHandle = (await handleOf("files/é.txt")).createReadStream({ start: 1, end: 2, autoClose: false });
  expect(await nameOf(ofHandle)).toBeUndefined();
  const other = await handleOf("files/é.txt");
  const text = other.createReadStream({ encoding: "base64", autoClose: false });
  expect(await nameOf(text)).toBeUndefined();
  const encoded = createReadStream(join(files, "é.txt"), "hex");
  expect(await nameOf(encoded)).toBeUndefined();
  encoded.destroy();
  expect(await nameOf({ read: () => null })).toBeUndefined();
});

test("no folder, no naming; and a folder that is not there is an error", () => {
  expect(xSendfileOf({})).toBeUndefined();
  expect(() => xSendfileOf({ TSGI_X_SENDFILE: join(dir, "nowhere") })).toThrow(
    /--x-sendfile: .*nowhere cannot be used/,
  );
});
