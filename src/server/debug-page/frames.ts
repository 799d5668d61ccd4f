// The calls that an error's stack names, and whose code each of them is.
// Rules: the stack is text that a message is part of, and a message may hold anything that a client has sent: only what
// follows the message is read.

import { join, sep } from "node:path";
import { fileURLToPath } from "node:url";
import { packageRoot } from "../../loader/package.ts";

export interface Frame {
  /** The function, or "" at the top of a module. */
  readonly name: string;
  /** Absolute path, or what stands in its place, such as "node:fs". */
  readonly file: string;
  /** Both count from 1; 0 where the stack does not say. */
  readonly line: number;
  readonly column: number;
  /** The application's own code is what its author wants to see first. */
  readonly isApplications: boolean;
}

const maxFrames = 40;
const framePattern = /^ {4}at (?:(.*) \()?((?:file:\/\/|node:|\/|<)[^()]*?)(?::(\d+):(\d+))?\)?$/;
const ourFolders = [join(packageRoot, "dist"), join(packageRoot, "src")];

function pathOf(place: string): string {
  if (!place.startsWith("file:")) return place;
  try {
    return fileURLToPath(place.replace(/[?#].*$/s, ""));
  } catch {
    return place;
  }
}

function isApplications(file: string): boolean {
  if (!file.startsWith("/") || file.includes(`${sep}node_modules${sep}`)) return false;
  return !ourFolders.some((folder) => file.startsWith(folder + sep));
}

function readFrame(text: string): Frame[] {
  const match = framePattern.exec(text);
  if (match === null) return [];
  const [, name = "", place = "", line = "0", column = "0"] = match;
  const file = pathOf(place);
  return [{ name, file, line: Number(line), column: Number(column), isApplications: isApplications(file) }];
}

/** The calls, innermost first. */
export function framesOf(stack: string, message: string): readonly Frame[] {
  const found = message === "" ? 0 : stack.indexOf(message);
  const text = found === -1 ? "" : stack.slice(found + message.length);
  return text.split("\n").slice(1).flatMap(readFrame).slice(0, maxFrames);
}
