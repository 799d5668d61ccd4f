// suEXEC: whether it runs a folder's programs, as whom, and its rules for a program and the folder that it lies in.
// Rules: support/suexec.c of httpd 2.4, in its order; each refusal is a 500, and a line of suexec's own log.

import { shellWord } from "../apache/htaccess.ts";
import { dirname } from "node:path";
import type { Account } from "../server/httpd/account.ts";
import { groupIdOf, lookUp } from "../server/httpd/account.ts";
import { linkStatusOf, modeText, nameOfUser, realPathOf, statusOf, textOf } from "./access.ts";
import type { ReadDirective } from "./directive-text.ts";
import type { Finding } from "./finding.ts";
import type { FoundApache } from "./find-apache.ts";
import { run } from "./run.ts";
import { pathBelow } from "./served.ts";

export interface Suexec {
  readonly account: Account;
  /** The group that programs run with. */
  readonly gid: number;
  /** What all programs must lie in; undefined: not known. */
  readonly documentRoot: string | undefined;
  readonly minUid: number;
  readonly minGid: number;
  readonly safePath: string;
  readonly by: ReadDirective;
}

function valueIn(text: string, name: string): string | undefined {
  return new RegExp(`-D ${name}="?([^"\n]*)"?`).exec(text)?.[1];
}

/** Debian's suexec-custom has its document root in a file for each user of Apache. */
function configuredRoot(text: string, apacheUser: string | undefined): string | undefined {
  const folder = valueIn(text, "SUEXEC_CONFIG_DIR");
  if (folder === undefined || apacheUser === undefined) return undefined;
  return textOf(`${folder.replace(/\/$/, "")}/${apacheUser}`)
    ?.split("\n")[0]
    ?.trim();
}

/** Its program, when Apache can use it. */
async function usableProgram(apache: FoundApache): Promise<string | undefined> {
  if (apache.program === undefined || !apache.configuration.modules.has("suexec")) return undefined;
  const { stdout } = await run(apache.program, ["-V"]);
  const program = valueIn(stdout, "SUEXEC_BIN");
  const status = program === undefined ? undefined : statusOf(program);
  return status !== undefined && status.uid === 0 && (status.mode & 0o4000) !== 0 ? program : undefined;
}

/** undefined: suEXEC does not run the folder's programs, or nobody can tell. */
export async function findSuexec(
  apache: FoundApache | undefined,
  by: ReadDirective | undefined,
  apacheAccount: Account | undefined,
): Promise<Suexec | undefined> {
  // Only a server that root has started can use it.
  if (apache === undefined || apache.owner !== undefined || by === undefined) return undefined;
  const [user = "", group = ""] = by.args;
  const account = lookUp(user.replace(/^#/, ""));
  const program = await usableProgram(apache);
  if (account === undefined || program === undefined) return undefined;
  // It tells its settings to root and to Apache's user only, on stderr.
  const said = await run(program, ["-V"]);
  const text = said.stdout + said.stderr;
  const least = (name: string): number => Number(valueIn(text, name) ?? 100);
  return {
    account,
    gid: groupIdOf(group.replace(/^#/, "")) ?? account.gid,
    documentRoot: valueIn(text, "AP_DOC_ROOT") ?? configuredRoot(text, apacheAccount?.user),
    minUid: least("AP_UID_MIN"),
    minGid: least("AP_GID_MIN"),
    safePath: valueIn(text, "AP_SAFE_PATH") ?? "/usr/local/bin:/usr/bin:/bin",
    by,
  };
}

function refusal(code: string, place: string, message: string, remedy: string): Finding {
  return { code, severity: "error", place, message: `suEXEC refuses it: ${message}`, remedy };
}

function ruleOfIdentity({ account, gid, minUid, minGid, by }: Suexec): Finding[] {
  const place = `${by.file}:${by.line}`;
  const least = `it runs nobody below user ${minUid} and group ${minGid}`;
  if (account.uid !== 0 && gid !== 0 && account.uid >= minUid && gid >= minGid) return [];
  const message = `${account.user} is user ${account.uid} with group ${gid}, and ${least}`;
  return [refusal("TSGI3525", place, message, "SuexecUserGroup with the account that owns the site")];
}

function ruleOfOwner(path: string, suexec: Suexec): Finding[] {
  const status = linkStatusOf(path);
  if (status === undefined || (status.uid === suexec.account.uid && status.gid === suexec.gid)) return [];
  const message = `it belongs to ${nameOfUser(status.uid)} (${status.uid}) with group ${status.gid}, and must belong to ${suexec.account.user} (${suexec.account.uid}) with group ${suexec.gid}`;
  return [refusal("TSGI3523", path, message, `chown ${suexec.account.uid}:${suexec.gid} ${shellWord(path)}`)];
}

function ruleOfWriters(path: string): Finding[] {
  const status = linkStatusOf(path);
  if (status === undefined || status.isSymbolicLink() || (status.mode & 0o022) === 0) return [];
  const message = `its mode ${modeText(status)} lets others than its owner write`;
  return [refusal("TSGI3522", path, message, `chmod go-w ${shellWord(path)}`)];
}

function ruleOfKind(program: string): Finding[] {
  const status = linkStatusOf(program);
  if (status === undefined) return [];
  if (status.isSymbolicLink()) {
    const real = realPathOf(program);
    return [
      refusal(
        "TSGI3527",
        program,
        `it is a symbolic link (to ${real})`,
        `cp --remove-destination ${shellWord(real)} ${shellWord(program)}`,
      ),
    ];
  }
  if ((status.mode & 0o6000) === 0) return [];
  const message = `its mode ${modeText(status)} has the setuid or setgid bit`;
  return [refusal("TSGI3526", program, message, `chmod u-s,g-s ${shellWord(program)}`)];
}

function ruleOfPlace(folder: string, { documentRoot }: Suexec): Finding[] {
  if (documentRoot === undefined || pathBelow(realPathOf(documentRoot), realPathOf(folder)) !== undefined) return [];
  const message = `it lies outside of suEXEC's document root ${documentRoot}`;
  return [refusal("TSGI3524", folder, message, `move the site into ${documentRoot}`)];
}

/** The rules that a program breaks; its execute bit is looked at elsewhere, since Apache asks for it too. */
export function suexecFindings(program: string, suexec: Suexec): Finding[] {
  const folder = dirname(program);
  return [
    ...ruleOfIdentity(suexec),
    ...ruleOfPlace(folder, suexec),
    ...ruleOfWriters(folder),
    ...ruleOfKind(program),
    ...ruleOfWriters(program),
    ...[folder, program].flatMap((path) => ruleOfOwner(path, suexec)),
  ];
}
