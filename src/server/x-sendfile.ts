// `--x-sendfile`: a file that an application gives to `wsgi.file_wrapper` is sent by Apache's mod_xsendfile.
// Rules: only a regular file inside a listed folder, by the path that the system knows it by, and only from its first byte;
// for any other file, and for whatever cannot be found out, the answer is "read it here".

import { realpathSync } from "node:fs";
import { readFile, readlink, realpath, stat } from "node:fs/promises";
import { BootError, messageOf } from "../errors.ts";
import { headerValuePattern } from "../gateway/headers.ts";
import type { FileNamer } from "../gateway/run.ts";
import { encodeText } from "../gateway/text.ts";
import type { FileHandleLike, FileLike } from "../spec.ts";

export interface XSendfileOptions {
  /** Absolute paths of folders; none: no file is sent by Apache. */
  readonly xSendfile: readonly string[];
  readonly xSendfileHeader: string;
}

function realFolder(folder: string): string {
  try {
    const path = realpathSync.native(folder);
    return path.endsWith("/") ? path : `${path}/`;
  } catch (error) {
    throw new BootError(`--x-sendfile: ${folder} cannot be used: ${messageOf(error)}`, error);
  }
}

/** What a stream of node:fs shows of itself: its path, or the descriptor that it was made of. */
interface FileStream {
  readonly path?: string | Buffer | undefined;
  readonly bytesRead: number;
  readonly readableEncoding?: string | null;
  readonly start?: number | undefined;
  readonly end?: number | undefined;
}

function isFileStream(file: object): file is FileStream {
  return "bytesRead" in file && "end" in file;
}

/** Whether nothing was read yet, and what comes will be the bytes of the whole file. */
function isWhole({ start, end, bytesRead, readableEncoding }: FileStream): boolean {
  return (start ?? 0) === 0 && (end ?? Infinity) === Infinity && bytesRead === 0 && (readableEncoding ?? null) === null;
}

/** Where the handle is in its file; undefined where the system does not tell. */
async function positionOf(fd: number): Promise<number | undefined> {
  const info = await readFile(`/proc/self/fdinfo/${fd}`, "latin1");
  const [, position] = /^pos:\s*(\d+)$/m.exec(info) ?? [];
  return position === undefined ? undefined : Number(position);
}

/** The path of a file that is to be sent from its beginning; undefined for any other. */
async function pathOf(file: FileLike | FileHandleLike): Promise<string | undefined> {
  if (isFileStream(file)) {
    if (!isWhole(file)) return undefined;
    if (typeof file.path === "string") return await realpath(file.path);
  }
  const fd = "fd" in file && typeof file.fd === "number" ? file.fd : undefined;
  if (fd === undefined || (await positionOf(fd)) !== 0) return undefined;
  const path = await readlink(`/proc/self/fd/${fd}`);
  const [open, named] = await Promise.all([stat(`/proc/self/fd/${fd}`), stat(path)]);
  return open.ino === named.ino && open.dev === named.dev ? path : undefined; // else it was removed or replaced
}

/** As a header's value; undefined for a name that mod_xsendfile may decode (XSendFileUnescape), or that no header can hold. */
function headerValue(path: string): string | undefined {
  const value = encodeText(path);
  return value.includes("%") || !headerValuePattern.test(value) ? undefined : value;
}

/** Names files to Apache; undefined when it sends none. Throws BootError for a folder that is not there. */
export function xSendfile({ xSendfile: folders, xSendfileHeader: header }: XSendfileOptions): FileNamer | undefined {
  if (folders.length === 0) return undefined;
  const roots = folders.map(realFolder);
  return async (file) => {
    try {
      const path = await pathOf(file);
      if (path === undefined || !roots.some((root) => path.startsWith(root))) return undefined;
      const status = await stat(path);
      const value = headerValue(path);
      return status.isFile() && value !== undefined ? { header, path: value, sizeBytes: status.size } : undefined;
    } catch {
      return undefined; // no /proc, a name that is no text, a file that is gone: reading it tells
    }
  };
}

/** That of a program that Apache starts, which has no flags for it. Throws BootError. */
export function xSendfileOf(environment: NodeJS.ProcessEnv): FileNamer | undefined {
  const { TSGI_X_SENDFILE: folders = "", TSGI_X_SENDFILE_HEADER: header = "" } = environment;
  return xSendfile({
    xSendfile: folders.split(",").filter((folder) => folder !== ""),
    xSendfileHeader: header === "" ? "X-Sendfile" : header,
  });
}
