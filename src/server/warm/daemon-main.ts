// The program of a warm daemon: `daemon-main.js SOCKET apache|own cgi|fcgid ENTRY [--name=value ...] [APP]`, with the
// listening socket as descriptor 3; started by a relay, in a session of its own. The second word says whose log stderr is.
// Rules: what it serves never changes; when a file of the application does, it makes place for a daemon that loads it.

import { BootError, ContractError, messageOf } from "../../errors.ts";
import { sweepUploads } from "../../forms/upload-folder.ts";
import { createLog, logOptionsOf } from "../../log.ts";
import { captureConsole } from "../../log/console.ts";
import { RequestScope } from "../../log/scope.ts";
import { handleUncaught } from "../../log/uncaught.ts";
import { Background } from "../background.ts";
import type { EntryArguments } from "../entry-args.ts";
import { readEntryArguments, targetOf } from "../entry-args.ts";
import { behindApache, handleSignals, reportBroken } from "../entry-process.ts";
import { errorPagesOfEnvironment } from "../error-pages.ts";
import { FastCgiServer } from "../fastcgi-server.ts";
import type { Router } from "../route.ts";
import { createRouter } from "../route.ts";
import { proxyTrustOf } from "../trusted-proxies.ts";
import { xSendfileOf } from "../x-sendfile.ts";
import { WarmDaemon } from "./daemon.ts";
import { Installs } from "./installs.ts";

const listeningFd = 3;
const maxParamsBytes = 4 * 1024 * 1024;
/** Connections that are served at once; Apache's own limits come first. */
const maxConnections = 4096;
/** Whoever sends a signal wants it to end soon. */
const signalDeadlineMs = 5000;
const defaultIdleTimeoutMs = 300_000;
const defaultMemoryLimitBytes = 256 * 1024 * 1024;

/** The application gets another one. */
const exit = process.exit.bind(process);

const logOptions = logOptionsOf(process.env);
const log = createLog(logOptions);
const scope = new RequestScope({ isExclusive: false, isFollowing: true });

function createWarmRouter(args: EntryArguments): Router {
  const { mountPoint, cacheDir, adapter } = args;
  return createRouter({
    target: targetOf(args, process.cwd()),
    mountPoint,
    cacheDir,
    adapter,
    // Scripts are many: each is looked at when it is asked for. A named application has a daemon of its own.
    checkIntervalMs: args.app === undefined ? 0 : Infinity,
    mayBeProxied: false,
    log,
  });
}

async function main(): Promise<void> {
  captureConsole(log, scope);
  handleUncaught(log, scope);
  const [, , place = "", whoseLog = "", kind = "", entry = "", ...argv] = process.argv;
  const args = readEntryArguments(argv, { entry, adapter: process.env["TSGI_ADAPTER"] });
  const router = createWarmRouter(args);
  const background = new Background(log);
  const server = new FastCgiServer({
    service: {
      router,
      log,
      background,
      transport: kind === "cgi" ? "cgi" : "fastcgi",
      isMultiprocess: true,
      isRunOnce: false,
      isLogApaches: whoseLog === "apache" && logOptions.file === undefined,
      scope,
      errorPages: await errorPagesOfEnvironment(process.env, log),
      mendEnviron: proxyTrustOf(process.env),
      nameFile: kind === "fcgid" ? xSendfileOf(process.env) : undefined,
    },
    maxParamsBytes,
    maxConnections,
    isGreeted: true,
    ...behindApache,
  });
  const installs = new Installs();
  const daemon = new WarmDaemon({
    place,
    server,
    background,
    idleTimeoutMs: args.idleTimeoutMs ?? defaultIdleTimeoutMs,
    memoryLimitBytes: args.memoryLimitBytes ?? defaultMemoryLimitBytes,
    isStale: () => router.isStale() || installs.haveChanged(),
    served: () => installs.learn(router.watches),
    retired: (reason) => log.debug({ reason }, "the warm daemon makes place"),
  });
  // Other requests shall not end with the one that calls it.
  process.exit = (code) => {
    daemon.retire("the application called process.exit");
    throw new ContractError(`process.exit(${code ?? ""}) was called`);
  };
  process.on("SIGXCPU", () => daemon.retire("it has used the time of RLimitCPU"));
  handleSignals(log, (signal) => daemon.retire(signal, signalDeadlineMs));
  try {
    await daemon.listen(listeningFd);
  } catch (error) {
    throw new BootError("this program is started by a relay, which gives it a listening socket as descriptor 3", error);
  }
  void sweepUploads(); // what a process before this one left when it was killed; it never rejects
  // Load while relays connect; a broken application answers 500, and the next request asks a new daemon.
  await router.preload().catch((error: unknown) => reportBroken(log, error));
  installs.learn(router.watches);
  await daemon.ended;
}

try {
  await main();
} catch (error) {
  process.stderr.write(`tsgi: warm daemon: ${messageOf(error)}\n`);
  process.exitCode = 1;
}
// eslint-disable-next-line unicorn/no-process-exit -- an entry file; timers of the application must not keep it
exit();
