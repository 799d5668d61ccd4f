// Where the rules of mod_rewrite in a folder lead a URL: tried as Apache does, again and again until nothing changes.
// Rules: GET, no query, the first visit. What depends on more than paths and files makes the outcome "unknown", never a guess.

import type { Stats } from "node:fs";
import { join } from "node:path";
import { statusOf } from "./access.ts";
import type { ReadDirective } from "./directive-text.ts";
import { expression } from "./setup.ts";

export type Outcome =
  /** `path` is what is left below the folder, `file` what it leads to, if that is there. */
  | { readonly kind: "stays" | "rewritten"; readonly path: string; readonly file: string | undefined }
  | { readonly kind: "elsewhere" | "unknown" }
  | { readonly kind: "forbidden" | "loop"; readonly rule: ReadDirective };

interface Rule {
  readonly directive: ReadDirective;
  readonly pattern: RegExp;
  readonly isNegated: boolean;
  readonly target: string;
  readonly flags: ReadonlySet<string>;
  readonly conditions: readonly ReadDirective[];
}

class UnknownOutcome extends Error {}

/** Apache's LimitInternalRecursion. */
const maxRounds = 10;

function flagsOf(text: string | undefined): ReadonlySet<string> {
  const inner = /^\[(.*)\]$/.exec(text ?? "")?.[1] ?? "";
  return new Set(inner.split(",").map((flag) => flag.trim().split("=")[0]?.toUpperCase() ?? ""));
}

function compiled(source: string, isCaseless: boolean): RegExp {
  const found = expression(isCaseless ? `(?i)${source.replace(/^\(\?i\)/, "")}` : source);
  if (found === undefined) throw new UnknownOutcome();
  return found;
}

function rulesOf(directives: readonly ReadDirective[]): Rule[] {
  const rules: Rule[] = [];
  let conditions: ReadDirective[] = [];
  for (const directive of directives) {
    const name = directive.name.toLowerCase();
    if (name === "rewritecond") conditions.push(directive);
    if (name !== "rewriterule") continue;
    const [source = "", target = "-", flagText] = directive.args;
    const flags = flagsOf(flagText);
    if (["C", "S", "N", "CHAIN", "SKIP", "NEXT"].some((flag) => flags.has(flag))) throw new UnknownOutcome();
    const pattern = compiled(source.replace(/^!/, ""), flags.has("NC") || flags.has("NOCASE"));
    rules.push({ directive, pattern, isNegated: source.startsWith("!"), target, flags, conditions });
    conditions = [];
  }
  return rules;
}

/** The real part of a path below the folder: its folders, and the first name that is none. */
function walkedFile(folder: string, path: string): { readonly name: string; readonly isThere: boolean } {
  let place = folder;
  for (const part of path.split("/").filter(Boolean)) {
    const next = join(place, part);
    if (statusOf(next)?.isDirectory() !== true) return { name: next, isThere: statusOf(next) !== undefined };
    place = next;
  }
  return { name: place, isThere: true };
}

interface Visit {
  readonly folder: string;
  readonly urlPath: string;
  readonly path: string;
  readonly round: number;
}

function variable(name: string, { folder, urlPath, path, round }: Visit): string {
  switch (name.toUpperCase()) {
    case "REQUEST_FILENAME":
    case "SCRIPT_FILENAME":
      return walkedFile(folder, path).name;
    case "REQUEST_URI":
      return `${urlPath}/${path}`;
    case "REQUEST_METHOD":
      return "GET";
    case "QUERY_STRING":
      return "";
    case "ENV:REDIRECT_STATUS":
      return round === 0 ? "" : "200";
    default:
      throw new UnknownOutcome();
  }
}

function filled(text: string, groups: Groups, before: Groups, visit: Visit): string {
  return text
    .replace(/%\{([^}]+)\}/g, (_, name: string) => variable(name, visit))
    .replace(/\$(\d)/g, (_, digit: string) => groups[Number(digit)] ?? "")
    .replace(/%(\d)/g, (_, digit: string) => before[Number(digit)] ?? "");
}

type Groups = readonly (string | undefined)[];

const fileTests: Readonly<Record<string, (status: Stats) => boolean>> = {
  "-f": (status) => status.isFile(),
  "-d": (status) => status.isDirectory(),
  "-s": (status) => status.isFile() && status.size > 0,
  "-e": () => true,
};

/** The groups of a test that holds; undefined when it does not. */
function testOf(value: string, wanted: string, isCaseless: boolean): Groups | undefined {
  const fileTest = fileTests[wanted.toLowerCase()];
  if (fileTest !== undefined) {
    const status = statusOf(value);
    return status !== undefined && fileTest(status) ? [] : undefined;
  }
  if (/^(?:-\w|[<>])/.test(wanted)) throw new UnknownOutcome();
  if (wanted.startsWith("=")) return value === wanted.slice(1).replace(/^"(.*)"$/, "$1") ? [] : undefined;
  return compiled(wanted, isCaseless).exec(value) ?? undefined;
}

/** Whether the conditions of a rule hold, and the groups of the last one that matched. */
function judged(rule: Rule, groups: Groups, visit: Visit): Groups | undefined {
  let last: Groups = [];
  let isAnyOfGroup = false;
  for (const { args } of rule.conditions) {
    const [subject = "", wanted = "", flagText] = args;
    const flags = flagsOf(flagText);
    const isOr = flags.has("OR") || flags.has("ORNEXT");
    const isNegated = wanted.startsWith("!");
    const found = testOf(filled(subject, groups, last, visit), wanted.replace(/^!/, ""), flags.has("NC"));
    const holds = (found !== undefined) !== isNegated;
    if (holds && found !== undefined) last = found;
    if (isOr) {
      isAnyOfGroup ||= holds;
      continue;
    }
    if (!holds && !isAnyOfGroup) return undefined;
    isAnyOfGroup = false;
  }
  return last;
}

interface Changed {
  readonly path: string;
  readonly rule: ReadDirective | undefined;
  readonly isEnd: boolean;
}

function has({ flags }: Rule, ...names: readonly string[]): boolean {
  return names.some((name) => flags.has(name));
}

/** Whether a rule matches; what it makes of the path, and the outcome where that ends everything. */
function applied(rule: Rule, now: Visit): { readonly path: string } | Outcome | undefined {
  const match = rule.pattern.exec(now.path);
  if ((match !== null) === rule.isNegated) return undefined;
  const before = judged(rule, match ?? [], now);
  if (before === undefined) return undefined;
  if (has(rule, "F", "FORBIDDEN", "G", "GONE")) return { kind: "forbidden", rule: rule.directive };
  // A redirect comes back as another visit, for which its conditions do not hold.
  if (has(rule, "R", "REDIRECT") || /^\w+:\/\//.test(rule.target)) return undefined;
  if (has(rule, "P") || rule.target.startsWith("unix:")) return { kind: "elsewhere" };
  if (rule.target === "-") return { path: now.path };
  const target = filled(rule.target, match ?? [], before, now).split("?")[0] ?? "";
  const path = target.startsWith("/") ? belowUrl(target, now.urlPath) : target;
  return path === undefined ? { kind: "elsewhere" } : { path };
}

function runRound(rules: readonly Rule[], visit: Visit): Changed | Outcome {
  let { path } = visit;
  let changedBy: ReadDirective | undefined;
  for (const rule of rules) {
    const next = applied(rule, { ...visit, path });
    if (next === undefined) continue;
    if ("kind" in next) return next;
    if (next.path !== path) changedBy = rule.directive;
    ({ path } = next);
    if (has(rule, "END")) return { path, rule: changedBy, isEnd: true };
    if (has(rule, "L", "LAST")) break;
  }
  return { path, rule: changedBy, isEnd: false };
}

function belowUrl(target: string, urlPath: string): string | undefined {
  return target.startsWith(`${urlPath}/`) ? target.slice(urlPath.length + 1) : undefined;
}

/** With a RewriteBase of another folder, what a rule makes is not below this one. */
function isBaseElsewhere(directives: readonly ReadDirective[], urlPath: string): boolean {
  const base = directives.findLast(({ name }) => name.toLowerCase() === "rewritebase")?.args[0];
  return base !== undefined && base.replace(/\/+$/, "") !== urlPath;
}

/** Follows `path` below `folder`; `directives` are the rewrite directives of the folder. */
export function followRules(
  directives: readonly ReadDirective[],
  start: { readonly folder: string; readonly urlPath: string; readonly path: string },
): Outcome {
  const engine = directives.findLast(({ name }) => name.toLowerCase() === "rewriteengine");
  const finished = (kind: "stays" | "rewritten", path: string): Outcome => {
    const { name, isThere } = walkedFile(start.folder, path);
    return { kind, path, file: isThere ? name : undefined };
  };
  if (engine?.args[0]?.toLowerCase() !== "on") return finished("stays", start.path);
  if (isBaseElsewhere(directives, start.urlPath)) return { kind: "unknown" };
  try {
    const rules = rulesOf(directives);
    let { path } = start;
    let last: ReadDirective | undefined;
    for (let round = 0; round <= maxRounds; round += 1) {
      const next = runRound(rules, { ...start, path, round });
      if ("kind" in next) return next;
      if (next.path === path || next.isEnd)
        return finished(next.path === start.path ? "stays" : "rewritten", next.path);
      ({ path } = next);
      last = next.rule ?? last;
    }
    return last === undefined ? { kind: "unknown" } : { kind: "loop", rule: last };
  } catch (error) {
    if (error instanceof UnknownOutcome) return { kind: "unknown" };
    throw error;
  }
}
