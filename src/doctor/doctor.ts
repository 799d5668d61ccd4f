// The examination of a folder: every check, in the order in which Apache would come upon the trouble.

import { dirname, join } from "node:path";
import { statusOf } from "./access.ts";
import { loadFindings, usualApplication } from "./application-check.ts";
import { daemonFindings } from "./backend-check.ts";
import type { Finding } from "./finding.ts";
import { isTrouble, withoutRepeats } from "./finding.ts";
import { handlerFindings } from "./handler-check.ts";
import { htaccessFindings } from "./htaccess-check.ts";
import { leakFindings } from "./leak-check.ts";
import { machineFindings } from "./limits-check.ts";
import { placeFindings } from "./place-check.ts";
import type { CheckedProgram } from "./program-check.ts";
import { checkProgram } from "./program-check.ts";
import { followRules } from "./rewrite.ts";
import { serverFindings } from "./server-check.ts";
import type { Subject } from "./subject.ts";
import { transportFindings } from "./transport-check.ts";

export interface ExamineOptions {
  /** False: the application's code is not run. */
  readonly isLoading: boolean;
}

async function programs(subject: Subject): Promise<CheckedProgram[]> {
  const commands = subject.programs.flatMap(({ wrapper }) =>
    wrapper === undefined ? [] : [wrapper.split(" ")[0] ?? ""],
  );
  const files = subject.programs.filter(
    ({ wrapper, kind, file }) => wrapper === undefined && (kind !== undefined || statusOf(file) !== undefined),
  );
  const ownWrapper =
    subject.own.handler?.value === "fcgid-script" ? subject.own.wrapper?.value.split(" ")[0] : undefined;
  const all = new Set([
    ...commands,
    ...(ownWrapper === undefined ? [] : [ownWrapper]),
    ...files.map(({ file }) => file),
  ]);
  return await Promise.all([...all].map((file) => checkProgram(file, subject)));
}

async function applications(
  subject: Subject,
  checked: readonly CheckedProgram[],
  { isLoading }: ExamineOptions,
): Promise<Finding[]> {
  const named = checked.flatMap(({ application }) => application ?? []);
  const usual = usualApplication(subject);
  const wanted = new Set([...named, ...(usual === undefined ? [] : [usual])]);
  if (!isLoading) return [];
  const there = [...wanted].filter((reference) => statusOf(reference.replace(/#[^/]*$/, "")) !== undefined);
  const found: Finding[] = [];
  // One after the other: each is a process that loads an application.
  for (const reference of there) found.push(...(await loadFindings(reference, subject)));
  return found;
}

/** A closed folder is in the way of everything below it, and what is not run can be fetched: each is said once. */
function withoutConsequences(findings: readonly Finding[]): Finding[] {
  const closed = findings.filter(({ code, place }) => code === "TSGI3520" && !/:\d+$/.test(place));
  const sent = new Set(findings.filter(({ code }) => code === "TSGI3536").map(({ place }) => place));
  return findings.filter((finding) => {
    const { code, message, place } = finding;
    if (code === "TSGI3550" && sent.has(place)) return false;
    const isAccess = code === "TSGI3508" || code === "TSGI3511" || code === "TSGI3520";
    return !isAccess || !closed.some((one) => one !== finding && `${message},`.includes(`enter ${one.place},`));
  });
}

/** All findings, and an "ok" for each part that has none to worry about. */
export async function examine(subject: Subject, options: ExamineOptions): Promise<Finding[]> {
  const checked = await programs(subject);
  const cacheDirs = checked.flatMap(({ cacheDir }) => cacheDir ?? []);
  const parts: readonly (readonly [name: string, findings: readonly Finding[]])[] = [
    ["Apache and its configuration", await serverFindings(subject)],
    ["the way to the folder", placeFindings(subject)],
    [".htaccess", await htaccessFindings(subject)],
    ["handlers and rules", handlerFindings(subject)],
    ["programs and their interpreters", checked.flatMap(({ findings }) => findings)],
    ["the daemon", await daemonFindings(subject)],
    ["the application", await applications(subject, checked, options)],
    ["headers, uploads, streaming, encoded slashes", transportFindings(subject)],
    ["limits, room, the folder for compiled scripts", machineFindings(subject, cacheDirs)],
    ["what visitors could fetch", leakFindings(subject)],
  ];
  const fine = (message: string): Finding => ({
    code: "TSGI3500",
    severity: "ok",
    place: subject.folder,
    message: `${message}: nothing wrong`,
    remedy: "",
  });
  const all = parts.flatMap(([name, findings]) => (findings.some(isTrouble) ? findings : findings.concat(fine(name))));
  return withoutConsequences(withoutRepeats(all));
}

/** Folders inside of it that its programs lie in: cgi-bin, where the rules of mod_rewrite lead, the site of an account. */
export function programFolders({ folder, own, setup, names, programs }: Subject): string[] {
  const sites = programs.length === 0 && !names.includes(".htaccess") ? ["public_html", "htdocs", "www"] : [];
  const usual = ["cgi-bin", "fcgi-bin", ...sites]
    .filter((name) => names.includes(name))
    .map((name) => join(folder, name));
  const outcome = followRules(own.rewrite, { folder, urlPath: setup.place?.urlPath ?? "", path: "tsgi-doctor-page" });
  const led = outcome.kind === "rewritten" && outcome.file !== undefined ? [dirname(outcome.file)] : [];
  const inner = [...usual, ...led].filter((one) => one !== folder && statusOf(one)?.isDirectory() === true);
  return [...new Set(inner)];
}
