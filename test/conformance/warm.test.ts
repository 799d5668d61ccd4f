// The rows through relays to a warm daemon: the visitor sees no difference.
import { conform } from "./conform.ts";
import { warmCgi, warmCgiWithoutPerl, warmFcgid } from "./ways.ts";

conform("cgi_warm", warmCgi, [/^\{"level":/u, /row: |^l+/u]);
conform("cgi_warm", warmCgiWithoutPerl, [/^\{"level":/u, /row: |^l+/u]);
conform("fcgid_warm", warmFcgid, [/mod_fcgid: stderr: (?:row: |l+)/u, /^\{"level":/u, /row: |^l+/u]);
