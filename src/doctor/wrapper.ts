// A small shell script that starts an application: what it sets and what it runs, as far as that can be read.
// Rules: read, never run. Lines that are more than assignments, cd, export and one command are not understood and not judged.

export interface Wrapper {
  /** The words of the command that it ends in; empty when there is none that can be read. */
  readonly command: readonly string[];
  /** Folders that it puts before the PATH, or the whole PATH. */
  readonly path: { readonly folders: readonly string[]; readonly keepsOld: boolean };
  /** Of its variables those that were assigned plainly. */
  readonly variables: Readonly<Record<string, string>>;
  /** Where it changes to. */
  readonly folder: string | undefined;
  /** The number of the first line that prints to standard output before the command. */
  readonly printingLine: number | undefined;
  /** The number of the first line that ends in CR LF. */
  readonly carriageReturnLine: number | undefined;
  readonly commandLine: number;
}

/** The words of a simple shell command; variables that are known are filled in. */
export function shellWords(text: string, variables: Readonly<Record<string, string>>): string[] {
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

export function readWrapper(text: string): Wrapper {
  const variables: Record<string, string> = {};
  let path = { folders: [] as string[], keepsOld: true };
  let folder: string | undefined;
  let printingLine: number | undefined;
  let carriageReturnLine: number | undefined;
  let command: readonly string[] = [];
  let commandLine = 0;
  const assign = (name: string, value: string): void => {
    if (name !== "PATH") {
      variables[name] = value;
      return;
    }
    const folders = value.split(":");
    const isOld = (one: string): boolean => /^\$\{?PATH\}?$/.test(one);
    path = { folders: folders.filter((one) => !isOld(one)), keepsOld: folders.some(isOld) };
  };
  for (const [index, raw] of text.split("\n").entries()) {
    if (raw.endsWith("\r")) carriageReturnLine ??= index + 1;
    const line = raw.trim();
    if (line === "" || line.startsWith("#")) continue;
    let words = shellWords(line, variables);
    if (words[0] === "export") words = words.slice(1);
    while (assignment.test(words[0] ?? "")) {
      const [, name = "", value = ""] = assignment.exec(words[0] ?? "") ?? [];
      assign(name, value);
      words = words.slice(1);
    }
    const [first = "", second = ""] = words;
    if (first === "cd") folder = second;
    if ((first === "echo" || first === "printf") && !/>&?\s*(?:2|\/dev\/)/.test(line)) printingLine ??= index + 1;
    const isCommand = first === "exec" || first.startsWith("/") || first === "node" || first.startsWith("tsgi");
    if (!isCommand) continue;
    command = first === "exec" ? words.slice(1) : words;
    commandLine = index + 1;
    break;
  }
  return { command, path, variables, folder, printingLine, carriageReturnLine, commandLine };
}
