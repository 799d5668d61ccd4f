// What a command serves: an application's file, or a folder of scripts, as it was named on the command line.

import { realpathSync, statSync } from "node:fs";
import { resolve } from "node:path";
import type { SiteTarget } from "../apache/site.ts";
import { BootError, ConfigError, messageOf } from "../errors.ts";
import { findScriptFile, parseAppReference } from "../loader/load.ts";
import type { Target } from "../server/route.ts";

/** Throws ConfigError unless exactly one of the two was given, BootError or LoadError when it is not there. */
export function siteTarget(app: string | undefined, scriptRoot: string | undefined): SiteTarget {
  const given = app ?? scriptRoot;
  if (given === undefined)
    throw new ConfigError(["name an application (file.ts or file.ts#export) or a folder of them"]);
  if (app !== undefined && scriptRoot !== undefined) {
    throw new ConfigError(["an application and --script-root do not go together: give one of them"]);
  }
  const path = resolve(given);
  if (scriptRoot !== undefined || isFolder(path)) return { kind: "scripts", root: realFolder(path) };
  const { file, exportName } = parseAppReference(given, process.cwd());
  return { kind: "application", file: findScriptFile(file), exportName };
}

export function isFolder(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isDirectory() === true;
}

/** The folder's real path. Throws BootError when there is none. */
export function realFolder(path: string): string {
  let real: string;
  try {
    real = realpathSync(path);
  } catch (error) {
    throw new BootError(`${path}: ${messageOf(error)}`, error);
  }
  if (!isFolder(real)) throw new BootError(`${path} is not a folder`);
  return real;
}

/** The same for the servers. */
export function serverTarget(target: SiteTarget): Target {
  if (target.kind === "scripts") return target;
  return { kind: "application", reference: { file: target.file, exportName: target.exportName } };
}

/** The target as a person would name it. */
export function describeTarget(target: SiteTarget): string {
  if (target.kind === "scripts") return target.root;
  return target.exportName === undefined ? target.file : `${target.file}#${target.exportName}`;
}
