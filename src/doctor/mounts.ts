// What the file system below a path allows: whether programs may be run there, and how much room is left.

import { statfsSync } from "node:fs";
import { realPathOf, textOf } from "./access.ts";

function unescaped(text: string): string {
  return text.replace(/\\([0-7]{3})/g, (_, octal: string) => String.fromCharCode(Number.parseInt(octal, 8)));
}

/** Where `path` is mounted, when that place runs no programs (mount option noexec); undefined where that cannot be seen. */
export function noexecMountOf(path: string, table = textOf("/proc/self/mounts")): string | undefined {
  const real = realPathOf(path);
  const mounts = (table ?? "").split("\n").map((line) => line.split(" "));
  let best = "";
  let isNoexec = false;
  for (const [, escaped = "", , options = ""] of mounts) {
    const place = unescaped(escaped);
    const isAbove = place === "/" || real === place || real.startsWith(`${place}/`);
    if (place === "" || !isAbove || place.length < best.length) continue;
    best = place;
    isNoexec = options.split(",").includes("noexec");
  }
  return isNoexec ? best : undefined;
}

/** Bytes and files that may still be stored; undefined where the system does not say. */
export function roomAt(folder: string): { readonly bytes: number; readonly files: number } | undefined {
  try {
    const { bavail, bsize, ffree, files } = statfsSync(folder);
    // Some file systems count no files.
    return { bytes: bavail * bsize, files: files === 0 ? Number.POSITIVE_INFINITY : ffree };
  } catch {
    return undefined; // not there, or not for us
  }
}
