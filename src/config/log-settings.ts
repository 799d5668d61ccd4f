// The part of the table of settings that is about what is logged, and what a failure shows.
// Rules: as in settings.ts, of whose one table these are a part.

import { parseSwitch, parseText } from "./parsers.ts";
import { definePerGroup } from "./setting.ts";

const noText: string | undefined = undefined;

/** A part of the table in settings.ts. */
export const logSettings = {
  logFile: definePerGroup({
    flag: "log-file",
    placeholder: "file",
    default: noText,
    defaultText: undefined,
    help: "file for the log in place of stderr; SIGUSR1 opens it again after it was moved away",
    parse: parseText,
    place: "path",
  }),
  hasAccessLog: definePerGroup({
    flag: "access-log",
    placeholder: undefined,
    default: false,
    defaultText: undefined,
    help: "log every request",
    parse: parseSwitch,
  }),
  errorPage: definePerGroup({
    flag: "error-page",
    placeholder: "file",
    default: noText,
    defaultText: undefined,
    help: "HTML for failed requests, with {{status}}, {{reason}} and {{request_id}} in it",
    parse: parseText,
    place: "path",
  }),
  isDebug: definePerGroup({
    flag: "debug",
    placeholder: undefined,
    default: false,
    defaultText: undefined,
    help: "show sources and causes of a failure to requests from this machine; never on a server for others",
    parse: parseSwitch,
  }),
  hasTracing: definePerGroup({
    flag: "otel",
    placeholder: "on|off",
    default: true,
    defaultText: "on",
    help: "spans for requests, where the application has set OpenTelemetry up",
    parse: parseSwitch,
  }),
};
