// Header values of the form `value; name=value; name="value"` (RFC 2045 section 5.1, RFC 2183).
// Rules: what does not match the grammar is an error, a parameter given twice too: parsers that guess differently can be
// played against each other. Text is bytes as latin-1; `\"` and `\\` are escapes in a quoted value, any other backslash
// is one, as in the paths that old browsers send.

import { FormSyntaxError } from "../errors.ts";

/** A header value, taken apart. Names of parameters are in lower case. */
export interface ParameterizedValue {
  /** In lower case. */
  readonly value: string;
  readonly parameters: ReadonlyMap<string, string>;
}

const token = "[!#$%&'*+.^_`|~0-9A-Za-z-]+";
const quoted = '"([^"\\\\]*(?:\\\\[^][^"\\\\]*)*)"';
const valuePattern = new RegExp(`[ \\t]*(${token}(?:/${token})?)`, "y");
const strictParameter = new RegExp(`[ \\t]*;[ \\t]*(${token})=(?:${quoted}|(${token}))`, "y");
/** Boundaries have characters that a token may not have and are seldom quoted. */
const lenientParameter = new RegExp(`[ \\t]*;[ \\t]*(${token})=(?:${quoted}|([^\\s;",]+))`, "y");
const strictEnd = /[ \t]*$/y;
const lenientEnd = /[ \t;]*$/y;

function parse(text: string, header: string, isLenient: boolean): ParameterizedValue {
  const malformed = (): FormSyntaxError => new FormSyntaxError(`the header ${header} is malformed`);
  valuePattern.lastIndex = 0;
  const value = valuePattern.exec(text)?.[1];
  if (value === undefined) throw malformed();
  const pattern = isLenient ? lenientParameter : strictParameter;
  const parameters = new Map<string, string>();
  let end = valuePattern.lastIndex;
  for (;;) {
    pattern.lastIndex = end;
    const found = pattern.exec(text);
    if (found === null) break;
    end = pattern.lastIndex;
    const [, name = "", inQuotes, bare = ""] = found;
    if (parameters.has(name.toLowerCase())) throw new FormSyntaxError(`the header ${header} has ${name} twice`);
    parameters.set(name.toLowerCase(), inQuotes === undefined ? bare : inQuotes.replace(/\\(["\\])/g, "$1"));
  }
  const endPattern = isLenient ? lenientEnd : strictEnd;
  endPattern.lastIndex = end;
  if (!endPattern.test(text)) throw malformed();
  return { value: value.toLowerCase(), parameters };
}

/** Content-Disposition of a part. Throws FormSyntaxError. */
export function parseDisposition(text: string): ParameterizedValue {
  return parse(text, "Content-Disposition", false);
}

/** A Content-Type; values may be unquoted that ought to be quoted, and a last semicolon does no harm. */
export function parseContentType(text: string): ParameterizedValue {
  return parse(text, "Content-Type", true);
}
