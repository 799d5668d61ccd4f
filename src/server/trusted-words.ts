// Which arguments of a CGI program no visitor can have made.
// Rules: Apache appends the words of a query without "=" to a CGI program's arguments, so trailing words that the query
// can have made are never read; an entry that is itself the script (Action, ScriptAlias) reads no arguments at all.

import { statSync } from "node:fs";

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
  if (words.length === 0) return argv;
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
    const [one, other] = [statSync(left), statSync(right)];
    return one.ino === other.ino && one.dev === other.dev;
  } catch {
    return false; // one of them cannot be reached, so it is not the other
  }
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
