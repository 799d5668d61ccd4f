// Whether Apache runs the folder's programs: handler, ExecCGI, modules, who may visit, and what the rules of mod_rewrite do.

import { basename, isAbsolute, join } from "node:path";
import { shellWord } from "../apache/htaccess.ts";
import { canSee, statusOf, textOf } from "./access.ts";
import type { ReadDirective } from "./directive-text.ts";
import type { Finding } from "./finding.ts";
import { fileSetup } from "./file-setup.ts";
import { hasModule } from "./htaccess-check.ts";
import { followRules } from "./rewrite.ts";
import type { ProgramFile, Subject } from "./subject.ts";
import { severityOf } from "./subject.ts";

function placeOf(by: ReadDirective | undefined, otherwise: string): string {
  return by === undefined ? otherwise : `${by.file}:${by.line}`;
}

const ownHandlers =
  /^(?:default-handler|server-status|server-info|type-map|imap-file|send-as-is|type-map|balancer-manager)$/;

function extensionOf(file: string): string {
  return /\.[^./]+$/.exec(file)?.[0] ?? "";
}

/** A program without a handler that runs it: Apache would send it as a file. */
function unhandled({ file, setup }: ProgramFile, subject: Subject): Finding[] {
  const handler = setup.handler?.value;
  const path = outcomePath(basename(file), subject);
  // What an .htaccess says that this user may not read is not known.
  const isUnread = subject.names.includes(".htaccess") && textOf(join(subject.folder, ".htaccess")) === undefined;
  if (path === "elsewhere" || isUnread) return [];
  const wanted = extensionOf(file) === ".fcgi" ? "fcgid-script" : "cgi-script";
  if (handler === undefined || ownHandlers.test(handler)) {
    if (isOfNobody(subject)) {
      const what = "neither an .htaccess nor a server's configuration was seen that has Apache run it";
      const severity = /\.f?cgi$/.test(file) ? "warning" : "note";
      return [
        {
          code: "TSGI3536",
          severity,
          place: file,
          message: what,
          remedy: "`tsgi config htaccess-cgi app.ts` prints one",
        },
      ];
    }
    const message = "no handler runs it: visitors get its source as text";
    return [
      {
        code: "TSGI3536",
        severity: "error",
        place: file,
        message,
        remedy: `AddHandler ${wanted} ${extensionOf(file)} (or SetHandler in <Files ${basename(file)}>)`,
      },
    ];
  }
  if (handler.startsWith("proxy:") || isAction(handler, subject)) return [];
  const message = `the handler ${handler} is none that runs programs here: ${handler === "fastcgi-script" ? "that is the old mod_fastcgi" : "no module or Action of it is known"}`;
  return [
    { code: "TSGI3537", severity: "error", place: placeOf(setup.handler?.by, file), message, remedy: `use ${wanted}` },
  ];
}

/** Apache may not even know of the folder. */
function isOfNobody({ apache, setup }: Subject): boolean {
  return apache === undefined && setup.htaccess.length === 0;
}

function isAction(handler: string, { setup }: Subject): boolean {
  return setup.layers.some(({ directives }) =>
    directives.some(
      ({ name, args }) => name.toLowerCase() === "action" && args[0]?.toLowerCase() === handler.toLowerCase(),
    ),
  );
}

function outcomePath(name: string, { own, folder, setup }: Subject): "here" | "elsewhere" {
  const outcome = followRules(own.rewrite, { folder, urlPath: setup.place?.urlPath ?? "", path: name });
  return outcome.kind === "forbidden" ||
    outcome.kind === "elsewhere" ||
    (outcome.kind === "rewritten" && outcome.path.split("/")[0] !== name)
    ? "elsewhere"
    : "here";
}

function handled({ file, setup, kind }: ProgramFile, subject: Subject): Finding[] {
  const found: Finding[] = [];
  if (!setup.options.value.has("execcgi")) {
    const { by } = setup.options;
    const where = by === undefined ? "nothing turns it on" : `Options ${by.args.join(" ")} in ${by.file}:${by.line}`;
    found.push({
      code: "TSGI3535",
      severity: severityOf(subject),
      place: file,
      message: `Options ExecCGI is off (${where}): Apache answers 403`,
      remedy: "Options +ExecCGI",
    });
  }
  const { pathInfo } = setup;
  if (pathInfo?.value === "off") {
    found.push({
      code: "TSGI3541",
      severity: "error",
      place: placeOf(pathInfo.by, file),
      message: "AcceptPathInfo Off: Apache answers 404 for every URL of the application but its first",
      remedy: "take the line out",
    });
  }
  const isMissing =
    kind === "fcgid"
      ? hasModule(subject, "fcgid") === false
      : hasModule(subject, "cgi") === false && hasModule(subject, "cgid") === false;
  if (isMissing) {
    const name = kind === "fcgid" ? "fcgid" : "cgid";
    found.push({
      code: "TSGI3538",
      severity: "error",
      place: placeOf(setup.handler?.by, file),
      message: `mod_${name} is not loaded: visitors get the source of ${basename(file)}, or a 500`,
      remedy: `a2enmod ${name}`,
    });
  }
  return found;
}

/** A host where nothing but PHP, or nothing at all, runs programs. */
function hostFindings(subject: Subject): Finding[] {
  if (subject.apache === undefined) return [];
  const names = ["cgi", "cgid", "fcgid", "proxy_fcgi"];
  if (names.some((name) => hasModule(subject, name) === true)) return [];
  const php = [...subject.apache.configuration.modules.keys()].some((name) => name.startsWith("php"));
  const message = `this Apache has none of mod_cgi, mod_cgid, mod_fcgid and mod_proxy_fcgi${php ? ": it runs PHP only" : ": it runs no programs"}`;
  return [
    {
      code: "TSGI3539",
      severity: "error",
      place: subject.apache.configuration.file,
      message,
      remedy: "a2enmod cgid (or proxy_fcgi), or ask the host for it",
    },
  ];
}

/** A list of passwords that is not there lets nobody in. */
function passwordFindings({ setup }: Subject): Finding[] {
  const lists = setup.layers.flatMap(({ directives }) =>
    directives.filter(({ name }) => /^auth(?:user|group)file$/i.test(name)),
  );
  return lists.flatMap((one): Finding[] => {
    const [file = ""] = one.args;
    if (!isAbsolute(file) || statusOf(file) !== undefined || !canSee(file)) return [];
    const message = `${one.name} names ${file}, which is not there: nobody gets in`;
    const remedy = `put the list there (htpasswd -c ${shellWord(file)} NAME)`;
    return [{ code: "TSGI3547", severity: "error", place: placeOf(one, file), message, remedy }];
  });
}

function visitFindings(subject: Subject): Finding[] {
  const { programs, own, folder } = subject;
  const [first] = programs;
  const { isDenied } = first?.setup ?? own;
  if (!isDenied.value) return passwordFindings(subject);
  const message = `visitors are denied: ${isDenied.by?.args.join(" ") ?? ""}`;
  return [
    {
      code: "TSGI3547",
      severity: "error",
      place: placeOf(isDenied.by, folder),
      message,
      remedy: "Require all granted in the <Directory> of the folder",
    },
  ];
}

const sampleName = "tsgi-doctor-page";

/** Whether the rules stand in an .htaccess above: they count from there, and are looked at there. */
function areOfFolderAbove({ own, folder, setup }: Subject): boolean {
  const file = own.rewrite.at(-1)?.file;
  const isHtaccess = file !== undefined && basename(file) === ".htaccess";
  return isHtaccess && file !== join(setup.place?.path ?? folder, ".htaccess");
}

function isOn({ args }: ReadDirective): boolean {
  return args[0]?.toLowerCase() === "on";
}

/** Rules that nobody, or the last word on it, switches on; undefined: they are on. */
function engineFindings({ own, folder }: Subject): Finding[] | undefined {
  const engines = own.rewrite.filter(({ name }) => name.toLowerCase() === "rewriteengine");
  const engine = engines.at(-1);
  if (engine !== undefined && isOn(engine)) return undefined;
  const rule = own.rewrite.find(({ name }) => name.toLowerCase() === "rewriterule");
  const wasOn = engines.findLast(isOn);
  if (rule === undefined || (engine !== undefined && wasOn === undefined)) return [];
  const finding = { code: "TSGI3541", place: placeOf(engine ?? rule, folder) };
  if (wasOn !== undefined) {
    const message = `this turns off all rules of the file, which line ${wasOn.line} turns on: the last one counts`;
    return [{ ...finding, severity: "error", message, remedy: "take this line out" }];
  }
  const message = "the rule does nothing: there is no RewriteEngine On";
  return [{ ...finding, severity: "warning", message, remedy: "RewriteEngine On" }];
}

function ruleFindings(subject: Subject): Finding[] {
  const { own, folder, setup } = subject;
  if (areOfFolderAbove(subject)) return [];
  const engine = engineFindings(subject);
  if (engine !== undefined) return engine;
  const base = own.rewrite.findLast(({ name }) => name.toLowerCase() === "rewritebase");
  if (base !== undefined && setup.place !== undefined && base.args[0]?.replace(/\/+$/, "") !== setup.place.urlPath) {
    const url = `${setup.place.urlPath}/`;
    const message = `RewriteBase ${base.args[0] ?? ""} is not the URL path of this folder, which is ${url}: rules lead elsewhere`;
    return [
      { code: "TSGI3541", severity: "warning", place: placeOf(base, folder), message, remedy: `RewriteBase ${url}` },
    ];
  }
  const { value: options, by } = own.options;
  if (!options.has("followsymlinks") && !options.has("symlinksifownermatch")) {
    const message =
      "rules of mod_rewrite need Options FollowSymLinks or SymLinksIfOwnerMatch, and both are off: Apache answers 403";
    return [
      {
        code: "TSGI3542",
        severity: "error",
        place: placeOf(by, folder),
        message,
        remedy: "Options +SymLinksIfOwnerMatch",
      },
    ];
  }
  return outcomeFindings(
    subject,
    followRules(own.rewrite, { folder, urlPath: setup.place?.urlPath ?? "", path: sampleName }),
  );
}

/** The file of this folder that a rule leads to, by its name. */
function targetName({ args }: ReadDirective): string {
  return /^[\w.-]+/.exec(args[1] ?? "")?.[0] ?? "";
}

function outcomeFindings(
  { folder, own, names, programs }: Subject,
  outcome: ReturnType<typeof followRules>,
): Finding[] {
  const leadsNowhere = (rule: ReadDirective | undefined, name: string): Finding[] => [
    {
      code: "TSGI3541",
      severity: "error",
      place: placeOf(rule, folder),
      message: `the rule leads to ${name}, which is not in ${folder}: Apache answers 404 or 500`,
      remedy: "mend the name in the rule, or put the file there",
    },
  ];
  if (outcome.kind === "forbidden" && programs.some(({ kind }) => kind !== undefined)) {
    const message = "the rule forbids every page, before a program is asked: Apache answers 403 or 410";
    const remedy = "take it out, or give it a condition";
    return [{ code: "TSGI3547", severity: "error", place: placeOf(outcome.rule, folder), message, remedy }];
  }
  if (outcome.kind === "loop") {
    const name = targetName(outcome.rule);
    if (name !== "" && !names.includes(name)) return leadsNowhere(outcome.rule, name);
    const message = "the rule matches what it has made again and again (AH00124): Apache answers 500";
    const remedy = "before it: RewriteCond %{REQUEST_FILENAME} !-f, or the flag END";
    return [{ code: "TSGI3540", severity: "error", place: placeOf(outcome.rule, folder), message, remedy }];
  }
  if (outcome.kind !== "rewritten" || outcome.file !== undefined) return [];
  const name = outcome.path.split("/")[0] ?? "";
  // A rule may lead to a URL that a handler without a file serves.
  if (own.handler !== undefined || names.includes(name)) return [];
  return leadsNowhere(
    own.rewrite.find((one) => /^rewriterule$/i.test(one.name) && targetName(one) === name),
    name,
  );
}

/** DirectoryIndex and FallbackResource that name a program which is not there. */
function indexFindings({ setup, folder, names }: Subject): Finding[] {
  const own = setup.htaccess
    .filter(({ file }) => file === join(folder, ".htaccess"))
    .flatMap(({ directives }) => directives);
  return own.flatMap((one): Finding[] => {
    const [target = ""] = one.args;
    const isIndex = /^directoryindex$/i.test(one.name) && one.args.length === 1;
    if (!isIndex || target.startsWith("/") || !/\.f?cgi$/.test(target) || names.includes(target)) return [];
    return [
      {
        code: "TSGI3541",
        severity: "error",
        place: placeOf(one, folder),
        message: `${one.name} names ${target}, which is not in ${folder}`,
        remedy: "mend the name, or put the file there",
      },
    ];
  });
}

/** Nothing in the folder is a program, and nothing leads out of it. */
function nothingToRun(subject: Subject): Finding[] {
  const { programs, own, folder, setup } = subject;
  const isProxied = own.handler !== undefined || fileSetup(setup, "index").handler !== undefined;
  if (programs.length > 0 || isProxied || setup.htaccess.length === 0 || own.rewrite.length > 0) return [];
  return [
    {
      code: "TSGI3574",
      severity: "note",
      place: folder,
      message: "no file in it is a program, and nothing sends requests to a daemon",
      remedy: "`tsgi config htaccess-cgi app.ts` prints what such a folder needs",
    },
  ];
}

export function handlerFindings(subject: Subject): Finding[] {
  const each = subject.programs.flatMap((program) =>
    program.kind === undefined ? unhandled(program, subject) : handled(program, subject),
  );
  return [
    ...hostFindings(subject),
    ...visitFindings(subject),
    ...each,
    ...ruleFindings(subject),
    ...indexFindings(subject),
    ...nothingToRun(subject),
  ];
}
