// Where the rules of mod_rewrite in a folder lead a URL: tried as Apache does, again and again until nothing changes.
// Rules: GET, no query, the first visit. What depends on more than paths and files makes the outcome "unknown", never a guess.

import { join } from "node:path";
import { statusOf } from "./access.ts";
import type { ReadDirective } from "./directive-text.ts";
import { expression } from "./setup.ts";

export type Outcome =
  /** `path` is what is left below the folder, `file` what it leads to, if that is there. */
  | { readonly kind: "stays" | "rewritten"; readonly path: string; readonly file: string | undefined }
  | { readonly kind: "forbidden" | "elsewhere" | "unknown" }
  | { readonly kind: "loop"; readonly rule: ReadDirective };

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

/** Inside a class of characters "[" means itself in Apache's expressions, and so it does here. */
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

function filled(
  text: string,
  groups: readonly (string | undefined)[],
  before: readonly (string | undefined)[],
  visit: Visit,
): string {
  return text
    .replace(/%\{([^}]+)\}/g, (_, name: string) => variable(name, visit))
    .replace(/\$(\d)/g, (_, digit: string) => groups[Number(digit)] ?? "")
    .replace(/%(\d)/g, (_, digit: string) => before[Number(digit)] ?? "");
}

function testOf(value: string, wanted: string, isCaseless: boolean): readonly (string | undefined)[] | undefined {
  const status = statusOf(value);
  switch (wanted.toLowerCase()) {
    case "-f":
      return status?.isFile() === true ? [] : undefined;
    case "-d":
      return status?.isDirectory() === true ? [] : undefined;
    case "-s":
      return status?.isFile() === true && status.size > 0 ? [] : undefined;
    case "-e":
      return status === undefined ? undefined : [];
  }
  if (/^(?:-\w|[<>=])/.test(wanted)) {
    if (!wanted.startsWith("=")) throw new UnknownOutcome();
    return value === wanted.slice(1).replace(/^"(.*)"$/, "$1") ? [] : undefined;
  }
  return compiled(wanted, isCaseless).exec(value) ?? undefined;
}

/** Whether the conditions of a rule hold, and the groups of the last one that matched. */
function judged(
  rule: Rule,
  groups: readonly (string | undefined)[],
  visit: Visit,
): readonly (string | undefined)[] | undefined {
  let last: readonly (string | undefined)[] = [];
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

type Round = { readonly path: string; readonly rule: ReadDirective | undefined; readonly isEnd: boolean } | Outcome;

function runRound(rules: readonly Rule[], visit: Visit): Round {
  let { path } = visit;
  let changedBy: ReadDirective | undefined;
  for (const rule of rules) {
    const now = { ...visit, path };
    const match = rule.pattern.exec(path);
    if ((match !== null) === rule.isNegated) continue;
    const before = judged(rule, match ?? [], now);
    if (before === undefined) continue;
    if (["F", "FORBIDDEN", "G", "GONE"].some((flag) => rule.flags.has(flag))) return { kind: "forbidden" };
    // A redirect comes back as another visit, for which its conditions do not hold.
    if (rule.flags.has("R") || rule.flags.has("REDIRECT") || /^\w+:\/\//.test(rule.target)) continue;
    if (rule.flags.has("P") || rule.target.startsWith("unix:")) return { kind: "elsewhere" };
    if (rule.target !== "-") {
      const target = filled(rule.target, match ?? [], before, now).split("?")[0] ?? "";
      const below = target.startsWith("/") ? belowUrl(target, visit.urlPath) : target;
      if (below === undefined) return { kind: "elsewhere" };
      path = below;
      changedBy = rule.directive;
    }
    if (rule.flags.has("END")) return { path, rule: changedBy, isEnd: true };
    if (rule.flags.has("L") || rule.flags.has("LAST")) break;
  }
  return { path, rule: changedBy, isEnd: false };
}

function belowUrl(target: string, urlPath: string): string | undefined {
  return target.startsWith(`${urlPath}/`) ? target.slice(urlPath.length + 1) : undefined;
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
