// What `tsgi init` says when it is done: what changed, what was chosen and why, and what to do next.

import { basename, dirname, join } from "node:path";
import type { FileChange } from "../account/change.ts";
import type { Layout } from "../account/layout.ts";
import { ownershipNotes } from "../account/owner.ts";
import type { Plan } from "../account/plan.ts";
import { foldersWithRules } from "../account/sources.ts";
import type { ChosenTransport } from "../account/transport.ts";
import type { SourcePlace } from "../apache/account.ts";
import { shellWord } from "../apache/htaccess.ts";
import { referenceText } from "../apache/site.ts";
import { formatListenAddress } from "../config/address.ts";
import type { Config } from "../config/settings.ts";
import { programsDir } from "../server/httpd/programs.ts";
import type { InitTarget } from "./init-target.ts";

export function print(...lines: readonly string[]): void {
  process.stdout.write(lines.map((line) => `${line}\n`).join(""));
}

export function listChanges(changes: readonly FileChange[]): string[] {
  return changes.map(({ path, before, after, mode }) => {
    if (after === undefined) return `  removed:    ${path}`;
    return `  ${before === undefined ? "wrote:  " : "changed:"}    ${path} (mode 0${mode.toString(8)})`;
  });
}

const sourceLines: Readonly<Record<SourcePlace["kind"], string>> = {
  outside: "outside this folder, which is the safest place",
  below: "in a folder of their own, of which nothing is sent",
  here:
    "in the served folder. Browsers get what is in public/, static/, css/, images/, img/ and fonts/, pages and images of the " +
    "folder itself, and nothing else. Safer: move the application to a folder that is not served",
};

export interface Described {
  readonly layout: Layout;
  readonly target: InitTarget;
  readonly chosen: ChosenTransport;
  readonly sources: SourcePlace;
  readonly plan: Plan;
  readonly config: Config;
  readonly mountPoint: string;
}

function daemonLines({ target, config, layout, mountPoint }: Described): string[] {
  const listen = formatListenAddress(config.listen ?? defaultListen(layout.folder));
  const words = ["daemon", referenceText(target), "--listen", listen, "--mount-point", mountPoint || "/"];
  if (listen.startsWith("unix:")) words.push("--socket-mode", "0666");
  return [
    "  keep this running, under this account; Apache's user must be able to open the socket:",
    `    ${[join(programsDir, "tsgi"), ...words].map(shellWord).join(" ")}`,
  ];
}

export function report(described: Described): string[] {
  const { layout, chosen, sources, plan, mountPoint } = described;
  const rules = foldersWithRules(layout.folder).map(
    (name) => `${name} has rewrite rules of its own: they decide what browsers get of that folder`,
  );
  const notes = [...ownershipNotes(layout.folder), ...plan.notes, ...chosen.warnings, ...rules];
  return [
    ...listChanges(plan.changes),
    `  transport:  ${chosen.transport}, since ${chosen.why}`,
    `  sources:    ${sourceLines[sources.kind]}`,
    ...notes.map((note) => `  note:       ${note}`),
    ...(chosen.transport === "proxy" ? daemonLines(described) : []),
    `  try:        ${mountPoint}/ (the URL path of this folder${mountPoint === "" ? ", if it is a site of its own" : ""})`,
    `  next:       tsgi doctor ${shellWord(layout.folder)}`,
  ];
}

/** A socket beside the folder, and one for each: a folder next to it may have another application. */
export function defaultListen(folder: string): NonNullable<Config["listen"]> {
  const name = basename(folder).replace(/[^\w.-]/g, "-");
  return { kind: "unix", path: join(dirname(folder), `tsgi-${name}.sock`) };
}
