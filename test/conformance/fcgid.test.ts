import { conform } from "./conform.ts";
import { fcgid } from "./ways.ts";

conform("fcgid", fcgid, [/mod_fcgid: stderr: (?:row: |l+)/u, /^\{"level":/u, /row: |^l+/u]);
