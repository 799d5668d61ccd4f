// `tsgi daemon`: the FastCGI daemon, for an Apache that is configured elsewhere.

import { isatty } from "node:tty";
import type { Command } from "commander";
import { debugProblem } from "../config/debug.ts";
import type { ServerConfig } from "../config/groups.ts";
import { daemonSettings } from "../config/settings.ts";
import { ConfigError } from "../errors.ts";
import type { ProcessLog } from "../log.ts";
import { createLog, reopenLog } from "../log.ts";
import { activatedSockets, socketsOfGroups } from "../supervisor/activation.ts";
import { checkEngine } from "../server/engine.ts";
import { addSettings } from "./options.ts";
import { readServerConfig } from "./server-config.ts";
import { StopRequest } from "./signals.ts";
import { findScriptFile, parseAppReference } from "../loader/load.ts";
import { realFolder } from "./target.ts";
import { packageVersion } from "./version.ts";

/** Sockets that a service manager opened take the place of the groups' own. Throws BootError. */
function withActivatedSockets(config: ServerConfig): ServerConfig {
  const sockets = activatedSockets(process.env, process.pid);
  const byGroup = socketsOfGroups(
    config.groups.map(({ name }) => name),
    sockets,
  );
  const groups = config.groups.map((group) => {
    const fd = byGroup.get(group.name);
    return fd === undefined ? group : { ...group, listen: { kind: "fd" as const, fd } };
  });
  return { ...config, groups };
}

/** What can be seen to be missing without running anything. Throws LoadError or BootError. */
function checkApplications(config: ServerConfig): void {
  for (const { applications, scriptRoot, engine } of config.groups) {
    checkEngine(engine);
    if (scriptRoot !== undefined) realFolder(scriptRoot);
    for (const { app } of applications) findScriptFile(parseAppReference(app, process.cwd()).file);
  }
}

/** Throws ConfigError where --debug would show sources to others. */
function checkDebug({ groups }: ServerConfig): void {
  const problems = groups.flatMap(({ isDebug, listen }) => (isDebug ? (debugProblem(listen) ?? []) : []));
  if (problems.length > 0) throw new ConfigError(problems);
}

/** Opens the logs again on SIGUSR1, when somebody has moved their files away: ours, then those of the workers. */
function reopenOnSignal(log: ProcessLog, reopenOthers: () => void): void {
  process.on("SIGUSR1", () => {
    reopenLog(log);
    reopenOthers();
  });
}

/** Reloads on SIGHUP, which without a terminal means nothing else, and on SIGUSR2, as PHP-FPM does. */
function reloadOnSignals(reload: () => Promise<unknown>): void {
  const signals: NodeJS.Signals[] = isatty(0) ? ["SIGUSR2"] : ["SIGHUP", "SIGUSR2"];
  for (const signal of signals) process.on(signal, () => void reload());
}

/** How long after the start what need not be done before is done, ms. */
const settleMs = 300;
let settle: () => void = () => {};

/** Has something done once, a moment after a daemon has started, or at its end if that comes before. */
export function onStarted(callback: () => void): void {
  settle = callback;
}

async function run(app: string | undefined, command: Command): Promise<number> {
  // A terminal that closes ends what was started in it; without one SIGHUP means reload.
  const stop = new StopRequest(isatty(0) ? [] : ["SIGHUP"]);
  const config = withActivatedSockets(await readServerConfig(command, daemonSettings, app));
  checkApplications(config);
  if (command.opts<{ withParent?: boolean }>().withParent === true) {
    process.stdin.on("close", () => stop.ask("SIGTERM")).resume();
  }
  process.title = config.groups[0]?.processTitle ?? "tsgi: supervisor";
  checkDebug(config);
  const log = createLog({ level: config.logLevel, file: config.logFile });
  log.reopen();
  const { Supervisor } = await import("../supervisor/supervisor.ts");
  const supervisor = new Supervisor({ config, log, version: packageVersion() });
  reloadOnSignals(() => supervisor.reload());
  reopenOnSignal(log, () => supervisor.reopenLogs());
  void stop.asked.then(() => supervisor.stop());
  void stop.askedAgain.then(() => supervisor.kill());
  try {
    const started = supervisor.start();
    const addresses = await Promise.race([started, supervisor.stopAsked]);
    if (addresses === undefined) {
      void started.catch(() => {}); // what a start says that was called off
      return 0;
    }
    for (const address of addresses) process.stdout.write(`tsgi: listening on ${address}\n`);
    setTimeout(settle, settleMs).unref();
    await supervisor.stopAsked;
    settle();
    return 0;
  } finally {
    await supervisor.stop();
    await supervisor.close();
  }
}

export function configure(command: Command): void {
  command.argument(
    "[app]",
    "application (file.ts or file.ts#export), or a folder whose scripts are chosen per request",
  );
  addSettings(command, daemonSettings)
    .option("--with-parent", "stop when standard input closes, as it does when the parent process dies")
    .addHelpText("after", "\nExample:\n  $ tsgi daemon app.ts --listen unix:/run/tsgi/app.sock --socket-group www-data")
    .action(async (app: string | undefined) => {
      process.exitCode = await run(app, command);
    });
}
