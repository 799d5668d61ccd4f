// `tsgi reload`: new workers in the place of the old ones, without a lost request; waits until they serve.

import type { Command } from "commander";
import { fieldOf } from "../supervisor/control-request.ts";
import { printable } from "../supervisor/status.ts";
import { addControlOptions, ask, describeSilence, fail, readInquiry } from "./control-client.ts";

async function run(command: Command): Promise<number> {
  const inquiry = await readInquiry(command);
  const outcome = await ask(inquiry, "POST", "/reload");
  if (outcome.kind === "silent") return fail(`the reload is not done after ${inquiry.timeout}; see tsgi status`);
  if (outcome.kind !== "answer") return fail(describeSilence(inquiry, outcome));
  const { status, body } = outcome;
  const message = fieldOf(body, "message");
  if (status !== 200 || fieldOf(body, "ok") !== true) {
    return fail(`reload failed: ${typeof message === "string" ? printable(message) : `status ${status}`}`);
  }
  process.stdout.write(`tsgi: generation ${String(fieldOf(body, "generation"))} serves\n`);
  return 0;
}

export function configure(command: Command): void {
  addControlOptions(command, "10m", "the new generation")
    .addHelpText(
      "after",
      "\nThe old workers go on serving when the new ones cannot start; the exit code is 1 then.\n\nExample:\n  $ tsgi reload --listen unix:/run/tsgi/app.sock",
    )
    .action(async () => {
      process.exitCode = await run(command);
    });
}
