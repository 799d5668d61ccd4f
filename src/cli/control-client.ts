// What `tsgi status`, `reload` and `stop` share: which daemon is meant, asking it, and saying why there is no answer.
// Rules: the socket is the one of --control, or the one that belongs to the address the daemon listens on; an address on the
// command line means the daemon there, whatever control socket the environment or a file names; every wait ends at --timeout;
// what a daemon says is printed without control characters.

import { lstatSync } from "node:fs";
import type { Command } from "commander";
import { checkControlFolder, controlPaths } from "../config/control-path.ts";
import type { SettingName } from "../config/settings.ts";
import { parseDuration } from "../config/units.ts";
import { ConfigError, messageOf } from "../errors.ts";
import type { ControlOutcome } from "../supervisor/control-request.ts";
import { askControl } from "../supervisor/control-request.ts";
import { addSettings } from "./options.ts";
import { readControlSettings } from "./server-config.ts";

const names = ["configFile", "control", "listen"] as const satisfies readonly SettingName[];

const whichDaemon =
  "which daemon? Give --control unix:/path, or the --listen address of the daemon, or run this where its configuration file is";

/** A question to one daemon. */
export interface Inquiry {
  readonly path: string;
  readonly timeoutMs: number;
  /** As it was given. */
  readonly timeout: string;
}

/** Adds the options that say which daemon is meant, and how long to wait for it. */
export function addControlOptions(command: Command, timeout: string, waitsFor: string): Command {
  return addSettings(command, names).option("--timeout <time>", `how long to wait for ${waitsFor}`, timeout);
}

function parseTimeout(text: string): number {
  let timeoutMs: number;
  try {
    timeoutMs = parseDuration(text);
  } catch (error) {
    throw new ConfigError([`--timeout ${JSON.stringify(text)}: ${messageOf(error)}`]);
  }
  if (timeoutMs === 0) throw new ConfigError([`--timeout ${JSON.stringify(text)}: expected at least 1ms`]);
  return timeoutMs;
}

/** Throws ConfigError when nothing says which daemon is meant, BootError when its folder is not to be trusted. */
export async function readInquiry(command: Command): Promise<Inquiry> {
  const given = command.opts<{ timeout: string; control?: string; listen?: string }>();
  const { timeout } = given;
  const timeoutMs = parseTimeout(timeout);
  const { control, listen } = await readControlSettings(command, names);
  const isAddressMeant = given.listen !== undefined && given.control === undefined;
  if (control !== undefined && !isAddressMeant) return { path: control, timeoutMs, timeout };
  if (listen === undefined) throw new ConfigError([whichDaemon]);
  const paths = controlPaths(listen, process.env);
  const path = paths.find((candidate) => lstatSync(candidate, { throwIfNoEntry: false }) !== undefined) ?? paths[0];
  if (path === undefined)
    throw new ConfigError(["a descriptor does not say where the control socket is: give --control"]);
  checkControlFolder(path, process.env);
  return { path, timeoutMs, timeout };
}

export async function ask(inquiry: Inquiry, method: "GET" | "POST", target: string): Promise<ControlOutcome> {
  return await askControl({ path: inquiry.path, timeoutMs: inquiry.timeoutMs, method, target });
}

/** One line on why a question had no answer. */
export function describeSilence(
  { path, timeout }: Inquiry,
  outcome: Exclude<ControlOutcome, { kind: "answer" }>,
): string {
  switch (outcome.kind) {
    case "absent":
      return `no tsgi daemon answers: there is no control socket ${path}`;
    case "dead":
      return `no tsgi daemon answers on ${path}: the one that made it has ended`;
    case "silent":
      return `the daemon on ${path} did not answer within ${timeout}`;
    case "cut":
      return `the daemon on ${path} ended before it answered`;
    case "failed":
      return `cannot ask the daemon on ${path}: ${outcome.message}`;
  }
}

/** Prints what failed; gives the exit code. */
export function fail(message: string): number {
  process.stderr.write(`tsgi: ${message.trimEnd()}\n`);
  return 1;
}
