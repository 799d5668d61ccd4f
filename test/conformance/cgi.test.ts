import { conform } from "./conform.ts";
import { cgi } from "./ways.ts";

conform("cgi", cgi, [/^\{"level":/u, /row: |^l+/u]);
