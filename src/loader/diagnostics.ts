// Failures of a compilation and of a module's own code, told in words that name file, line and column.
// Rules: lines count from 1 and columns from 1, as editors show them; nothing that we added to the text shows.
import { dirname, resolve } from "node:path";
import type { Location, Message } from "esbuild";
import { LoadError, messageOf } from "../errors.ts";
import { missingImport } from "./plugin.ts";
import type { Pass } from "./plugin.ts";
import type { ScopedText } from "./scope.ts";

/** Characters; a longer line is minified code, which helps nobody. */
const longestExcerpt = 300;

/** What esbuild threw as a LoadError: "failed-inside" for an import that leads nowhere, else "compile". */
export function describeBuildFailure(error: unknown, pass: Pass): LoadError {
  if (error instanceof LoadError) return error;
  const [first, ...others] = messagesOf(error);
  if (first === undefined) return new LoadError("compile", `the compiler esbuild failed: ${messageOf(error)}`, error);
  const more = others.length === 0 ? "" : `\n(and ${others.length} more ${others.length === 1 ? "error" : "errors"})`;
  const text = `${describeMessage(first, pass)}${more}`;
  if (first.detail !== missingImport) return new LoadError("compile", text, error);
  return new LoadError("failed-inside", `${pass.script} cannot be loaded: ${text}`, error);
}

function messagesOf(error: unknown): readonly Message[] {
  const isFailure = error instanceof Error && "errors" in error && Array.isArray(error.errors);
  return isFailure ? (error.errors as readonly Message[]) : [];
}

function describeMessage({ text, location, notes }: Message, pass: Pass): string {
  const note = notes.find((note) => note.text !== "")?.text;
  const sentence = note === undefined ? text : `${text} (${note.replace(/\s+/g, " ")})`;
  if (location === null) return `${pass.script}: ${sentence}`;
  const path = resolve(dirname(pass.script), location.file);
  const { line, text: lineText, column } = placeOf(location, pass.texts.get(path));
  const place = `${path}:${line}:${column + 1}: ${sentence}`;
  if (lineText.length > longestExcerpt) return place;
  return `${place}\n  ${lineText}\n  ${lineText.slice(0, column).replace(/[^\t]/g, " ")}^`;
}

/** The place in the author's file: without the scope that we put in front, and counted in characters. */
function placeOf(location: Location, scoped: ScopedText | undefined): { line: number; text: string; column: number } {
  const { line } = location;
  const addedBytes = scoped?.line === line ? scoped.addedBytes : 0;
  const bytes = Buffer.from(location.lineText).subarray(addedBytes);
  const column = bytes.toString("utf8", 0, Math.max(0, location.column - addedBytes)).length;
  return { line, text: bytes.toString("utf8"), column };
}
