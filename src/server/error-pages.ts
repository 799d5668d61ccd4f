// What the client sees of a request that failed before its head: the page of `--error-page`, or with `--debug` one for the
// developer.
// Rules: the developer's page only goes to this machine's own user, asked for from this machine; a page that cannot be made
// is the plain one.

import { readFileSync, statSync } from "node:fs";
import { BootError, messageOf } from "../errors.ts";
import type { ErrorPage } from "../gateway/error-page.ts";
import { pageFromTemplate, statusOf } from "../gateway/error-page.ts";
import type { Variables } from "../gateway/environ.ts";
import type { Log } from "../spec.ts";

/** A request that failed. */
export interface Failure {
  readonly error: unknown;
  readonly requestId: string;
  /** "" where no script was found for the request. */
  readonly script: string;
  readonly variables: Variables;
}

/** Makes the page of a failure; undefined for that of this package. Never throws. */
export type ErrorPages = (failure: Failure, log: Log) => ErrorPage | undefined;

export interface ErrorPageOptions {
  /** `--error-page`: an absolute path. */
  readonly errorPage: string | undefined;
  /** `--debug`. */
  readonly isDebug: boolean;
}

/** A page is small: it goes out with every failure. */
const maxTemplateBytes = 256 * 1024;

function readTemplate(file: string): string {
  try {
    if (statSync(file).size > maxTemplateBytes) throw new Error(`it is larger than ${maxTemplateBytes} bytes`);
    return readFileSync(file, "utf8");
  } catch (error) {
    throw new BootError(`--error-page: ${file} cannot be used: ${messageOf(error)}`, error);
  }
}

function pagesOf(template: string): ErrorPages {
  return ({ error, requestId }) => pageFromTemplate(template, statusOf(error), requestId);
}

/**
 * The pages that the settings ask for; undefined when those of this package will do. The file is read now: a change shows
 * after a reload. Throws BootError.
 */
export async function errorPagesOf({ errorPage, isDebug }: ErrorPageOptions): Promise<ErrorPages | undefined> {
  const plain = errorPage === undefined ? undefined : pagesOf(readTemplate(errorPage));
  if (!isDebug) return plain;
  const { debugPages } = await import("./debug-page/page.ts");
  return debugPages(plain);
}

/**
 * `--error-page` alone, for whoever seldom has a failure to tell: the file is read with the first one. Where it cannot be used
 * by then, that is logged and the plain page goes out. Undefined without a file.
 */
export function errorPagesWhenNeeded(errorPage: string | undefined): ErrorPages | undefined {
  if (errorPage === undefined) return undefined;
  let pages: ErrorPages | undefined;
  return (failure, log) => {
    pages ??= pagesOrPlain(errorPage, log);
    return pages(failure, log);
  };
}

function pagesOrPlain(errorPage: string, log: Log): ErrorPages {
  try {
    return pagesOf(readTemplate(errorPage));
  } catch (error) {
    logUnusable(error, log);
    return () => undefined;
  }
}

function logUnusable(error: unknown, log: Log): void {
  log.error({ code: "TSGI3219", reason: messageOf(error) }, "the error page cannot be used");
}

/**
 * Those of a program that Apache starts, which has no flags for them: TSGI_ERROR_PAGE and TSGI_DEBUG. A file that cannot be
 * used is logged and left out: it must not take the application with it.
 */
export async function errorPagesOfEnvironment(
  environment: Readonly<Record<string, string | undefined>>,
  log: Log,
): Promise<ErrorPages | undefined> {
  const errorPage = environment["TSGI_ERROR_PAGE"] || undefined;
  const isDebug = /^(?:true|yes|on|1)$/i.test(environment["TSGI_DEBUG"] ?? "");
  try {
    return await errorPagesOf({ errorPage, isDebug });
  } catch (error) {
    logUnusable(error, log);
    return errorPagesOf({ errorPage: undefined, isDebug });
  }
}
