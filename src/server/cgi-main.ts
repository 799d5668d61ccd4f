// The CGI program as an ES module: where nothing is bundled, and behind the relay.

import { runCgiProgram } from "./cgi-program.ts";

await runCgiProgram();
