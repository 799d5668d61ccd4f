// A large file that is sent without ever being in memory: `wsgi.file_wrapper` reads it block by block, and only as fast as
// the client takes it. download.ts?mib=1024 is a file of 1 GiB; it is made of nothing but a length, so it takes no disk.
import { randomUUID } from "node:crypto";
import { open, unlink } from "node:fs/promises";
import type { FileHandle } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Application } from "tsgi";
import { query } from "./lib/form.ts";

const mebibyte = 1024 * 1024;
const maxMebibytes = 1024;
const blockBytes = 256 * 1024;

export const application: Application = async (environ, startResponse) => {
  const asked = Number(query(environ).get("mib") ?? maxMebibytes);
  const mebibytes = Number.isInteger(asked) && asked > 0 ? Math.min(asked, maxMebibytes) : maxMebibytes;
  const file = await openEmptyFile(mebibytes * mebibyte);
  startResponse("200 OK", [
    ["Content-Type", "application/octet-stream"],
    ["Content-Length", String(mebibytes * mebibyte)],
    ["Content-Disposition", `attachment; filename="${mebibytes}-MiB-of-nothing.bin"`],
  ]);
  // The wrapper closes the file, also when the client has had enough.
  return environ["wsgi.file_wrapper"](file, blockBytes);
};

/** A file of zeros that has a length and no blocks. Its name is gone at once, so that closing it leaves nothing. */
async function openEmptyFile(bytes: number): Promise<FileHandle> {
  const name = join(tmpdir(), `tsgi-site-${randomUUID()}`);
  const file = await open(name, "wx+", 0o600);
  try {
    await unlink(name);
    await file.truncate(bytes);
    return file;
  } catch (error) {
    await file.close();
    throw error;
  }
}
