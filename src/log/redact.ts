// What no log line may hold: the values of Authorization and cookie headers, wherever in its fields or its text they stand.
// Rules: the name decides, in any spelling (Cookie, HTTP_COOKIE, set-cookie, a pair of a header list, req.cookies); what is
// given is never changed, only copied; a value that is too large to be looked through is left out, not let through.

/** In place of a value. */
const redacted = "[redacted]";

const secretName = /(?:authorization|cookies?2?)$/i;

/** The logger itself cuts what is nested deeper than this. */
const maxDepth = 6;
/** Values in one line: more than any log line needs, and a millisecond's work. */
const maxValues = 10_000;

/** Whether the value of a header, variable or field of this name is kept out. */
export function isSecretName(name: string): boolean {
  return secretName.test(name);
}

/** Text and structures hold a secret; a boolean or a number such as `acceptsCookies` does not. */
function isHiding(value: unknown): boolean {
  return typeof value === "string" || (typeof value === "object" && value !== null);
}

/** As JSON would have it: what has a `toJSON` is what that gives. */
function shownAs(value: object): unknown {
  if (value instanceof Uint8Array || value instanceof Date) return undefined;
  return "toJSON" in value && typeof value.toJSON === "function" ? value.toJSON() : value;
}

class Redaction {
  #left = maxValues;

  copy(value: unknown, depth: number): unknown {
    if (typeof value === "string") return redactText(value);
    if (typeof value !== "object" || value === null) return value;
    this.#left -= 1;
    if (depth > maxDepth || this.#left < 0) return "[left out]";
    try {
      if (Array.isArray(value)) return this.#list(value, depth);
      const shown = shownAs(value);
      if (shown === undefined) return value;
      if (typeof shown !== "object" || shown === null) return shown;
      return Array.isArray(shown) ? this.#list(shown, depth) : this.#fields(shown, depth);
    } catch {
      return "[cannot be read]"; // a getter or toJSON of the application's
    }
  }

  /** Both `[["Cookie", "a=b"]]` and Node's `["Cookie", "a=b"]` name what follows. */
  #list(items: readonly unknown[], depth: number): unknown[] {
    return items.map((item, index) => {
      const before: unknown = index === 0 ? undefined : items[index - 1];
      const isNamed = typeof before === "string" && isSecretName(before) && isHiding(item);
      return isNamed ? redacted : this.copy(item, depth + 1);
    });
  }

  #fields(fields: object, depth: number): Record<string, unknown> {
    // Not by assignment: a field may be called "__proto__".
    return Object.fromEntries(
      Object.entries(fields).map(([name, value]: [string, unknown]) => {
        return [name, isSecretName(name) && isHiding(value) ? redacted : this.copy(value, depth + 1)];
      }),
    );
  }
}

/** The fields of a line, without secrets. Errors stay errors: whoever writes the line has a way to show them. */
export function redactFields(fields: Readonly<Record<string, unknown>>): Record<string, unknown> {
  const redaction = new Redaction();
  return Object.fromEntries(
    Object.entries(fields).map(([name, value]) => {
      if (isSecretName(name) && isHiding(value)) return [name, redacted];
      return [name, value instanceof Error ? value : redaction.copy(value, 1)];
    }),
  );
}

const secretText =
  /((?:authorization|cookies?2?)["']?\s*(?:=>|[:=,])(?!\s*(?:undefined|null|true|false)\b)\s*)("(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*'|\[[^\]]*\]|\{[^}]*\}|[^\n"'[{][^\n"']*)/gi;

/** Text such as a printed object or a header line, without secrets. */
export function redactText(text: string): string {
  return text.replace(secretText, `$1${redacted}`);
}
