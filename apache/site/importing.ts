// An application whose work is done by a module beside it. No search path is needed: an import is relative to its file.
import type { Application } from "tsgi";
import { run } from "./saying.ts";

export const application: Application = (environ, startResponse) => {
  const output = Buffer.from(run(environ));
  startResponse("200 OK", [
    ["Content-Type", "text/plain; charset=utf-8"],
    ["Content-Length", String(output.length)],
  ]);
  return [output];
};
