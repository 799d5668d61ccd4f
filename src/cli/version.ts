// The version of this package, as its manifest says it.

import { createRequire } from "node:module";

export function packageVersion(): string {
  const manifest = createRequire(import.meta.url)("../../package.json") as { version: string };
  return manifest.version;
}
