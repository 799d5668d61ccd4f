// What the lines of an Apache error log, or of suEXEC's, mean: one finding for each kind, with how often and when it was last.
// Rules: a log is read from its end, so much and no more; its text is never shown raw, since visitors write into it.

import { closeSync, fstatSync, openSync, readSync, statSync } from "node:fs";
import { findPages } from "../codes/find.ts";
import type { CodePage } from "../codes/page.ts";
import { ConfigError, messageOf } from "../errors.ts";
import type { Finding, Severity } from "./finding.ts";
import { oneLine } from "./finding.ts";

/** Of a longer log only the end is read. */
const maxBytes = 8 * 1024 * 1024;
const maxLineLength = 2_000;

/** The text of programs, which is no failure of Apache's by itself. */
const harmless = new Set(["AH01215", "AH01071"]);
/** Lines without a code of Apache's, behind each of which a visitor got an error. */
const failures = new Set([
  "TSGI3580",
  "TSGI3581",
  "TSGI3582",
  "TSGI3583",
  "TSGI3584",
  "TSGI3585",
  "TSGI3586",
  "TSGI3587",
  "TSGI3588",
  "TSGI3590",
  "TSGI3591",
  "TSGI3592",
  "TSGI3593",
  "TSGI3594",
  "TSGI3595",
  "TSGI3596",
  "TSGI3597",
  "TSGI3598",
  "TSGI3599",
]);

/** What the number before "exec of" says. */
const execCauses: Readonly<Record<string, readonly [cause: string, remedy: string]>> = {
  "2": [
    "the interpreter of its first line is not there, or the line ends in CR LF",
    "sed -i 's/\\r$//' FILE; put the path of a program that is there behind #!",
  ],
  "8": [
    "it has no #! line, or a byte order mark before it",
    "begin the file with #! and the path of its interpreter, without a byte order mark",
  ],
  "13": [
    "it, or its interpreter, may not be run by the user that Apache runs it as",
    "chmod 755 FILE, and chmod o+x the folders above it and its interpreter",
  ],
};

interface Seen {
  readonly code: string;
  readonly page: CodePage;
  /** The same code with another cause is another kind. */
  readonly cause: string;
  readonly remedy: string;
  count: number;
  last: string;
}

function readEnd(file: string): { readonly text: string; readonly isCut: boolean } {
  let descriptor: number;
  try {
    // Opening a named pipe would wait for a writer.
    if (!statSync(file).isFile()) throw new ConfigError([`--error-log ${file}: this is no file`]);
    descriptor = openSync(file, "r");
  } catch (error) {
    throw error instanceof ConfigError ? error : new ConfigError([`--error-log: ${messageOf(error)}`]);
  }
  try {
    const status = fstatSync(descriptor);
    const start = Math.max(0, status.size - maxBytes);
    const buffer = Buffer.alloc(Math.min(status.size, maxBytes));
    const length = readSync(descriptor, buffer, 0, buffer.length, start);
    const text = buffer.toString("latin1", 0, length);
    return { text: start === 0 ? text : text.slice(text.indexOf("\n") + 1), isCut: start > 0 };
  } finally {
    closeSync(descriptor);
  }
}

function kindOf(line: string, page: CodePage): Omit<Seen, "count" | "last"> {
  const code = page.codes.find((one) => line.includes(one)) ?? page.codes[0] ?? "";
  const number = code === "AH01241" ? /\((\d+)\)[^:]*: AH01241/.exec(line)?.[1] : undefined;
  const [cause, remedy] = execCauses[number ?? ""] ?? [page.title, page.remedies[0] ?? ""];
  return { code, page, cause, remedy };
}

function severityOf({ code }: Seen): Severity {
  if (harmless.has(code) || code.startsWith("TSGI1")) return "note";
  return failures.has(code) || /^(?:AH|TSGI)/.test(code) ? "error" : "note";
}

/** The findings of a log, what was last first. Throws ConfigError when it cannot be read. */
export function errorLogFindings(file: string): Finding[] {
  const { text, isCut } = readEnd(file);
  const seen = new Map<string, Seen>();
  for (const raw of text.split("\n")) {
    const line = raw.slice(0, maxLineLength);
    for (const page of line === "" ? [] : findPages(line)) {
      const kind = kindOf(line, page);
      const key = `${kind.code} ${kind.cause}`;
      const found = seen.get(key) ?? { ...kind, count: 0, last: "" };
      found.count += 1;
      found.last = line;
      seen.delete(key);
      seen.set(key, found);
    }
  }
  const findings = [...seen.values()].toReversed().map((one): Finding => {
    const times = one.count === 1 ? "once" : `${one.count} times`;
    return {
      code: one.code,
      severity: severityOf(one),
      place: file,
      message: `${times}: ${one.cause}; last: ${oneLine(one.last, 240)}`,
      remedy: one.remedy,
    };
  });
  if (!isCut) return findings;
  return [
    ...findings,
    {
      code: "TSGI3549",
      severity: "note",
      place: file,
      message: `only its last ${maxBytes / 1024 / 1024} MiB were read`,
      remedy: "",
    },
  ];
}
