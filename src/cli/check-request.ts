// The request that `tsgi check` runs: what the application answers, and which rules of the contract it breaks.
// Rules: an answer of any status is fine, and so is advice; a failure, a broken response or rule are not. A response that does not
// end, such as a stream of events, is left after a while with what was seen until then; none at all is a failure.

import { messageOf, TsgiError } from "../errors.ts";
import { lint } from "../gateway/lint.ts";
import type { Violation } from "../gateway/lint/rules.ts";
import { describeViolation } from "../gateway/lint/rules.ts";
import type { DirectReply } from "../server/direct.ts";
import { runDirect } from "../server/direct.ts";
import type { Application, Log } from "../spec.ts";

const deadlineMs = 10_000;

export interface Outcome {
  /** Sentences for the terminal. */
  readonly lines: readonly string[];
  readonly isFine: boolean;
}

function ignore(): void {}

/** A log that shows warnings on stderr and keeps the failures. */
function failureLog(failures: string[]): Log {
  const show = (fields: object | string, message?: string): void => {
    process.stderr.write(`tsgi: ${typeof fields === "string" ? fields : (message ?? "")}\n`);
  };
  const keep = (fields: object | string): void => {
    const error = typeof fields === "object" && "err" in fields ? fields.err : fields;
    // Errors of this package say all in their message; where the application's own were thrown, their stack says.
    const stack = error instanceof TsgiError ? undefined : error instanceof Error ? error.stack : undefined;
    failures.push(stack ?? messageOf(error));
  };
  const log: Log = {
    trace: ignore,
    debug: ignore,
    info: ignore,
    warn: show,
    error: keep,
    fatal: keep,
    child: () => log,
  };
  return log;
}

function describeReply(reply: DirectReply | undefined, hasBegun: boolean): string {
  if (reply === undefined) return `had ${hasBegun ? "not ended" : "no answer"} after ${deadlineMs / 1000} s`;
  const end = reply.complete ? "" : ", and broke off";
  return `answered ${reply.status} ${reply.reason} with ${reply.body.length} bytes${end}`;
}

/** The reply, or undefined when there is none by the deadline. */
async function replyInTime(replying: Promise<DirectReply>): Promise<DirectReply | undefined> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<undefined>((resolve) => {
    timer = setTimeout(resolve, deadlineMs, undefined);
  });
  try {
    return await Promise.race([replying, late]);
  } finally {
    clearTimeout(timer);
  }
}

/** Runs `GET url` through the application, with lint around it. */
export async function tryRequest(
  application: Application,
  { url, script }: { readonly url: string; readonly script: string },
): Promise<Outcome> {
  const violations: Violation[] = [];
  const failures: string[] = [];
  let hasBegun = false;
  const begun: Application = (environ, startResponse) =>
    application(environ, (...head) => {
      hasBegun = true;
      return startResponse(...head);
    });
  const checked = lint(begun, { report: (violation) => violations.push(violation) });
  const log = failureLog(failures);
  const reply = await replyInTime(runDirect(checked, { method: "GET", url, script, log }));
  if (reply !== undefined && reply.errors !== "") process.stderr.write(`${reply.errors}\n`);
  const told = violations.map((one) => `${one.isAdvice ? "advice" : "broken rule"}: ${describeViolation(one)}`);
  const failed = failures.map((failure) => `failed: ${failure}`);
  const isFine = violations.every(({ isAdvice }) => isAdvice) && failed.length === 0 && (reply?.complete ?? hasBegun);
  const verdict = isFine ? ": no rule of the contract is broken" : "";
  return { lines: [`GET ${url} ${describeReply(reply, hasBegun)}${verdict}`, ...told, ...failed], isFine };
}
