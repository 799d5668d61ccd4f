// What a code of a log line or an error means (`tsgi explain`).
// Rules: data only; a code never changes its meaning, and one that is no longer used is not given to anything else. A page is
// written for whoever runs the server: what happened, why it usually does, what to do.

export interface CodePage {
  /** Ours are TSGI and four digits; the others are Apache's, one for each module that has a code of its own for it. */
  readonly codes: readonly string[];
  /** Matches a line of Apache's error log that has no code. */
  readonly pattern?: RegExp;
  readonly title: string;
  readonly meaning: string;
  readonly causes: readonly string[];
  readonly remedies: readonly string[];
}
