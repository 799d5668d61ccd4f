// Which part of the URL is the script and which part is left for it: rest.ts/custompath
import { decodeText } from "tsgi";
import type { Application } from "tsgi";

export const application: Application = (environ, startResponse) => {
  const output = Buffer.from(
    [
      "Hello World!",
      `PATH_INFO = ${decodeText(environ.PATH_INFO)}`,
      `SCRIPT_NAME = ${decodeText(environ.SCRIPT_NAME)}`,
      "",
    ].join("\n"),
  );
  startResponse("200 OK", [
    ["Content-Type", "text/plain; charset=utf-8"],
    ["Content-Length", String(output.length)],
  ]);
  return [output];
};
