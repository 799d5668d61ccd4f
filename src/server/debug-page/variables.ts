// The environ for the page: variables that came in, without what could be used by whoever looks over a shoulder.

import type { Variables } from "../../gateway/environ.ts";
import { decodeText } from "../../gateway/text.ts";
import { isSecretName } from "../../log/redact.ts";

const hidden = "(hidden)";

const secretWord =
  /pass(?:w(?:or)?d|phrase)?(?![a-z])|secret|token|api_?key|credential|private_?key|session|jwt|bearer/i;
const maxChars = 2000;

function isSecret(name: string): boolean {
  return isSecretName(name) || secretWord.test(name);
}

/** Passwords in URLs, and the values of parameters whose names are secret. */
function withoutSecrets(text: string): string {
  return text
    .replace(/(\b[a-z][a-z0-9+.-]*:\/\/)[^\s/@]*@/gi, `$1${hidden}@`)
    .replace(/(^|[?&;])([^=&;?\s]+)=[^&;\s]*/g, (whole, before: string, name: string) =>
      isSecret(name) ? `${before}${name}=${hidden}` : whole,
    );
}

/** Names and values, by name. The variables may have become an environ: what is no text there is left out. */
export function showVariables(variables: Variables): ReadonlyArray<readonly [name: string, value: string]> {
  return Object.entries(variables)
    .filter(([, value]: [string, unknown]) => typeof value === "string")
    .map(([name, value]): readonly [string, string] => {
      const text = isSecret(name) ? hidden : withoutSecrets(decodeText(value));
      return [decodeText(name), text.length > maxChars ? `${text.slice(0, maxChars)}...` : text];
    })
    .sort(([left], [right]) => (left < right ? -1 : 1));
}
