// `tsgi status`: how a running daemon is.

import type { Command } from "commander";
import { fieldOf } from "../supervisor/control-request.ts";
import { drawStatus, isStatus, printable } from "../supervisor/status.ts";
import { watchStatus } from "./watch.ts";
import { addControlOptions, ask, describeSilence, fail, readInquiry } from "./control-client.ts";

async function run(command: Command): Promise<number> {
  const inquiry = await readInquiry(command);
  if (command.opts<{ watch?: boolean }>().watch === true) return await watchStatus(inquiry);
  const outcome = await ask(inquiry, "GET", "/status");
  if (outcome.kind !== "answer") return fail(describeSilence(inquiry, outcome));
  const { status, body } = outcome;
  if (status !== 200) return fail(`the daemon could not tell: ${printable(String(fieldOf(body, "message")))}`);
  const { json } = command.opts<{ json?: boolean }>();
  if (json === true) {
    process.stdout.write(`${JSON.stringify(body)}\n`);
    return 0;
  }
  if (!isStatus(body)) return fail(`what answers on ${inquiry.path} is another version of tsgi: use --json`);
  process.stdout.write(drawStatus(body));
  return 0;
}

export function configure(command: Command): void {
  addControlOptions(command, "10s", "the answer")
    .option("--json", "print what the daemon says, for programs")
    .option("--watch", "show it anew each second, with the course of the last 15 minutes: q quits, r reloads")
    .addHelpText(
      "after",
      "\nExamples:\n  $ tsgi status --listen unix:/run/tsgi/app.sock\n  $ tsgi status --listen unix:/run/tsgi/app.sock --watch",
    )
    .action(async () => {
      process.exitCode = await run(command);
    });
}
