// One CGI request in this process (RFC 3875): variables from the environment, body from stdin, response to one descriptor.
// Rules: stdin is read to its end before the process may exit, since mod_cgid resets the connection otherwise and the
// response is lost; the end of the response, of stdin and of `tsgi.wait_until` work ends the process, whatever timers or
// pools the application left.

import { readFileSync } from "node:fs";
import { ClientGoneError, ContractError } from "../errors.ts";
import type { Variables } from "../gateway/environ.ts";
import { hasBody } from "../gateway/input.ts";
import type { FastStart } from "../loader/fast-start.ts";
import type { RequestScope } from "../log/scope.ts";
import type { Environ, Log } from "../spec.ts";
import { Background } from "./background.ts";
import { deadline } from "./deadline.ts";
import { CgiOutput } from "./cgi-output.ts";
import type { Dispatched } from "./dispatch.ts";
import { dispatch } from "./dispatch.ts";
import type { ErrorPages } from "./error-pages.ts";
import type { EntryArguments } from "./entry-args.ts";
import type { Router, Target } from "./route.ts";
import { createRouter } from "./route.ts";
import { SpoolingFlow } from "./spool.ts";

export interface CgiOptions {
  readonly target: Target;
  /** Finds the application, in place of a router for `target`. */
  readonly router?: Pick<Router, "route">;
  readonly args: EntryArguments;
  readonly variables: Variables;
  /** The descriptor that the response goes to. */
  readonly outputFd: number;
  readonly log: Log;
  /** False when the log is a file of its own. */
  readonly isLogApaches: boolean;
  readonly scope: RequestScope;
  readonly mendEnviron?: ((environ: Environ) => void) | undefined;
  readonly errorPages: ErrorPages | undefined;
  readonly fastStart?: FastStart | undefined;
  /** Whether the process will have something to do when the response has been sent. */
  readonly hasMoreToDo?: (() => boolean) | undefined;
}

/** How long work after the response, and the rest of stdin, may keep the process, ms. */
const afterResponseMs = 30_000;

/** The environment as bytes. `process.env` is at hand, but loses what is not UTF-8: all of it has to be ASCII. */
export function cgiVariables(): Variables {
  const variables: Variables = Object.assign(Object.create(null), process.env) as Variables;
  const text = Object.entries(variables).join("");
  return Buffer.byteLength(text) === text.length ? variables : bytesOfEnvironment();
}

function bytesOfEnvironment(): Variables {
  const variables: Variables = Object.create(null) as Variables;
  for (const entry of environmentEntries()) {
    const equals = entry.indexOf("=");
    if (equals > 0) variables[entry.slice(0, equals)] = entry.slice(equals + 1);
  }
  return variables;
}

function environmentEntries(): readonly string[] {
  try {
    return readFileSync("/proc/self/environ", "latin1").split("\0");
  } catch {
    // No /proc: values that are not UTF-8 are lost.
    return Object.entries(process.env).map(([name, value]) => Buffer.from(`${name}=${value}`).toString("latin1"));
  }
}

/** Connects stdin to the request; settles when it has been read to its end. */
function readStdin({ exchange }: Dispatched, spool: SpoolingFlow, length: string | undefined): Promise<void> {
  return new Promise((resolve) => {
    const expected = length === undefined || length === "" ? Infinity : Number(length);
    let received = 0;
    const end = (): void => {
      spool.end();
      resolve();
    };
    process.stdin.on("data", (bytes: Buffer) => {
      received += bytes.length;
      spool.push(bytes);
      if (received >= expected) end(); // mod_cgid's socket stays open: its end may never be seen
    });
    process.stdin.on("end", end);
    process.stdin.on("error", () => {
      exchange.abort(new ClientGoneError());
      resolve();
    });
  });
}

function routerOf({ target, args: { mountPoint, cacheDir, adapter }, log, fastStart }: CgiOptions): Router {
  return createRouter({
    target,
    mountPoint,
    cacheDir,
    adapter,
    checkIntervalMs: Infinity,
    mayBeProxied: false,
    log,
    fastStart,
  });
}

/** Serves the one request. Gives the exit code when the process may end. */
export async function runCgi(options: CgiOptions): Promise<number> {
  const { log, variables, isLogApaches, scope, errorPages } = options;
  const background = new Background(log);
  const withBody = hasBody(variables);
  // A look at process.stdin loads node:stream.
  const flow = { pause: () => process.stdin.pause(), resume: () => process.stdin.resume() };
  const spool = new SpoolingFlow(withBody ? flow : { pause() {}, resume() {} });
  const gone = (): void => started.exchange.abort(new ClientGoneError());
  const sink = new CgiOutput(options.outputFd, { gone: () => queueMicrotask(gone), flow: spool });
  const contentLength = variables["CONTENT_LENGTH"];
  const started = dispatch(
    {
      router: options.router ?? routerOf(options),
      log,
      background,
      transport: "cgi",
      isMultiprocess: true,
      isRunOnce: true,
      isLogApaches,
      scope,
      errorPages,
      mendEnviron: options.mendEnviron,
    },
    {
      variables,
      sink,
      flow: spool,
      emitError: (line) => {
        process.stderr.write(`${line}\n`);
        return true;
      },
      isAuthorizer: false,
      onEnd: () => spool.dispose(),
    },
  );
  spool.feed(started.input);
  process.on("SIGTERM", gone);
  process.on("uncaughtException", (error) => started.exchange.failUncaught(error));
  const exited = (code: number): void =>
    started.exchange.failUncaught(new ContractError(`process.exit(${code}) was called`));
  process.on("exit", exited);
  const stdinRead = withBody ? readStdin(started, spool, contentLength) : undefined;
  if (!withBody) started.input.end();
  await sink.finished;
  if (stdinRead !== undefined) await within(stdinRead, afterResponseMs); // the first timer of a process takes its time
  // A visitor does not wait for work after the response. mod_cgi, which gives us a pipe, sends a small response whose end it
  // has seen only when stderr has ended too, but one that may go on at once. Where nothing is left, the end of the process is
  // the end of the response: mod_cgid lets the connection wait for 10 ms and more where it finds the process alive after that.
  const hasMoreToDo = !background.isIdle || options.hasMoreToDo?.() === true;
  if (hasMoreToDo && (background.isIdle || !sink.isPipe)) sink.close();
  await background.idle(afterResponseMs);
  process.off("exit", exited);
  return sink.isBroken ? 1 : 0;
}

async function within(work: Promise<void>, ms: number): Promise<void> {
  const { promise: expired, cancel } = deadline(ms);
  await Promise.race([work, expired]);
  cancel();
}
