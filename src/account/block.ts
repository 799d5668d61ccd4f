// The lines in an .htaccess file that are ours, between two markers, and their way in and out.
// Rules: the file is bytes, held as latin-1 text; every byte outside the markers stays what it is, and taking the block out
// gives back the file that was there before. The first line inside says what it was made for, and has a checksum by which
// an edit by hand is noticed.

import { createHash } from "node:crypto";
import type { Transport } from "../apache/account.ts";
import { transports } from "../apache/account.ts";
import { BootError } from "../errors.ts";
import { findFrontController } from "./front-controller.ts";

const begin = "# BEGIN tsgi: `tsgi init` writes these lines, `tsgi init --remove` takes them out.";
const end = "# END tsgi";
const factsPrefix = "# tsgi ";
const byteOrderMark = "\u00EF\u00BB\u00BF";

/** What a block was made for. */
export interface BlockFacts {
  /** The application, as an absolute file, with `#export` if one was named. */
  readonly app: string;
  readonly transport: Transport;
  /** Flags of the command line that made it, by name, so that they need not be given again. */
  readonly options: Readonly<Record<string, string>>;
  /** The file before the block came: not there, ended with a line feed, or in the middle of a line. */
  readonly was: "absent" | "whole" | "open";
  /** Whether the file began with a byte order mark, which Apache takes for a part of its first directive. */
  readonly hadMark: boolean;
}

export interface MarkedBlock {
  /** Offsets in the text, the markers included. */
  readonly start: number;
  readonly end: number;
  readonly facts: BlockFacts;
  /** Whether it differs from what was written. */
  readonly isEdited: boolean;
}

function sumOf(text: string): string {
  return createHash("sha256").update(text.replaceAll("\r", ""), "latin1").digest("hex").slice(0, 16);
}

function latin1(text: string): string {
  return Buffer.from(text).toString("latin1");
}

function damaged(why: string): BootError {
  return new BootError(`.htaccess: ${why}. Repair it by hand, or delete the lines of tsgi in it`);
}

function areTexts(value: unknown): value is Readonly<Record<string, string>> {
  if (typeof value !== "object" || value === null || Array.isArray(value)) return false;
  return Object.values(value).every((text) => typeof text === "string");
}

function readFacts(text: string): (BlockFacts & { readonly sum: string }) | undefined {
  try {
    const value = JSON.parse(Buffer.from(text, "latin1").toString("utf8")) as Record<string, unknown>;
    const transport = transports.find((name) => name === value["transport"]);
    const was = (["absent", "whole", "open"] as const).find((name) => name === value["was"]);
    const { app, sum, hadMark, options } = value;
    if (transport === undefined || was === undefined || typeof hadMark !== "boolean") return undefined;
    if (typeof app !== "string" || typeof sum !== "string" || !areTexts(options)) return undefined;
    return { app, transport, options, was, hadMark, sum };
  } catch {
    return undefined; // no JSON: edited by hand
  }
}

/** Every place where a whole line begins with `marker`. */
function linesThatBegin(text: string, marker: string): number[] {
  const found: number[] = [];
  for (let at = text.indexOf(marker); at !== -1; at = text.indexOf(marker, at + 1)) {
    const before = text.slice(0, at);
    if (before === "" || before === byteOrderMark || before.endsWith("\n")) found.push(at);
  }
  return found;
}

/** The block of a file; undefined when there is none. Throws BootError when its markers do not make one. */
export function findBlock(text: string): MarkedBlock | undefined {
  const starts = linesThatBegin(text, begin.split(":", 1)[0] ?? begin);
  const ends = linesThatBegin(text, end);
  const [start] = starts;
  const [last] = ends;
  if (start === undefined && last === undefined) return undefined;
  if (start === undefined || last === undefined || starts.length > 1 || ends.length > 1 || last < start) {
    throw damaged('the lines "# BEGIN tsgi" and "# END tsgi" are not there once each, in this order');
  }
  const lineEnd = text.indexOf("\n", last);
  const [, facts = "", ...body] = text.slice(start, last).split("\n");
  const read = facts.startsWith(factsPrefix) ? readFacts(facts.slice(factsPrefix.length)) : undefined;
  if (read === undefined) throw damaged('the line after "# BEGIN tsgi" does not say any more what the block is for');
  const { sum, ...known } = read;
  return {
    start,
    end: lineEnd === -1 ? text.length : lineEnd + 1,
    facts: known,
    isEdited: sum !== sumOf(body.join("\n")),
  };
}

/** The file without the block; undefined when there was no file before it. */
export function withoutBlock(text: string, { start, end: after, facts }: MarkedBlock): string | undefined {
  const rest = text.slice(after);
  let before = text.slice(0, start);
  // The line feed before the block is ours, unless something has been added behind it since.
  if (facts.was === "open" && rest === "") before = before.replace(/\r?\n$/, "");
  if (facts.was === "absent" && before + rest === "") return undefined;
  return `${facts.hadMark && !before.startsWith(byteOrderMark) ? byteOrderMark : ""}${before}${rest}`;
}

/** Whether a file begins with a byte order mark. */
export function hasByteOrderMark(text: string): boolean {
  return text.startsWith(byteOrderMark);
}

/**
 * A file with the block in it: before the rule that would take the application's URLs, else at its end, so that redirects
 * and the like of others come first. `text` is undefined when there is no file; `body` has a line feed at its end. A byte
 * order mark is taken out, since nothing works with it.
 */
export function withBlock(
  text: string | undefined,
  body: string,
  { app, transport, options }: Pick<BlockFacts, "app" | "transport" | "options">,
): string {
  const hadMark = hasByteOrderMark(text ?? "");
  const file = (text ?? "").slice(hadMark ? byteOrderMark.length : 0);
  const newline = /\r?\n/.exec(file)?.[0] ?? "\n";
  const wouldJoin = /\\\s*$/.test(file); // the last line would swallow ours
  const at = findFrontController(file)?.start ?? (wouldJoin ? 0 : file.length);
  const isOpen = at > 0 && !file.slice(0, at).endsWith("\n");
  const was = text === undefined ? "absent" : isOpen ? "open" : "whole";
  const bytes = latin1(body);
  const facts: BlockFacts = { app, transport, options, was, hadMark };
  const described = latin1(JSON.stringify({ ...facts, sum: sumOf(bytes) }));
  const block = `${begin}\n${factsPrefix}${described}\n${bytes}${end}\n`.replaceAll("\n", newline);
  return `${file.slice(0, at)}${isOpen ? newline : ""}${block}${file.slice(at)}`;
}
