// `--secret-file`: a secret that Apache sends with each request, so that only it can ask a daemon that listens on a network.
// Rules: compared in constant time, and gone from the variables before anything of the application can see it; never taken
// from a flag or a variable of the process, which others on the machine can read.

import { createHash, timingSafeEqual } from "node:crypto";
import { readFileSync, statSync } from "node:fs";
import { BootError, messageOf, PeerSecretError } from "../errors.ts";
import type { Variables } from "../gateway/environ.ts";

/** After an internal redirect Apache has a variable under another name too. */
const secretName = /^(?:REDIRECT_)*TSGI_SECRET$/;

function digest(text: string): Buffer {
  return createHash("sha256").update(text, "latin1").digest();
}

/**
 * The secret in a file: a word alone, or the line with which Apache includes it (`ProxyFCGISetEnvIf "true" TSGI_SECRET "..."`),
 * so that both can have the same file. Throws BootError.
 */
export function readSecret(file: string): string {
  let text: string;
  try {
    if ((statSync(file).mode & 0o007) !== 0) throw new Error("everybody may read it; chmod 600 it");
    text = readFileSync(file, "utf8");
  } catch (error) {
    throw new BootError(`--secret-file: ${file} cannot be used: ${messageOf(error)}`, error);
  }
  const [, secret] = /^(?:[^#\n]*\bTSGI_SECRET\s+)?"?([\w-]+)"?\s*$/m.exec(text.trim()) ?? [];
  if (secret === undefined || secret.length < 16) {
    throw new BootError(`--secret-file: ${file} needs a secret of at least 16 letters, digits, - and _`);
  }
  return secret;
}

/** Takes the secret out of the variables of a request, and throws PeerSecretError where it is not the right one. */
export function peerSecretCheck(secret: string): (variables: Variables) => void {
  const expected = digest(secret);
  return (variables) => {
    const given = variables["TSGI_SECRET"];
    for (const name of Object.keys(variables)) if (secretName.test(name)) delete variables[name];
    if (given === undefined || !timingSafeEqual(digest(given.trim()), expected)) {
      throw new PeerSecretError(given !== undefined);
    }
  };
}
