// The program behind bin/tsgi-fcgid: `fcgid-main.js ENTRY [--name=value ...] [APP]`, with the listening socket as descriptor 0.
// Rules: it ends at once on SIGTERM when idle and after its request otherwise, since mod_fcgid stalls a graceful restart
// of the whole Apache for it; SIGHUP, which prefork sends to the group, changes nothing; without its parent it ends.

import type { ReadStream } from "node:fs";
import { createReadStream } from "node:fs";
import { BootError, messageOf } from "../errors.ts";
import { sweepUploads } from "../forms/upload-folder.ts";
import { createLog, logOptionsOf } from "../log.ts";
import { captureConsole } from "../log/console.ts";
import { RequestScope } from "../log/scope.ts";
import { handleUncaught } from "../log/uncaught.ts";
import { Background } from "./background.ts";
import { readEntryArguments, targetOf } from "./entry-args.ts";
import { behindApache, handleSignals, reportBroken } from "./entry-process.ts";
import { errorPagesOfEnvironment } from "./error-pages.ts";
import { FastCgiServer } from "./fastcgi-server.ts";
import { listen } from "./listen.ts";
import { createRouter } from "./route.ts";
import { proxyTrustOf } from "./trusted-proxies.ts";
import { xSendfileOf } from "./x-sendfile.ts";

/** How old a look at an application's files may be, ms. */
const checkIntervalMs = 1000;
const maxParamsBytes = 1024 * 1024;
/** mod_fcgid opens one connection at a time. */
const maxConnections = 64;
/** mod_fcgid sends SIGKILL 8 s after SIGTERM: time for the running request, and for work after it. */
const closeDeadlineMs = 5000;
const backgroundDeadlineMs = 2000;
const parentCheckMs = 2000;

/** The socket is Apache's: there is nothing to set. */
const access = { mode: 0, uid: undefined, gid: undefined, mayReplace: false };

const logOptions = logOptionsOf(process.env);
const log = createLog(logOptions);
const scope = new RequestScope({ isExclusive: true });

/**
 * Gives the application a `process.stdin` that is empty: Node would make one of descriptor 0, which is the listening socket, and
 * fail (EEXIST). `import "node:process"` reads each of its properties, and with it every package that has such a line failed.
 */
function emptyStdin(): void {
  let stdin: ReadStream | undefined;
  const get = (): ReadStream => (stdin ??= createReadStream("/dev/null"));
  Object.defineProperty(process, "stdin", { configurable: true, enumerable: true, get });
}

/** Calls `onOrphaned` once when the process that started us is gone. */
function watchParent(onOrphaned: () => void): void {
  const parent = process.ppid;
  const timer = setInterval(() => {
    if (process.ppid === parent) return;
    clearInterval(timer);
    onOrphaned();
  }, parentCheckMs);
  timer.unref();
}

async function main(): Promise<void> {
  emptyStdin();
  captureConsole(log, scope);
  handleUncaught(log, scope);
  const [, , entry = "", ...argv] = process.argv;
  const args = readEntryArguments(argv, { entry, adapter: process.env["TSGI_ADAPTER"] });
  const { mountPoint, cacheDir, adapter } = args;
  const router = createRouter({
    target: targetOf(args, process.cwd()),
    mountPoint,
    cacheDir,
    adapter,
    checkIntervalMs,
    mayBeProxied: false,
    log,
  });
  const background = new Background(log);
  const server = new FastCgiServer({
    service: {
      router,
      log,
      background,
      transport: "fastcgi",
      isMultiprocess: true,
      isRunOnce: false,
      isLogApaches: logOptions.file === undefined,
      scope,
      errorPages: await errorPagesOfEnvironment(process.env, log),
      mendEnviron: proxyTrustOf(process.env),
      nameFile: xSendfileOf(process.env),
    },
    maxParamsBytes,
    maxConnections,
    ...behindApache,
  });
  try {
    await listen(server.netServer, { kind: "fd", fd: 0 }, access);
  } catch (error) {
    throw new BootError(
      "this program is started by mod_fcgid, which gives it a listening socket as descriptor 0",
      error,
    );
  }
  const stop = async (): Promise<void> => {
    await server.close(closeDeadlineMs);
    await background.idle(backgroundDeadlineMs);
    // eslint-disable-next-line unicorn/no-process-exit -- an entry file; timers of the application must not keep it
    process.exit(0);
  };
  handleSignals(log, () => void stop());
  watchParent(() => void stop());
  void sweepUploads(); // what a process before this one left when it was killed; it never rejects
  // Load while Apache connects; a broken application answers 500 and is tried again when a file changes.
  await router.preload().catch((error: unknown) => reportBroken(log, error));
}

try {
  await main();
} catch (error) {
  process.stderr.write(`tsgi-fcgid: ${messageOf(error)}\n`);
  process.exitCode = 1;
}
