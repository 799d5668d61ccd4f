// Reads the vector files; test/vectors/README.md has the notation. It knows nothing of the code under test.
import { readFileSync } from "node:fs";
import { sortPairs } from "./wire.ts";

/** A step of a vector and the log entries that it must cause, in the form that `connection-log.ts` writes. */
export interface Step {
  readonly line: number;
  readonly action:
    | { readonly kind: "feed"; readonly bytes: Buffer }
    | { readonly kind: "eof" }
    | {
        readonly kind: "output";
        readonly id: number;
        readonly last: boolean;
        readonly head: string;
        readonly data: Buffer;
      }
    | { readonly kind: "stderr"; readonly id: number; readonly data: Buffer }
    | { readonly kind: "end"; readonly id: number; readonly appStatus: number; readonly protocolStatus: number };
  readonly expected: string[];
}

export interface Vector {
  readonly name: string;
  maxParamsBytes: number;
  readonly steps: Step[];
  /** Part of the reason why the connection dies at the last step. */
  error: string | undefined;
}

export function readVectors(file: string): Vector[] {
  const vectors: Vector[] = [];
  for (const [index, raw] of readFileSync(file, "utf8").split("\n").entries()) {
    const text = withoutComment(raw);
    if (text === "") continue;
    try {
      if (text.startsWith("== ")) {
        vectors.push({ name: text.slice(3), maxParamsBytes: 1_048_576, steps: [], error: undefined });
      } else {
        addLine(vectors.at(-1)!, text, index + 1);
      }
    } catch (error) {
      throw new Error(`${file}:${index + 1}: ${text}`, { cause: error });
    }
  }
  return vectors;
}

function addLine(vector: Vector, text: string, line: number): void {
  const [word = "", ...rest] = text.split(" ");
  const argument = rest.join(" ").trim();
  const step = vector.steps.at(-1);
  if (vector.error !== undefined) throw new Error("nothing can follow an error");
  if (word === "limit") vector.maxParamsBytes = Number(argument);
  else if (word === ">")
    vector.steps.push({ line, action: { kind: "feed", bytes: readBytes(argument) }, expected: [] });
  else if (word === "eof") vector.steps.push({ line, action: { kind: "eof" }, expected: [] });
  else if (word === "<") vector.steps.push({ line, action: readCommand(argument), expected: [] });
  else if (word === "error") vector.error = argument;
  else step!.expected.push(...readResult(word, argument));
}

function readCommand(text: string): Step["action"] {
  const [, verb, id, rest] = /^(\w+) (\d+) ?(.*)$/.exec(text)!;
  if (verb === "end") {
    const [appStatus, protocolStatus] = rest!.split(" ").map(Number);
    return { kind: "end", id: Number(id), appStatus: appStatus!, protocolStatus: protocolStatus! };
  }
  if (verb === "stderr") return { kind: "stderr", id: Number(id), data: readBytes(rest!) };
  if (verb !== "output") throw new Error(`unknown command "${verb}"`);
  const parts = /^(last)? ?(?:head (.*?))? ?(?:data (.*))?$/.exec(rest!)!;
  const head = readBytes(parts[2] ?? "").toString("latin1");
  return { kind: "output", id: Number(id), last: parts[1] === "last", head, data: readBytes(parts[3] ?? "") };
}

function readResult(word: string, argument: string): string[] {
  if (word === "begin" || word === "stdin-end" || word === "abort") return [`${word} ${argument}`];
  if (word === "reply" || word === "close") return [`${word} ${readBytes(argument).toString("hex")}`];
  if (word === "=") return [`sent ${readBytes(argument).toString("hex")}`];
  if (word === "stdin") {
    const [, id, bytes] = /^(\d+) (.*)$/.exec(argument)!;
    return [...readBytes(bytes!)].map((byte) => `stdin ${id} ${byte}`);
  }
  if (word !== "request") throw new Error(`unknown line "${word}"`);
  const [, who, pairs] = /^(\d+ \w+(?: keep)?) ?(.*)$/.exec(argument)!;
  return [`request ${who} ${JSON.stringify(readPairs(pairs!))}`];
}

const byteToken = /("(?:[^"\\]|\\.)*"|[0-9A-Fa-f]+)(?:\*(\d+))?/y;

function readPairs(text: string): [string, string][] {
  const pairs: [string, string][] = [];
  for (const [, name, value] of text.matchAll(/("(?:[^"\\]|\\.)*"\S*?)=("(?:[^"\\]|\\.)*"\S*)/g)) {
    pairs.push([readBytes(name!).toString("latin1"), readBytes(value!).toString("latin1")]);
  }
  return sortPairs(pairs);
}

/** Hex digits and quoted text, each with an optional count. */
function readBytes(text: string): Buffer {
  const parts: Buffer[] = [];
  for (let at = 0; at < text.length;) {
    if (text[at] === " ") {
      at += 1;
      continue;
    }
    byteToken.lastIndex = at;
    const match = byteToken.exec(text);
    if (match === null) throw new Error(`not bytes: ${text.slice(at)}`);
    const token = match[1]!;
    const bytes = token.startsWith('"') ? Buffer.from(unquote(token), "latin1") : Buffer.from(token, "hex");
    if (!token.startsWith('"') && token.length % 2 !== 0) throw new Error(`half a byte: ${token}`);
    for (let count = Number(match[2] ?? 1); count > 0; count -= 1) parts.push(bytes);
    at = byteToken.lastIndex;
  }
  return Buffer.concat(parts);
}

const escapes: Readonly<Record<string, string>> = { n: "\n", r: "\r", t: "\t", '"': '"', "\\": "\\" };

function unquote(token: string): string {
  return token.slice(1, -1).replaceAll(/\\(?:x([0-9a-fA-F]{2})|(.))/g, (_, hex: string | undefined, char: string) => {
    if (hex !== undefined) return String.fromCharCode(Number.parseInt(hex, 16));
    const escaped = escapes[char];
    if (escaped === undefined) throw new Error(`unknown escape \\${char}`);
    return escaped;
  });
}

function withoutComment(line: string): string {
  return line.replace(/^((?:[^"#]|"(?:[^"\\]|\\.)*")*)#.*$/, "$1").trim();
}
