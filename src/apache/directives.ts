// Apache configuration as data: a tree of lines, blocks and notes, and its text.
// Rules: every argument goes through the one quoting function; what Apache's reader cannot take (a newline, a control
// character, "${") is refused with a ConfigError. A comment says why a line is there and stands above it.

import { ConfigError } from "../errors.ts";

/** One directive: `name` and its arguments, unquoted. */
export interface Line {
  readonly kind: "line";
  readonly name: string;
  readonly args: readonly string[];
  readonly why: string | undefined;
}

/** A section such as `<Directory "/srv">`, and what is in it. */
export interface Block {
  readonly kind: "block";
  readonly name: string;
  readonly args: readonly string[];
  readonly why: string | undefined;
  readonly body: readonly Directive[];
}

/** Comment lines that stand by themselves; an empty text is a blank line. */
export interface Note {
  readonly kind: "note";
  readonly text: string;
}

export type Directive = Line | Block | Note;

/** A directive; numbers are written as they are. */
export function line(name: string, args: readonly (string | number)[], why?: string): Line {
  return { kind: "line", name, args: args.map(String), why };
}

export function block(name: string, args: readonly string[], body: readonly Directive[], why?: string): Block {
  return { kind: "block", name, args, body, why };
}

export function note(text: string): Note {
  return { kind: "note", text };
}

export const blank: Note = { kind: "note", text: "" };

const bareWord = /^[A-Za-z0-9_@+=:,./*[\]-]+$/;
// oxlint-disable-next-line no-control-regex -- control characters are what this refuses
const unwritable = /[\u0000-\u001f\u007f]|\$\{/;
const maxCommentWidth = 100;

/**
 * An argument as Apache's reader gives it back unchanged: bare where that is safe, else in double quotes. Inside quotes a
 * backslash counts only before a quote, a backslash or the end, so a regular expression stays readable.
 */
export function quote(argument: string): string {
  if (unwritable.test(argument)) {
    throw new ConfigError([`${JSON.stringify(argument)} cannot stand in an Apache configuration`]);
  }
  if (bareWord.test(argument)) return argument;
  return `"${argument.replace(/\\(?=[\\"]|$)|"/g, "\\$&")}"`;
}

/** `text` as a literal inside a regular expression. */
export function regexLiteral(text: string): string {
  return text.replace(/[\\^$.|?*+()[\]{}]/g, "\\$&");
}

/** `text` as a literal in the test string or the substitution of mod_rewrite, which expands `$1` and `%{NAME}`. */
export function rewriteLiteral(text: string): string {
  if (text.includes("?")) throw new ConfigError([`${JSON.stringify(text)}: mod_rewrite takes no path with a "?"`]);
  return text.replace(/[\\$%]/g, "\\$&");
}

/** Words as one command line, as mod_fcgid takes it apart again. */
export function commandLine(words: readonly string[]): string {
  return words.map((word) => (bareWord.test(word) ? word : `"${word.replace(/[\\"]/g, "\\$&")}"`)).join(" ");
}

function wrap(text: string, width: number): string[] {
  const lines: string[] = [];
  for (const word of text.split(/\s+/)) {
    const last = lines.at(-1);
    if (last !== undefined && last.length + word.length < width) lines[lines.length - 1] = `${last} ${word}`;
    else lines.push(word);
  }
  return lines;
}

function comment(text: string, indent: string): string[] {
  return (
    text
      .split("\n")
      .flatMap((paragraph) =>
        paragraph.startsWith(" ") ? [paragraph] : wrap(paragraph, maxCommentWidth - indent.length),
      )
      // A backslash at the end would make the next line a part of the comment.
      .map((content) => `${indent}# ${content}`.replace(/[\\\s]+$/, ""))
  );
}

function renderDirective(directive: Directive, indent: string): string[] {
  if (directive.kind === "note") return directive.text === "" ? [""] : comment(directive.text, indent);
  const head = [directive.name, ...directive.args.map(quote)].join(" ");
  const why = directive.why === undefined ? [] : comment(directive.why, indent);
  if (directive.kind === "line") return [...why, `${indent}${head}`];
  const body = directive.body.flatMap((inner) => renderDirective(inner, `${indent}  `));
  return [...why, `${indent}<${head}>`, ...body, `${indent}</${directive.name}>`];
}

/** The configuration text, with a newline at its end. */
export function render(directives: readonly Directive[]): string {
  return `${directives.flatMap((directive) => renderDirective(directive, "")).join("\n")}\n`;
}
