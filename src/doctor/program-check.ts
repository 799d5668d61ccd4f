// One program of the folder: whether it can be started, and what it starts.
// Rules: as the kernel and Apache go on: the mode, the first line, its interpreter, then what a wrapper runs.

import { shellWord } from "../apache/htaccess.ts";
import { basename, dirname, isAbsolute, join, resolve } from "node:path";
import { ConfigError, messageOf } from "../errors.ts";
import { readEntryArguments } from "../server/entry-args.ts";
import { programsDir } from "../server/httpd/programs.ts";
import { bits, canSee, modeText, obstacleTo, realPathOf, statusOf, textOf } from "./access.ts";
import type { Finding } from "./finding.ts";
import { oneLine } from "./finding.ts";
import {
  interpreterFindings,
  lineFindings,
  missingFinding,
  nodeFindings,
  nodeOnPath,
  runnableFindings,
} from "./interpreter.ts";
import { noexecMountOf } from "./mounts.ts";
import type { FirstLine } from "./shebang.ts";
import { isBinary, readFirstLine } from "./shebang.ts";
import type { Subject } from "./subject.ts";
import { severityOf } from "./subject.ts";
import { suexecFindings } from "./suexec.ts";
import type { Wrapper } from "./wrapper.ts";
import { readWrapper } from "./wrapper.ts";

export interface CheckedProgram {
  readonly findings: readonly Finding[];
  /** The application that it runs, as "file" or "file#export". */
  readonly application: string | undefined;
  /** The folder for compiled scripts that it names. */
  readonly cacheDir: string | undefined;
}

const gateways = new Set(["tsgi-cgi", "tsgi-fcgid"]);

function modeFindings(program: string, subject: Subject): Finding[] {
  const status = statusOf(program);
  if (status === undefined) return [];
  const mount = noexecMountOf(program);
  if (mount !== undefined) {
    const message = `it lies on ${mount}, which is mounted noexec: no program can be run there`;
    return [
      { code: "TSGI3512", severity: "error", place: program, message, remedy: "move the site to another file system" },
    ];
  }
  const owner = status.mode & 0o100;
  if (owner === 0 || (status.mode & 0o111) === 0) {
    const message = `it is not executable (mode ${modeText(status)})`;
    return [
      { code: "TSGI3511", severity: "error", place: program, message, remedy: `chmod 755 ${shellWord(program)}` },
    ];
  }
  return runnableFindings(program, program, subject, "TSGI3511");
}

/** An interpreter reads its script: the right to run it is not enough. */
function readFindings(file: string, place: string, { runner, ...subject }: Subject): Finding[] {
  const obstacle = runner === undefined ? undefined : obstacleTo(file, runner, bits.read);
  if (runner === undefined || obstacle === undefined || obstacle.kind === "unseen") return [];
  const isFolder = obstacle.kind === "folder";
  return [
    {
      code: isFolder ? "TSGI3520" : "TSGI3521",
      severity: severityOf(subject),
      place,
      message: `${runner.user}, whom programs run as, may not ${isFolder ? "enter" : "read"} ${obstacle.path}`,
      remedy: isFolder ? `chmod o+x ${shellWord(obstacle.path)}` : `chmod o+r ${shellWord(obstacle.path)}`,
    },
  ];
}

/** tsgi-cgi and tsgi-fcgid are nothing without the rest of the package. */
function packageFindings(gateway: string, place: string, subject: Subject): Finding[] {
  const dist = join(dirname(realPathOf(gateway)), "../dist");
  const name = basename(gateway) === "tsgi-cgi" ? "cgi-main.js" : "fcgid-main.js";
  const entries = [join(dist, "server", name), join(dist, "bundled", name)];
  const entry = entries.find((file) => statusOf(file) !== undefined);
  if (entry !== undefined) return readFindings(entry, place, subject);
  if (!canSee(dist)) return [];
  const message = `${name} is not in ${dist}: the package is not built, or was copied in part`;
  return [
    { code: "TSGI3513", severity: "error", place, message, remedy: "install the package anew: npm install tsgi" },
  ];
}

function wrapperLineFindings(program: string, wrapper: Wrapper): Finding[] {
  const found: Finding[] = [];
  if (wrapper.carriageReturnLine !== undefined) {
    const message = "the line ends in CR LF: the shell takes the CR for a part of the last word";
    found.push({
      code: "TSGI3506",
      severity: "error",
      place: `${program}:${wrapper.carriageReturnLine}`,
      message,
      remedy: `sed -i 's/\\r$//' ${shellWord(program)}`,
    });
  }
  const { folder } = wrapper;
  if (folder !== undefined && isAbsolute(folder) && statusOf(folder) === undefined && canSee(folder)) {
    found.push({
      code: "TSGI3515",
      severity: "error",
      place: program,
      message: `it changes to the folder ${folder}, which is not there`,
      remedy: "put the application's folder there",
    });
  }
  if (wrapper.printingLine !== undefined) {
    const message = "it prints before the program starts: Apache takes that for the first header and answers 500";
    found.push({
      code: "TSGI3514",
      severity: "error",
      place: `${program}:${wrapper.printingLine}`,
      message,
      remedy: "print to stderr: echo ... >&2",
    });
  }
  return found;
}

/** A program without which a wrapper gives up. */
function requiredFindings(file: string, place: string, subject: Subject): Finding[] {
  return statusOf(file) === undefined ? [missingFinding(place, file)] : runnableFindings(file, place, subject);
}

/** What tsgi-cgi and tsgi-fcgid would not take: they say so in Apache's log only, and answer with 500. */
function argumentFindings(words: readonly string[], place: string, { setup }: Subject): Finding[] {
  const environment = setup.layers.flatMap(({ directives }) => directives);
  const adapter = environment.findLast(({ name, args }) => /^setenv$/i.test(name) && args[0] === "TSGI_ADAPTER");
  const refused = (said: readonly string[], by: string, variable?: string): Finding[] => {
    try {
      readEntryArguments(said, { entry: "", adapter: variable });
      return [];
    } catch (error) {
      if (!(error instanceof ConfigError)) throw error;
      const message = oneLine(messageOf(error));
      return [{ code: error.code, severity: "error", place: by, message, remedy: "mend the word, or take it out" }];
    }
  };
  const isAdapterNamed = words.some((word) => word.startsWith("--adapter="));
  const ofEnvironment =
    adapter === undefined || isAdapterNamed ? [] : refused([], `${adapter.file}:${adapter.line}`, adapter.args[1]);
  return [...refused(words, place), ...ofEnvironment];
}

/** A gateway that speaks otherwise than the handler that starts it. */
function protocolFindings(gateway: string, { program, place }: Started, { programs }: Subject): Finding[] {
  const kinds = programs.flatMap(({ file, wrapper, kind }) =>
    file === program || wrapper?.split(" ")[0] === program ? [kind] : [],
  );
  const [kind] = kinds;
  const speaks = basename(gateway) === "tsgi-fcgid" ? "fcgid" : "cgi";
  if (kind === undefined || !kinds.every((one) => one === kind) || kind === speaks) return [];
  const right = kind === "fcgid" ? "tsgi-fcgid" : "tsgi-cgi";
  const handler = kind === "fcgid" ? "fcgid-script" : "cgi-script";
  const message = `its handler is ${handler}, and it runs ${basename(gateway)}: they do not understand each other, and Apache answers 500`;
  return [{ code: "TSGI3537", severity: "error", place, message, remedy: `run ${right}, or use ${speaks}-script` }];
}

interface Started {
  /** The file of the folder. */
  readonly program: string;
  readonly command: readonly string[];
  /** undefined: not known. */
  readonly path: string | undefined;
  readonly place: string;
  /** What relative names count from. */
  readonly folder: string;
}

/** The word that names the application: the first that is no option. */
function applicationIn(words: readonly string[]): string | undefined {
  return words.find((word) => !word.startsWith("-") && word !== "$@" && word !== "$*");
}

function fileOf(reference: string): string {
  return reference.replace(/#[^/]*$/, "");
}

function applicationFindings(reference: string, started: Started, subject: Subject): Finding[] {
  const file = resolve(started.folder, fileOf(reference));
  if (statusOf(file) !== undefined) return readFindings(file, started.place, subject);
  if (!canSee(file))
    return [
      {
        code: "TSGI3549",
        severity: "note",
        place: started.place,
        message: `whether ${file} is there cannot be seen by this user`,
        remedy: "",
      },
    ];
  return [
    {
      code: "TSGI3001",
      severity: "error",
      place: started.place,
      message: `the application ${file} is not there`,
      remedy: "put the path of the application's file there",
    },
  ];
}

async function commandFindings(started: Started, subject: Subject): Promise<CheckedProgram> {
  const [program = "", ...words] = started.command;
  const { place, path } = started;
  const context = { ...subject, path: path ?? "" };
  const node = async (): Promise<Finding[]> => (path === undefined ? [] : await nodeOnPath(path, place, context));
  const nothing = { findings: [], application: undefined, cacheDir: undefined };
  if (program === "" || program.includes("$")) return nothing;
  const isNode = /^node(?:js)?$/.test(basename(program));
  if (!program.includes("/")) {
    return isNode ? { ...nothing, findings: await node() } : nothing;
  }
  const file = resolve(started.folder, program);
  if (statusOf(file) === undefined) {
    return { ...nothing, findings: [missingFinding(place, file)] };
  }
  const closed = runnableFindings(file, place, context);
  if (closed.length > 0) return { ...nothing, findings: closed };
  if (isNode) {
    const script = applicationIn(words);
    const found = script === undefined ? [] : applicationFindings(script, started, subject);
    return { ...nothing, findings: [...(await nodeFindings(file, place, context)), ...found] };
  }
  if (!gateways.has(basename(file))) return nothing;
  const application = applicationIn(words);
  const findings = [
    ...(await node()),
    ...packageFindings(file, place, subject),
    ...protocolFindings(file, started, subject),
    ...argumentFindings(words, place, subject),
    ...(application === undefined ? [] : applicationFindings(application, started, subject)),
  ];
  const cacheDir = words.find((word) => word.startsWith("--cache-dir="))?.slice("--cache-dir=".length);
  return {
    findings,
    application: application === undefined ? undefined : resolveReference(application, started.folder),
    cacheDir,
  };
}

function resolveReference(reference: string, folder: string): string {
  return isAbsolute(reference) ? reference : join(folder, reference);
}

/** An application or an HTTP server that node itself runs: it prints no CGI response. */
function plainNodeFindings(program: string, text: string, first: FirstLine): Finding[] {
  const isNode = basename(first.interpreter).startsWith("node") || /(?:^|\s)node(?:\s|$)/.test(first.argument);
  const isForTsgi = /^\s*export\s+(?:const|let|default|function|async|\{)|\bmodule\.exports\b|\.listen\(/m.test(text);
  if (!isNode || !isForTsgi || /stdout\.write|console\.log\([^)]*Content-Type/i.test(text)) return [];
  const message =
    "node runs it by itself, and it is an application or an HTTP server: nothing answers the request as CGI";
  return [
    {
      code: "TSGI3516",
      severity: "error",
      place: `${program}:1`,
      message,
      remedy: `#!${join(programsDir, "tsgi-cgi")} as its first line`,
    },
  ];
}

/** What a program with a good first line goes on to run. */
async function started(program: string, text: string, subject: Subject): Promise<CheckedProgram> {
  const first = readFirstLine(text);
  const name = basename(first.interpreter);
  if (gateways.has(name)) {
    // The gateway's own first line runs it: what counts is the node that it finds.
    const command = [first.interpreter, ...first.argument.split(/\s+/).filter(Boolean), program];
    return await commandFindings(
      { program, command, path: subject.path, place: `${program}:1`, folder: dirname(program) },
      subject,
    );
  }
  if (!/^(?:sh|bash|dash|ash|ksh|zsh)$/.test(name)) {
    return { findings: plainNodeFindings(program, text, first), application: undefined, cacheDir: undefined };
  }
  const wrapper = readWrapper(text);
  const { path } = wrapper;
  const folders = path === undefined ? undefined : [...path.folders, ...(path.keepsOld ? [subject.path] : [])];
  const folder = wrapper.folder !== undefined && isAbsolute(wrapper.folder) ? wrapper.folder : dirname(program);
  const place = `${program}:${wrapper.commandLine}`;
  const lines = wrapperLineFindings(program, wrapper);
  const { required } = wrapper;
  if (required !== undefined) lines.push(...requiredFindings(required.file, `${program}:${required.line}`, subject));
  // Every word would be wrong because of the CR.
  if (wrapper.carriageReturnLine !== undefined) return { findings: lines, application: undefined, cacheDir: undefined };
  const ran = await commandFindings(
    { program, command: wrapper.command, path: folders?.join(":"), place, folder },
    subject,
  );
  const cacheDir = ran.cacheDir ?? wrapper.variables["TSGI_CACHE_DIR"];
  return { ...ran, cacheDir, findings: [...lines, ...ran.findings] };
}

/** Everything about one program, which is to be run by CGI or mod_fcgid. */
export async function checkProgram(program: string, subject: Subject): Promise<CheckedProgram> {
  const nothing = { application: undefined, cacheDir: undefined };
  const status = statusOf(program);
  if (status === undefined) {
    const isSeen = canSee(program);
    const message = isSeen ? "it is not there, or it is a link that leads nowhere" : "this user may not see it";
    return {
      ...nothing,
      findings: [
        {
          code: isSeen ? "TSGI3503" : "TSGI3549",
          severity: isSeen ? "error" : "note",
          place: program,
          message,
          remedy: isSeen ? "put the program there, or mend the path" : "run this as the owner of the file",
        },
      ],
    };
  }
  const rules = subject.suexec === undefined ? [] : suexecFindings(program, subject.suexec);
  const modes = [...rules, ...modeFindings(program, subject)];
  const text = textOf(program, 50_000_000);
  if (text === undefined) {
    const message = "this user may not read it, so its first line was not looked at";
    return {
      ...nothing,
      findings: [
        ...modes,
        {
          code: "TSGI3549",
          severity: "note",
          place: program,
          message,
          remedy: "run this as the owner of the file, or as root",
        },
      ],
    };
  }
  if (isBinary(text)) return { ...nothing, findings: modes };
  const first = readFirstLine(text);
  const reads = modes.length > 0 ? [] : readFindings(program, program, subject);
  const line = lineFindings(program, first);
  const isRunnable = first.problem === "none";
  const interpreter = isRunnable ? await interpreterFindings(program, first, subject) : [];
  const missing = interpreter.some(({ code }) => code === "TSGI3507");
  const ran = isRunnable && !missing ? await started(program, text, subject) : { ...nothing, findings: [] };
  return { ...ran, findings: [...modes, ...reads, ...line, ...interpreter, ...ran.findings] };
}
