// `tsgi stop`: ends a daemon; waits until its last request and its process have ended.

import type { Command } from "commander";
import { fieldOf } from "../supervisor/control-request.ts";
import { printable } from "../supervisor/status.ts";
import { addControlOptions, ask, describeSilence, fail, readInquiry } from "./control-client.ts";

async function run(command: Command): Promise<number> {
  const inquiry = await readInquiry(command);
  const outcome = await ask(inquiry, "POST", "/stop");
  if (outcome.kind === "silent") return fail(`the daemon on ${inquiry.path} still runs after ${inquiry.timeout}`);
  if (outcome.kind === "cut") {
    return fail(`the daemon on ${inquiry.path} ended before its last request was known to be done`);
  }
  if (outcome.kind !== "answer") return fail(describeSilence(inquiry, outcome));
  // The end of the answer is the end of the process.
  const { status, body } = outcome;
  if (status !== 200) return fail(`the daemon could not stop: ${printable(String(fieldOf(body, "message")))}`);
  const note = fieldOf(body, "whole") === false ? "; requests that took too long were cut off" : "";
  process.stdout.write(`tsgi: stopped${note}\n`);
  return 0;
}

export function configure(command: Command): void {
  addControlOptions(command, "10m", "the end of its last request")
    .addHelpText("after", "\nExample:\n  $ tsgi stop --listen unix:/run/tsgi/app.sock")
    .action(async () => {
      process.exitCode = await run(command);
    });
}
