// Routes whose applications are checked against the contract while they serve, for `tsgi dev`.
// Rules: the replies stay what they are; the same violation is told once for each load of an application, not per request.

import { lint } from "../gateway/lint.ts";
import type { Violation } from "../gateway/lint/rules.ts";
import { describeViolation } from "../gateway/lint/rules.ts";
import type { Application, Log } from "../spec.ts";
import type { Route, Router } from "./route.ts";

/** Different violations of one application that are remembered; more of them are not told. */
const maxTold = 200;

function checked(application: Application, log: Log): Application {
  const told = new Set<string>();
  const report = (violation: Violation): void => {
    const text = describeViolation(violation);
    if (told.has(text) || told.size >= maxTold) return;
    told.add(text);
    log.warn({ code: "TSGI2110", rule: violation.rule, request: violation.request }, `lint: ${text}`);
  };
  return lint(application, { report });
}

/** The same routes with `lint` around every application. */
export function checkedRoutes(router: Pick<Router, "route">, log: Log): Pick<Router, "route"> {
  const known = new WeakMap<Application, Application>();
  const wrap = (application: Application): Application => {
    const wrapped = known.get(application) ?? checked(application, log);
    known.set(application, wrapped);
    return wrapped;
  };
  return {
    route: (variables): Route => {
      const route = router.route(variables);
      const { application } = route;
      return { ...route, application: typeof application === "function" ? wrap(application) : application.then(wrap) };
    },
  };
}
