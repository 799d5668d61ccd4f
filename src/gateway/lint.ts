// The contract as a checker around an application, as wsgiref.validate and Rack::Lint are for theirs: it watches what the
// server passes and what the application does with it.
// Rules: it tells what is wrong and why (lint/rules.ts has every rule), and changes nothing: the reply is the same with and
// without it. What the gateway refuses, the gateway still refuses. Only `strict` makes a violation an error of its own.

import { ContractError } from "../errors.ts";
import type { Application, Body } from "../spec.ts";
import { lintBody } from "./lint/body.ts";
import { kindOf } from "./lint/chunk.ts";
import { checkEnviron } from "./lint/environ.ts";
import { lintStreams } from "./lint/input.ts";
import type { LintOptions } from "./lint/reporter.ts";
import { Reporter } from "./lint/reporter.ts";
import { SeenResponse } from "./lint/response.ts";
import { isPromise } from "./promise.ts";

/** Calls the application and hands its body, or a promise of it, to `deliver`; tells `fail` when it throws. */
function call(application: () => unknown, deliver: (body: unknown) => Body, fail: () => void): Body | Promise<Body> {
  let body: unknown;
  try {
    body = application();
  } catch (error) {
    fail();
    throw error;
  }
  if (!isPromise(body)) return deliver(body);
  const failed = (error: unknown): never => {
    fail();
    throw error;
  };
  return Promise.resolve(body).then(deliver, failed);
}

/**
 * The same application with the contract checked on both of its sides. Violations go to `options.report`, or to the
 * request's log. Put it around the application itself or around middleware, whichever is to be checked.
 */
export function lint(application: Application, options: LintOptions = {}): Application {
  if (typeof application !== "function") {
    throw new ContractError(`lint was given ${kindOf(application)} for an application: expected a function`);
  }
  return (environ, startResponse) => {
    const reporter = new Reporter(environ, options);
    const hasEnviron = checkEnviron(environ, reporter.report);
    if (typeof startResponse !== "function") {
      reporter.report("start-callable", `startResponse is ${kindOf(startResponse)}, not a function`);
    }
    if (!hasEnviron || typeof startResponse !== "function") return application(environ, startResponse);
    const response = new SeenResponse(environ, startResponse, reporter);
    lintStreams(environ, reporter.report, () => response.isLate());
    return call(
      () => application(environ, response.start),
      (body) => lintBody(body, response, reporter),
      () => response.end(),
    );
  };
}
