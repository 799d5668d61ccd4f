// `tsgi start-server`: a private Apache and the daemon, in the foreground.

import type { Command } from "commander";
import { BootError } from "../errors.ts";
import { Foreground } from "../server/httpd/foreground.ts";
import { ServerRoot } from "../server/httpd/root.ts";
import { addSettings } from "./options.ts";
import type { RequestedServer } from "./private-server.ts";
import { readServer, serverSettings, statusLines, urlOf } from "./private-server.ts";
import { StopRequest } from "./signals.ts";
import { describeTarget } from "./target.ts";

async function serve(
  foreground: Foreground,
  root: ServerRoot,
  { server, config }: RequestedServer,
  stop: StopRequest,
): Promise<number> {
  const started = foreground.start(config.port);
  const outcome = await Promise.race([started, stop.asked]);
  if (typeof outcome === "string") {
    void started.catch(() => {}); // what a start says that was called off
    return 0;
  }
  if (!outcome) return 1;
  const url = urlOf(server, foreground.port);
  process.stdout.write(`tsgi: serving ${describeTarget(server.site.target)} at ${url} (${server.mode})\n`);
  for (const line of statusLines(server, root, foreground.port)) process.stdout.write(`tsgi: ${line}\n`);
  const failure = await Promise.race([foreground.failed(), stop.asked.then(() => undefined)]);
  if (failure !== undefined) throw new BootError(failure);
  return 0;
}

async function run(app: string, command: Command): Promise<number> {
  const requested = await readServer(app, command);
  const stop = new StopRequest();
  const root = await ServerRoot.create(requested.server);
  const foreground = new Foreground(root);
  void stop.askedAgain.then(() => foreground.kill());
  let manner: "graceful" | "at-once" = "at-once";
  // A service manager's SIGTERM lets running requests end; whoever types Ctrl-C is not asked to wait.
  void stop.asked.then((signal) => {
    if (signal === "SIGTERM") manner = "graceful";
  });
  try {
    return await serve(foreground, root, requested, stop);
  } finally {
    await foreground.stop(manner);
  }
}

export function configure(command: Command): void {
  command.argument("<app>", "application (file.ts or file.ts#export), or a folder of applications and files");
  addSettings(command, serverSettings)
    .addHelpText("after", "\nExample:\n  $ tsgi start-server app.ts --port 8080 --document-root public")
    .action(async (app: string) => {
      process.exitCode = await run(app, command);
    });
}
