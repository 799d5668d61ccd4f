// What is looked at: a folder, the Apache that serves it, whom its programs run as, and which files are programs.

import { readdirSync } from "node:fs";
import { basename, dirname, extname, join, resolve } from "node:path";
import { ConfigError } from "../errors.ts";
import type { Account } from "../server/httpd/account.ts";
import { groupIdOf, lookUp } from "../server/httpd/account.ts";
import { linkStatusOf, realPathOf, statusOf, textOf } from "./access.ts";
import type { ReadDirective } from "./directive-text.ts";
import type { FileSetup } from "./file-setup.ts";
import { fileSetup } from "./file-setup.ts";
import type { FindApacheOptions, FoundApache } from "./find-apache.ts";
import { findApaches } from "./find-apache.ts";
import { run, usualPath } from "./run.ts";
import type { ServedPlace } from "./served.ts";
import { named, servedPlaces, serverSetting } from "./served.ts";
import type { FolderSetup } from "./setup.ts";
import { folderSetup } from "./setup.ts";
import type { Suexec } from "./suexec.ts";
import { findSuexec } from "./suexec.ts";

export interface ProgramFile {
  /** Absolute, as Apache gets to it. */
  readonly file: string;
  readonly setup: FileSetup;
  /** What runs it; undefined: nothing does. */
  readonly kind: "cgi" | "fcgid" | undefined;
  /** The command of FcgidWrapper runs in its place. */
  readonly wrapper: string | undefined;
}

export interface Subject {
  readonly folder: string;
  /** The one that serves the folder. */
  readonly apache: FoundApache | undefined;
  /** All that were found. */
  readonly apaches: readonly FoundApache[];
  /** Why there is no program of Apache, "" when there is one. */
  readonly apacheProblem: string;
  /** Of the server that was named, when it does not serve the folder: it may still send requests to a daemon. */
  readonly elsewhere: readonly ReadDirective[];
  readonly setup: FolderSetup;
  /** Of the folder itself. */
  readonly own: FileSetup;
  /** Whom Apache's workers run as. */
  readonly account: Account | undefined;
  readonly suexec: Suexec | undefined;
  /** Whom programs run as. */
  readonly runner: Account | undefined;
  /** The PATH that programs start with. */
  readonly path: string;
  readonly names: readonly string[];
  /** The application that was named in place of the folder, as "file" or "file#export". */
  readonly application: string | undefined;
  readonly programs: readonly ProgramFile[];
}

const apacheUsers = ["www-data", "apache", "_www", "www", "http", "wwwrun", "daemon"];
const maxNames = 2_000;

function namesOf(folder: string): string[] {
  try {
    return readdirSync(folder).sort().slice(0, maxNames);
  } catch {
    return []; // said by the check of permissions
  }
}

function apacheAccount(apache: FoundApache | undefined): Account | undefined {
  if (apache?.owner !== undefined) return apache.owner;
  if (apache !== undefined) {
    const { directives } = apache.configuration;
    const user = named(directives, "User").at(-1)?.args[0];
    const group = named(directives, "Group").at(-1)?.args[0];
    const found = user === undefined ? undefined : lookUp(user.replace(/^#/, ""));
    const gid = group === undefined ? undefined : groupIdOf(group.replace(/^#/, ""));
    if (found !== undefined) return gid === undefined ? found : { ...found, gid, groups: [gid, ...found.groups] };
  }
  return apacheUsers.map(lookUp).find((account) => account !== undefined);
}

function kindOf(handler: string | undefined): ProgramFile["kind"] {
  if (handler === "cgi-script" || handler === "application/x-httpd-cgi") return "cgi";
  return handler === "fcgid-script" ? "fcgid" : undefined;
}

const programExtensions = new Set([".cgi", ".fcgi", ".pl"]);
const usualNames = /^(?:app|index|main|server|dispatch|application)\.[cm]?[jt]sx?$/;

/** Whether somebody means this file to be run, judged by the file alone. */
function looksLikeProgram(file: string): boolean {
  if (programExtensions.has(extname(file))) return true;
  const text = textOf(file)?.slice(0, 4096) ?? "";
  return /^[^\n]{0,8}#!.*(?:node|tsgi)/.test(text) || (/^[^\n]{0,8}#!/.test(text) && /tsgi-(?:cgi|fcgid)/.test(text));
}

/** Of the files that a handler runs: libraries beside them are no entries. */
function isEntry(file: string, count: number): boolean {
  const isExecutable = ((statusOf(file)?.mode ?? 0) & 0o111) !== 0;
  return count === 1 || isExecutable || usualNames.test(basename(file)) || looksLikeProgram(file);
}

function findPrograms(setup: FolderSetup, names: readonly string[], only: string | undefined): ProgramFile[] {
  const files = names.filter((name) => linkStatusOf(join(setup.folder, name))?.isDirectory() === false);
  const all = files.map((name): ProgramFile => {
    const own = fileSetup(setup, name);
    const kind = kindOf(own.handler?.value);
    const wrapper = kind === "fcgid" ? own.wrapper?.value : undefined;
    return { file: join(setup.folder, name), setup: own, kind, wrapper };
  });
  if (only !== undefined) {
    return all.filter(({ file, kind }) => basename(file) === only && (kind !== undefined || looksLikeProgram(file)));
  }
  // A handler for the whole folder makes a program of every name, of pictures too.
  const isWhole = kindOf(fileSetup(setup, "").handler?.value) !== undefined;
  const run = all.filter(({ kind }) => kind !== undefined);
  const entries = run.filter(({ file }) => (isWhole ? looksLikeProgram(file) : isEntry(file, run.length)));
  return [...entries, ...all.filter(({ kind, file }) => kind === undefined && looksLikeProgram(file))];
}

export interface SubjectOptions extends FindApacheOptions {
  readonly apacheUser: string | undefined;
}

interface Choice {
  readonly apache: FoundApache;
  readonly place: ServedPlace;
}

/** The Apache that serves the folder; one that runs before one that does not, then the longest way into it. */
function choose(apaches: readonly FoundApache[], folder: string): Choice | undefined {
  const all = apaches.flatMap((apache) =>
    servedPlaces(apache.configuration, folder).map((place) => ({ apache, place })),
  );
  const weight = ({ apache, place }: Choice): number => (apache.pid === undefined ? 0 : 100_000) + place.base.length;
  return all.sort((one, other) => weight(other) - weight(one))[0];
}

interface Target {
  readonly folder: string;
  /** The name of one file of it. */
  readonly only: string | undefined;
  readonly application: string | undefined;
}

/** A folder, a file, or a file with an export behind "#". Throws ConfigError when it is not there. */
function readTarget(target: string): Target {
  const whole = resolve(target);
  const [, path = whole, exported = ""] = statusOf(whole) === undefined ? (/^(.*)(#[^/]*)$/.exec(whole) ?? []) : [];
  const status = statusOf(path);
  if (status === undefined) throw new ConfigError([`${path}: there is no such folder, or this user may not see it`]);
  if (status.isDirectory()) return { folder: realPathOf(path), only: undefined, application: undefined };
  const folder = realPathOf(dirname(path));
  const isScript = /\.[cm]?[jt]sx?$/.test(path);
  return {
    folder,
    only: basename(path),
    application: isScript ? `${join(folder, basename(path))}${exported}` : undefined,
  };
}

function accountNamed(user: string | undefined): Account | undefined {
  const account = user === undefined ? undefined : lookUp(user);
  if (user !== undefined && account === undefined)
    throw new ConfigError([`--apache-user ${user}: there is no such user`]);
  return account;
}

/** Throws ConfigError when there is no such folder or user. */
export async function findSubject(target: string, options: SubjectOptions): Promise<Subject> {
  const { folder, only, application } = readTarget(target);
  const named = accountNamed(options.apacheUser);
  const { found, problem } = await findApaches(options);
  const { apache, place } = choose(found, folder) ?? {};
  const setup = folderSetup({ folder, place, configuration: apache?.configuration });
  const account = named ?? apacheAccount(apache);
  const identity = place === undefined ? undefined : serverSetting(place.scopes, "SuexecUserGroup");
  const suexec = await findSuexec(apache, identity, account);
  const names = namesOf(folder);
  return {
    folder,
    apache,
    apaches: found,
    apacheProblem: problem,
    elsewhere:
      apache === undefined && options.configFile !== undefined ? (found[0]?.configuration.directives ?? []) : [],
    setup,
    own: fileSetup(setup, ""),
    account,
    suexec,
    runner: suexec?.account ?? account,
    path: suexec?.safePath ?? apache?.source.variables["PATH"] ?? usualPath,
    names,
    application,
    programs: findPrograms(setup, names, only),
  };
}

/** What the doctor can promise: with the server's configuration at hand an error, without it a warning. */
export function severityOf({ apache }: Pick<Subject, "apache">): "error" | "warning" {
  return apache === undefined ? "warning" : "error";
}

/** What `--version` of a program prints; undefined when it fails. */
export async function versionOf(program: string, account: Account | undefined): Promise<string | undefined> {
  const { code, stdout } = await run(program, ["--version"], { account });
  return code === 0 ? stdout.trim() : undefined;
}
