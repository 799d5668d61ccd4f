// Carries out what `tsgi init` plans, after showing it and asking where that is due.
// Rules: an .htaccess file that is there is changed only after its diff was shown and somebody agreed, on the terminal or
// with --yes; without either, nothing changes and the exit code is 1.

import { createInterface } from "node:readline/promises";
import type { FileChange } from "../account/change.ts";
import { applyChanges, diffOf } from "../account/change.ts";
import type { Plan } from "../account/plan.ts";
import type { InitFlags } from "./init-target.ts";
import { print } from "./init-report.ts";

/** On a terminal asks for a yes; false where nobody can be asked. */
async function agreed(question: string): Promise<boolean> {
  const { stdin, stdout } = process;
  if (!stdin.isTTY || !stdout.isTTY) return false;
  const asking = createInterface({ input: stdin, output: stdout });
  try {
    // Nobody but this person waits for the answer: there is no deadline. The end of the input is a no.
    const closed = new Promise<string>((resolve) => asking.once("close", () => resolve("")));
    const answer = await Promise.race([asking.question(`${question} [y/N] `), closed]);
    return /^y(es)?$/i.test(answer.trim());
  } finally {
    asking.close();
  }
}

/** Whether a change needs somebody's word: it touches lines that are not ours, or that somebody made his own. */
function needsConsent({ changes, edited }: Plan, isRemoval: boolean): boolean {
  const touches = ({ path, before }: FileChange): boolean => before !== undefined && path.endsWith("/.htaccess");
  return edited.length > 0 || (!isRemoval && changes.some(touches));
}

/** Shows the plan and carries it out. Gives undefined when all was done, else the exit code. */
export async function carryOut(plan: Plan, flags: InitFlags): Promise<number | undefined> {
  const isRemoval = flags.remove === true;
  for (const sentence of plan.edited) print(`tsgi: ${sentence}`);
  const mustAsk = needsConsent(plan, isRemoval);
  if (mustAsk || flags.dryRun === true) for (const change of plan.changes) print(diffOf(change).trimEnd(), "");
  if (flags.dryRun === true) {
    print("tsgi: nothing was changed, since --dry-run was given");
    return 0;
  }
  if (mustAsk && flags.yes !== true && !(await agreed("Make these changes?"))) {
    print("tsgi: nothing was changed: run it again with --yes to make these changes");
    return 1;
  }
  applyChanges(plan.changes);
  return undefined;
}
