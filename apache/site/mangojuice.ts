// The Super High Tech Juice company: a file becomes a URL, and bytes become a page.
import type { Application } from "tsgi";

export const application: Application = (_environ, startResponse) => {
  const status = "200 OK";
  const message = Buffer.from("Hello World");
  const responseHeaders = [["Content-Type", "text/html"]] as const;
  startResponse(status, responseHeaders);
  return [message];
};
