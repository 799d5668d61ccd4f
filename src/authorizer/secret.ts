// Keeps a password out of what is told of an error.
// Rules: what a script throws is logged as it is unless the password stands in it, in any of the forms that a database driver
// or a request library would show it in; then only its name is left.

import { inspect } from "node:util";

/** How a password may be written in a message. */
function formsOf(user: string, password: string): readonly string[] {
  const bytes = Buffer.from(password);
  return [
    password,
    bytes.toString("latin1"),
    JSON.stringify(password).slice(1, -1),
    inspect(password).slice(1, -1),
    encodeURIComponent(password),
    bytes.toString("base64").replace(/=+$/, ""),
    Buffer.from(`${user}:${password}`).toString("base64").replace(/=+$/, ""),
  ];
}

/** The error to tell of: `error` itself, or one in its place when it shows the password. */
export function withoutPassword(error: unknown, user: string, password: string): unknown {
  if (password === "") return error;
  const all = inspect(error, { depth: 6, maxStringLength: Infinity, maxArrayLength: Infinity });
  const shown = error instanceof Error ? `${all}\n${error.message}` : all;
  const forms = formsOf(user, password);
  if (!forms.some((form) => shown.includes(form))) return error;
  const name = error instanceof Error ? error.name : typeof error;
  const safe = forms.some((form) => name.includes(form)) ? "an error" : name;
  return new Error(`the check failed with ${safe}; the rest is left out, since the password stands in it`);
}
