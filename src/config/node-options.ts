// Options of Node for worker processes: which may be given, and how a line of them is taken apart.
// Rules: an option is one word, `--name` or `--name=value`: a value that is a word of its own could be taken for the program
// that a worker runs. What would run something else than the worker, or wait for a person, is refused, and so is what has a
// setting of its own.

const notAWorker = "it makes Node do something else than run a worker";
const waits = "a worker would wait for a debugger until its startup timeout; --inspect=0 does not wait";

const refused: Readonly<Record<string, string>> = {
  "build-sea": notAWorker,
  "build-snapshot": notAWorker,
  "build-snapshot-config": notAWorker,
  check: notAWorker,
  "completion-bash": notAWorker,
  "entry-url": notAWorker,
  eval: notAWorker,
  "experimental-entry-url": notAWorker,
  "experimental-eval": notAWorker,
  "experimental-sea-config": notAWorker,
  help: notAWorker,
  "input-type": notAWorker,
  "inspect-brk": waits,
  "inspect-brk-node": waits,
  "inspect-wait": waits,
  interactive: notAWorker,
  "max-old-space-size": "use the setting max-old-space-size",
  print: notAWorker,
  "prof-process": notAWorker,
  run: notAWorker,
  test: notAWorker,
  title: "use the setting process-title",
  "v8-options": notAWorker,
  version: notAWorker,
  watch: "use the setting reload",
  "watch-path": "use the setting reload",
};

function check(option: string): void {
  const [, name] = /^--([A-Za-z][A-Za-z0-9_.-]*)(?:=[^\0]*)?$/s.exec(option) ?? [];
  if (name === undefined) {
    const shown = JSON.stringify(option);
    throw new Error(`expected options such as --expose-gc or --import=./file.mjs, but ${shown} is none`);
  }
  const plain = name.replaceAll("_", "-").toLowerCase();
  const why = plain.startsWith("test-") || plain.startsWith("experimental-test") ? notAWorker : refused[plain];
  if (why !== undefined) throw new Error(`--${plain} cannot be given to workers: ${why}`);
}

/** The options as they are. Throws an Error that names the first one that cannot be given. */
export function parseNodeOptions(options: readonly string[]): readonly string[] {
  for (const option of options) check(option);
  return options;
}

/** Options in one text, as NODE_OPTIONS has them: with blanks between them, and double quotes around what has blanks. */
export function parseNodeOptionsText(text: string): readonly string[] {
  const words: string[] = [];
  let word: string | undefined;
  let isQuoted = false;
  for (let index = 0; index < text.length; index += 1) {
    const char = text.charAt(index);
    if (char === '"') {
      isQuoted = !isQuoted;
      word ??= "";
    } else if (!isQuoted && /\s/.test(char)) {
      if (word !== undefined) words.push(word);
      word = undefined;
    } else {
      if (char === "\\" && isQuoted) index += 1;
      word = (word ?? "") + text.charAt(index);
    }
  }
  if (isQuoted) throw new Error("expected a closing double quote");
  if (word !== undefined) words.push(word);
  return parseNodeOptions(words);
}
