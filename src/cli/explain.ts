// `tsgi explain`: what a code of a log line means, and what to do.

import type { Command } from "commander";
import { allPages, findPages } from "../codes/find.ts";
import type { CodePage } from "../codes/page.ts";
import { ConfigError } from "../errors.ts";

const width = 100;

/** Words in lines of a terminal's width, each behind the indent. */
function wrapped(text: string, first: string, rest: string): string {
  const lines: string[] = [];
  let line = first;
  for (const word of text.split(" ")) {
    if (line.length + word.length > width && line.trim() !== "" && line !== first) {
      lines.push(line.trimEnd());
      line = rest;
    }
    line += `${word} `;
  }
  return [...lines, line.trimEnd()].join("\n");
}

function listOf(heading: string, items: readonly string[]): string {
  return [heading, ...items.map((item) => wrapped(item, "  - ", "    "))].join("\n");
}

function nameOf({ codes }: CodePage): string {
  return codes.length === 0 ? "Apache" : codes.join(", ");
}

function show(page: CodePage): string {
  return [
    wrapped(`${nameOf(page)}: ${page.title}`, "", ""),
    wrapped(page.meaning, "", ""),
    listOf("Usual causes:", page.causes),
    listOf("What to do:", page.remedies),
  ].join("\n\n");
}

function index(): string {
  return allPages.map((page) => `${nameOf(page).padEnd(10)}  ${page.title}`).join("\n");
}

function run(words: readonly string[]): number {
  const text = words.join(" ");
  const pages = findPages(text);
  if (text !== "" && pages.length === 0) {
    throw new ConfigError([
      `${JSON.stringify(text)} has no code that is known, and is no line of Apache's that is: \`tsgi explain\` lists them`,
    ]);
  }
  process.stdout.write(`${text === "" ? index() : pages.map(show).join("\n\n\n")}\n`);
  return 0;
}

export function configure(command: Command): void {
  command
    .argument("[words...]", "a code such as TSGI2107 or AH01241, or a line of a log; every code is listed without it")
    .addHelpText(
      "after",
      "\nExamples:\n  $ tsgi explain TSGI2107\n  $ tsgi explain 'End of script output before headers: app.cgi'",
    )
    .action((words: readonly string[]) => {
      process.exitCode = run(words);
    });
}
