// How large a form may be, and what else an application may choose for it.
// Rules: every limit has a default that is safe for a page open to everybody; Infinity lifts one.

import type { Writable } from "node:stream";
import { ContractError } from "../errors.ts";

/** Beyond any of these the form is a FormLimitError that names the limit. */
export interface FormLimits {
  /** Fields and files together. Default 1,000. */
  readonly parts: number;
  /** Files, those that the visitor left empty included. Default 100. */
  readonly files: number;
  /** Bytes of one field's value. Default 1 MiB. */
  readonly fieldBytes: number;
  /** Bytes of all fields' values together. Default 10 MiB. */
  readonly totalFieldBytes: number;
  /** Bytes of one file. Default 100 MiB. Apache's LimitRequestBody bounds the whole body. */
  readonly fileBytes: number;
  /** Bytes of one part's headers, and of what precedes the first or follows the last boundary. Default 16 KiB. */
  readonly headerBytes: number;
  /** Bytes of the name of a field or file. Default 1 KiB. */
  readonly nameBytes: number;
}

/** What the client says of a file. The name is for display: it is no path and need not be unique. */
export interface FileInfo {
  /** The name of the form's control. */
  readonly name: string;
  /** The last part of the name that the client gives; "" when it gives none. */
  readonly filename: string;
  /** Type and subtype as the client sent them, in lower case; "application/octet-stream" when it sent none. */
  readonly mimeType: string;
}

export interface FormOptions extends Partial<FormLimits> {
  /** The charset of fields and names that name none themselves, by its WHATWG label. Default "utf-8". */
  readonly charset?: string;
  /** Absolute path of the folder in which temporary files get a folder of their own. Default the system's (TMPDIR). */
  readonly directory?: string;
  /**
   * Where a file of the collected form goes: the absolute path of a file that does not exist yet, a stream that takes the
   * bytes and is ended, or undefined for a temporary file. What it names is not removed at the request's end.
   */
  readonly storeFile?: (file: FileInfo) => string | Writable | undefined;
}

const defaults: FormLimits = Object.freeze({
  parts: 1000,
  files: 100,
  fieldBytes: 1024 * 1024,
  totalFieldBytes: 10 * 1024 * 1024,
  fileBytes: 100 * 1024 * 1024,
  headerBytes: 16 * 1024,
  nameBytes: 1024,
});

function checkLimit(name: string, value: unknown): number {
  if (typeof value === "number" && value >= 0) return value;
  throw new ContractError(`the form limit ${name} must be a number from 0 on, not ${String(value)}`);
}

/** The limits to use. Throws ContractError for a value that is none. */
export function limitsOf(options: Partial<FormLimits>): FormLimits {
  const limit = (name: keyof FormLimits): number => checkLimit(name, options[name] ?? defaults[name]);
  return {
    parts: limit("parts"),
    files: limit("files"),
    fieldBytes: limit("fieldBytes"),
    totalFieldBytes: limit("totalFieldBytes"),
    fileBytes: limit("fileBytes"),
    headerBytes: limit("headerBytes"),
    nameBytes: limit("nameBytes"),
  };
}
