// The smallest application: plain text with its length.
import type { Application } from "tsgi";

export const application: Application = (_environ, startResponse) => {
  const output = Buffer.from("Hello World!");
  startResponse("200 OK", [
    ["Content-Type", "text/plain"],
    ["Content-Length", String(output.length)],
  ]);
  return [output];
};
