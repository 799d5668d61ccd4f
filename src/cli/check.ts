// `tsgi check`: loads an application and says what it found.

import type { Command } from "commander";
import type { SettingName } from "../config/settings.ts";
import type { AdapterName } from "../adapters/names.ts";
import type { LoadedApplication } from "../loader/load.ts";
import { loadApplication, parseAppReference } from "../loader/load.ts";
import { addSettings, readConfig } from "./options.ts";
import { reserveStdout } from "./stdout.ts";

const names = ["cacheDir", "adapter"] as const satisfies readonly SettingName[];

const kinds: Readonly<Record<AdapterName, string>> = {
  wsgi: "an application",
  fetch: "a fetch handler",
  node: "a Node handler (req, res)",
  express: "an Express application",
  connect: "a Connect application",
  koa: "a Koa application",
  fastify: "a Fastify application",
  hono: "a Hono application",
  server: "an HTTP server",
};

function describeFound({ exportName, adapter }: Pick<LoadedApplication, "exportName" | "adapter">): string {
  const what = exportName === undefined ? "its listening server" : `export ${exportName}`;
  return `${what} is ${kinds[adapter]} (adapter ${adapter})`;
}

async function run(app: string, command: Command): Promise<number> {
  const { cacheDir, adapter } = readConfig(command, names);
  const print = reserveStdout();
  const found = await loadApplication(parseAppReference(app, process.cwd()), { cacheDir, adapter });
  const files = found.inputs.length === 1 ? "1 file" : `${found.inputs.length} files`;
  await print(`${found.file}: ${describeFound(found)}, made of ${files}\n`);
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
