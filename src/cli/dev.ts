// `tsgi dev`: an HTTP server without Apache, for trying an application.

import type { Command } from "commander";
import type { SettingName } from "../config/settings.ts";
import { createLog, servingBase } from "../log.ts";
import { captureConsole } from "../log/console.ts";
import { RequestScope } from "../log/scope.ts";
import { handleUncaught } from "../log/uncaught.ts";
import { addSettings, readSettings } from "./options.ts";
import { StopRequest } from "./signals.ts";
import { describeTarget, serverTarget, siteTarget } from "./target.ts";

const names = [
  "configFile",
  "host",
  "port",
  "mountPoint",
  "cacheDir",
  "adapter",
  "logLevel",
  "errorPage",
] as const satisfies readonly SettingName[];

async function run(app: string, command: Command): Promise<number> {
  const config = await readSettings(command, names);
  const target = siteTarget(app, undefined);
  const log = createLog({ level: config.logLevel, isPretty: true, base: servingBase() });
  const scope = new RequestScope({ isExclusive: false, isFollowing: true });
  captureConsole(log, scope);
  handleUncaught(log, scope);
  const { startDevServer } = await import("../server/http.ts");
  const server = await startDevServer({ ...config, target: serverTarget(target), log, scope });
  const stop = new StopRequest(); // until now a signal ends the process at once, whatever the application does at its load
  process.stdout.write(`tsgi: serving ${describeTarget(target)} at ${server.url} (dev)\n`);
  await stop.asked;
  await Promise.race([server.close(), stop.askedAgain]);
  return 0;
}

export function configure(command: Command): void {
  command.argument("<app>", "application (file.ts or file.ts#export), or a folder of scripts");
  addSettings(command, names)
    .addHelpText(
      "after",
      "\nExample:\n  $ tsgi dev app.ts --port 8080\nThe next request after a file was saved runs the new code; the terminal says what is wrong with it, and the earlier code goes on.",
    )
    .action(async (app: string) => {
      process.exitCode = await run(app, command);
    });
}
