// `tsgi check`: loads an application and says what it found.

import type { Command } from "commander";
import type { SettingName } from "../config/settings.ts";
import { loadApplication, parseAppReference } from "../loader/load.ts";
import { addSettings, readSettings } from "./options.ts";
import { reserveStdout } from "./stdout.ts";

const names = ["configFile", "cacheDir"] as const satisfies readonly SettingName[];

async function run(app: string, command: Command): Promise<number> {
  const { cacheDir } = await readSettings(command, names);
  const print = reserveStdout();
  const found = await loadApplication(parseAppReference(app, process.cwd()), { cacheDir });
  const files = found.inputs.length === 1 ? "1 file" : `${found.inputs.length} files`;
  await print(`${found.file}: export ${found.exportName} is an application, made of ${files}\n`);
  return 0;
}

export function configure(command: Command): void {
  command.argument("<app>", "application: file.ts, or file.ts#export");
  addSettings(command, names)
    .addHelpText("after", "\nExample:\n  $ tsgi check app.ts")
    .action(async (app: string) => {
      process.exitCode = await run(app, command);
    });
}
