// What a compiled application depends on, and whether any of it has changed.
// Rules: a file is compared by a signature of its status with nanoseconds, never by milliseconds. A file that was written
// within the last moments before it was read is `young`: a second write could have left the same times, so its content is
// compared as well until it has aged. Everything here is synchronous and light: plain CGI does it once per request.
import { readdirSync, readFileSync, statSync } from "node:fs";
import { systemCodeOf } from "../errors.ts";

/** A file or folder as it was when it was read. */
export interface WatchedFile {
  readonly path: string;
  /** "" stands for a file that could not be read. */
  readonly signature: string;
  /** Fingerprint of the content; only there while the signature alone could miss a change. */
  readonly young?: string;
}

export interface Watch {
  readonly files: readonly WatchedFile[];
  /** Paths that did not exist, and that would change the result if they did: a tsconfig.json, a missing package. */
  readonly absent: readonly string[];
}

export interface WatchCheck {
  /** The first path that differs; undefined when all is as it was. */
  readonly change: string | undefined;
  /** The same watch without the marks that are needed no longer; undefined when nothing aged. */
  readonly settled: Watch | undefined;
}

/** File systems round times to as much as two seconds (FAT, some network mounts). */
const youngMs = 2_000;

/** The status of a file in one comparable string; "" when there is no such file or it may not be looked at. */
export function signatureOf(path: string): string {
  return lookAt(path).signature;
}

/** Looks at a file before its content is read: a write that comes later then shows as a change, never the reverse. */
export function watchFile(path: string, nowMs: number): WatchedFile {
  const { signature, modifiedMs } = lookAt(path);
  if (signature === "" || nowMs - modifiedMs >= youngMs) return { path, signature };
  return { path, signature, young: fingerprintFile(path) };
}

/** Compares everything watched with the file system. `nowMs` is wall-clock time, as file times are. */
export function checkWatch(watch: Watch, nowMs: number): WatchCheck {
  let hasAged = false;
  for (const file of watch.files) {
    const { signature, modifiedMs } = lookAt(file.path);
    if (signature !== file.signature) return { change: file.path, settled: undefined };
    if (file.young === undefined) continue;
    if (fingerprintFile(file.path) !== file.young) return { change: file.path, settled: undefined };
    hasAged ||= nowMs - modifiedMs >= youngMs;
  }
  const appeared = watch.absent.find((path) => signatureOf(path) !== "");
  if (appeared !== undefined || !hasAged) return { change: appeared, settled: undefined };
  return {
    change: undefined,
    settled: { files: watch.files.map((file) => withoutAge(file, nowMs)), absent: watch.absent },
  };
}

/** 106 bits of a text, in hexadecimal. Not cryptographic: it tells versions apart where nobody else can write. */
export function fingerprint(text: string): string {
  return `${hash53(text, 0)}${hash53(text, 0x5bd1e995)}`;
}

function withoutAge(file: WatchedFile, nowMs: number): WatchedFile {
  if (file.young === undefined || nowMs - lookAt(file.path).modifiedMs < youngMs) return file;
  return { path: file.path, signature: file.signature };
}

function lookAt(path: string): { readonly signature: string; readonly modifiedMs: number } {
  try {
    const status = statSync(path, { bigint: true, throwIfNoEntry: false });
    if (status === undefined) return { signature: "", modifiedMs: 0 };
    const signature = `${status.mtimeNs} ${status.ctimeNs} ${status.size} ${status.ino}`;
    return { signature, modifiedMs: Number(status.mtimeMs > status.ctimeMs ? status.mtimeMs : status.ctimeMs) };
  } catch (error) {
    if (systemCodeOf(error) === undefined) throw error;
    return { signature: "", modifiedMs: 0 };
  }
}

function fingerprintFile(path: string): string {
  try {
    return fingerprint(readFileSync(path, "latin1"));
  } catch (error) {
    if (systemCodeOf(error) !== "EISDIR") return "";
    return fingerprint(readdirSync(path).join("/"));
  }
}

/** The public-domain hash known as cyrb53: two 32-bit lanes of multiply and xor, mixed at the end. */
function hash53(text: string, seed: number): string {
  let high = 0xdeadbeef ^ seed;
  let low = 0x41c6ce57 ^ seed;
  for (let index = 0; index < text.length; index += 1) {
    const unit = text.charCodeAt(index);
    high = Math.imul(high ^ unit, 2_654_435_761);
    low = Math.imul(low ^ unit, 1_597_334_677);
  }
  high = Math.imul(high ^ (high >>> 16), 2_246_822_507) ^ Math.imul(low ^ (low >>> 13), 3_266_489_909);
  low = Math.imul(low ^ (low >>> 16), 2_246_822_507) ^ Math.imul(high ^ (high >>> 13), 3_266_489_909);
  return (4_294_967_296 * (2_097_151 & low) + (high >>> 0)).toString(16).padStart(14, "0");
}
