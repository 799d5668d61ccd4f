// `tsgi setup-server`: writes what start-server would run, with an apachectl, and starts nothing.

import { chmodSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Command } from "commander";
import { serverRootNames as names } from "../apache/server-root.ts";
import { probePort } from "../server/httpd/answer.ts";
import { apachectl } from "../server/httpd/apachectl.ts";
import { ServerRoot } from "../server/httpd/root.ts";
import { addSettings } from "./options.ts";
import { readServer, serverSettings, statusLines, urlOf } from "./private-server.ts";

async function run(app: string, command: Command): Promise<number> {
  const { server, config } = await readServer(app, command);
  const folder = server.folder ?? mkdtempSync(join(tmpdir(), "tsgi-server-"));
  try {
    const root = await ServerRoot.create({ ...server, folder });
    const port = config.port === 0 ? await probePort(server.host, 0) : config.port;
    await root.configure(port, { error: root.path(names.errorLog), access: root.path(names.accessLog) });
    const script = root.path(names.apachectl);
    const url = urlOf(server, port);
    writeFileSync(script, apachectl(root, url));
    chmodSync(script, 0o755);
    process.stdout.write(
      [
        `tsgi: ${root.folder} is ready for ${url}`,
        `  start:   ${script} start`,
        `  stop:    ${script} stop (also: restart, graceful, status, configtest)`,
        `  logs:    ${root.path(names.logs)}`,
        ...statusLines(server, root, port).map((line) => `  ${line}`),
        "",
      ].join("\n"),
    );
    return 0;
  } catch (error) {
    if (server.folder === undefined) rmSync(folder, { recursive: true, force: true });
    throw error;
  }
}

export function configure(command: Command): void {
  command.argument("<app>", "application (file.ts or file.ts#export), or a folder of applications and files");
  addSettings(command, serverSettings)
    .addHelpText("after", "\nExample:\n  $ tsgi setup-server app.ts --server-root /srv/app-server --port 8080")
    .action(async (app: string) => {
      process.exitCode = await run(app, command);
    });
}
