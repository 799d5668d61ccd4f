// The module that `importing.ts` imports.
import { decodeText } from "tsgi";
import type { Environ } from "tsgi";

export function run(environ: Environ): string {
  return `just saying I did it, for ${environ.REQUEST_METHOD} ${decodeText(environ.SCRIPT_NAME)}\n`;
}
