// The least that a CGI script in Node can be.
import { writeSync } from "node:fs";

writeSync(1, "Status: 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 12\r\n\r\nHello World!");
