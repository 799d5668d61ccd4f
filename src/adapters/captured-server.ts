// The application that an http.Server is which was let listen by its own script.
// Rule: while the application has closed it, requests are answered with 503.

import type { Server } from "node:http";
import { StoppingError } from "../errors.ts";
import type { Application } from "../spec.ts";
import { isClosed } from "./listen-capture.ts";
import { fromServer } from "./node-handler.ts";

export function fromCapturedServer(server: Server): Application {
  const application = fromServer(server);
  return (environ, startResponse) => {
    if (isClosed(server)) throw new StoppingError("the application has closed its server");
    return application(environ, startResponse);
  };
}
