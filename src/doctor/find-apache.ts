// Which Apache serves a folder: the one that is named, those that run, or the system's own.
// Rules: of several the one whose configuration leads furthest into the folder; nothing is started or changed. A configuration may name
// modules to load: one of another user is never given to a program that runs as us, and as root it is looked at as that user.

import { readdirSync, readFileSync } from "node:fs";
import { basename, dirname, isAbsolute, join, resolve } from "node:path";
import { messageOf } from "../errors.ts";
import { findHttpd } from "../server/httpd/find.ts";
import type { Account } from "../server/httpd/account.ts";
import { accountOf, textOf } from "./access.ts";
import type { Configuration, ConfigurationSource } from "./configuration.ts";
import { defaultSource, envvarsBeside, readConfiguration, readEnvvars } from "./configuration.ts";
import { run } from "./run.ts";

export interface FoundApache {
  readonly configuration: Configuration;
  readonly source: ConfigurationSource;
  /** undefined: no program of Apache was found on this machine. */
  readonly program: string | undefined;
  /** Of the running parent process. */
  readonly pid: number | undefined;
  /** Whom root has to be to give the configuration to a program: the user whose server it is. undefined: himself. */
  readonly owner: Account | undefined;
}

export interface FindApacheOptions {
  readonly httpd: string | undefined;
  readonly configFile: string | undefined;
}

interface RunningApache {
  readonly pid: number;
  readonly uid: number;
  readonly owner: Account | undefined;
  readonly program: string;
  readonly args: readonly string[];
  readonly variables: Readonly<Record<string, string>>;
}

function readZeroSeparated(file: string): string[] {
  try {
    return readFileSync(file, "latin1").split("\0").slice(0, -1);
  } catch {
    return []; // gone, or another user's
  }
}

/** The parent processes of the servers that run, as far as this system shows them. */
function runningServers(): RunningApache[] {
  let names: string[];
  try {
    names = readdirSync("/proc").filter((name) => /^\d+$/.test(name));
  } catch {
    return []; // no /proc on this system
  }
  const servers = names.flatMap((name) => {
    const [program = "", ...args] = readZeroSeparated(`/proc/${name}/cmdline`);
    if (!/^(?:apache2|httpd)(?:-\w+)?$/.test(basename(program))) return [];
    const status = textOf(`/proc/${name}/status`) ?? "";
    const valueOf = (key: string): number => Number(new RegExp(`^${key}:\\s*(\\d+)`, "m").exec(status)?.[1]);
    const [parent, uid] = [valueOf("PPid"), valueOf("Uid")];
    const owner = uid === 0 ? undefined : accountOf(uid, valueOf("Gid"));
    const variables = Object.fromEntries(
      readZeroSeparated(`/proc/${name}/environ`).map((pair): [string, string] => {
        const at = pair.indexOf("=");
        return [pair.slice(0, at), pair.slice(at + 1)];
      }),
    );
    return [{ pid: Number(name), parent, uid, owner, program, args, variables }];
  });
  const pids = new Set(servers.map(({ pid }) => pid));
  const self = process.getuid?.() ?? 0;
  const isTrusted = ({ uid }: { readonly uid: number }): boolean => self === 0 || uid === 0 || uid === self;
  return servers.filter((server) => !pids.has(server.parent) && isTrusted(server));
}

function optionValues(args: readonly string[], option: string): string[] {
  return args.flatMap((arg, index) => {
    if (arg === `-${option}`) return [args[index + 1] ?? ""];
    return arg.startsWith(`-${option}`) ? [arg.slice(2)] : [];
  });
}

interface Program {
  readonly file: string;
  readonly builtIn: readonly string[];
  readonly usual: { readonly file: string; readonly root: string } | undefined;
}

type Search = Program | { readonly problem: string };

/** A program that was looked at stays the same as long as this process runs. */
const searches = new Map<string | undefined, Promise<Search>>();

function findProgram(httpd: string | undefined): Promise<Search> {
  const search = searches.get(httpd) ?? searchProgram(httpd);
  searches.set(httpd, search);
  return search;
}

async function searchProgram(httpd: string | undefined): Promise<Search> {
  try {
    const { program, builtIn } = await findHttpd({ httpd, modulesDir: undefined, path: process.env["PATH"] ?? "" });
    const { stdout } = await run(program, ["-V"]);
    return { file: program, builtIn: [...builtIn], usual: defaultSource(stdout) };
  } catch (error) {
    return { problem: messageOf(error) };
  }
}

function sourceOf(running: RunningApache, { builtIn, usual }: Program): ConfigurationSource | undefined {
  const { args, variables } = running;
  const root = optionValues(args, "d").at(-1) ?? usual?.root;
  const named = optionValues(args, "f").at(-1) ?? usual?.file;
  if (root === undefined || named === undefined) return undefined;
  const file = isAbsolute(named) ? named : resolve(root, named);
  return {
    file,
    root,
    defines: optionValues(args, "D"),
    variables: { ...readEnvvars(envvarsBeside(file)), ...variables },
    builtIn,
  };
}

function sourceFor(file: string, { builtIn }: Program): ConfigurationSource {
  return { file, root: dirname(file), defines: [], variables: readEnvvars(envvarsBeside(file)), builtIn };
}

/** Every Apache that could be meant, the named one alone where there is one. `problem`: why there is none. */
export async function findApaches(
  options: FindApacheOptions,
): Promise<{ readonly found: readonly FoundApache[]; readonly problem: string }> {
  const program = await findProgram(options.httpd);
  const isThere = "file" in program;
  const known: Program = isThere ? program : { file: "", builtIn: ["core", "so", "http"], usual: undefined };
  const file = isThere ? program.file : undefined;
  const read = (source: ConfigurationSource, server?: Pick<RunningApache, "pid" | "owner">): FoundApache => ({
    configuration: readConfiguration(source),
    source,
    program: file,
    pid: server?.pid,
    owner: server?.owner,
  });
  const problem = isThere ? "" : program.problem;
  const running = runningServers().map((server) => ({ server, source: sourceOf(server, known) }));
  if (options.configFile !== undefined) {
    const wanted = resolve(options.configFile);
    const same = running.find(({ source }) => source?.file === wanted);
    return { found: [read(same?.source ?? sourceFor(wanted, known), same?.server)], problem };
  }
  const found = running.flatMap(({ source, server }) => (source === undefined ? [] : [read(source, server)]));
  if (known.usual !== undefined && found.every(({ source }) => source.file !== known.usual?.file)) {
    found.push(read({ ...sourceFor(known.usual.file, known), root: known.usual.root }));
  }
  return { found, problem };
}

/** A path of a directive: absolute, or below the ServerRoot. */
export function below(root: string, path: string): string {
  return isAbsolute(path) ? resolve(path) : join(root, path);
}
