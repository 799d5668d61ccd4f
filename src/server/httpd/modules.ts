// Which of Apache's modules a server loads, from where, and what to install for one that is not there.

import { existsSync } from "node:fs";
import { join } from "node:path";
import type { LoadableModule, Mpm } from "../../apache/server-root.ts";
import { BootError } from "../../errors.ts";
import type { Httpd } from "./find.ts";
import { installAdvice } from "./find.ts";

const mpms: readonly Mpm[] = ["event", "worker", "prefork"];

function fileOf(httpd: Httpd, name: string): string {
  return join(httpd.modulesDir, `mod_${name}.so`);
}

function has(httpd: Httpd, name: string): boolean {
  return httpd.builtIn.has(name) || existsSync(fileOf(httpd, name));
}

/** The best MPM that is there; one that is compiled in leaves no choice. Throws BootError. */
export function chooseMpm(httpd: Httpd): Mpm {
  const found = mpms.find((name) => httpd.builtIn.has(`mpm_${name}`)) ?? mpms.find((name) => has(httpd, `mpm_${name}`));
  if (found === undefined) throw new BootError(`there is no MPM in ${httpd.modulesDir}: ${installAdvice()}`);
  return found;
}

/** The modules to load, without those that are compiled in. Throws BootError that names all that are missing. */
export function findLoadable(httpd: Httpd, names: readonly string[]): LoadableModule[] {
  const missing = names.filter((name) => !has(httpd, name)).map((name) => `mod_${name}`);
  if (missing.length > 0) {
    throw new BootError(`Apache has no ${missing.join(", ")} in ${httpd.modulesDir}: ${installAdvice()}`);
  }
  return names.filter((name) => !httpd.builtIn.has(name)).map((name) => ({ name, file: fileOf(httpd, name) }));
}
