// The command line of tsgi-cgi and tsgi-fcgid: `[--name=value ...] [APP]`.
// Rules: Apache appends the words of a query without "=" to a CGI program's arguments, so trailing words that the query
// can have made are never read; an entry that is itself the script (Action, ScriptAlias) reads no arguments at all.

import { realpathSync } from "node:fs";

export interface EntryArguments {
  /** "file.ts" or "file.ts#export"; undefined when the request chooses the script. */
  readonly app: string | undefined;
  readonly mountPoint: string | undefined;
  readonly cacheDir: string | undefined;
  readonly scriptRoot: string | undefined;
}

/** How many words Apache makes of a query: none when it has an unencoded "=". */
function queryWordCount(query: string | undefined): number {
  return query === undefined || query === "" || query.includes("=") ? 0 : query.split("+").length;
}

function withoutQueryWords(argv: readonly string[], query: string | undefined): readonly string[] {
  const count = queryWordCount(query);
  if (count === 0 || argv.length < count) return argv;
  const words = (query ?? "").split("+").map(plainForm);
  const tail = argv.slice(argv.length - count).map(plainForm);
  return words.every((word, index) => word === tail[index]) ? argv.slice(0, argv.length - count) : argv;
}

/** A word without escapes: Apache decodes percent escapes and puts backslashes before what a shell would read. */
function plainForm(word: string): string {
  const decoded = word.replace(/%([0-9a-f]{2})/gi, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)));
  return Buffer.from(decoded, "latin1").toString("latin1").replaceAll("\\", "");
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

const optionNames = ["mount-point", "cache-dir", "script-root"] as const;
type OptionName = (typeof optionNames)[number];

/**
 * Reads the arguments. `entry` is the program's own file, `scriptFilename` and `query` are those of a CGI request.
 * Throws Error for an option that it does not know.
 */
export function readEntryArguments(
  argv: readonly string[],
  request: {
    readonly entry: string;
    readonly scriptFilename?: string | undefined;
    readonly query?: string | undefined;
  },
): EntryArguments {
  const isOwnScript = isSameFile(request.scriptFilename, request.entry);
  const words = isOwnScript ? [] : withoutQueryWords(argv, request.query);
  const options = new Map<OptionName, string>();
  let index = 0;
  for (; index < words.length; index += 1) {
    const match = /^--([a-z-]+)=(.*)$/s.exec(words[index] ?? "");
    if (match === null) break;
    const name = optionNames.find((known) => known === match[1]);
    if (name === undefined) throw new Error(`unknown option --${match[1]}; known are --${optionNames.join("=, --")}=`);
    options.set(name, match[2] ?? "");
  }
  return {
    app: words[index],
    mountPoint: options.get("mount-point"),
    cacheDir: options.get("cache-dir"),
    scriptRoot: options.get("script-root"),
  };
}
