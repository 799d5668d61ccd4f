// A small shell script that starts an application: what it sets and what it runs, as far as that can be read.
// Rules: read, never run. Lines that are more than assignments, cd, export and one command are not understood and not judged: behind an
// `if` and its kind there is no command, and a file that is sourced may set any PATH.

export interface Wrapper {
  /** The words of the command that it ends in; empty when there is none that can be read. */
  readonly command: readonly string[];
  /** Folders that it puts before the PATH, or the whole PATH; undefined: that cannot be read. */
  readonly path: { readonly folders: readonly string[]; readonly keepsOld: boolean } | undefined;
  /** Of its variables those that were assigned plainly. */
  readonly variables: Readonly<Record<string, string>>;
  /** Where it changes to. */
  readonly folder: string | undefined;
  /** The number of the first line that prints to standard output before the command. */
  readonly printingLine: number | undefined;
  /** The number of the first line that ends in CR LF. */
  readonly carriageReturnLine: number | undefined;
  readonly commandLine: number;
  /** The first program that it tests for, as `[ -x FILE ] || exit` does, and that line's number. */
  readonly required: { readonly file: string; readonly line: number } | undefined;
}

/** The words of a simple shell command; variables that are known are filled in. */
function shellWords(text: string, variables: Readonly<Record<string, string>>): string[] {
  const words: string[] = [];
  let word: string | undefined;
  const filled = (part: string): string =>
    part.replace(/\$\{?(\w+)\}?/g, (whole, name: string) => variables[name] ?? whole);
  for (const [whole, single, double, escaped, plain] of text.matchAll(
    /'([^']*)'|"((?:[^"\\]|\\.)*)"|\\(.)|([^\s'"\\]+)|\s+/g,
  )) {
    if (/^\s/.test(whole)) {
      if (word !== undefined) words.push(word);
      word = undefined;
      continue;
    }
    word =
      (word ?? "") + (single ?? (double === undefined ? undefined : filled(double)) ?? escaped ?? filled(plain ?? ""));
  }
  if (word !== undefined) words.push(word);
  return words;
}

const assignment = /^([A-Za-z_]\w*)=(.*)$/s;

function isOldPath(word: string): boolean {
  return /^\$\{?PATH\}?$/.test(word);
}

function pathOf(value: string): Wrapper["path"] {
  const folders = value.replace(/\$\{PATH:?[-=][^}]*\}/g, "$PATH").split(":");
  const named = folders.filter((one) => !isOldPath(one));
  return /[$`]/.test(named.join("")) ? undefined : { folders: named, keepsOld: folders.some(isOldPath) };
}

function isPrinting([first]: readonly string[], line: string): boolean {
  return (first === "echo" || first === "printf") && !/>&?\s*(?:2|\/dev\/)/.test(line);
}

/** The program in `[ -x FILE ] || exit` and the like. */
function requiredProgram(
  [first, option, file]: readonly string[],
  line: number,
  lines: readonly string[],
): Wrapper["required"] {
  const isTest = (first === "[" || first === "test") && option === "-x";
  if (!isTest || file?.startsWith("/") !== true) return undefined;
  return /\|\|.*\bexit\b/.test(lines[line - 1] ?? "") ? { file, line } : undefined;
}

function isCommand(first: string): boolean {
  return first === "exec" || first.startsWith("/") || first === "node" || first.startsWith("tsgi");
}

interface Statement {
  readonly text: string;
  readonly line: number;
}

/** The simple commands of a script, up to the first that is none. */
function* statements(lines: readonly string[]): Generator<Statement> {
  for (const [index, raw] of lines.entries()) {
    const line = raw.trim();
    if (line === "" || line.startsWith("#")) continue;
    if (/^(?:if|case|for|while|until|\{|\()(?:\s|$)/.test(line)) return;
    for (const text of line.split(/\s*(?:;|&&|\|\|)\s+|;$/)) if (text !== "") yield { text, line: index + 1 };
  }
}

export function readWrapper(text: string): Wrapper {
  const variables: Record<string, string> = {};
  const lines = text.split("\n");
  const found = {
    path: pathOf("$PATH"),
    folder: undefined as string | undefined,
    printingLine: undefined as number | undefined,
    required: undefined as Wrapper["required"],
  };
  const withoutAssignments = (words: readonly string[]): readonly string[] => {
    const [, name, value = ""] = assignment.exec(words[0] ?? "") ?? [];
    if (name === undefined) return words;
    if (name === "PATH") found.path = pathOf(value);
    else variables[name] = value;
    return withoutAssignments(words.slice(1));
  };
  const carriageReturn = lines.findIndex((line) => line.endsWith("\r"));
  const carriageReturnLine = carriageReturn === -1 ? undefined : carriageReturn + 1;
  for (const statement of statements(lines)) {
    const all = shellWords(statement.text, variables);
    const words = withoutAssignments(all[0] === "export" ? all.slice(1) : all);
    const [first = "", second] = words;
    if (first === "." || first === "source" || first === "eval") found.path = undefined;
    if (first === "cd") found.folder = second;
    found.required ??= requiredProgram(words, statement.line, lines);
    if (isPrinting(words, statement.text)) found.printingLine ??= statement.line;
    if (!isCommand(first)) continue;
    const command = first === "exec" ? words.slice(1) : words;
    return { command, ...found, variables, carriageReturnLine, commandLine: statement.line };
  }
  // A script that runs nothing else is the program itself, and prints its headers.
  return { command: [], ...found, printingLine: undefined, variables, carriageReturnLine, commandLine: 0 };
}
