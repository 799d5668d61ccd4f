// What `tsgi init` is told on the command line: its flags, and the application.

import type { SiteTarget } from "../apache/site.ts";
import { ConfigError } from "../errors.ts";
import { findScriptFile, parseAppReference } from "../loader/load.ts";

export interface InitFlags {
  readonly app?: string;
  readonly transport: string;
  readonly node?: string;
  /** "yes" where it is remembered. */
  readonly warm?: boolean | "yes" | undefined;
  readonly remove?: boolean;
  readonly probe?: boolean;
  readonly yes?: boolean;
  readonly dryRun?: boolean;
  readonly uploadKit?: string;
}

export type InitTarget = Extract<SiteTarget, { kind: "application" }>;

/** The application that was named. Throws ConfigError when none was, and LoadError when it is not there. */
export function readTarget(app: string | undefined): InitTarget {
  if (app === undefined) throw new ConfigError(["name the application with --app: file.ts or file.ts#export"]);
  const { file, exportName } = parseAppReference(app, process.cwd());
  return { kind: "application", file: findScriptFile(file), exportName };
}

/** The path of --node; undefined when it was not given. Whether it is there is for the host to say. */
export function nodeOption({ node }: Pick<InitFlags, "node">): string | undefined {
  if (node?.startsWith("/") === false) {
    throw new ConfigError([`--node ${JSON.stringify(node)}: expected an absolute path such as /usr/bin/node`]);
  }
  return node;
}
