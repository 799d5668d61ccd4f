// `tsgi config auth`: prints the directives with which Apache asks a script who may come in.

import { dirname, resolve } from "node:path";
import type { Command } from "commander";
import { Option } from "commander";
import type { AuthModule } from "../apache/auth.ts";
import { authDirectives, authModules } from "../apache/auth.ts";
import { render } from "../apache/directives.ts";
import type { ListenAddress } from "../config/address.ts";
import { parseMountPoint } from "../config/parsers.ts";
import type { SettingName } from "../config/settings.ts";
import { ConfigError, messageOf } from "../errors.ts";
import { programsDir } from "../server/httpd/programs.ts";
import { addSettings, readSettings } from "./options.ts";

const names = ["listen"] as const satisfies readonly SettingName[];

/** mod_authnz_fcgi knows no unix sockets. */
const defaultListen: ListenAddress = { kind: "tcp", host: "127.0.0.1", port: 9001 };

interface AuthFlags {
  readonly module: AuthModule;
  readonly path: string;
  readonly realm: string;
  readonly group: readonly string[];
  readonly accessCheck: boolean;
}

function pathOf(text: string): string {
  try {
    return parseMountPoint(text);
  } catch (error) {
    throw new ConfigError([`--path ${JSON.stringify(text)}: ${messageOf(error)}`]);
  }
}

async function run(script: string, command: Command): Promise<number> {
  const { module, path, realm, group, accessCheck } = command.opts<AuthFlags>();
  const { listen = defaultListen } = await readSettings(command, names);
  const directives = authDirectives(module, {
    script: resolve(script),
    listen,
    path: pathOf(path),
    realm,
    groups: group,
    hasAccessCheck: accessCheck,
    programs: programsDir,
    nodeFolder: dirname(process.execPath),
  });
  process.stdout.write(render(directives));
  return 0;
}

export function configureAuth(command: Command): void {
  command
    .description("print the directives with which Apache asks a script for passwords and groups")
    .argument("<script>", "the file that exports checkPassword, groupsForUser or allowAccess")
    .addOption(
      new Option("--module <name>", "the module that asks: authnz_fcgi a daemon, fcgid a program that it starts")
        .choices(authModules)
        .default("authnz_fcgi"),
    )
    .option("--path <path>", "URL path that needs a password", "/")
    .option("--realm <text>", "what the browser shows beside its question", "Restricted")
    .option(
      "--group <name>",
      "a group that may come in; may be repeated",
      (name: string, earlier: readonly string[]) => [...earlier, name],
      [],
    )
    .option("--access-check", "fcgid: ask allowAccess before the password", false);
  addSettings(command, names)
    .addHelpText("after", "\nExample:\n  $ tsgi config auth auth.ts --path /private --group staff")
    .action(async (script: string) => {
      process.exitCode = await run(script, command);
    });
}
