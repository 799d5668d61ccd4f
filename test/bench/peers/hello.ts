// The smallest application: what a start and a request of it cost is what tsgi costs.
import type { Application } from "tsgi";

export const application: Application = (_environ, startResponse) => {
  startResponse("200 OK", [
    ["Content-Type", "text/plain"],
    ["Content-Length", "12"],
  ]);
  return "Hello World!";
};
