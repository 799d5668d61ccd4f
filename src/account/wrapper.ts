// The executable that Apache starts in an account's folder, and how one of ours is told from one of somebody else's.
// Rules: node is named with its absolute path; nothing of the environment is relied on, since suEXEC clears it.

import { createHash } from "node:crypto";
import { dirname } from "node:path";
import { fronts, shellWord } from "../apache/htaccess.ts";
import type { Transport } from "../apache/account.ts";

export interface WrapperOptions {
  readonly transport: Exclude<Transport, "proxy">;
  /** The program that is to run it, absolute. */
  readonly node: string;
  /** The folder with `tsgi-cgi` and `tsgi-fcgid`. */
  readonly programs: string;
  /** Their arguments, the application last. */
  readonly args: readonly string[];
  /** What the application finds itself in. */
  readonly workingFolder: string;
  /** Of the folder's owner. */
  readonly home: string | undefined;
}

const mark = "# Written by `tsgi init`, which replaces it and takes it away. Sum: ";

/** The wrapper's name in the served folder; undefined for a daemon, which needs none. */
export function wrapperName(transport: Transport): string | undefined {
  return transport === "proxy" ? undefined : fronts[transport].file;
}

/** The names that a wrapper of ours may have. */
export const wrapperNames: readonly string[] = Object.values(fronts).map(({ file }) => file);

function sumOf(lines: string): string {
  return createHash("sha256").update(lines).digest("hex").slice(0, 16);
}

/** A shell script of `lines`, with the mark by which it is known to be ours. */
function markedScript(lines: string): string {
  return `#!/bin/sh\n${mark}${sumOf(lines)}\n${lines}`;
}

/** Whose a script is: "ours", "edited" for one of ours that was changed by hand, or "foreign". */
export function ownerOfScript(text: string): "ours" | "edited" | "foreign" {
  const [, given, lines] = /^#!\/bin\/sh\r?\n# Written by `tsgi init`[^\n]* Sum: (\w*)\r?\n([^]*)$/.exec(text) ?? [];
  if (given === undefined || lines === undefined) return "foreign";
  return given === sumOf(lines) ? "ours" : "edited";
}

/** The text of the wrapper. */
export function wrapperText({ transport, node, programs, args, workingFolder, home }: WrapperOptions): string {
  const program = `${programs}/${transport === "fcgid" ? "tsgi-fcgid" : "tsgi-cgi"}`;
  const own = home === undefined ? [] : [`HOME=\${HOME:-${shellWord(home)}}`, "export HOME"];
  return markedScript(
    [
      `NODE=${shellWord(node)}`,
      '[ -x "$NODE" ] || { echo "there is no $NODE any more: run tsgi init again" >&2; exit 127; }',
      `export PATH=${shellWord(dirname(node))}:"\${PATH:-/usr/bin:/bin}"`,
      ...own,
      'export NODE_ENV="${NODE_ENV:-production}"',
      `cd ${shellWord(workingFolder)} || exit 1`,
      `exec ${[program, ...args].map(shellWord).join(" ")}`,
      "",
    ].join("\n"),
  );
}
