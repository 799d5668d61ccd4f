// Apache configuration as text -> a tree of directives with their lines.
// Rules: as Apache reads it: a backslash ends no line, quotes hold words together, names have no letter case. What does not close
// is a problem with its line; nothing else is judged here.

export interface ReadDirective {
  readonly name: string;
  readonly args: readonly string[];
  readonly file: string;
  readonly line: number;
  /** Of a section such as <Directory>; its name is without brackets. */
  readonly children?: readonly ReadDirective[];
}

export interface TextProblem {
  readonly line: number;
  readonly message: string;
}

export interface ReadText {
  readonly directives: readonly ReadDirective[];
  readonly problems: readonly TextProblem[];
}

/** The words of a line, without their quotes. */
function wordsOf(text: string): string[] {
  const pattern = /"((?:[^"\\]|\\.)*)"?|'((?:[^'\\]|\\.)*)'?|(\S+)/g;
  return [...text.matchAll(pattern)].map(([, double, single, plain]) => {
    const quoted = double ?? single;
    return quoted === undefined ? (plain ?? "") : quoted.replace(/\\(["'\\])/g, "$1");
  });
}

interface LogicalLine {
  readonly text: string;
  readonly line: number;
}

function* logicalLines(text: string): Generator<LogicalLine> {
  let joined = "";
  let start = 0;
  for (const [index, physical] of text.split("\n").entries()) {
    const line = physical.replace(/\r$/, "");
    if (joined === "") start = index + 1;
    if (/(?:^|[^\\])\\$/.test(line)) {
      joined += line.slice(0, -1);
      continue;
    }
    const whole = (joined + line).trim();
    joined = "";
    if (whole !== "" && !whole.startsWith("#")) yield { text: whole, line: start };
  }
  if (joined.trim() !== "") yield { text: joined.trim(), line: start };
}

interface OpenSection {
  readonly name: string;
  readonly args: readonly string[];
  readonly line: number;
  readonly children: ReadDirective[];
}

/** Reads a configuration file or an .htaccess; bytes as latin-1. */
export function readDirectives(text: string, file: string): ReadText {
  const root: ReadDirective[] = [];
  const open: OpenSection[] = [];
  const problems: TextProblem[] = [];
  const into = (): ReadDirective[] => open.at(-1)?.children ?? root;
  const close = (): void => {
    const section = open.pop();
    if (section !== undefined) into().push({ ...section, file });
  };
  const closing = (name: string, line: number): void => {
    if (open.at(-1)?.name.toLowerCase() === name.toLowerCase()) close();
    else problems.push({ line, message: `</${name}> has no <${name}> before it` });
  };
  for (const { text: whole, line } of logicalLines(text)) {
    const closed = /^<\/\s*([^>\s]*)\s*>/.exec(whole)?.[1];
    const section = /^<\s*([^\s>]+)\s*(.*?)\s*>?$/.exec(whole);
    const [name = "", ...args] = wordsOf(whole);
    if (closed !== undefined) {
      closing(closed, line);
    } else if (section === null) {
      into().push({ name, args, file, line });
    } else {
      const [, title = "", rest = ""] = section;
      if (!whole.endsWith(">")) problems.push({ line, message: `<${title} is missing its closing ">"` });
      open.push({ name: title, args: wordsOf(rest), line, children: [] });
    }
  }
  for (const { name, line } of open) problems.push({ line, message: `<${name}> is never closed with </${name}>` });
  while (open.length > 0) close();
  return { directives: root, problems };
}
