// Why a worker's process ended.
import { expect, test } from "vitest";
import type { ExitFacts } from "../../../src/supervisor/exit-cause.ts";
import { exitCause } from "../../../src/supervisor/exit-cause.ts";
import type { RestartCause } from "../../../src/supervisor/plan.ts";

const facts: ExitFacts = {
  code: 0,
  signal: null,
  intended: undefined,
  hasBooted: true,
  failure: undefined,
  isHeapFull: false,
  wasOomKilled: false,
};
const by = (signal: NodeJS.Signals): Partial<ExitFacts> => ({ code: null, signal });

test.each<[string, Partial<ExitFacts>, RestartCause, string]>([
  ["ended with code 0", {}, "exit", "the application ended the process: exit code 0"],
  ["ended with code 3", { code: 3 }, "exit", "the application ended the process: exit code 3"],
  ["got SIGKILL", by("SIGKILL"), "signal", "killed by SIGKILL from outside"],
  ["got SIGTERM", by("SIGTERM"), "signal", "killed by SIGTERM from outside"],
  ["got SIGINT", by("SIGINT"), "signal", "killed by SIGINT from outside"],
  ["got SIGHUP", by("SIGHUP"), "signal", "killed by SIGHUP from outside"],
  ["got SIGSEGV", by("SIGSEGV"), "crash", "crashed: SIGSEGV"],
  ["got SIGABRT", by("SIGABRT"), "crash", "crashed: SIGABRT"],
  ["got SIGBUS", by("SIGBUS"), "crash", "crashed: SIGBUS"],
  [
    "got SIGABRT with a full heap",
    { ...by("SIGABRT"), isHeapFull: true },
    "out-of-memory",
    "the JavaScript heap was full: SIGABRT",
  ],
  [
    "got SIGKILL when the system ran out of memory",
    { ...by("SIGKILL"), wasOomKilled: true },
    "out-of-memory",
    "the system killed it for its memory",
  ],
  [
    "got SIGTERM when the system ran out of memory",
    { ...by("SIGTERM"), wasOomKilled: true },
    "signal",
    "killed by SIGTERM from outside",
  ],
  [
    "ended when the system killed another for its memory",
    { code: 1, wasOomKilled: true },
    "exit",
    "the application ended the process: exit code 1",
  ],
  ["reported an error before", { code: 1, failure: "boom" }, "uncaught-error", "uncaught error: boom"],
  [
    "reported an error while it loaded",
    { code: 1, failure: "boom", hasBooted: false },
    "uncaught-error",
    "uncaught error: boom",
  ],
  [
    "ended while it loaded",
    { code: 1, hasBooted: false },
    "boot-failed",
    "ended while the application was loaded: exit code 1",
  ],
  [
    "crashed while it loaded",
    { ...by("SIGSEGV"), hasBooted: false },
    "boot-failed",
    "ended while the application was loaded: SIGSEGV",
  ],
  [
    "filled its heap while it loaded",
    { ...by("SIGABRT"), hasBooted: false, isHeapFull: true },
    "out-of-memory",
    "the JavaScript heap was full: SIGABRT",
  ],
])("a worker that %s: %#", (_, known, cause, text) => {
  expect(exitCause({ ...facts, ...known })).toEqual({ cause, text });
});

test.each<RestartCause>(["blocked", "reload", "memory-limit", "startup-timeout", "graceful-timeout", "boot-failed"])(
  "a cause that we gave ourselves goes before everything else: %s",
  (intended) => {
    const everything = { failure: "boom", isHeapFull: true, wasOomKilled: true, hasBooted: false };
    expect(exitCause({ ...facts, ...everything, ...by("SIGKILL"), intended })).toEqual({
      cause: intended,
      text: `${intended}: SIGKILL`,
    });
  },
);
