// The program behind bin/tsgi-cgi, whose command line is `PROGRAM OUTPUT-FD ENTRY [--name=value ...] [APP]`.
// Rules: the response has a descriptor of its own, descriptor 1 already is stderr, so that whatever prints cannot spoil
// the response; this is the path of every CGI request, so it imports no more than it needs.

import { messageOf } from "../errors.ts";
import type { Variables } from "../gateway/environ.ts";
import type { KeptProgram, Surroundings } from "../loader/fast-start.ts";
import { FastStart } from "../loader/fast-start.ts";
import { createLog, logOptionsOf } from "../log.ts";
import { captureConsole } from "../log/console.ts";
import { RequestScope } from "../log/scope.ts";
import { cgiVariables, runCgi } from "./cgi.ts";
import type { EntryArguments } from "./entry-args.ts";
import { readEntryArguments, readTrustedWords, targetOf } from "./entry-args.ts";

const logOptions = logOptionsOf(process.env);
const log = createLog(logOptions);
const scope = new RequestScope({ isExclusive: true });

/** What a bundled program knows of itself. */
export interface BundledProgram extends Surroundings {
  /** The arguments that no visitor can have made. */
  readonly words: readonly string[];
  /** To be asked after the response: what has run until then is what requests need. */
  readonly kept: () => KeptProgram;
}

function ownArguments(variables: Variables): EntryArguments {
  const [, , , entry = "", ...argv] = process.argv;
  return readEntryArguments(argv, {
    entry,
    scriptFilename: variables["SCRIPT_FILENAME"],
    query: variables["QUERY_STRING"],
    adapter: process.env["TSGI_ADAPTER"],
  });
}

async function serve(bundled: BundledProgram | undefined): Promise<number> {
  const [, , outputFd = "1"] = process.argv;
  const variables = cgiVariables();
  delete process.env["HTTP_PROXY"];
  if (variables["GATEWAY_INTERFACE"] === undefined) {
    process.stderr.write("tsgi-cgi: this program is started by Apache for a CGI request; see `tsgi --help`\n");
    return 2;
  }
  const args =
    bundled === undefined ? ownArguments(variables) : readTrustedWords(bundled.words, process.env["TSGI_ADAPTER"]);
  captureConsole(log, scope);
  const fastStart = bundled === undefined ? undefined : new FastStart(bundled, log);
  const { TSGI_ERROR_PAGE: errorPage, TSGI_DEBUG: debug, TSGI_TRUSTED_PROXIES: trustedProxies } = process.env;
  const code = await runCgi({
    target: targetOf(args, process.cwd()),
    args,
    variables,
    outputFd: Number(outputFd),
    log,
    isLogApaches: logOptions.file === undefined,
    scope,
    // Both are seldom wanted, and node:net costs a CGI request some milliseconds.
    errorPages:
      errorPage === undefined && debug === undefined
        ? undefined
        : await (await import("./error-pages.ts")).errorPagesOfEnvironment(process.env, log),
    mendEnviron:
      trustedProxies === undefined ? undefined : (await import("./trusted-proxies.ts")).proxyTrustOf(process.env),
    fastStart,
    hasMoreToDo: () => bundled !== undefined && fastStart?.isReady(bundled.kept()) === false,
  });
  if (bundled !== undefined) await fastStart?.prepareNext(bundled.kept());
  return code;
}

/** Serves the request of this process, and ends the process. Never rejects. */
export async function runCgiProgram(bundled?: BundledProgram): Promise<void> {
  try {
    process.exitCode = await serve(bundled);
  } catch (error) {
    process.stderr.write(`tsgi-cgi: ${messageOf(error)}\n`);
    process.exitCode = 1;
  }
  end();
}

/**
 * Ends the process, since nothing that the application left behind may keep it: the response is out and stdin is read. Where
 * nothing is left it ends by itself. Node gives its heap back then before its descriptors are closed, and what is left to be
 * done takes less than a time slice: mod_cgid looks for the process at that very moment, and sleeps for 10 ms if it is there.
 */
function end(): void {
  // eslint-disable-next-line unicorn/no-process-exit -- the end of a program
  const exit = (): never => process.exit();
  if (process.listenerCount("beforeExit") > 0 || process.getActiveResourcesInfo().length > 0) exit();
  setTimeout(exit, 0).unref(); // native modules may have what Node does not know of
}
