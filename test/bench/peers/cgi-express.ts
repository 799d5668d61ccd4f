// Express under CGI as somebody would do it by hand: a request made of the variables, and the response as it is printed.
import { IncomingMessage, ServerResponse, type RequestListener } from "node:http";
import { Socket } from "node:net";
import { Writable } from "node:stream";
import app from "./express-app.ts";

const request = new IncomingMessage(new Socket());
request.method = process.env["REQUEST_METHOD"] ?? "GET";
request.url = `${process.env["PATH_INFO"] ?? "/"}?${process.env["QUERY_STRING"] ?? ""}`;
request.headers = { host: process.env["HTTP_HOST"] ?? "localhost" };
request.push(null);

const parts: Buffer[] = [];
const output = new Writable({
  write(part: Buffer, _encoding, done): void {
    parts.push(part);
    done();
  },
});
const response = new ServerResponse(request);
response.shouldKeepAlive = false;
response.sendDate = false;
response.assignSocket(output as Socket);
response.once("finish", () => {
  const text = Buffer.concat(parts).toString("latin1");
  process.stdout.write(text.replace(/^HTTP\/1\.1/u, "Status:").replace("Connection: close\r\n", ""), "latin1");
});
(app as unknown as RequestListener)(request, response);
