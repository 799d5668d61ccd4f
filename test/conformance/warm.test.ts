// The rows through relays to a warm daemon: the visitor sees no difference. The relay in Perl runs all of them; what is the
// relay's own, bodies, broken responses and logs, runs through that in Node and through mod_fcgid as well.
import { conform } from "./conform.ts";
import { rows } from "./rows.ts";
import { warmCgi, warmCgiWithoutPerl, warmFcgid } from "./ways.ts";

const others = rows
  .filter(
    ({ request, expect: { complete, log } }) => (request?.body ?? request?.chunks ?? complete ?? log) === undefined,
  )
  .map(({ name }) => name);

conform("cgi_warm", warmCgi, [/^\{"level":/u, /row: |^l+/u]);
conform("cgi_warm", warmCgiWithoutPerl, [/^\{"level":/u, /row: |^l+/u], others);
conform("fcgid_warm", warmFcgid, [/mod_fcgid: stderr: (?:row: |l+)/u, /^\{"level":/u, /row: |^l+/u], others);
