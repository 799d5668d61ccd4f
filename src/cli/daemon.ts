// `tsgi daemon`: the FastCGI daemon, for an Apache that is configured elsewhere.

import type { Command } from "commander";
import { formatListenAddress } from "../config/address.ts";
import type { SettingName } from "../config/settings.ts";
import { BootError, ConfigError } from "../errors.ts";
import { createLog } from "../log.ts";
import { addSettings, readConfig } from "./options.ts";
import { StopRequest } from "./signals.ts";
import { serverTarget, siteTarget } from "./target.ts";

const names = [
  "listen",
  "socketMode",
  "socketGroup",
  "allow",
  "scriptRoot",
  "mountPoint",
  "cacheDir",
  "maxParamsBytes",
  "maxConnections",
  "paramsTimeoutMs",
  "idleTimeoutMs",
  "logLevel",
] as const satisfies readonly SettingName[];

/** How long running requests may take after the signal, ms. */
const closeMs = 10_000;

/** Becomes another user for good, before anything of the application is read. Throws BootError. */
async function becomeUser(name: string): Promise<void> {
  const { lookUp } = await import("../server/httpd/account.ts");
  const account = lookUp(name);
  if (account === undefined) throw new BootError(`--user: there is no user ${JSON.stringify(name)}`);
  if (process.getuid?.() === account.uid) return;
  if (process.getuid?.() !== 0) throw new BootError("--user: only root can become another user");
  process.setgroups?.([...account.groups]);
  process.setgid?.(account.gid);
  process.setuid?.(account.uid);
  delete process.env["HOME"];
}

async function run(app: string | undefined, command: Command): Promise<number> {
  const config = readConfig(command, names);
  const target = serverTarget(siteTarget(app, config.scriptRoot));
  if (config.listen === undefined) {
    throw new ConfigError(["--listen is needed, for example --listen unix:/run/tsgi/app.sock"]);
  }
  const { user, withParent } = command.opts<{ user?: string; withParent?: boolean }>();
  if (user !== undefined) await becomeUser(user);
  // A terminal that closes ends what was started in it; without one SIGHUP says nothing.
  const stop = new StopRequest(process.stdin.isTTY ? [] : ["SIGHUP"]);
  if (withParent === true) process.stdin.on("close", () => stop.ask("SIGTERM")).resume();
  const log = createLog({ level: config.logLevel });
  process.on("uncaughtException", (error) => log.error({ err: error }, "uncaught error outside a request"));
  const { startDaemon } = await import("../server/daemon.ts");
  const daemon = await startDaemon({ ...config, listen: config.listen, target, log });
  process.stdout.write(`tsgi: listening on ${formatListenAddress(daemon.address)}\n`);
  await stop.asked;
  await Promise.race([daemon.close(closeMs), stop.askedAgain]);
  return 0;
}

export function configure(command: Command): void {
  command.argument(
    "[app]",
    "application (file.ts or file.ts#export), or a folder whose scripts are chosen per request",
  );
  addSettings(command, names)
    .option("--user <name>", "become this user first; only root can")
    .option("--with-parent", "stop when standard input closes, as it does when the parent process dies")
    .addHelpText("after", "\nExample:\n  $ tsgi daemon app.ts --listen unix:/run/tsgi/app.sock --socket-group www-data")
    .action(async (app: string | undefined) => {
      process.exitCode = await run(app, command);
    });
}
