// What the doctor says: one finding, one line.
// Rules: a code that `tsgi explain` knows, what is wrong with the file and its line, and one remedy that can be typed or pasted.
// What could not be looked at is a note that says so; nothing is guessed.

/** error: it does not work. warning: it will not work, or is dangerous. note: good to know. ok: looked at and fine. */
export type Severity = "error" | "warning" | "note" | "ok";

export interface Finding {
  /** TSGI and four digits, or Apache's own code for a line of its error log. */
  readonly code: string;
  readonly severity: Severity;
  /** A file, with ":" and the line where there is one; a URL. */
  readonly place: string;
  readonly message: string;
  /** A command or a line to paste; "" where there is nothing to do. */
  readonly remedy: string;
}

/** Text of others as part of one line: without control characters, and cut. */
export function oneLine(text: string, limit = 300): string {
  // oxlint-disable-next-line no-control-regex -- these are what has to go
  const clean = text.replace(/[\u0000-\u001F\u007F-\u009F]+/g, " ").trim();
  return clean.length <= limit ? clean : `${clean.slice(0, limit)}...`;
}

/** True when there is something to mend. */
export function isTrouble({ severity }: Finding): boolean {
  return severity === "error" || severity === "warning";
}

/** The same thing is said once. */
export function withoutRepeats(findings: readonly Finding[]): Finding[] {
  const seen = new Set<string>();
  return findings.filter(({ code, place, message }) => {
    const key = `${code}\n${place}\n${message}`;
    if (seen.has(key)) return false;
    seen.add(key);
    return true;
  });
}

export function findingLine({ code, severity, place, message, remedy }: Finding): string {
  const advice = remedy === "" ? "" : `; remedy: ${remedy}`;
  return oneLine(`${severity.padEnd(7)} ${code} ${place}: ${message}${advice}`, 1_500);
}
