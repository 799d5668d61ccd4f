// Where broken rules are told: to a function of the caller's, or to the log of the request.
// Rules: within a request the same thing is told once; strict checking throws where somebody can catch it.

import { ContractError } from "../../errors.ts";
import type { Environ } from "../../spec.ts";
import type { Report, RuleName, Violation } from "./rules.ts";
import { describeViolation, rules } from "./rules.ts";

export interface LintOptions {
  /** Gets every violation; `tsgi.log`, or else `wsgi.errors`, unless given. It must not throw. */
  readonly report?: (violation: Violation) => void;
  /** Throws a ContractError as well, as wsgiref.validate does: into whoever broke the rule, where that can be. */
  readonly strict?: boolean;
}

function logged(environ: Partial<Environ>): (violation: Violation) => void {
  return (violation) => {
    const text = describeViolation(violation);
    const { "tsgi.log": log, "wsgi.errors": errors } = environ;
    if (typeof log?.warn === "function") log.warn({ code: "TSGI2110", rule: violation.rule }, text);
    else errors?.write(`lint: ${text}\n`);
  };
}

/** The violations of one request. */
export class Reporter {
  readonly #tell: (violation: Violation) => void;
  readonly #isStrict: boolean;
  readonly #request: string;
  readonly #told = new Set<string>();

  constructor(environ: unknown, options: LintOptions) {
    const given: Partial<Environ> = typeof environ === "object" && environ !== null ? environ : {};
    this.#tell = options.report ?? logged(given);
    this.#isStrict = options.strict === true;
    this.#request = `${String(given.REQUEST_METHOD)} ${String(given.REQUEST_URI ?? given.PATH_INFO)}`;
  }

  /** Tells a violation, and throws it when checking is strict. */
  readonly report: Report = (rule, problem) => {
    const violation = this.#note(rule, problem);
    if (this.#isStrict) throw new ContractError(describeViolation(violation));
  };

  /** The same where nobody could catch it. */
  readonly note: Report = (rule, problem) => {
    this.#note(rule, problem);
  };

  #note(rule: RuleName, problem: string): Violation {
    const violation = { rule, ...rules[rule], problem, request: this.#request };
    const key = `${rule} ${problem}`;
    if (!this.#told.has(key)) this.#tell(violation);
    this.#told.add(key);
    return violation;
  }
}
