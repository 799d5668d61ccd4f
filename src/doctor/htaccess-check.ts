// The .htaccess files of the folder and those above it: whether Apache reads them, understands them, and allows what they say.
// Rules: what is certain from the lists of directives is said first; then the installed Apache itself is asked, with a copy of the
// file inside a configuration of its own, without what could run or read anything else.

import { shellWord } from "../apache/htaccess.ts";
import { chmod, chown, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { nearestWord } from "../config/near.ts";
import { bits, modeText, obstacleTo, statusOf, textOf } from "./access.ts";
import { moduleName } from "./configuration.ts";
import type { ReadDirective } from "./directive-text.ts";
import { readDirectives } from "./directive-text.ts";
import type { Finding } from "./finding.ts";
import { oneLine } from "./finding.ts";
import { canOverride, htaccessNames, knownDirective } from "./htaccess-directives.ts";
import { run } from "./run.ts";
import type { HtaccessFile } from "./setup.ts";
import type { Subject } from "./subject.ts";
import { severityOf } from "./subject.ts";

const everyVisitor = "Apache answers 500 for the whole folder";

function shown({ name, children }: ReadDirective): string {
  return children === undefined ? name : `<${name}>`;
}

function placeOf({ file, line }: ReadDirective): string {
  return `${file}:${line}`;
}

function allOf(directives: readonly ReadDirective[]): ReadDirective[] {
  return directives.flatMap((one) => [one, ...allOf(one.children ?? [])]);
}

function isConditional({ name }: ReadDirective): boolean {
  return /^if(?:module|define|version|file|directive|section)$/i.test(name);
}

/** Those that are not inside of an IfModule or the like. */
function unconditional(directives: readonly ReadDirective[]): ReadDirective[] {
  return directives.flatMap((one) => (isConditional(one) ? [] : [one, ...unconditional(one.children ?? [])]));
}

/** What Apache leaves open it may accept: `isAsked` says that it is asked itself. */
function textFindings(file: string, text: string, isAsked: boolean): Finding[] {
  const found = readDirectives(text, file).problems.map(({ line, message }): Finding => {
    const isAccepted = isAsked && /^<If\w+> is never closed/i.test(message);
    return {
      code: "TSGI3534",
      severity: isAccepted ? "warning" : "error",
      place: `${file}:${line}`,
      message: isAccepted ? message : `${message}: ${everyVisitor}`,
      remedy: "close every section, and end its first line with >",
    };
  });
  if (/^(?:\u00EF\u00BB\u00BF|\u00FF\u00FE|\u00FE\u00FF)/.test(text)) {
    const message = `a byte order mark stands before the first word: ${everyVisitor}`;
    found.push({
      code: "TSGI3534",
      severity: "error",
      place: `${file}:1`,
      message,
      remedy: "save it as UTF-8 without a byte order mark",
    });
  }
  return found;
}

function spellingFindings(
  directives: readonly ReadDirective[],
  modules: ReadonlyMap<string, string> | undefined,
): Finding[] {
  const lacking = new Map<string, ReadDirective[]>();
  const misspelt = unconditional(directives).flatMap((one): Finding[] => {
    const known = knownDirective(one.name);
    if (known === undefined) {
      const near = nearestWord(one.name, htaccessNames);
      if (near === undefined) return [];
      const message = `there is no directive ${shown(one)} in Apache's own modules: ${everyVisitor} unless another one has it`;
      return [{ code: "TSGI3531", severity: "error", place: placeOf(one), message, remedy: `did you mean ${near}?` }];
    }
    const { module } = known;
    if (modules === undefined || module === "core" || modules.has(module) || isOfOther(module, modules)) return [];
    lacking.set(module, [...(lacking.get(module) ?? []), one]);
    return [];
  });
  return [...misspelt, ...[...lacking].map(([module, lines]) => lackingFinding(module, lines))];
}

/** What rewrite rules hide is sent where they are left out. */
function lackingFinding(module: string, lines: readonly ReadDirective[]): Finding {
  const names = [...new Set(lines.map(shown))].join(", ");
  const message = `mod_${module} is not loaded, to which ${names} belongs: ${everyVisitor}`;
  const remedy =
    module === "rewrite"
      ? "a2enmod rewrite, or ask the host for it; not <IfModule>, since Apache would send the files that these lines hide"
      : `a2enmod ${module}, or put it into <IfModule mod_${module}.c>`;
  const place = lines[0] === undefined ? "" : placeOf(lines[0]);
  return { code: "TSGI3538", severity: "error", place, message, remedy };
}

/** Directives that two modules have. */
function isOfOther(module: string, modules: ReadonlyMap<string, string>): boolean {
  return (module === "cgid" && modules.has("cgi")) || module === "so";
}

function overrideFindings({ directives, override }: HtaccessFile, isSure: boolean): Finding[] {
  return directives
    .flatMap((top) => allOf([top]))
    .flatMap((one): Finding[] => {
      if (canOverride(one, override) !== "forbidden") return [];
      const known = knownDirective(one.name);
      if (known?.overrideClass === "never") {
        const message = `${shown(one)} is not allowed in .htaccess: ${everyVisitor}`;
        return [
          {
            code: "TSGI3532",
            severity: "error",
            place: placeOf(one),
            message,
            remedy: "take it out; it belongs into the server's configuration",
          },
        ];
      }
      if (!isSure) return [];
      const by = override.by === undefined ? "" : ` (${override.by.args.join(" ")} in ${placeOf(override.by)})`;
      const message = `${shown(one)} is not allowed here by AllowOverride${by}: ${everyVisitor}`;
      const remedy =
        known === undefined
          ? "take it out"
          : `AllowOverride ${classText(known.overrideClass)} in the server's configuration, or take it out`;
      return [{ code: "TSGI3532", severity: "error", place: placeOf(one), message, remedy }];
    });
}

function classText(name: string): string {
  return (
    { fileinfo: "FileInfo", authconfig: "AuthConfig", indexes: "Indexes", limit: "Limit", options: "Options" }[name] ??
    "All"
  );
}

/** Mixed signs are refused by Apache, and an Options without signs takes away what the server gave. */
function optionFindings(directives: readonly ReadDirective[]): Finding[] {
  return allOf(directives).flatMap((one): Finding[] => {
    if (one.name.toLowerCase() !== "options") return [];
    const signed = one.args.filter((arg) => /^[+-]/.test(arg)).length;
    if (signed === 0 || signed === one.args.length) return [];
    const message = `Options ${one.args.join(" ")}: either all of them or none begin with + or -: ${everyVisitor}`;
    return [
      {
        code: "TSGI3534",
        severity: "error",
        place: placeOf(one),
        message,
        remedy: `Options ${one.args.map((arg) => arg.replace(/^(?![+-])/, "+")).join(" ")}`,
      },
    ];
  });
}

function actionFindings(directives: readonly ReadDirective[]): Finding[] {
  return allOf(directives).flatMap((one): Finding[] => {
    const [, target = "/"] = one.args;
    if (one.name.toLowerCase() !== "action" || target.startsWith("/")) return [];
    const message = `the second word of Action is a URL path and begins with "/"; ${target} gives 400 or 404`;
    return [
      {
        code: "TSGI3541",
        severity: "error",
        place: placeOf(one),
        message,
        remedy: `Action ${one.args[0] ?? ""} /path/of/${target.replace(/^.*\//, "")}`,
      },
    ];
  });
}

/** What is never given to another Apache: it would read other files, load code, or run it. */
const dangerous =
  /^(?:include\w*|load\w+|define|undefine|perl\w*|lua\w*|rewritemap|use|macro|modsec\w*|sec\w+|python\w*)$/i;

/** The text with the lines of these blank, so that all others keep their numbers. */
function copyWithout(text: string, isLeftOut: (one: ReadDirective) => boolean): string | undefined {
  const all = allOf(readDirectives(text, "").directives);
  if (all.some((one) => one.children !== undefined && isLeftOut(one))) return undefined;
  const lines = text.split("\n");
  for (const one of all.filter(isLeftOut)) {
    for (let index = one.line - 1; index < lines.length; index += 1) {
      const goesOn = /\\\r?$/.test(lines[index] ?? "");
      lines[index] = "";
      if (!goesOn) break;
    }
  }
  return lines.join("\n");
}

function quoted(text: string): string {
  return `"${text.replaceAll("\\", "\\\\").replaceAll('"', '\\"')}"`;
}

/** Asks the installed Apache about a copy; gives its words and the line, or undefined when it has no objection. */
async function askApache(
  copy: string,
  subject: Subject,
): Promise<{ readonly line: number; readonly text: string } | undefined> {
  const { apache, folder } = subject;
  const account = apache?.owner ?? subject.account;
  if (apache?.program === undefined) return undefined;
  const dir = await mkdtemp(join(tmpdir(), "tsgi-doctor-"));
  try {
    const loads = [...apache.configuration.modules].flatMap(([name, file]) =>
      file === "" ? [] : [`LoadModule ${name}_module ${quoted(file)}`],
    );
    const text = `ServerRoot ${quoted(dir)}\nServerName localhost\nDefaultRuntimeDir ${quoted(dir)}\n${loads.join("\n")}\n<Directory ${quoted(folder)}>\nInclude ${quoted(join(dir, "htaccess"))}\n</Directory>\n`;
    await writeFile(join(dir, "htaccess"), copy, { encoding: "latin1", mode: 0o600 });
    await writeFile(join(dir, "httpd.conf"), text, { mode: 0o600 });
    if (process.getuid?.() === 0 && account !== undefined) {
      for (const file of [dir, join(dir, "htaccess"), join(dir, "httpd.conf")])
        await chown(file, account.uid, account.gid);
    }
    await chmod(dir, 0o700);
    const { stderr, stdout } = await run(apache.program, ["-t", "-f", join(dir, "httpd.conf")], { account });
    const [, line, said] =
      new RegExp(`Syntax error on line (\\d+) of \\S*/htaccess:\\s*([^\\n]*)`).exec(stderr + stdout) ?? [];
    return line === undefined ? undefined : { line: Number(line), text: oneLine(said ?? "") };
  } finally {
    await rm(dir, { recursive: true, force: true });
  }
}

async function apachesView(file: HtaccessFile, text: string, subject: Subject): Promise<Finding[]> {
  const isLeftOut = (one: ReadDirective): boolean =>
    dangerous.test(one.name) || canOverride(one, file.override) !== "allowed";
  const copy = copyWithout(text, isLeftOut);
  const answer = copy === undefined ? undefined : await askApache(copy, subject);
  if (answer === undefined) return [];
  const isUnknown = answer.text.startsWith("Invalid command");
  return [
    {
      code: isUnknown ? "TSGI3531" : "TSGI3534",
      severity: "error",
      place: `${file.file}:${answer.line}`,
      message: `Apache refuses the line: ${answer.text}: ${everyVisitor}`,
      remedy: isUnknown ? "mend the name, or load the module that has it" : "mend the line",
    },
  ];
}

function readableFindings(file: string, { account, ...subject }: Subject): Finding[] {
  const obstacle = account === undefined ? undefined : obstacleTo(file, account, bits.read);
  if (obstacle?.kind !== "file" || account === undefined) return [];
  const status = statusOf(file);
  const mode = status === undefined ? "" : ` (mode ${modeText(status)})`;
  const message = `${account.user}, whom Apache runs as, may not read it${mode}: everything in the folder is answered with 403`;
  return [
    { code: "TSGI3521", severity: severityOf(subject), place: file, message, remedy: `chmod 644 ${shellWord(file)}` },
  ];
}

async function fileFindings(file: HtaccessFile, subject: Subject): Promise<Finding[]> {
  const text = textOf(file.file) ?? "";
  const isSure = subject.apache !== undefined;
  if (!file.isRead) {
    const { by } = file.override;
    const message = by === undefined ? "AllowOverride None (Apache's default)" : `AllowOverride None in ${placeOf(by)}`;
    return [
      {
        code: "TSGI3533",
        severity: "error",
        place: file.file,
        message: `Apache does not read it: ${message}`,
        remedy: `AllowOverride FileInfo AuthConfig Indexes Options=ExecCGI,MultiViews,SymLinksIfOwnerMatch in the server's <Directory> of the folder`,
      },
    ];
  }
  const modules = subject.apache?.configuration.modules;
  const certain = [
    ...textFindings(file.file, text, subject.apache?.program !== undefined),
    ...spellingFindings(file.directives, modules),
    ...overrideFindings(file, isSure),
    ...optionFindings(file.directives),
  ];
  const isClear = certain.every(({ severity }) => severity !== "error");
  const asked = isClear ? await apachesView(file, text, subject) : [];
  return [...readableFindings(file.file, subject), ...certain, ...asked, ...actionFindings(file.directives)];
}

/** What Windows and some programs for uploads make of the name. */
function misnamed({ folder, names }: Subject): Finding[] {
  const found = names.find((name) => /^[._]?htaccess(?:\.txt)?$/i.test(name) && name !== ".htaccess");
  if (found === undefined || names.includes(".htaccess")) return [];
  const place = join(folder, found);
  const message = "Apache does not read it: its name has to be .htaccess";
  return [
    {
      code: "TSGI3578",
      severity: "error",
      place,
      message,
      remedy: `mv ${shellWord(place)} ${shellWord(join(folder, ".htaccess"))}`,
    },
  ];
}

export async function htaccessFindings(subject: Subject): Promise<Finding[]> {
  const all = await Promise.all(subject.setup.htaccess.map((file) => fileFindings(file, subject)));
  const unreadable = join(subject.folder, ".htaccess");
  const isClosed = statusOf(unreadable) !== undefined && textOf(unreadable) === undefined;
  const note: Finding = {
    code: "TSGI3549",
    severity: "note",
    place: unreadable,
    message: "this user may not read it, so it was not looked at",
    remedy: "run this as the owner of the file, or as root",
  };
  return [...all.flat(), ...(isClosed ? [...readableFindings(unreadable, subject), note] : []), ...misnamed(subject)];
}

/** Whether a module is loaded; undefined: nobody knows. */
export function hasModule(subject: Pick<Subject, "apache">, name: string): boolean | undefined {
  return subject.apache?.configuration.modules.has(moduleName(name));
}
