// `tsgi config systemd`: prints the unit of a daemon, which is described by the same options as `tsgi daemon`.

import { join, resolve } from "node:path";
import type { Command } from "commander";
import type { ListenAddress } from "../config/address.ts";
import { formatListenAddress } from "../config/address.ts";
import type { GroupConfig, ServerConfig, ServerSources } from "../config/groups.ts";
import { resolveServer } from "../config/groups.ts";
import type { SettingName } from "../config/settings.ts";
import { daemonSettings } from "../config/settings.ts";
import { systemdUnit } from "../config/systemd.ts";
import { ConfigError } from "../errors.ts";
import { programsDir } from "../server/httpd/programs.ts";
import { addSettings } from "./options.ts";
import { argumentsFor, readServerSources } from "./server-config.ts";
import { reserveStdout } from "./stdout.ts";

/** Where a daemon listens unless it is said. */
export const defaultListen: ListenAddress = { kind: "unix", path: "/run/tsgi/app.sock" };

/** Options of the daemon that the unit has in lines of its own. */
const unitsOwn = new Set<SettingName>(["configFile", "control", "listen", "user", "group"]);

interface Account {
  readonly user: string | undefined;
  readonly group: string | undefined;
}

/** Whom systemd starts the daemon as: the user of all groups, or root when they have several. Throws ConfigError. */
function accountOf(groups: readonly GroupConfig[]): Account {
  const nobodys = groups.filter(({ user }) => user === undefined).map(({ name }) => name);
  if (nobodys.length > 0) {
    const whose = groups.length === 1 ? "" : `, which groups.${nobodys.join(" and groups.")} does not say`;
    throw new ConfigError([`a service needs a user to run as${whose}: add one, as in --user www-data`]);
  }
  const [first, ...others] = groups;
  const isShared = others.every(({ user, group }) => user === first?.user && group === first?.group);
  return { user: isShared ? first?.user : undefined, group: isShared ? first?.group : undefined };
}

/** Paths that the service reads. */
function readPaths({ configFile, touchFile, groups }: ServerConfig): string[] {
  const places = groups.flatMap(({ applications, scriptRoot, authScript, cacheDir, home }) => [
    ...applications.map(({ app }) => app),
    scriptRoot,
    authScript,
    cacheDir,
    home,
  ]);
  return [configFile, touchFile, ...places].filter((path) => path !== undefined);
}

/** Where a group listens, for a service, whose working folder is another one. */
function placed(listen: ListenAddress): ListenAddress {
  return listen.kind === "unix" ? { kind: "unix", path: resolve(listen.path) } : listen;
}

/** The address of a single group, unless the daemon finds it in the file. */
function listenArguments({ groups }: ServerConfig, { file }: ServerSources): string[] {
  const [only, ...others] = groups;
  if (only === undefined || others.length > 0 || file?.top.values.listen === only.listen) return [];
  return ["--listen", formatListenAddress(placed(only.listen))];
}

async function run(app: string | undefined, command: Command): Promise<number> {
  const print = reserveStdout();
  const sources = await readServerSources(command, daemonSettings, app);
  const server = resolveServer({ ...sources, defaultListen });
  const { groups, configFile, control } = server;
  const account = accountOf(groups);
  const [only] = groups;
  const passed = daemonSettings.filter((name) => !unitsOwn.has(name));
  const served = app === undefined ? [] : [only?.scriptRoot ?? only?.applications[0]?.app ?? app];
  const daemonArguments = [
    ...served,
    ...(configFile === undefined ? [] : ["--config", configFile]),
    ...listenArguments(server, sources),
    ...argumentsFor(sources, account.user === undefined ? [...passed, "user", "group"] : passed),
  ];
  await print(
    systemdUnit({
      name: command.opts<{ name: string }>().name,
      description: `tsgi: ${served[0] ?? configFile ?? only?.scriptRoot ?? ""}`,
      node: process.execPath,
      tsgi: join(programsDir, "tsgi"),
      daemonArguments,
      control,
      ...account,
      reads: readPaths(server),
      startupTimeoutMs: Math.max(...groups.map(({ startupTimeoutMs }) => startupTimeoutMs)),
      shutdownTimeoutMs: Math.max(...groups.map(({ shutdownTimeoutMs }) => shutdownTimeoutMs)),
      sockets: groups.map(({ name, listen, socketMode, socketGroup }) => ({
        group: name,
        listen: placed(listen),
        socketMode,
        socketGroup,
      })),
    }),
  );
  return 0;
}

export function configureSystemd(command: Command): void {
  command
    .description("print the systemd unit of a daemon, from the options of tsgi daemon")
    .argument("[app]", "application, or a folder of scripts; else what the configuration file names")
    .option("--name <name>", "name of the unit, without .service", "tsgi");
  addSettings(command, daemonSettings)
    .addHelpText("after", "\nExample:\n  $ tsgi config systemd app.ts --user www-data --name hello")
    .action(async (app: string | undefined) => {
      process.exitCode = await run(app, command);
    });
}
