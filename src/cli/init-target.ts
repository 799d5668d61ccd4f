// What `tsgi init` is told on the command line: its flags, and the application.

import { ConfigError } from "../errors.ts";
import { findScriptFile, parseAppReference } from "../loader/load.ts";

export interface InitFlags {
  readonly app?: string;
  readonly transport: string;
  readonly node?: string;
  readonly remove?: boolean;
  readonly yes?: boolean;
  readonly dryRun?: boolean;
  readonly uploadKit?: string;
}

export type InitTarget = {
  readonly kind: "application";
  readonly file: string;
  readonly exportName: string | undefined;
};

/** The application that the command line names, else that of the last time. */
export function readTarget(app: string | undefined, known: string | undefined): InitTarget {
  const given = app ?? known;
  if (given === undefined) throw new ConfigError(["name the application with --app: file.ts or file.ts#export"]);
  const { file, exportName } = parseAppReference(given, process.cwd());
  return { kind: "application", file: findScriptFile(file), exportName };
}

export function print(...lines: readonly string[]): void {
  process.stdout.write(lines.map((line) => `${line}\n`).join(""));
}
