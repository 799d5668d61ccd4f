// `tsgi check`: loads an application, runs one request through it with the contract checked, and says what it found.

import type { Command } from "commander";
import type { SettingName } from "../config/settings.ts";
import type { AdapterName } from "../adapters/names.ts";
import { ConfigError } from "../errors.ts";
import type { LoadedApplication } from "../loader/load.ts";
import { loadApplication, parseAppReference } from "../loader/load.ts";
import { addSettings, readSettings } from "./options.ts";
import { reserveStdout } from "./stdout.ts";

const names = ["configFile", "cacheDir", "adapter"] as const satisfies readonly SettingName[];

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

interface CheckOptions {
  readonly url: string;
  /** False with --no-request. */
  readonly request: boolean;
}

async function run(app: string, command: Command): Promise<number> {
  const { cacheDir, adapter } = await readSettings(command, names);
  const { url, request } = command.opts<CheckOptions>();
  if (!/^(https?:\/\/[^/]|\/)/i.test(url)) {
    throw new ConfigError([`--url ${JSON.stringify(url)}: expected /path or http://host/path`]);
  }
  const print = reserveStdout();
  const found = await loadApplication(parseAppReference(app, process.cwd()), { cacheDir, adapter });
  const files = found.inputs.length === 1 ? "1 file" : `${found.inputs.length} files`;
  await print(`${found.file}: ${describeFound(found)}, made of ${files}\n`);
  if (!request) return 0;
  const { tryRequest } = await import("./check-request.ts");
  const { lines, isFine } = await tryRequest(found.application, { url, script: found.file });
  for (const line of lines) await print(`${line}\n`);
  return isFine ? 0 : 1;
}

export function configure(command: Command): void {
  command
    .argument("<app>", "application: file.ts, or file.ts#export")
    .option("--url <url>", "what to ask the application for, by GET", "/")
    .option("--no-request", "only load the application");
  addSettings(command, names)
    .addHelpText("after", "\nExample:\n  $ tsgi check app.ts --url '/items?id=1'")
    .action(async (app: string) => {
      process.exitCode = await run(app, command);
    });
}
