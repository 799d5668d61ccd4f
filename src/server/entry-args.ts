// The command line of tsgi-cgi and tsgi-fcgid: `[--warm] [--name=value ...] [APP]`; bin/tsgi-relay.pl reads it as well.
// Rules: only words that no visitor can have made are read (./trusted-words.ts).

import type { AdapterName } from "../adapters/names.ts";
import { adapterNames } from "../adapters/names.ts";
import { parseDuration, parseSize } from "../config/units.ts";
import { ConfigError, messageOf } from "../errors.ts";
import { parseAppReference } from "../loader/load.ts";
import type { Target } from "./route.ts";
import { trustedWords } from "./trusted-words.ts";

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

const optionNames = ["mount-point", "cache-dir", "script-root", "adapter", "idle-timeout", "memory-limit"] as const;
type OptionName = (typeof optionNames)[number];

function readAdapter(name: string | undefined): AdapterName | undefined {
  if (name === undefined || name === "") return undefined;
  const found = adapterNames.find((known) => known === name);
  if (found !== undefined) return found;
  throw new ConfigError([`unknown adapter ${JSON.stringify(name)}; known are ${adapterNames.join(", ")}`]);
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
  return readTrustedWords(trustedWords(argv, request), request.adapter);
}

/** As readEntryArguments, for what trustedWords has given. `givenAdapter` is that of the environment. */
export function readTrustedWords(words: readonly string[], givenAdapter: string | undefined): EntryArguments {
  const options = new Map<OptionName, string>();
  let index = 0;
  for (; index < words.length; index += 1) {
    const word = words[index] ?? "";
    if (!word.startsWith("--")) break;
    if (word === "--warm") continue; // read before this program was started
    const equals = word.indexOf("=");
    const name = optionNames.find((known) => known === word.slice(2, Math.max(2, equals)));
    if (name === undefined) {
      throw new ConfigError([
        `unknown option ${JSON.stringify(word)}; known are --warm, --${optionNames.join("=, --")}=`,
      ]);
    }
    options.set(name, word.slice(equals + 1));
  }
  return {
    app: words[index],
    mountPoint: options.get("mount-point"),
    cacheDir: options.get("cache-dir"),
    adapter: readAdapter(options.get("adapter") ?? givenAdapter),
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
