// The command line of tsgi-cgi and tsgi-fcgid: `[--warm] [--name=value ...] [APP]`; bin/tsgi-relay.pl reads it as well.
// Rules: Apache appends the words of a query without "=" to a CGI program's arguments, so trailing words that the query
// can have made are never read; an entry that is itself the script (Action, ScriptAlias) reads no arguments at all.

import { realpathSync } from "node:fs";
import type { AdapterName } from "../adapters/names.ts";
import { adapterNames } from "../adapters/names.ts";
import { parseDuration, parseSize } from "../config/units.ts";
import { ConfigError, messageOf } from "../errors.ts";
import { parseAppReference } from "../loader/load.ts";
import type { Target } from "./route.ts";

export interface EntryArguments {
  /** "file.ts" or "file.ts#export"; undefined when the request chooses the script. */
  readonly app: string | undefined;
  readonly mountPoint: string | undefined;
  readonly cacheDir: string | undefined;
  readonly adapter: AdapterName | undefined;
  readonly scriptRoot: string | undefined;
  /** Of a warm daemon: how long it waits for a request, ms. Undefined: its default. */
  readonly idleTimeoutMs: number | undefined;
  /** Of a warm daemon: the resident memory at which a fresh one follows it, bytes. Undefined: its default. */
  readonly memoryLimitBytes: number | undefined;
}

/** The words that Apache makes of a query (RFC 3875 section 4.4): none when it has an unencoded "=". */
function queryWords(query: string | undefined): readonly string[] {
  return query === undefined || query === "" || query.includes("=") ? [] : query.split("+").map(asArgument);
}

/** A word as it arrives: decoded bytes up to a NUL, read as UTF-8, without the backslashes before what a shell reads. */
function asArgument(word: string): string {
  const bytes = word.replace(/%([0-9a-f]{2})/gi, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)));
  const [text = ""] = Buffer.from(bytes, "latin1").toString("utf8").split("\0");
  return text.replaceAll("\\", "");
}

/** Cuts the arguments where the query's words begin; Apache passes a limited number of these. */
function withoutQueryWords(argv: readonly string[], query: string | undefined): readonly string[] {
  const words = queryWords(query);
  const plain = argv.map((word) => word.replaceAll("\\", ""));
  for (let start = Math.max(0, argv.length - words.length); start < argv.length; start += 1) {
    if (plain.slice(start).every((word, index) => word === words[index])) return argv.slice(0, start);
  }
  return argv;
}

/** Whether two names are the same file. */
export function isSameFile(left: string | undefined, right: string | undefined): boolean {
  if (left === undefined || right === undefined) return false;
  try {
    return realpathSync(left) === realpathSync(right);
  } catch {
    return false; // one of them cannot be reached, so it is not the other
  }
}

const optionNames = ["mount-point", "cache-dir", "script-root", "adapter", "idle-timeout", "memory-limit"] as const;
type OptionName = (typeof optionNames)[number];

function readAdapter(name: string | undefined): AdapterName | undefined {
  if (name === undefined || name === "") return undefined;
  const found = adapterNames.find((known) => known === name);
  if (found !== undefined) return found;
  throw new ConfigError([`unknown adapter ${JSON.stringify(name)}; known are ${adapterNames.join(", ")}`]);
}

/** The arguments that no visitor can have made. */
export function trustedWords(
  argv: readonly string[],
  request: {
    readonly entry: string;
    readonly scriptFilename?: string | undefined;
    readonly query?: string | undefined;
  },
): readonly string[] {
  return isSameFile(request.scriptFilename, request.entry) ? [] : withoutQueryWords(argv, request.query);
}

function readQuantity(options: ReadonlyMap<OptionName, string>, name: OptionName): number | undefined {
  const text = options.get(name);
  if (text === undefined) return undefined;
  try {
    return name === "idle-timeout" ? parseDuration(text) : parseSize(text);
  } catch (error) {
    throw new ConfigError([`--${name} ${JSON.stringify(text)}: ${messageOf(error)}`]);
  }
}

/**
 * Reads the arguments. `entry` is the program's own file, `scriptFilename` and `query` are those of a CGI request.
 * Throws ConfigError for an option that it does not know.
 */
export function readEntryArguments(
  argv: readonly string[],
  request: {
    readonly entry: string;
    readonly scriptFilename?: string | undefined;
    readonly query?: string | undefined;
    /** From the environment: the adapter where no argument names one. */
    readonly adapter?: string | undefined;
  },
): EntryArguments {
  const words = trustedWords(argv, request);
  const options = new Map<OptionName, string>();
  let index = 0;
  for (; index < words.length; index += 1) {
    const word = words[index] ?? "";
    if (!word.startsWith("--")) break;
    if (word === "--warm") continue; // read before this program was started
    const match = /^--([a-z-]+)=(.*)$/s.exec(word);
    const name = optionNames.find((known) => known === match?.[1]);
    if (name === undefined) {
      throw new ConfigError([
        `unknown option ${JSON.stringify(word)}; known are --warm, --${optionNames.join("=, --")}=`,
      ]);
    }
    options.set(name, match?.[2] ?? "");
  }
  return {
    app: words[index],
    mountPoint: options.get("mount-point"),
    cacheDir: options.get("cache-dir"),
    adapter: readAdapter(options.get("adapter") ?? request.adapter),
    scriptRoot: options.get("script-root"),
    idleTimeoutMs: readQuantity(options, "idle-timeout"),
    memoryLimitBytes: readQuantity(options, "memory-limit"),
  };
}

/** What the arguments ask to serve; a relative application counts from `cwd`. */
export function targetOf(args: EntryArguments, cwd: string): Target {
  return args.app === undefined
    ? { kind: "scripts", root: args.scriptRoot }
    : { kind: "application", reference: parseAppReference(args.app, cwd) };
}
