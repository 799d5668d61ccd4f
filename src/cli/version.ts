// The version of this package, as its manifest says it.

import { packageRoot, readVersion } from "../loader/package.ts";

export function packageVersion(): string {
  return readVersion(packageRoot);
}
